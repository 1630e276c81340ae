/* SPDX-License-Identifier: Apache-2.0 */
/* Places below the user's home. Not in kourou-serve: looking users up wants the C library's
 * modules, which a static program does not have. */
#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *kr_env_home(void)
{
    static char known[PATH_MAX]; /* nothing changes it while we run */
    const char *home = kr_env_get("HOME");
    char room[4096];
    struct passwd pw, *found = NULL;

    if (home != NULL)
        return home;
    if (known[0] == '\0' && getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) == 0 &&
        found != NULL && found->pw_dir != NULL && found->pw_dir[0] == '/' &&
        strlen(found->pw_dir) < sizeof(known))
        (void)snprintf(known, sizeof(known), "%s", found->pw_dir);
    return known[0] != '\0' ? known : NULL;
}

char *kr_path_expand_home(const char *path)
{
    const char *home;

    if (path[0] != '~' || (path[1] != '/' && path[1] != '\0'))
        return kr_strdup(path);
    home = kr_env_home();
    return home != NULL ? kr_asprintf("%s%s", home, path + 1) : kr_strdup(path);
}

static char *place(const char *xdg, const char *under_home)
{
    const char *own = kr_env_get("KOUROU_HOME"), *base = kr_env_get(xdg), *home;

    if (own != NULL)
        return kr_path_expand_home(own);
    if (base != NULL)
        return kr_path_join(base, "kourou");
    home = kr_env_home();
    return home != NULL ? kr_asprintf("%s/%s/kourou", home, under_home) : NULL;
}

char *kr_env_config_dir(void)
{
    return place("XDG_CONFIG_HOME", ".config");
}

char *kr_env_data_dir(void)
{
    return place("XDG_DATA_HOME", ".local/share");
}
