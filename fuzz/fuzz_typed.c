/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the command line become values of a schema: two JSON documents, schema and texts, with a
 * line "--" between them. */
#include "fuzz.h"

#include "app/typed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    size_t n;
    kr_auto_free char *text = fuzz_part(&in, "\n--\n", &n);
    kr_auto_json json_t *schema = NULL, *texts = NULL, *out = NULL;
    struct kr_err err = KR_ERR_INIT;
    const char *name;
    json_t *value;

    if (kr_json_parse((const char *)in.p, in.n, "texts", &texts, fuzz_err()) < 0 ||
        !json_is_object(texts))
        return 0;
    fuzz_any(kr_json_parse(text, n, "schema", &schema, fuzz_err()));
    json_object_foreach(texts, name, value)
    {
        if (!json_is_string(value))
            return 0;
    }
    if (kr_typed_parameters(json_is_object(schema) ? schema : NULL, texts, &out, &err) == 0)
        FUZZ_CHECK(json_is_object(out) && json_object_size(out) == json_object_size(texts));
    else
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0');
    return 0;
}
