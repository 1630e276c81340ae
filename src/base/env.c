/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <strings.h>

const char *kr_env_get(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool kr_env_truthy(const char *name)
{
    static const char *const yes[] = {"1", "ON", "YES", "TRUE"};
    const char *value = kr_env_get(name);

    for (size_t i = 0; value != NULL && i < KR_ARRAY_LEN(yes); i++) {
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    }
    return false;
}
