/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, and with them servers, whose records are gone. */
#include "deployers/local.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"

#include <string.h>

enum { MAX_OWNER = 4096, GRACE_MS = 2000 };

int kr_local_sign(const struct kr_local *local, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(local->dir, "store");
    const char *store = local->env->store != NULL ? local->env->store : "";

    return kr_file_write_atomic(path, store, strlen(store), 0600, err);
}

static bool is_of_store(const struct kr_local *local)
{
    kr_auto_free char *path = kr_path_join(local->dir, "store");
    kr_auto_buf struct kr_buf owner = KR_BUF_INIT(MAX_OWNER);

    return local->env->store != NULL && kr_file_read(path, &owner, NULL) == 0 &&
           strcmp(kr_buf_str(&owner), local->env->store) == 0;
}

static void remove_one(struct kr_local *local)
{
    struct kr_err err = KR_ERR_INIT;

    kr_local_tidy(local, true); /* nothing can be started from here any more */
    if (kr_local_stop_all(local, GRACE_MS, &err) < 0 || kr_remove_tree(local->dir, &err) < 0) {
        kr_log(KR_LOG_WARN, "local", "%s", err.msg);
        return;
    }
    kr_denv_note(local->env, true,
                 "removed what was left of a deployment whose record is gone (%s)",
                 local->what->id);
}

/* A record is stored before its folder is made, so a folder without record is a leftover. */
void kr_local_sweep(const struct kr_deployer_env *env, kr_record_known known, void *data)
{
    kr_auto_free char *parent = kr_path_join(env->data_dir, "deployments");
    kr_auto_dir DIR *dir = opendir(parent);
    kr_auto_json json_t *ids = json_array();
    struct dirent *entry;
    const json_t *item;
    size_t i;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (kr_uuid_is(entry->d_name))
            (void)json_array_append_new(ids, json_string(entry->d_name));
    }
    json_array_foreach(ids, i, item)
    {
        const char *id = json_string_value(item);
        struct kr_deployment what = {.id = id, .name = id};
        kr_auto_local struct kr_local local = {0};

        if (known(data, id))
            continue;
        kr_local_open(env, &what, &local);
        if (is_of_store(&local))
            remove_one(&local);
    }
}
