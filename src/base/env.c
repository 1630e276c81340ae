/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include "base/alloc.h"
#include "base/path.h"

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

static char *place(const char *xdg, const char *under_home)
{
    const char *own = kr_env_get("KOUROU_HOME"), *base = kr_env_get(xdg), *home;

    if (own != NULL)
        return kr_path_expand_home(own);
    if (base != NULL)
        return kr_path_join(base, "kourou");
    home = kr_env_get("HOME");
    return kr_asprintf("%s/%s/kourou", home != NULL ? home : "/", under_home);
}

char *kr_env_config_dir(void)
{
    return place("XDG_CONFIG_HOME", ".config");
}

char *kr_env_data_dir(void)
{
    return place("XDG_DATA_HOME", ".local/share");
}
