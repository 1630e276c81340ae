/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/space.h"

#include "base/alloc.h"
#include "hub/hub_impl.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES_MAX = 200000, PAGES_MAX = 1000 };

void kr_tree_finish(struct kr_tree *tree)
{
    for (size_t i = 0; i < tree->n; i++)
        free(tree->v[i].path);
    free(tree->v);
    *tree = (struct kr_tree){0};
}

static int by_path(const void *a, const void *b)
{
    const struct kr_tree_entry *x = a, *y = b;

    return strcmp(x->path, y->path);
}

const struct kr_tree_entry *kr_tree_find(const struct kr_tree *tree, const char *path)
{
    struct kr_tree_entry key = {.path = (char *)(uintptr_t)path};

    return tree->n != 0 ? bsearch(&key, tree->v, tree->n, sizeof(key), by_path) : NULL;
}

static void add_entry(struct kr_tree *tree, const json_t *item)
{
    const json_t *lfs = json_object_get(item, "lfs");
    const char *path = kr_json_str(item, "path", NULL);
    const char *oid = kr_json_str(json_is_object(lfs) ? lfs : item, "oid", "");
    int64_t size = kr_json_int(json_is_object(lfs) ? lfs : item, "size", 0);
    struct kr_tree_entry *e;

    if (path == NULL || strcmp(kr_json_str(item, "type", "file"), "file") != 0)
        return;
    if ((tree->n & (tree->n - 1)) == 0)
        tree->v = kr_reallocarray(tree->v, tree->n == 0 ? 1 : tree->n * 2, sizeof(*tree->v));
    e = &tree->v[tree->n++];
    *e = (struct kr_tree_entry){
        .path = kr_strdup(path), .lfs = json_is_object(lfs), .size = size > 0 ? (uint64_t)size : 0};
    (void)snprintf(e->oid, sizeof(e->oid), "%s", oid);
}

/* A repository without any commit answers that the revision is not there. */
static bool is_no_revision(const struct kr_http_response *res)
{
    const char *code = kr_http_header(res, "x-error-code");

    return res->status == 404 && code != NULL && strcmp(code, "RevisionNotFound") == 0;
}

/* One page; *next: address of the one behind it, or NULL. */
static int get_page(struct kr_hub *hub, struct kr_hub_call *call, struct kr_tree *tree, char **next,
                    bool may_be_empty, struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_json json_t *body = NULL;
    kr_auto_free char *link = NULL;
    const json_t *item;
    size_t i;

    *next = NULL;
    if (kr_hub_send(hub, call, &res, err) < 0)
        return -(int)err->code;
    if (may_be_empty && is_no_revision(&res))
        return 0;
    if (res.status != 200)
        return kr_hub_problem(hub, call, &res, err);
    if (kr_hub_parse(call, &res, &body, err) < 0)
        return -(int)err->code;
    if (!json_is_array(body))
        return kr_fail(err, KR_E_REMOTE, "%s: the answer is %s", call->doing,
                       kr_json_type_name(body));
    json_array_foreach(body, i, item)
    {
        add_entry(tree, item);
    }
    link = kr_url_next_link(kr_http_header(&res, "link"));
    if (link != NULL) {
        kr_auto_free char *full = kr_url_resolve(res.url != NULL ? res.url : hub->endpoint, link);

        *next = full != NULL ? kr_hub_rehost(hub, full) : NULL;
    }
    return 0;
}

int kr_tree_get(struct kr_hub *hub, const char *space, const char *revision, struct kr_tree *out,
                struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("list the files of Space %s", space), *at = NULL;
    kr_auto_buf struct kr_buf path = KR_BUF_INIT(4096);
    struct kr_hub_call call = {.doing = doing, .method = "GET", .space = space};
    kr_auto_tree struct kr_tree tree = {0};

    kr_buf_addf(&path, "/api/spaces/%s/tree/", space);
    kr_url_encode(&path, revision != NULL ? revision : "main", "");
    kr_buf_adds(&path, "?recursive=true");
    if (kr_buf_check(&path, err) < 0)
        return -(int)err->code;
    at = kr_strdup(kr_buf_str(&path));
    for (int page = 0; at != NULL; page++) {
        char *next;

        if (page == PAGES_MAX || tree.n > ENTRIES_MAX)
            return kr_fail(err, KR_E_LIMIT, "%s: more than %d files", doing, ENTRIES_MAX);
        call.path = at;
        if (get_page(hub, &call, &tree, &next, page == 0 && revision == NULL, err) < 0)
            return -(int)err->code;
        free(at);
        at = next;
    }
    if (tree.n > 1)
        qsort(tree.v, tree.n, sizeof(*tree.v), by_path);
    *out = tree;
    tree = (struct kr_tree){0};
    return 0;
}
