/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/bundle.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/digest_cache.h"
#include "pack/dockerignore.h"
#include "pack/ignore.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX  64
#define IGNORE_MAX ((size_t)1 << 20)

struct found {
    char *path; /* below the root */
    struct stat st;
};

/* Folders from the root to where the walk stands: a link back to one of them would never end. */
struct frame {
    const struct frame *up;
    dev_t dev;
    ino_t ino;
    int depth;
};

struct walk {
    const struct kr_bundle *what;
    char *real_root;
    char *prefix; /* where the root lies in its repository, "" or ending with a slash */
    struct found *v;
    size_t n;
    json_t *warnings;
};

/* Never launched, whatever the ignore files say. */
static const char *const never[] = {
    ".git",       ".hg",           ".svn",           ".bzr",
    ".venv",      "venv",          "__pycache__",    "*.pyc",
    "*.pyo",      ".zen",          ".kourou",        "node_modules",
    ".tox",       ".nox",          ".mypy_cache",    ".idea",
    ".vscode",    ".pytest_cache", ".ruff_cache",    ".hypothesis",
    ".coverage",  ".DS_Store",     "Thumbs.db",      ".ipynb_checkpoints",
    ".gitignore", ".gitmodules",   ".gitattributes", "*.swp",
    ".#*",        ".kourouignore", "*.egg-info",     ".eggs",
    ".direnv",    ".cache",        ".huggingface",
};

/* Left out for what they hold by convention; the user is told. */
static const char *const secret[] = {
    ".env",   ".env.*", ".envrc",   ".netrc",     ".pypirc",          ".ssh",    ".aws", ".gnupg",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".git-credentials", ".pgpass",
};

static const char *const no_secret[] = {".env.example", ".env.sample", ".env.template",
                                        ".env.dist"};

static bool name_in(const char *name, const char *const *globs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (kr_glob_match(globs[i], name))
            return true;
    }
    return false;
}

static bool is_secret_name(const char *name)
{
    return name_in(name, secret, KR_ARRAY_LEN(secret)) &&
           !name_in(name, no_secret, KR_ARRAY_LEN(no_secret));
}

static bool is_never_name(const char *name)
{
    return name_in(name, never, KR_ARRAY_LEN(never));
}

static void warn(json_t *warnings, const char *fmt, ...) KR_PRINTF(2, 3);
static void warn(json_t *warnings, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(8192);
    va_list args;

    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    (void)json_array_append_new(warnings, json_string(kr_buf_str(&text)));
}

const char *kr_size_text(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 999.95 && unit + 1 < KR_ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(text, 16, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

/* Reads an ignore file of a folder into its rules; a missing one is fine. */
static int read_ignore(struct kr_ignore *rules, const char *folder, const char *name,
                       struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(folder, name);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(IGNORE_MAX);
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    kr_ignore_add(rules, kr_buf_str(&text), text.n);
    return 0;
}

static int add_found(struct walk *w, const char *path, const struct stat *st, struct kr_err *err)
{
    char size[16], limit[16];
    uint64_t max = w->what->max_file != 0 ? w->what->max_file : w->what->max_total;

    if (max != 0 && (uint64_t)st->st_size > max) {
        (void)kr_fail(err, KR_E_LIMIT, "'%s' has %s, more than the %s one file may have", path,
                      kr_size_text((uint64_t)st->st_size, size), kr_size_text(max, limit));
        return kr_hint(err,
                       "leave it out with a line '/%s' in .kourouignore, and fetch large files "
                       "at start (from a Hub model repository or a volume)",
                       path);
    }
    if (w->n == KR_BUNDLE_FILES_MAX) {
        (void)kr_fail(err, KR_E_LIMIT, "more than %d files below %s", KR_BUNDLE_FILES_MAX,
                      w->what->root);
        return kr_hint(err, "leave folders out with .kourouignore, or mark the source folder with "
                            "'init'");
    }
    if ((w->n & (w->n - 1)) == 0)
        w->v = kr_reallocarray(w->v, w->n == 0 ? 1 : w->n * 2, sizeof(*w->v));
    w->v[w->n].path = kr_strdup(path);
    w->v[w->n++].st = *st;
    return 0;
}

/* A symbolic link: st becomes what it points to. *skip when it points to nothing. */
static int follow_link(struct walk *w, const char *full, const char *path, struct stat *st,
                       bool *skip, struct kr_err *err)
{
    kr_auto_free char *target = realpath(full, NULL);
    size_t n = strlen(w->real_root);
    struct kr_view rest, part;
    bool more = true;

    *skip = target == NULL && (errno == ENOENT || errno == ENOTDIR);
    if (*skip) {
        warn(w->warnings, "'%s' is a link to nothing and was left out", path);
        return 0;
    }
    if (target == NULL || stat(full, st) < 0)
        return kr_fail_errno(err, errno, "link '%s'", path);
    if (strncmp(target, w->real_root, n) != 0 || (target[n] != '/' && target[n] != '\0' && n > 1)) {
        (void)kr_fail(err, KR_E_INVALID, "'%s' is a link that leaves the source folder (to %s)",
                      path, target);
        return kr_hint(
            err, "replace it by a copy, or leave it out with a line '/%s' in .kourouignore", path);
    }
    rest = kr_view_of(target + n);
    while (more) {
        kr_auto_free char *name = NULL;

        more = kr_view_cut(&rest, '/', &part);
        name = kr_view_dup(part);
        if (is_secret_name(name) || is_never_name(name)) {
            (void)kr_fail(err, KR_E_INVALID, "'%s' is a link to '%s', which is never launched",
                          path, target + n);
            return kr_hint(err, "leave it out with a line '/%s' in .kourouignore", path);
        }
    }
    return 0;
}

static int walk_folder(struct walk *w, const char *rel, const struct kr_ignore *rules,
                       const struct frame *frame, struct kr_err *err);

static int enter_folder(struct walk *w, const char *path, const struct stat *st,
                        const struct kr_ignore *rules, const struct frame *frame,
                        struct kr_err *err)
{
    struct frame here = {frame, st->st_dev, st->st_ino, frame->depth + 1};

    if (here.depth > DEPTH_MAX)
        return kr_fail(err, KR_E_LIMIT, "folders below '%s' are nested more than %d deep", path,
                       DEPTH_MAX);
    for (const struct frame *f = frame; f != NULL; f = f->up) {
        if (f->dev == st->st_dev && f->ino == st->st_ino) {
            (void)kr_fail(err, KR_E_INVALID, "link '%s' points back to a folder it lies in", path);
            return kr_hint(err, "leave it out with a line '/%s' in .kourouignore", path);
        }
    }
    return walk_folder(w, path, rules, &here, err);
}

static bool is_environment(const char *full)
{
    kr_auto_free char *mark = kr_path_join(full, "pyvenv.cfg");

    return kr_path_exists(mark);
}

/* Names travel as JSON, which is UTF-8. */
static int check_path(const char *path, struct kr_err *err)
{
    kr_auto_json json_t *probe = json_string(path);

    if (probe == NULL)
        return kr_fail(err, KR_E_INVALID, "the name of '%s' is not UTF-8", path);
    return kr_path_check_relative(path, err);
}

static int visit(struct walk *w, const char *rel, const char *name, const struct kr_ignore *rules,
                 const struct frame *frame, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(rel, name), *full = kr_path_join(w->what->root, path);
    kr_auto_free char *in_repo = kr_asprintf("%s%s", w->prefix, path);
    struct stat st;
    bool skip = false;

    if (is_never_name(name))
        return 0;
    if (lstat(full, &st) < 0)
        return errno == ENOENT ? 0 : kr_fail_errno(err, errno, "%s", full);
    if (kr_ignore_match(rules, in_repo, S_ISDIR(st.st_mode)))
        return 0;
    if (is_secret_name(name)) {
        warn(w->warnings,
             "'%s' may hold secrets and was left out; give secrets with "
             "'secret create' and the pipeline's secrets setting",
             path);
        return 0;
    }
    if (check_path(path, err) < 0)
        return kr_hint(err, "rename it, or leave it out with .kourouignore");
    if (S_ISLNK(st.st_mode) && follow_link(w, full, path, &st, &skip, err) < 0)
        return -(int)err->code;
    if (skip || (S_ISDIR(st.st_mode) && is_environment(full)))
        return 0;
    if (S_ISDIR(st.st_mode))
        return enter_folder(w, path, &st, rules, frame, err);
    if (S_ISREG(st.st_mode) && kr_dockerignore_match(w->what->leave_out, path) &&
        (w->what->keep == NULL || strcmp(w->what->keep, path) != 0))
        return 0;
    if (S_ISREG(st.st_mode))
        return add_found(w, path, &st, err);
    (void)kr_fail(err, KR_E_INVALID, "'%s' is neither a file nor a folder", path);
    return kr_hint(err, "leave it out with a line '/%s' in .kourouignore", path);
}

static void rules_destroy(struct kr_ignore *const *rules)
{
    kr_ignore_destroy(*rules);
}

static int walk_folder(struct walk *w, const char *rel, const struct kr_ignore *rules,
                       const struct frame *frame, struct kr_err *err)
{
    kr_auto_free char *full = kr_path_join(w->what->root, rel);
    kr_auto_free char *base = kr_asprintf("%s%s", w->prefix, rel);
    kr_auto(rules_destroy) struct kr_ignore *own = NULL;
    kr_auto_dir DIR *dir = opendir(full);
    struct dirent *entry;
    size_t entries = 0;

    if (dir == NULL)
        return kr_fail_errno(err, errno, "folder %s", full);
    if (rel[0] == '\0' && base[0] != '\0')
        base[strlen(base) - 1] = '\0';
    own = kr_ignore_create(rules, base);
    if (read_ignore(own, full, ".gitignore", err) < 0 ||
        read_ignore(own, full, ".kourouignore", err) < 0)
        return -(int)err->code;
    while ((entry = readdir(dir)) != NULL) {
        size_t before = w->n;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (visit(w, rel, entry->d_name, own, frame, err) < 0)
            return -(int)err->code;
        entries += w->n > before;
        if (entries > KR_BUNDLE_FOLDER_MAX) {
            (void)kr_fail(err, KR_E_LIMIT, "folder '%s' has more than %d entries", full,
                          KR_BUNDLE_FOLDER_MAX);
            return kr_hint(err, "leave some out with .kourouignore, or pack them into one file");
        }
    }
    return 0;
}

/* Rules of the repository around the root: its .git/info/exclude and the .gitignore files from its
 * top down to above the root. They do not count when they ignore the root itself. */
static int outer_rules(struct walk *w, struct kr_ignore **chain, size_t *n, struct kr_err *err)
{
    kr_auto_free char *top = kr_strdup(w->real_root);
    char *slash;

    *n = 0;
    for (;;) {
        kr_auto_free char *git = kr_path_join(top, ".git");

        if (kr_path_exists(git))
            break;
        slash = strrchr(top, '/');
        if (slash == NULL || top[1] == '\0')
            return 0;
        slash[slash == top ? 1 : 0] = '\0';
    }
    free(w->prefix);
    w->prefix = kr_asprintf("%s/", w->real_root + strlen(top) + (top[1] != '\0' ? 1 : 0));
    if (w->prefix[0] == '/')
        w->prefix[0] = '\0';
    chain[0] = kr_ignore_create(NULL, "");
    *n = 1;
    if (read_ignore(chain[0], top, ".git/info/exclude", err) < 0)
        return -(int)err->code;
    for (char *p = w->prefix; *p != '\0'; p = strchr(p, '/') + 1) {
        kr_auto_free char *above = kr_strndup(w->prefix, (size_t)(p - w->prefix));
        kr_auto_free char *folder = kr_path_join(top, above);

        if (*n == DEPTH_MAX)
            break;
        if (above[0] != '\0')
            above[strlen(above) - 1] = '\0';
        chain[*n] = kr_ignore_create(chain[*n - 1], above);
        if (read_ignore(chain[(*n)++], folder, ".gitignore", err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static bool root_is_ignored(const struct walk *w, const struct kr_ignore *rules)
{
    for (const char *p = w->prefix; (p = strchr(p, '/')) != NULL; p++) {
        kr_auto_free char *path = kr_strndup(w->prefix, (size_t)(p - w->prefix));

        if (kr_ignore_match(rules, path, true))
            return true;
    }
    return false;
}

static int walk_root(struct walk *w, struct kr_err *err)
{
    struct kr_ignore *chain[DEPTH_MAX];
    const struct kr_ignore *rules;
    struct frame top = {0};
    struct stat st;
    size_t n = 0;
    int rc;

    if (stat(w->real_root, &st) < 0 || !S_ISDIR(st.st_mode))
        return kr_fail(err, KR_E_INVALID, "source folder %s is not a folder", w->what->root);
    top.dev = st.st_dev;
    top.ino = st.st_ino;
    rc = outer_rules(w, chain, &n, err);
    if (rc == 0) {
        rules = n > 0 && !root_is_ignored(w, chain[n - 1]) ? chain[n - 1] : NULL;
        rc = walk_folder(w, "", rules, &top, err);
    }
    while (n > 0)
        kr_ignore_destroy(chain[--n]);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return strcmp(x->path, y->path);
}

/* "'a' (1.0 GB), 'b' (2.0 MB)" of the largest files. */
static void largest(const struct walk *w, struct kr_buf *text)
{
    size_t top[3], n = 0;

    for (size_t i = 0; i < w->n; i++) {
        size_t at = n;

        while (at > 0 && w->v[top[at - 1]].st.st_size < w->v[i].st.st_size)
            at--;
        if (at >= KR_ARRAY_LEN(top))
            continue;
        n += n < KR_ARRAY_LEN(top);
        for (size_t k = n - 1; k > at; k--)
            top[k] = top[k - 1];
        top[at] = i;
    }
    for (size_t i = 0; i < n; i++) {
        char size[16];

        kr_buf_addf(text, "%s'%s' (%s)", i > 0 ? ", " : "", w->v[top[i]].path,
                    kr_size_text((uint64_t)w->v[top[i]].st.st_size, size));
    }
}

static int check_sizes(const struct walk *w, struct kr_err *err)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(16384);
    char size[16], limit[16];
    uint64_t total = 0;

    for (size_t i = 0; i < w->n; i++) {
        total += (uint64_t)w->v[i].st.st_size;
        if ((uint64_t)w->v[i].st.st_size > KR_BUNDLE_WARN_FILE)
            warn(w->warnings, "'%s' has %s; a line in .kourouignore leaves it out", w->v[i].path,
                 kr_size_text((uint64_t)w->v[i].st.st_size, size));
    }
    largest(w, &names);
    if (w->what->max_total != 0 && total > w->what->max_total) {
        (void)kr_fail(
            err, KR_E_LIMIT, "the files below %s have %s together, more than the %s allowed",
            w->what->root, kr_size_text(total, size), kr_size_text(w->what->max_total, limit));
        return kr_hint(err, "the largest are %s; .kourouignore leaves files out",
                       kr_buf_str(&names));
    }
    if (total > KR_BUNDLE_WARN_TOTAL)
        warn(w->warnings, "the source folder has %s; the largest files are %s",
             kr_size_text(total, size), kr_buf_str(&names));
    return 0;
}

static int add_all(const struct walk *w, struct kr_files *out, struct kr_err *err)
{
    kr_auto_digest_cache struct kr_digest_cache *cache =
        kr_digest_cache_open(w->what->cache_dir, w->real_root);

    for (size_t i = 0; i < w->n; i++) {
        kr_auto_free char *disk = kr_path_join(w->real_root, w->v[i].path);
        struct kr_file file = {
            .path = w->v[i].path, .disk = disk, .executable = (w->v[i].st.st_mode & 0100) != 0};

        if (kr_digest_cache_get(cache, disk, &w->v[i].st, &file, err) < 0)
            return -(int)err->code;
        if (kr_files_add_known(out, &file, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_bundle_collect(const struct kr_bundle *what, struct kr_files *out, json_t *warnings,
                      struct kr_err *err)
{
    struct walk w = {.what = what, .warnings = warnings, .prefix = kr_strdup("")};
    int rc;

    w.real_root = realpath(what->root, NULL);
    if (w.real_root == NULL) {
        free(w.prefix);
        return kr_fail_errno(err, errno, "source folder %s", what->root);
    }
    rc = walk_root(&w, err);
    if (rc == 0 && w.n > 1)
        qsort(w.v, w.n, sizeof(*w.v), by_path);
    if (rc == 0)
        rc = check_sizes(&w, err);
    if (rc == 0)
        rc = add_all(&w, out, err);
    for (size_t i = 0; i < w.n; i++)
        free(w.v[i].path);
    free(w.v);
    free(w.prefix);
    free(w.real_root);
    return rc < 0 ? -(int)err->code : 0;
}
