/* SPDX-License-Identifier: Apache-2.0 */
/* A text file in any encoding: what is accepted is UTF-8 without NUL, what is UTF-8 stays as it is.
 */
#include "fuzz.h"

#include "base/encoding.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4 * size + 4);
    bool marked = size >= 2 && (data[0] >= 0xef || memcmp(data, "\0\0", 2) == 0);
    kr_auto_free char *before = NULL;

    kr_buf_add(&text, data, size);
    before = kr_strndup(kr_buf_str(&text), text.n);
    if (kr_text_decode(&text, "input", fuzz_err()) < 0)
        return 0;
    FUZZ_CHECK(strlen(kr_buf_str(&text)) == text.n && kr_json_is_text(kr_buf_str(&text)));
    if (!marked && kr_json_is_text(before) && strstr(before, "coding") == NULL)
        FUZZ_CHECK(text.n == size && memcmp(before, kr_buf_str(&text), size) == 0);
    return 0;
}
