/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/ignore_find.h"

#include "base/alloc.h"
#include "base/path.h"
#include "pack/ignore.h"

#include <string.h>

enum { LEVELS_MAX = 128, SOURCES_MAX = 3 * LEVELS_MAX };
#define IGNORE_MAX ((size_t)1 << 20)

/* One ignore file on the way from the top of the repository down to the path. */
struct source {
    char *name; /* relative to the root, "../.gitignore" above it */
    char *base; /* folder relative to the top */
    struct kr_buf text;
};

struct search {
    char *top;    /* of the repository, or the root */
    char *prefix; /* of the root below the top, "" or "a/b/" */
    struct source v[SOURCES_MAX];
    size_t n;
};

static void source_finish(struct source *source)
{
    free(source->name);
    free(source->base);
    kr_buf_finish(&source->text);
}

static void search_finish(struct search *s)
{
    for (size_t i = 0; i < s->n; i++)
        source_finish(&s->v[i]);
    free(s->top);
    free(s->prefix);
}

static int find_top(struct search *s, const char *root, struct kr_err *err)
{
    kr_auto_free char *real = realpath(root, NULL);
    char *slash;

    if (real == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "no folder %s", root);
    s->top = kr_strdup(real);
    for (;;) {
        kr_auto_free char *git = kr_path_join(s->top, ".git");

        if (kr_path_exists(git))
            break;
        slash = strrchr(s->top, '/');
        if (slash == NULL || slash == s->top) {
            free(s->top);
            s->top = kr_strdup(real);
            break;
        }
        *slash = '\0';
    }
    s->prefix = strlen(real) > strlen(s->top) ? kr_asprintf("%s/", real + strlen(s->top) + 1)
                                              : kr_strdup("");
    return 0;
}

static int add_source(struct search *s, const char *base, const char *name, struct kr_err *err)
{
    kr_auto_free char *folder = kr_path_join(s->top, base), *path = kr_path_join(folder, name);
    struct source *source = &s->v[s->n];
    size_t n = strlen(s->prefix);

    if (s->n == SOURCES_MAX || !kr_path_exists(path) || kr_path_is_dir(path))
        return 0;
    kr_buf_init(&source->text, IGNORE_MAX);
    if (kr_file_read(path, &source->text, err) < 0)
        return -(int)err->code;
    source->base = kr_strdup(base);
    if (strncmp(base, s->prefix, n > 0 ? n - 1 : 0) == 0)
        source->name = kr_path_join(strlen(base) > n ? base + n : "", name);
    else
        source->name = kr_path_join(folder, name);
    s->n++;
    return 0;
}

/* Ignore files of the folders above a path, which is relative to the top. */
static int add_sources(struct search *s, const char *path, struct kr_err *err)
{
    if (add_source(s, "", ".git/info/exclude", err) < 0)
        return -(int)err->code;
    for (const char *end = path; end != NULL; end = strchr(end + 1, '/')) {
        kr_auto_free char *base = kr_strndup(path, (size_t)(end - path));

        if (add_source(s, base, ".gitignore", err) < 0 ||
            (strlen(base) + 1 >= strlen(s->prefix) &&
             add_source(s, base, ".kourouignore", err) < 0))
            return -(int)err->code;
    }
    return 0;
}

static bool matches_one(const struct source *source, const char *path, bool is_dir)
{
    struct kr_ignore *rules = kr_ignore_create(NULL, source->base);
    bool found;

    kr_ignore_add(rules, kr_buf_str(&source->text), source->text.n);
    found = kr_ignore_match(rules, path, is_dir);
    kr_ignore_destroy(rules);
    return found;
}

/* Ignore files stand in the order of their folders, which all lie on the way to the path. */
static bool has_say(const struct source *source, const char *path)
{
    return source->base[0] == '\0' || strlen(source->base) < strlen(path);
}

/* The last ignore file that has a say; NULL: the path is not ignored. Each is chained to the one
 * before it, as the bundle does it. */
static const struct source *judge(const struct search *s, const char *path, bool is_dir)
{
    struct kr_ignore *chain[SOURCES_MAX + 1] = {NULL};
    const struct source *found = NULL;
    size_t n = 0;
    bool ignored;

    while (n < s->n && has_say(&s->v[n], path)) {
        chain[n + 1] = kr_ignore_create(chain[n], s->v[n].base);
        kr_ignore_add(chain[n + 1], kr_buf_str(&s->v[n].text), s->v[n].text.n);
        n++;
    }
    ignored = kr_ignore_match(chain[n], path, is_dir);
    for (size_t i = 0; ignored && i < n; i++) {
        if (matches_one(&s->v[i], path, is_dir))
            found = &s->v[i];
    }
    for (size_t i = n; i > 0; i--)
        kr_ignore_destroy(chain[i]);
    return found;
}

/* Rules of the repository around the root do not count when they ignore the root itself. */
static void drop_outer(struct search *s)
{
    size_t inner = 0;

    for (const char *end = strchr(s->prefix, '/'); end != NULL; end = strchr(end + 1, '/')) {
        kr_auto_free char *part = kr_strndup(s->prefix, (size_t)(end - s->prefix));

        if (judge(s, part, true) != NULL)
            break;
        if (end[1] == '\0')
            return;
    }
    while (inner < s->n && strlen(s->v[inner].base) + 1 < strlen(s->prefix))
        source_finish(&s->v[inner++]);
    memmove(s->v, &s->v[inner], (s->n - inner) * sizeof(s->v[0]));
    s->n -= inner;
}

int kr_ignore_find(const char *root, const char *path, char **file, char **what, struct kr_err *err)
{
    kr_auto(search_finish) struct search s = {.n = 0};
    kr_auto_free char *whole = NULL;
    size_t from;

    *file = *what = NULL;
    if (find_top(&s, root, err) < 0)
        return -(int)err->code;
    whole = kr_asprintf("%s%s", s.prefix, path);
    if (add_sources(&s, whole, err) < 0)
        return -(int)err->code;
    drop_outer(&s);
    from = strlen(s.prefix);
    for (const char *end = strchr(whole + from, '/');; end = strchr(end + 1, '/')) {
        bool is_dir = end != NULL;
        kr_auto_free char *part =
            is_dir ? kr_strndup(whole, (size_t)(end - whole)) : kr_strdup(whole);
        const struct source *found = judge(&s, part, is_dir);

        if (found != NULL) {
            *file = kr_strdup(found->name);
            *what = kr_asprintf("%s%s", part + from, is_dir ? "/" : "");
            return 0;
        }
        if (!is_dir)
            return 0;
    }
}
