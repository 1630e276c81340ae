/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's config.json: first line the registry, then the file. Helper programs are not found. */
#include "fuzz_folder.h"

#include <fcntl.h>

#include "base/redact.h"
#include "oci/credentials.h"

static char file[64]; /* config.json, rewritten for every input */

static void settle_in_folder(void)
{
    if (file[0] != '\0')
        return;
    (void)snprintf(file, sizeof(file), "%s/config.json", fuzz_folder());
    (void)setenv("DOCKER_CONFIG", fuzz_folder(), 1);
    (void)setenv("PATH", fuzz_folder(), 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *registry = fuzz_line(&in);
    struct kr_credentials found = {0};
    int fd;

    settle_in_folder();
    fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, in.p, in.n) == (ssize_t)in.n && close(fd) == 0);
    if (kr_credentials_find(registry, &found, fuzz_err()) == 0)
        FUZZ_CHECK((found.user == NULL) == (found.password == NULL));
    kr_credentials_finish(&found);
    kr_redact_clear();
    return 0;
}
