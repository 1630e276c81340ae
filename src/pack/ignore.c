/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/ignore.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

struct pattern {
    char *glob;
    bool negate;
    bool dir_only;
    bool own;        /* of .kourouignore */
    bool whole_path; /* has a slash: matched against the path below base, else against the name */
};

struct kr_ignore {
    const struct kr_ignore *parent;
    char *base;
    size_t base_len;
    struct pattern *v;
    size_t n;
};

struct kr_ignore *kr_ignore_create(const struct kr_ignore *parent, const char *base)
{
    struct kr_ignore *rules = kr_calloc(1, sizeof(*rules));

    rules->parent = parent;
    rules->base = kr_strdup(base);
    rules->base_len = strlen(base);
    return rules;
}

void kr_ignore_destroy(struct kr_ignore *rules)
{
    if (rules == NULL)
        return;
    for (size_t i = 0; i < rules->n; i++)
        free(rules->v[i].glob);
    free(rules->v);
    free(rules->base);
    free(rules);
}

/* Length without trailing spaces; a space behind a backslash stays. */
static size_t trimmed(const char *p, size_t n)
{
    size_t keep = 0;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\\' && i + 1 < n)
            keep = ++i + 1;
        else if (p[i] != ' ')
            keep = i + 1;
    }
    return keep;
}

static void add_line(struct kr_ignore *rules, struct kr_view line, bool own)
{
    struct pattern made = {.own = own};

    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#')
        return;
    line.n = trimmed(line.p, line.n);
    if (line.n > 0 && line.p[0] == '!') {
        made.negate = true;
        line.p++;
        line.n--;
    }
    if (line.n > 0 && line.p[line.n - 1] == '/') {
        made.dir_only = true;
        line.n--;
    }
    if (line.n == 0)
        return;
    made.whole_path = memchr(line.p, '/', line.n) != NULL;
    if (line.p[0] == '/') {
        line.p++;
        line.n--;
    }
    made.glob = kr_view_dup(line);
    if ((rules->n & (rules->n - 1)) == 0)
        rules->v = kr_reallocarray(rules->v, rules->n == 0 ? 1 : rules->n * 2, sizeof(*rules->v));
    rules->v[rules->n++] = made;
}

static void add_lines(struct kr_ignore *rules, const char *text, size_t n, bool own)
{
    struct kr_view rest = {text, n}, line;
    bool more = true;

    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        rest.p += 3;
        rest.n -= 3;
    }
    while (more && rest.n > 0) {
        more = kr_view_cut(&rest, '\n', &line);
        add_line(rules, line, own);
    }
}

void kr_ignore_add(struct kr_ignore *rules, const char *text, size_t n)
{
    add_lines(rules, text, n, false);
}

void kr_ignore_add_own(struct kr_ignore *rules, const char *text, size_t n)
{
    add_lines(rules, text, n, true);
}

static bool in_named_class(struct kr_view name, unsigned char c)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } table[] = {
        {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
        {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
        {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
    };

    for (size_t i = 0; i < KR_ARRAY_LEN(table); i++) {
        if (kr_view_eq(name, table[i].name))
            return table[i].is(c) != 0;
    }
    return false;
}

/* [...] at *p against c; moves *p behind it. An open end makes the whole pattern match nothing. */
static bool in_brackets(const char **p, unsigned char c, bool *broken)
{
    const char *q = *p + 1;
    bool negate = *q == '!' || *q == '^', hit = false, first = true;

    if (negate)
        q++;
    for (; *q != '\0' && (first || *q != ']'); first = false) {
        const char *end = q[0] == '[' && q[1] == ':' ? strstr(q + 2, ":]") : NULL;
        unsigned char low, high;

        if (end != NULL) {
            hit |= in_named_class((struct kr_view){q + 2, (size_t)(end - q - 2)}, c);
            q = end + 2;
            continue;
        }
        if (*q == '\\' && q[1] != '\0')
            q++;
        low = high = (unsigned char)*q++;
        if (*q == '-' && q[1] != ']' && q[1] != '\0') {
            q++;
            if (*q == '\\' && q[1] != '\0')
                q++;
            high = (unsigned char)*q++;
        }
        hit |= low <= c && c <= high;
    }
    *broken = *q == '\0';
    *p = *q == '\0' ? q : q + 1;
    return hit != negate && c != '/' && c != '\0';
}

/* Places to go back to after a mismatch: the last `*` and the last `**` + slash are enough, because
 * whatever stood before the last one matched as early as it could. */
struct retry {
    const char *star_p, *star_t;
    const char *deep_p, *deep_t;
};

static bool step_back(struct retry *r, const char **p, const char **t)
{
    const char *slash;

    if (r->star_p != NULL && *r->star_t != '\0' && *r->star_t != '/') {
        *p = r->star_p;
        *t = ++r->star_t;
        return true;
    }
    slash = r->deep_p != NULL ? strchr(r->deep_t, '/') : NULL;
    if (slash == NULL)
        return false;
    r->star_p = NULL;
    *p = r->deep_p;
    *t = r->deep_t = slash + 1;
    return true;
}

/* A run of asterisks at *p. Returns true when it matches all that is left. */
static bool take_stars(struct retry *r, const char *pattern, const char **p, const char *t)
{
    const char *q = *p;
    bool at_start = q == pattern || q[-1] == '/';

    while (*q == '*')
        q++;
    if (q - *p > 1 && at_start && *q == '\0')
        return true;
    if (q - *p > 1 && at_start && *q == '/') {
        r->deep_p = ++q;
        r->deep_t = t;
        r->star_p = NULL;
    } else {
        r->star_p = q;
        r->star_t = t;
    }
    *p = q;
    return false;
}

bool kr_glob_match(const char *pattern, const char *text)
{
    const char *p = pattern, *t = text;
    struct retry r = {0};
    bool broken = false;

    for (;;) {
        bool same;

        if (*p == '*') {
            if (take_stars(&r, pattern, &p, t))
                return true;
            continue;
        }
        if (*p == '\0') {
            if (*t == '\0')
                return true;
            same = false;
        } else if (*p == '[') {
            same = in_brackets(&p, (unsigned char)*t, &broken);
            if (broken)
                return false;
        } else if (*p == '?') {
            same = *t != '\0' && *t != '/';
            p++;
        } else {
            if (*p == '\\' && *++p == '\0')
                return false;
            same = *t == *p++;
        }
        if (same && *t != '\0')
            t++;
        else if (!step_back(&r, &p, &t))
            return false;
    }
}

/* The last pattern that matches and stands before `behind` (NULL: before the end), or NULL. *rules:
 * where to look first; afterwards, where it was found. */
static const struct pattern *match_before(const struct kr_ignore **chain,
                                          const struct pattern *behind, const char *path,
                                          bool is_dir)
{
    const struct kr_ignore *rules = *chain;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    for (; rules != NULL; rules = rules->parent) {
        const char *below = rules->base_len == 0 ? path : path + rules->base_len + 1;
        size_t n = behind != NULL ? (size_t)(behind - rules->v) : rules->n;

        *chain = rules;
        behind = NULL;
        for (size_t i = n; i-- > 0;) {
            const struct pattern *pattern = &rules->v[i];

            if (pattern->dir_only && !is_dir)
                continue;
            if (kr_glob_match(pattern->glob, pattern->whole_path ? below : name))
                return pattern;
        }
    }
    return NULL;
}

bool kr_ignore_match(const struct kr_ignore *rules, const char *path, bool is_dir)
{
    const struct pattern *last = match_before(&rules, NULL, path, is_dir);
    return last != NULL && !last->negate;
}

bool kr_ignore_takes(const struct kr_ignore *rules, const char *path, bool is_dir)
{
    const struct pattern *match = NULL;

    while ((match = match_before(&rules, match, path, is_dir)) != NULL && match->negate) {
        const char *slash = strrchr(match->glob, '/');
        const char *name = slash != NULL ? slash + 1 : match->glob;

        if (match->own && name[strspn(name, "*?")] != '\0')
            return true;
    }
    return false;
}

bool kr_ignore_takes_below(const struct kr_ignore *rules, const char *folder)
{
    const char *slash = strrchr(folder, '/');
    kr_auto_free char *part = kr_asprintf("%s/", slash != NULL ? slash + 1 : folder);

    for (; rules != NULL; rules = rules->parent) {
        for (size_t i = 0; i < rules->n; i++) {
            const struct pattern *pattern = &rules->v[i];

            if (pattern->negate && pattern->own && strstr(pattern->glob, part) != NULL)
                return true;
        }
    }
    return false;
}
