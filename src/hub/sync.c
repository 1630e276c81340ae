/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/sync.h"

#include "base/alloc.h"
#include "base/view.h"
#include "hub/push.h"

#include <stdio.h>
#include <string.h>

enum { MARKER_MAX = 8 * 1024 * 1024, MARKER_VERSION = 1, MOVED_TRIES = 3 };

void kr_sync_plan_finish(struct kr_sync_plan *plan)
{
    free(plan->v);
    free(plan->marked_id);
    free(plan->parent);
    kr_files_finish(&plan->marker);
    kr_tree_finish(&plan->tree);
    *plan = (struct kr_sync_plan){0};
}

bool kr_entry_is(const struct kr_tree_entry *entry, const struct kr_file *file)
{
    return strcmp(entry->oid, entry->lfs ? file->sha256 : file->blob) == 0;
}

bool kr_tree_holds(const struct kr_tree *tree, const struct kr_change *changes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct kr_tree_entry *there = kr_tree_find(tree, changes[i].path);

        if (changes[i].ignored)
            continue;
        if (changes[i].file == NULL ? there != NULL
                                    : there == NULL || !kr_entry_is(there, changes[i].file))
            return false;
    }
    return true;
}

/* The list of paths and the id, nothing that changes from one deploy to the next. */
static char *marker_text(const struct kr_sync_request *request)
{
    kr_auto_json json_t *marker = json_object();
    json_t *paths = json_array();
    kr_auto_free char *text = NULL;

    kr_json_set_int(marker, "kourou", MARKER_VERSION);
    kr_json_set_str(marker, "deployment", request->id);
    kr_json_set(marker, "files", paths);
    for (size_t i = 0; i < request->files->n; i++) {
        json_t *path = json_string(request->files->v[i].path);

        if (path != NULL && json_array_append_new(paths, path) != 0)
            abort();
    }
    text = kr_json_pretty(marker);
    return kr_asprintf("%s\n", text);
}

/* Read from the remote marker. */
struct marked {
    json_t *doc;
    const char *id;
    const json_t *files;
};

static bool read_marker(const char *text, struct marked *out)
{
    if (text == NULL || kr_json_parse(text, strlen(text), "", &out->doc, NULL) < 0)
        return false;
    out->id = kr_json_str(out->doc, "deployment", NULL);
    out->files = json_object_get(out->doc, "files");
    return out->id != NULL && json_is_array(out->files);
}

static void add_change(struct kr_sync_plan *plan, enum kr_change_kind kind, const char *path,
                       const struct kr_file *file)
{
    if ((plan->n & (plan->n - 1)) == 0)
        plan->v = kr_reallocarray(plan->v, plan->n == 0 ? 1 : plan->n * 2, sizeof(*plan->v));
    plan->v[plan->n++] = (struct kr_change){.kind = kind, .path = path, .file = file};
    plan->bytes += file != NULL ? file->size : 0;
}

static void compare_file(struct kr_sync_plan *plan, const struct kr_file *file)
{
    const struct kr_tree_entry *there = kr_tree_find(&plan->tree, file->path);

    if (there == NULL)
        add_change(plan, KR_CHANGE_ADD, file->path, file);
    else if (kr_entry_is(there, file))
        plan->unchanged++;
    else
        add_change(plan, KR_CHANGE_UPDATE, file->path, file);
}

/* Of what the last deploy brought, what is no longer wanted. */
static void find_deletions(const struct kr_sync_request *request, struct kr_sync_plan *plan,
                           const json_t *listed)
{
    const json_t *item;
    size_t i;

    json_array_foreach(listed, i, item)
    {
        const char *path = json_string_value(item);
        const struct kr_tree_entry *there = path != NULL ? kr_tree_find(&plan->tree, path) : NULL;

        if (there != NULL && kr_files_find(request->files, path) == NULL &&
            strcmp(path, ".gitattributes") != 0 && strcmp(path, KR_MARKER_PATH) != 0)
            add_change(plan, KR_CHANGE_DELETE, there->path, NULL);
    }
}

static bool is_fresh(const struct kr_tree *tree)
{
    for (size_t i = 0; i < tree->n; i++) {
        if (strcmp(tree->v[i].path, ".gitattributes") != 0 &&
            strcmp(tree->v[i].path, "README.md") != 0)
            return false;
    }
    return true;
}

static int by_path(const void *a, const void *b)
{
    const struct kr_change *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* Duplicates in a marker would become two deletions. */
static void drop_doubles(struct kr_sync_plan *plan)
{
    size_t kept = 0;

    for (size_t i = 0; i < plan->n; i++) {
        if (kept == 0 || strcmp(plan->v[kept - 1].path, plan->v[i].path) != 0)
            plan->v[kept++] = plan->v[i];
    }
    plan->n = kept;
}

int kr_sync_compare(const struct kr_sync_request *request, struct kr_sync_plan *plan,
                    const char *marker, struct kr_err *err)
{
    kr_auto_free char *text = marker_text(request);
    struct marked marked = {0};
    const struct kr_tree_entry *there = kr_tree_find(&plan->tree, KR_MARKER_PATH);

    if (plan->marker.n == 0 &&
        kr_files_add_bytes(&plan->marker, KR_MARKER_PATH, text, strlen(text), false, err) < 0)
        return -(int)err->code;
    if (there != NULL && kr_entry_is(there, &plan->marker.v[0]))
        marker = text;
    for (size_t i = 0; i < request->files->n; i++) {
        if (strcmp(request->files->v[i].path, KR_MARKER_PATH) != 0)
            compare_file(plan, &request->files->v[i]);
    }
    compare_file(plan, &plan->marker.v[0]);
    if (read_marker(marker, &marked)) {
        plan->owner = strcmp(marked.id, request->id) == 0 ? KR_OWNER_OURS : KR_OWNER_OTHER;
        plan->marked_id = kr_strdup(marked.id);
        find_deletions(request, plan, marked.files);
    } else {
        plan->owner = is_fresh(&plan->tree) ? KR_OWNER_FRESH : KR_OWNER_FOREIGN;
    }
    json_decref(marked.doc);
    if (plan->n > 1)
        qsort(plan->v, plan->n, sizeof(*plan->v), by_path);
    drop_doubles(plan);
    return 0;
}

/* The marker says something only when it differs from what ours would be. */
static bool needs_marker(const struct kr_sync_plan *plan)
{
    const struct kr_tree_entry *there = kr_tree_find(&plan->tree, KR_MARKER_PATH);

    return there != NULL && !kr_entry_is(there, &plan->marker.v[0]);
}

int kr_sync_plan(struct kr_hub *hub, const struct kr_sync_request *request,
                 struct kr_sync_plan *plan, struct kr_err *err)
{
    kr_auto_sync_plan struct kr_sync_plan made = {0};
    kr_auto_buf struct kr_buf marker = KR_BUF_INIT(MARKER_MAX);
    kr_auto_free char *text = marker_text(request);

    made.parent = kr_strdup(request->parent);
    if (kr_tree_get(hub, request->space, request->parent, &made.tree, err) < 0 ||
        kr_files_add_bytes(&made.marker, KR_MARKER_PATH, text, strlen(text), false, err) < 0)
        return -(int)err->code;
    if (needs_marker(&made) &&
        kr_space_read_file(hub, request->space, request->parent, KR_MARKER_PATH, &marker, err) < 0)
        return -(int)err->code;
    if (kr_sync_compare(request, &made, marker.p, err) < 0)
        return -(int)err->code;
    *plan = made;
    made = (struct kr_sync_plan){0};
    return 0;
}

static int check_owner(const struct kr_sync_request *request, const struct kr_sync_plan *plan,
                       struct kr_err *err)
{
    if (request->adopt || plan->owner == KR_OWNER_OURS || plan->owner == KR_OWNER_FRESH)
        return 0;
    if (plan->owner == KR_OWNER_OTHER)
        (void)kr_fail(err, KR_E_CONFLICT, "Space %s belongs to another deployment (%s)",
                      request->space, plan->marked_id);
    else
        (void)kr_fail(err, KR_E_CONFLICT, "Space %s holds files that were not deployed from here",
                      request->space);
    return kr_hint(err, "choose another deployment name, or take the Space over with --adopt");
}

static int check_readme(struct kr_hub *hub, const struct kr_sync_plan *plan, struct kr_err *err)
{
    enum { README_MAX = 1024 * 1024 };
    const struct kr_file *file = NULL;
    kr_auto_free char *text = NULL;
    struct kr_source source;
    int rc;

    for (size_t i = 0; i < plan->n; i++) {
        if (strcmp(plan->v[i].path, "README.md") == 0)
            file = plan->v[i].file;
    }
    if (file == NULL)
        return 0;
    if (file->size > README_MAX)
        return kr_fail(err, KR_E_LIMIT, "README.md is longer than %d bytes", README_MAX);
    text = kr_malloc((size_t)file->size + 1);
    rc = kr_source_open(&source, file, err);
    if (rc == 0)
        rc = kr_source_read(&source, file, 0, text, (size_t)file->size, err);
    kr_source_close(&source);
    return rc == 0 ? kr_space_validate_readme(hub, text, (size_t)file->size, err) : rc;
}

/* Paths that the Hub or git refuses. */
static int check_path(const char *path, struct kr_err *err)
{
    enum { PATH_MAX_BYTES = 1000 };
    const char *why = NULL;
    struct kr_view rest = kr_view_of(path), part;

    if (strlen(path) > PATH_MAX_BYTES)
        why = "it is longer than 1000 bytes";
    else if (strchr(path, '\\') != NULL)
        why = "the Hub takes no backslash";
    else if (!kr_json_is_text(path))
        why = "it is not UTF-8";
    for (const char *p = path; *p != '\0' && why == NULL; p++)
        why = (unsigned char)*p < 0x20 || *p == 0x7f ? "it has a control character" : NULL;
    while (rest.n != 0 && why == NULL) {
        (void)kr_view_cut(&rest, '/', &part);
        if (kr_view_eq_nocase(part, ".git"))
            why = "git refuses the name .git";
        else if (part.n > 255)
            why = "one of its names is longer than 255 bytes";
    }
    if (why == NULL)
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "the file '%.300s' cannot go into a Space: %s", path, why);
    return kr_hint(err, "rename it, or name it in .kourouignore");
}

static int check_paths(const struct kr_sync_plan *plan, struct kr_err *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->v[i].file != NULL && check_path(plan->v[i].path, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_sync_check(struct kr_hub *hub, const struct kr_sync_request *request,
                  struct kr_sync_plan *plan, struct kr_err *err)
{
    if (plan->checked)
        return 0;
    if (check_owner(request, plan, err) < 0 || check_paths(plan, err) < 0 ||
        check_readme(hub, plan, err) < 0)
        return -(int)err->code;
    plan->checked = true;
    return 0;
}

static int check_ignored(struct kr_hub *hub, const struct kr_sync_plan *plan, struct kr_err *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (!plan->v[i].ignored)
            continue;
        if (strcmp(plan->v[i].path, "Dockerfile") == 0 ||
            strcmp(plan->v[i].path, "README.md") == 0) {
            (void)kr_fail(err, KR_E_INVALID, "the Space ignores %s, without which it cannot run",
                          plan->v[i].path);
            return kr_hint(err, "remove it from .gitignore in the Space");
        }
        kr_hub_note(hub, true, "%s is left out: a .gitignore in the Space names it",
                    plan->v[i].path);
    }
    return 0;
}

static int upload_large(struct kr_hub *hub, const char *space, const struct kr_sync_plan *plan,
                        uint64_t *sent, struct kr_err *err)
{
    const struct kr_file **files = kr_calloc(plan->n + 1, sizeof(*files));
    size_t n = 0;
    int rc;

    for (size_t i = 0; i < plan->n; i++) {
        if (plan->v[i].lfs && !plan->v[i].ignored)
            files[n++] = plan->v[i].file;
    }
    rc = n != 0 ? kr_lfs_upload(hub, space, files, n, sent, err) : 0;
    free(files);
    return rc;
}

static size_t count_changes(const struct kr_sync_plan *plan, bool deletions)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n; i++)
        n += (plan->v[i].kind == KR_CHANGE_DELETE) == deletions && !plan->v[i].ignored;
    return n;
}

static uint64_t count_bytes(const struct kr_sync_plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->n; i++)
        bytes += plan->v[i].file != NULL && !plan->v[i].ignored ? plan->v[i].file->size : 0;
    return bytes;
}

static int run_once(struct kr_hub *hub, const struct kr_sync_request *request,
                    struct kr_sync_plan *plan, struct kr_sync_result *result, struct kr_err *err)
{
    char head[41];
    const char *parent;

    if (kr_sync_check(hub, request, plan, err) < 0)
        return -(int)err->code;
    if (plan->n == 0) {
        (void)snprintf(result->commit, sizeof(result->commit), "%s",
                       plan->parent != NULL ? plan->parent : "");
        return 0;
    }
    if (kr_preupload(hub, request->space, plan->v, plan->n, head, err) < 0 ||
        check_ignored(hub, plan, err) < 0 ||
        upload_large(hub, request->space, plan, &result->uploaded, err) < 0)
        return -(int)err->code;
    parent = plan->parent != NULL ? plan->parent : head;
    result->sent = count_changes(plan, false);
    result->deleted = count_changes(plan, true);
    result->bytes = count_bytes(plan);
    if (result->sent + result->deleted == 0) {
        (void)snprintf(result->commit, sizeof(result->commit), "%s", parent);
        return 0;
    }
    if (kr_commit(hub, request->space, parent, request->message, plan->v, plan->n, result->commit,
                  err) < 0)
        return -(int)err->code;
    result->committed = true;
    return 0;
}

static bool has_moved(const struct kr_err *why)
{
    return why->code == KR_E_CONFLICT && why->http_status == 412;
}

/* Plans again on top of where the branch is now. */
static int plan_again(struct kr_hub *hub, const struct kr_sync_request *request,
                      struct kr_sync_plan *plan, struct kr_err *err)
{
    kr_auto_space struct kr_space now = {0};
    struct kr_sync_request again = *request;
    struct kr_sync_plan fresh = {0};

    if (kr_space_get(hub, request->space, &now, err) < 0)
        return -(int)err->code;
    again.parent = now.sha;
    if (kr_sync_plan(hub, &again, &fresh, err) < 0)
        return -(int)err->code;
    kr_sync_plan_finish(plan);
    *plan = fresh;
    return 0;
}

int kr_sync_run(struct kr_hub *hub, const struct kr_sync_request *request,
                struct kr_sync_plan *plan, struct kr_sync_result *result, struct kr_err *err)
{
    struct kr_err why = KR_ERR_INIT;

    *result = (struct kr_sync_result){.committed = false};
    for (int tried = 1;; tried++) {
        if (run_once(hub, request, plan, result, &why) == 0)
            return 0;
        if (!has_moved(&why) || tried == MOVED_TRIES) {
            if (err != NULL)
                *err = why;
            return -(int)why.code;
        }
        kr_hub_note(hub, false, "the Space has changed meanwhile: comparing again");
        kr_err_clear(&why);
        if (plan_again(hub, request, plan, err) < 0)
            return -(int)err->code;
    }
}
