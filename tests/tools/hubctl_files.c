/* SPDX-License-Identifier: Apache-2.0 */
#include "hubctl.h"

#include "base/alloc.h"
#include "base/path.h"
#include "hub/sync.h"

#include <string.h>

int cmd_tree(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_tree struct kr_tree tree = {0};
    json_t *files = json_object();

    *out = json_object();
    kr_json_set(*out, "files", files);
    if (kr_tree_get(hub, args[0], args[1], &tree, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < tree.n; i++)
        kr_json_set_str(files, tree.v[i].path, tree.v[i].oid);
    return 0;
}

int cmd_read(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 20);

    if (kr_space_read_file(hub, args[0], NULL, args[1], &text, err) < 0)
        return -(int)err->code;
    *out = json_object();
    kr_json_set_str(*out, "text", kr_buf_str(&text));
    return 0;
}

int cmd_readme(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *input = NULL;
    const char *text;

    (void)args;
    (void)out;
    if (read_input(&input, err) < 0)
        return -(int)err->code;
    text = kr_json_str(input, "text", "");
    return kr_space_validate_readme(hub, text, strlen(text), err);
}

/* Everything below a folder, as find would list it. */
static int add_folder(struct kr_files *files, const char *root, const char *below,
                      struct kr_err *err)
{
    kr_auto_free char *path = below[0] != '\0' ? kr_path_join(root, below) : kr_strdup(root);
    kr_auto_dir DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        return kr_fail(err, KR_E_INVALID, "no folder %s", path);
    while ((entry = readdir(dir)) != NULL) {
        kr_auto_free char *name = NULL, *full = NULL;
        int rc;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        name = below[0] != '\0' ? kr_path_join(below, entry->d_name) : kr_strdup(entry->d_name);
        full = kr_path_join(root, name);
        rc = kr_path_is_dir(full) ? add_folder(files, root, name, err)
                                  : kr_files_add_disk(files, name, full, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* SPACE FOLDER ID [adopt] [fresh] */
static int make_plan(struct kr_hub *hub, char **args, struct kr_files *files,
                     struct kr_space *space, struct kr_sync_request *request,
                     struct kr_sync_plan *plan, struct kr_err *err)
{
    bool fresh = false;

    *request = (struct kr_sync_request){
        .space = args[0], .files = files, .id = args[2], .message = "Deploy"};
    for (char **a = args + 3; *a != NULL; a++) {
        request->adopt = request->adopt || strcmp(*a, "adopt") == 0;
        fresh = fresh || strcmp(*a, "fresh") == 0;
    }
    if (add_folder(files, args[1], "", err) < 0 ||
        (!fresh && kr_space_get(hub, args[0], space, err) < 0))
        return -(int)err->code;
    request->parent = space->sha;
    return kr_sync_plan(hub, request, plan, err);
}

static json_t *plan_json(const struct kr_sync_plan *plan)
{
    static const char *const owners[] = {"fresh", "ours", "other", "foreign"};
    static const char *const kinds[] = {"add", "update", "delete"};
    json_t *out = json_object(), *changes = json_object();

    kr_json_set_str(out, "owner", owners[plan->owner]);
    kr_json_set_int(out, "unchanged", (int64_t)plan->unchanged);
    kr_json_set(out, "changes", changes);
    for (size_t i = 0; i < plan->n; i++)
        kr_json_set_str(changes, plan->v[i].path, kinds[plan->v[i].kind]);
    return out;
}

int cmd_plan(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_space struct kr_space space = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request request;

    if (make_plan(hub, args, &files, &space, &request, &plan, err) < 0)
        return -(int)err->code;
    *out = plan_json(&plan);
    return 0;
}

int cmd_sync(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_space struct kr_space space = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request request;
    struct kr_sync_result result;

    if (make_plan(hub, args, &files, &space, &request, &plan, err) < 0 ||
        kr_sync_run(hub, &request, &plan, &result, err) < 0)
        return -(int)err->code;
    *out = plan_json(&plan);
    kr_json_set_str(*out, "commit", result.commit);
    kr_json_set_bool(*out, "committed", result.committed);
    kr_json_set_int(*out, "uploaded", (int64_t)result.uploaded);
    return 0;
}
