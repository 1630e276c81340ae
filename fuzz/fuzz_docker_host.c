/* SPDX-License-Identifier: Apache-2.0 */
/* DOCKER_HOST: the host that it names is what is asked for an address, and shown in errors. */
#include "fuzz.h"

#include "deployers/engine.h"

#include <stdio.h>
#include <stdlib.h>

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    kr_auto_free char *url = fuzz_rest(&in);
    kr_auto_free char *host = kr_engine_host_of(url), *again = NULL, *round = NULL;

    if (host == NULL)
        return 0;
    FUZZ_CHECK(!starts(url, "unix:") && !starts(url, "npipe:") && !starts(url, "fd:"));
    FUZZ_CHECK(strstr(url, host) != NULL && strpbrk(host, "/?#") == NULL);
    FUZZ_CHECK(strchr(url, '[') != NULL || (host[0] != '\0' && strpbrk(host, ":@") == NULL));
    if (host[0] == '\0' || strpbrk(host, "[]@") != NULL)
        return 0;
    /* A host that is written into an address is read from it again. */
    if (strchr(host, ':') != NULL)
        round = kr_asprintf("tcp://user:word@[%s]:2375/path@x", host);
    else
        round = kr_asprintf("tcp://user:word@%s:2375/path@x", host);
    again = kr_engine_host_of(round);
    FUZZ_CHECK(again != NULL && strcmp(again, host) == 0);
    return 0;
}
