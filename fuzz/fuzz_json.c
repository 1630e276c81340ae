/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: canonical text reads back as the same value and is the same again; pretty text, which
 * rounds numbers for people, reads back. */
#include "fuzz.h"

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_json json_t *value = NULL, *again = NULL, *pretty = NULL;
    kr_auto_free char *text = NULL, *twice = NULL, *wide = NULL;

    if (kr_json_parse((const char *)data, size, "input", &value, fuzz_err()) < 0)
        return 0;
    text = kr_json_canonical(value);
    wide = kr_json_pretty(value);
    FUZZ_CHECK(kr_json_parse(text, strlen(text), "canonical", &again, fuzz_err()) == 0);
    FUZZ_CHECK(kr_json_parse(wide, strlen(wide), "pretty", &pretty, fuzz_err()) == 0);
    twice = kr_json_canonical(again);
    FUZZ_CHECK(strcmp(text, twice) == 0 && json_equal(value, again));
    return 0;
}
