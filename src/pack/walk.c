/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/walk.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/dockerignore.h"
#include "pack/ignore.h"
#include "pack/ours.h"
#include "pack/outputs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX  64
#define IGNORE_MAX ((size_t)1 << 20)

/* What the walk knows of all that lies below a folder. */
enum folder { FOLDER_PLAIN, FOLDER_SECRET, FOLDER_TAKEN };

/* Folders from the root to where the walk stands: a link back to one of them would never end. */
struct frame {
    const struct frame *up;
    dev_t dev;
    ino_t ino;
    int depth;
    enum folder kind;
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

static bool name_in(const char *name, const char *const *globs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (kr_glob_match(globs[i], name))
            return true;
    }
    return false;
}

static bool is_never_name(const struct kr_walk *w, const char *name)
{
    return !w->what->context && name_in(name, never, KR_ARRAY_LEN(never));
}

/* Reads an ignore file of a folder into its rules; a missing one is fine. */
static int read_ignore(struct kr_ignore *rules, const char *folder, const char *name,
                       void (*add)(struct kr_ignore *, const char *, size_t), struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(folder, name);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(IGNORE_MAX);
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    add(rules, kr_buf_str(&text), text.n);
    return 0;
}

static int add_found(struct kr_walk *w, const struct kr_found *found, struct kr_err *err)
{
    const char *path = found->path;
    const struct stat *st = &found->st;
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
    w->v[w->n] = *found;
    w->v[w->n++].path = kr_strdup(path);
    return 0;
}

/* Whether a part of where a link leads to is never launched. *name: what the name of the file there
 * says. */
static bool leads_to_secret(const struct kr_walk *w, const char *target, enum kr_credential *name)
{
    kr_auto_free char *path = kr_strdup(target);
    char *slash = path;

    *name = kr_credential_file(path);
    while ((slash = strchr(slash, '/')) != NULL) {
        const char *last;

        *slash = '\0';
        last = strrchr(path, '/');
        if (kr_credential_folder(path) || is_never_name(w, last != NULL ? last + 1 : path))
            return true;
        *slash++ = '/';
    }
    slash = strrchr(path, '/');
    return *name == KR_CREDENTIAL_YES || kr_credential_folder(path) ||
           is_never_name(w, slash != NULL ? slash + 1 : path);
}

/* A symbolic link: found->st becomes what it points to. *skip when it points to nothing. */
static int follow_link(struct kr_walk *w, const char *full, struct kr_found *found, bool *skip,
                       struct kr_err *err)
{
    kr_auto_free char *target = realpath(full, NULL);
    size_t n = strlen(w->real_root);
    const char *path = found->path;
    enum kr_credential name;

    *skip = target == NULL && (errno == ENOENT || errno == ENOTDIR);
    if (*skip) {
        kr_walk_warn(w->warnings, "'%s' is a link to nothing and was left out", path);
        return 0;
    }
    if (target == NULL || stat(full, &found->st) < 0)
        return kr_fail_errno(err, errno, "link '%s'", path);
    if (strncmp(target, w->real_root, n) != 0 || (target[n] != '/' && target[n] != '\0' && n > 1)) {
        *skip = w->what->context;
        if (*skip) {
            kr_walk_warn(w->warnings,
                         "'%s' is a link that leaves the build context and was left out", path);
            return 0;
        }
        (void)kr_fail(err, KR_E_INVALID, "'%s' is a link that leaves the source folder (to %s)",
                      path, target);
        return kr_hint(
            err, "replace it by a copy, or leave it out with a line '/%s' in .kourouignore", path);
    }
    if (!found->taken && target[n] == '/' && leads_to_secret(w, target + n + 1, &name)) {
        (void)kr_fail(err, KR_E_INVALID, "'%s' is a link to '%s', which is never launched", path,
                      target + n);
        return kr_hint(err, "leave it out with a line '/%s' in .kourouignore", path);
    }
    if (target[n] == '/' && found->name == KR_CREDENTIAL_NO)
        found->name = kr_credential_file(target + n + 1);
    return 0;
}

static int walk_folder(struct kr_walk *w, const char *rel, const struct kr_ignore *rules,
                       const struct frame *frame, struct kr_err *err);

static int enter_folder(struct kr_walk *w, const char *path, const struct stat *st,
                        const struct kr_ignore *rules, const struct frame *frame, enum folder kind,
                        struct kr_err *err)
{
    struct frame here = {frame, st->st_dev, st->st_ino, frame->depth + 1, kind};

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

/* A folder: left out as a whole, or entered. */
static int visit_folder(struct kr_walk *w, const struct kr_found *found, const char *full,
                        const struct kr_ignore *rules, const struct frame *frame,
                        struct kr_err *err)
{
    kr_auto_free char *in_repo = kr_asprintf("%s%s", w->prefix, found->path);
    const char *slash = strrchr(found->path, '/');
    enum folder kind = found->taken ? FOLDER_TAKEN : frame->kind;
    if (!w->what->context && is_environment(full))
        return 0;
    if (kr_ours_folder(full, slash != NULL ? slash + 1 : found->path, &found->st)) {
        static const char *const kept[] = {"store.db", "encryption.key"};

        kr_walk_leave(w, KR_LEFT_OURS, found->path, NULL);
        for (size_t i = 0; i < KR_ARRAY_LEN(kept); i++) {
            kr_auto_free char *file = kr_path_join(full, kept[i]);
            struct stat st;

            if (stat(file, &st) == 0)
                kr_walk_leave(w, KR_LEFT_OURS, NULL, &st);
        }
        return 0;
    }
    if (kind == FOLDER_PLAIN && kr_credential_folder(found->path)) {
        if (!kr_ignore_takes_below(rules, in_repo)) {
            kr_walk_leave(w, KR_LEFT_SECRET, found->path, NULL);
            return 0;
        }
        kind = FOLDER_SECRET;
    }
    return enter_folder(w, found->path, &found->st, rules, frame, kind, err);
}

static int visit_file(struct kr_walk *w, struct kr_found *found, const char *full,
                      const struct frame *frame, struct kr_err *err)
{
    if (kr_dockerignore_match(w->what->leave_out, found->path) &&
        (w->what->keep == NULL || strcmp(w->what->keep, found->path) != 0))
        return 0;
    found->taken |= frame->kind == FOLDER_TAKEN;
    if (found->taken)
        return add_found(w, found, err);
    if (found->name == KR_CREDENTIAL_YES || frame->kind == FOLDER_SECRET) {
        kr_walk_leave(w, KR_LEFT_SECRET, found->path, &found->st);
        return 0;
    }
    if (kr_outputs_has(w->outputs, full, &found->st)) {
        kr_walk_leave(w, KR_LEFT_OUTPUT, found->path, &found->st);
        return 0;
    }
    return add_found(w, found, err);
}

static int visit(struct kr_walk *w, const char *rel, const char *name,
                 const struct kr_ignore *rules, const struct frame *frame, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(rel, name), *full = kr_path_join(w->real_root, path);
    kr_auto_free char *in_repo = kr_asprintf("%s%s", w->prefix, path);
    struct kr_found found = {.path = path};
    bool skip = false, folder;

    if (is_never_name(w, name))
        return 0;
    if (lstat(full, &found.st) < 0)
        return errno == ENOENT ? 0 : kr_fail_errno(err, errno, "%s", full);
    folder = S_ISDIR(found.st.st_mode);
    if (kr_ignore_match(rules, in_repo, folder))
        return 0;
    found.taken = kr_ignore_takes(rules, in_repo, folder);
    found.name = folder ? KR_CREDENTIAL_NO : kr_credential_file(path);
    if (S_ISLNK(found.st.st_mode) && found.name == KR_CREDENTIAL_YES && !found.taken) {
        kr_walk_leave(w, KR_LEFT_SECRET, path, NULL);
        return 0;
    }
    if (check_path(path, err) < 0)
        return kr_hint(err, "rename it, or leave it out with .kourouignore");
    if (S_ISLNK(found.st.st_mode) && follow_link(w, full, &found, &skip, err) < 0)
        return -(int)err->code;
    if (skip)
        return 0;
    if (S_ISDIR(found.st.st_mode))
        return visit_folder(w, &found, full, rules, frame, err);
    if (S_ISREG(found.st.st_mode))
        return visit_file(w, &found, full, frame, err);
    (void)kr_fail(err, KR_E_INVALID, "'%s' is neither a file nor a folder", path);
    return kr_hint(err, "leave it out with a line '/%s' in .kourouignore", path);
}

static void rules_destroy(struct kr_ignore *const *rules)
{
    kr_ignore_destroy(*rules);
}

/* The rules of a folder's own ignore files. For a context only lines with `!` count: what else
 * belongs to it is said by .dockerignore. */
static int read_rules(const struct kr_walk *w, struct kr_ignore *own, const char *full,
                      struct kr_err *err)
{
    if (!w->what->context && read_ignore(own, full, ".gitignore", kr_ignore_add, err) < 0)
        return -(int)err->code;
    return read_ignore(own, full, ".kourouignore", kr_ignore_add_own, err);
}

static int walk_folder(struct kr_walk *w, const char *rel, const struct kr_ignore *rules,
                       const struct frame *frame, struct kr_err *err)
{
    kr_auto_free char *full = kr_path_join(w->real_root, rel);
    kr_auto_free char *base = kr_asprintf("%s%s", w->prefix, rel);
    kr_auto(rules_destroy) struct kr_ignore *own = NULL;
    kr_auto_dir DIR *dir = opendir(full);
    bool is_home = frame->up == NULL && dir != NULL && w->root_is_home;
    struct dirent *entry;
    size_t entries = 0;

    if (dir == NULL)
        return kr_fail_errno(err, errno, "folder %s", full);
    if (rel[0] == '\0' && base[0] != '\0')
        base[strlen(base) - 1] = '\0';
    own = kr_ignore_create(rules, base);
    if (read_rules(w, own, full, err) < 0)
        return -(int)err->code;
    while ((entry = readdir(dir)) != NULL) {
        size_t before = w->n;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (is_home && kr_ours_name(entry->d_name)) {
            kr_walk_leave(w, KR_LEFT_OURS, entry->d_name, NULL);
            continue;
        }
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
static int outer_rules(struct kr_walk *w, struct kr_ignore **chain, size_t *n, struct kr_err *err)
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
    if (read_ignore(chain[0], top, ".git/info/exclude", kr_ignore_add, err) < 0)
        return -(int)err->code;
    for (char *p = w->prefix; *p != '\0'; p = strchr(p, '/') + 1) {
        kr_auto_free char *above = kr_strndup(w->prefix, (size_t)(p - w->prefix));
        kr_auto_free char *folder = kr_path_join(top, above);

        if (*n == DEPTH_MAX)
            break;
        if (above[0] != '\0')
            above[strlen(above) - 1] = '\0';
        chain[*n] = kr_ignore_create(chain[*n - 1], above);
        if (read_ignore(chain[(*n)++], folder, ".gitignore", kr_ignore_add, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static bool root_is_ignored(const struct kr_walk *w, const struct kr_ignore *rules)
{
    for (const char *p = w->prefix; (p = strchr(p, '/')) != NULL; p++) {
        kr_auto_free char *path = kr_strndup(w->prefix, (size_t)(p - w->prefix));

        if (kr_ignore_match(rules, path, true))
            return true;
    }
    return false;
}

int kr_walk(struct kr_walk *w, struct kr_err *err)
{
    struct kr_ignore *chain[DEPTH_MAX];
    const struct kr_ignore *rules;
    struct frame top = {.kind = FOLDER_PLAIN};
    struct stat st;
    size_t n = 0;
    int rc = 0;

    if (stat(w->real_root, &st) < 0 || !S_ISDIR(st.st_mode))
        return kr_fail(err, KR_E_INVALID, "source folder %s is not a folder", w->what->root);
    top.dev = st.st_dev;
    top.ino = st.st_ino;
    w->root_is_home = kr_ours_folder(w->real_root, "", &st);
    w->outputs = kr_outputs_open(w->what->cache_dir);
    if (!w->what->context)
        rc = outer_rules(w, chain, &n, err);
    if (rc == 0) {
        rules = n > 0 && !root_is_ignored(w, chain[n - 1]) ? chain[n - 1] : NULL;
        rc = walk_folder(w, "", rules, &top, err);
    }
    while (n > 0)
        kr_ignore_destroy(chain[--n]);
    return rc;
}

void kr_walk_finish(struct kr_walk *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i].path);
    for (size_t i = 0; i < KR_LEFT_WHYS; i++)
        json_decref(w->left[i]);
    kr_outputs_close(w->outputs);
    free(w->v);
    free(w->inodes);
    free(w->prefix);
    free(w->real_root);
}
