/* SPDX-License-Identifier: Apache-2.0 */
/* kourou.toml. */
#include "fuzz.h"

#include "pack/project_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_json json_t *allow = NULL;
    kr_auto_free char *text = NULL;
    struct kr_err err = KR_ERR_INIT;
    size_t n = in.n, i;
    json_t *item;

    text = fuzz_rest(&in);
    if (kr_project_file_parse(text, n, &allow, &err) < 0) {
        FUZZ_CHECK(err.code == KR_E_INVALID && err.hint[0] != '\0');
        return 0;
    }
    json_array_foreach(allow, i, item) FUZZ_CHECK(json_string_length(item) > 0);
    return 0;
}
