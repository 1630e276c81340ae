/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sql.h"

int kr_store_code_is_used(struct kr_store *store, const char *digest, bool *used,
                          struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};

    if (kr_stmt_init(&stmt, store,
                     "SELECT 1 FROM snapshots s "
                     "WHERE s.code_digest = ?1 AND ("
                     "EXISTS (SELECT 1 FROM deployments WHERE snapshot_id = s.id) OR "
                     "EXISTS (SELECT 1 FROM deployments WHERE previous_snapshot_id = s.id) OR "
                     "EXISTS (SELECT 1 FROM deployments "
                     "WHERE json_extract(settings, '$.good') = s.id)) LIMIT 1",
                     err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, digest);
    return kr_stmt_step(&stmt, used, err);
}
