/* SPDX-License-Identifier: Apache-2.0 */
/* Is the store in order? Slow: reads the whole file. */
#include "store/sql.h"

#include <string.h>

int kr_store_check(struct kr_store *store, struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    const char *text;
    bool row = false;

    if (kr_stmt_init(&stmt, store, "PRAGMA integrity_check(1)", err) < 0 ||
        kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    text = row ? kr_stmt_text(&stmt, 0) : NULL;
    if (text == NULL || strcmp(text, "ok") != 0) {
        (void)kr_fail(err, KR_E_STATE, "the store %s is damaged: %s", store->path,
                      text != NULL ? text : "no answer");
        return kr_hint(err, "move the file away and bring a backup back");
    }
    return 0;
}

const char *kr_store_path(const struct kr_store *store)
{
    return store->path;
}
