/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/dockerignore.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/ignore.h"

#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

struct line {
    char *glob;
    bool negate;
};

struct kr_dockerignore {
    struct line *v;
    size_t n;
};

/* "./a//b/" and "/a/b" are "a/b". Caller frees; NULL: nothing is left. */
static char *cleaned(struct kr_view text)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(FILE_MAX);
    struct kr_view part;
    bool more = true;

    while (more) {
        more = kr_view_cut(&text, '/', &part);
        if (part.n == 0 || kr_view_eq(part, "."))
            continue;
        if (out.n > 0)
            kr_buf_addc(&out, '/');
        kr_buf_add(&out, part.p, part.n);
    }
    return out.n > 0 ? kr_buf_steal(&out) : NULL;
}

static void add(struct kr_dockerignore *rules, struct kr_view text)
{
    struct line made = {0};

    if (text.n > 0 && text.p[0] == '#')
        return;
    text = kr_view_trim(text);
    if (text.n > 0 && text.p[0] == '!') {
        made.negate = true;
        text = kr_view_trim((struct kr_view){text.p + 1, text.n - 1});
    }
    made.glob = cleaned(text);
    if (made.glob == NULL)
        return;
    if ((rules->n & (rules->n - 1)) == 0)
        rules->v = kr_reallocarray(rules->v, rules->n == 0 ? 1 : rules->n * 2, sizeof(*rules->v));
    rules->v[rules->n++] = made;
}

struct kr_dockerignore *kr_dockerignore_parse(const char *text, size_t n)
{
    struct kr_dockerignore *rules = kr_calloc(1, sizeof(*rules));
    struct kr_view rest = {text, n}, one;
    bool more = true;

    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        rest = (struct kr_view){text + 3, n - 3};
    while (more) {
        more = kr_view_cut(&rest, '\n', &one);
        add(rules, one);
    }
    return rules;
}

void kr_dockerignore_destroy(struct kr_dockerignore *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->n; i++)
        free(rules->v[i].glob);
    free(rules->v);
    free(rules);
}

/* The path itself, or a folder it lies in. */
static bool matches(const char *glob, const char *path)
{
    kr_auto_free char *part = kr_strdup(path);

    for (char *slash = strchr(part, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        bool hit;

        *slash = '\0';
        hit = kr_glob_match(glob, part);
        *slash = '/';
        if (hit)
            return true;
    }
    return kr_glob_match(glob, path);
}

bool kr_dockerignore_match(const struct kr_dockerignore *rules, const char *path)
{
    for (size_t i = rules != NULL ? rules->n : 0; i-- > 0;) {
        if (matches(rules->v[i].glob, path))
            return !rules->v[i].negate;
    }
    return false;
}

const char *kr_dockerignore_setting(const json_t *docker, const char *key)
{
    const char *file = kr_json_str(json_object_get(docker, key), "dockerignore", NULL);

    return file != NULL ? file : kr_json_str(docker, "dockerignore", NULL);
}

int kr_dockerignore_load(const char *root, const json_t *docker, bool own,
                         struct kr_dockerignore **out, struct kr_err *err)
{
    const char *name = kr_dockerignore_setting(docker, "build_config");
    kr_auto_free char *path = kr_path_join(root, name != NULL ? name : ".dockerignore");
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(FILE_MAX);

    *out = NULL;
    if (name == NULL && !own)
        return 0;
    if ((name != NULL || kr_path_exists(path)) && kr_file_read(path, &text, err) < 0)
        return kr_wrap(err, "docker setting dockerignore");
    if (own)
        kr_buf_adds(&text, "\n" KR_DOCKERIGNORE_ALWAYS);
    *out = kr_dockerignore_parse(kr_buf_str(&text), text.n);
    return 0;
}
