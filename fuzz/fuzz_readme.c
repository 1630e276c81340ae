/* SPDX-License-Identifier: Apache-2.0 */
/* The README.md of a user, whose front matter is merged into that of the Space. */
#include "fuzz.h"

#include "base/yaml.h"
#include "pack/space_readme.h"

static json_t *snapshot(void)
{
    static const char text[] = "{\"pipeline\":{\"name\":\"churn\",\"source\":\"a.b\"},\"steps\":[],"
                               "\"input_schema\":{\"type\":\"object\",\"properties\":{}}}";
    json_t *value = NULL;

    FUZZ_CHECK(kr_json_parse(text, sizeof(text) - 1, "snapshot", &value, fuzz_err()) == 0);
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *own = fuzz_rest(&in);
    kr_auto_json json_t *compiled = snapshot(), *front = NULL;
    kr_auto_buf struct kr_buf made = KR_BUF_INIT(KR_README_MAX);
    struct kr_err err = KR_ERR_INIT;
    struct kr_space_readme readme = {
        .deployment = "churn", .snapshot = compiled, .app_port = 7860, .own = own};
    const char *end;

    if (kr_space_readme(&readme, &made, &err) < 0) {
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0');
        return 0;
    }
    FUZZ_CHECK(made.n > 4 && memcmp(made.p, "---\n", 4) == 0);
    end = strstr(made.p, "\n---\n");
    FUZZ_CHECK(end != NULL);
    if (kr_yaml_parse(made.p + 4, (size_t)(end - made.p) - 3, "made", &front, &err) < 0)
        (void)fprintf(stderr, "%s\n%s", err.msg, made.p);
    FUZZ_CHECK(front != NULL && strcmp(kr_json_str(front, "sdk", ""), "docker") == 0);
    FUZZ_CHECK(kr_json_int(front, "app_port", 0) == 7860);
    return 0;
}
