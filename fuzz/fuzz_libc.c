/* SPDX-License-Identifier: Apache-2.0 */
/* C libraries of base images: which one, which version, and the tags that follow from it. */
#include "fuzz.h"

#include "base/alloc.h"
#include "oci/libc_version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_free char *bytes = kr_malloc(size > 0 ? size : 1), *platform = NULL;
    kr_auto_json json_t *tags = NULL;
    struct kr_libc libc = {.minor = 0};
    size_t n;

    if (size > 0)
        memcpy(bytes, data, size);
    if (!kr_libc_version(bytes, size, &libc))
        return 0;
    FUZZ_CHECK(libc.minor > 0 && libc.minor < 1000);
    tags = kr_libc_tags(&libc);
    platform = kr_libc_uv_platform(&libc);
    n = json_array_size(tags);
    FUZZ_CHECK(n >= 1 &&
               strcmp(json_string_value(json_array_get(tags, n - 1)), "linux_x86_64") == 0);
    FUZZ_CHECK(strncmp(platform, "x86_64-", 7) == 0);
    return 0;
}
