/* SPDX-License-Identifier: Apache-2.0 */
/* Docker's config.json: first line the registry, then the file. Helper programs are not found. */
#include "fuzz.h"

#include <fcntl.h>

#include "base/redact.h"
#include "oci/credentials.h"

/* A folder whose config.json is rewritten for every input; removed at the end. */
static char folder[] = "/tmp/kourou-fuzz-XXXXXX";
static char file[64];

static void remove_folder(void)
{
    (void)unlink(file);
    (void)rmdir(folder);
}

static void make_folder(void)
{
    if (file[0] != '\0')
        return;
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(file, sizeof(file), "%s/config.json", folder);
    (void)setenv("DOCKER_CONFIG", folder, 1);
    (void)setenv("PATH", folder, 1);
    (void)atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *registry = fuzz_line(&in);
    struct kr_credentials found = {0};
    int fd;

    make_folder();
    fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, in.p, in.n) == (ssize_t)in.n && close(fd) == 0);
    if (kr_credentials_find(registry, &found, fuzz_err()) == 0)
        FUZZ_CHECK((found.user == NULL) == (found.password == NULL));
    kr_credentials_finish(&found);
    kr_redact_clear();
    return 0;
}
