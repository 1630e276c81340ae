/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of base images: archives of others, plain or compressed. */
#include "fuzz.h"

#include "oci/tar.h"

enum { ENTRIES_MAX = 2000 }; /* a bomb of empty entries is not what is looked for here */

static bool on_entry(void *data, const char *path, const char *link)
{
    int *left = data;

    FUZZ_CHECK(path[0] != '/' && strncmp(path, "./", 2) != 0);
    FUZZ_CHECK(link == NULL || strlen(link) < SIZE_MAX);
    return --*left > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_fd int fd = fuzz_file(data, size);
    int left = ENTRIES_MAX;
    struct kr_err err = KR_ERR_INIT;

    if (kr_tar_list(fd, on_entry, &left, &err) < 0)
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0');
    return 0;
}
