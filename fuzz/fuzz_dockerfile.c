/* SPDX-License-Identifier: Apache-2.0 */
/* Users' own Dockerfiles: the images they build on, and their last stage. */
#include "fuzz.h"

#include "base/alloc.h"
#include "pack/dockerfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *text = fuzz_rest(&in), *stage = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    kr_auto_json json_t *bases = kr_dockerfile_bases(text);
    const json_t *name;
    size_t i;

    json_array_foreach(bases, i, name)
    {
        FUZZ_CHECK(json_string_length(name) > 0);
        FUZZ_CHECK(strpbrk(json_string_value(name), "$ \t\n") == NULL);
    }
    if (kr_dockerfile_own(text, "Dockerfile", &out, &stage, fuzz_err()) == 0)
        FUZZ_CHECK(stage[0] != '\0' && out.n >= strlen(text));
    return 0;
}
