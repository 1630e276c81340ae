/* SPDX-License-Identifier: Apache-2.0 */
/* YAML: what was read is written and reads back as the same value. */
#include "fuzz.h"

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_json json_t *value = NULL, *again = NULL;
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 24);
    struct kr_err err = KR_ERR_INIT;

    if (kr_yaml_parse((const char *)data, size, "input", &value, &err) < 0) {
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0');
        return 0;
    }
    kr_yaml_write(value, &text);
    if (kr_buf_check(&text, fuzz_err()) < 0) /* aliases may stand for more than is read back */
        return 0;
    if (kr_yaml_parse(kr_buf_str(&text), text.n, "written", &again, &err) < 0)
        (void)fprintf(stderr, "%s\n%s", err.msg, kr_buf_str(&text));
    FUZZ_CHECK(json_equal(value, again));
    return 0;
}
