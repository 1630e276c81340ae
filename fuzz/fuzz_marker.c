/* SPDX-License-Identifier: Apache-2.0 */
/* The marker file of a Space: whatever it says, nothing is deleted that is not in the Space, and
 * nothing at all without --adopt when the Space belongs to somebody else. The first byte: adopt and
 * a tree; the rest is the marker. */
#include "fuzz.h"

#include "hub/sync.h"

static void add_entry(struct kr_tree *tree, const char *path)
{
    struct kr_tree_entry *e;

    tree->v = kr_reallocarray(tree->v, tree->n + 1, sizeof(*tree->v));
    e = &tree->v[tree->n++];
    *e = (struct kr_tree_entry){.path = kr_strdup(path), .size = 1};
    (void)snprintf(e->oid, sizeof(e->oid), "%040zu", tree->n);
}

static void make_tree(struct kr_tree *tree, uint8_t bits)
{
    static const char *const paths[] = {".gitattributes", KR_MARKER_PATH, "Dockerfile",
                                        "README.md",      "app.py",       "gone.py"};

    for (size_t i = 0; i < KR_ARRAY_LEN(paths); i++) {
        if ((bits >> i & 1) != 0)
            add_entry(tree, paths[i]);
    }
}

static void check_plan(const struct kr_sync_plan *plan, const char *marker)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->v[i].kind != KR_CHANGE_DELETE)
            continue;
        FUZZ_CHECK(kr_tree_find(&plan->tree, plan->v[i].path) != NULL);
        FUZZ_CHECK(strcmp(plan->v[i].path, ".gitattributes") != 0);
        FUZZ_CHECK(plan->owner != KR_OWNER_FRESH && strstr(marker, plan->v[i].path) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);
    kr_auto_free char *marker = fuzz_rest(&in);
    kr_auto_files struct kr_files files = {.n = 0};
    kr_auto_sync_plan struct kr_sync_plan plan = {.n = 0};
    struct kr_sync_request request = {
        .space = "a/b", .files = &files, .id = "id-1", .message = "Deploy", .adopt = which >= 128};
    struct kr_err err = KR_ERR_INIT;

    FUZZ_CHECK(kr_files_add_bytes(&files, "Dockerfile", "FROM x\n", 7, false, &err) == 0);
    FUZZ_CHECK(kr_files_add_bytes(&files, "app.py", "x", 1, false, &err) == 0);
    make_tree(&plan.tree, which & 63);
    if (kr_sync_compare(&request, &plan, size > 1 ? marker : NULL, &err) == 0)
        check_plan(&plan, marker);
    return 0;
}
