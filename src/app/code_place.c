/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that a deployment on this machine runs in: its code as it was deployed, whatever
 * becomes of the folder that is worked in. */
#include "app/code.h"

#include "base/alloc.h"
#include "base/path.h"
#include "pack/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKED_ABOVE = 16 << 20 }; /* bytes of a file: weights and data, not code */

struct place {
    const char *origin;           /* the folder that is worked in */
    const struct kr_files *there; /* its code as it is now */
};

static bool is_never_read(const char *name)
{
    static const char *const names[] = {".", "..", ".git", ".hg", ".svn", "__pycache__"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static int link_rest(const struct place *p, const char *below, const char *folder,
                     struct kr_err *err);

/* One entry of the folder that is worked in. What is code there and was not deployed stays out. */
static int link_one(const struct place *p, const char *path, const char *name, const char *folder,
                    struct kr_err *err)
{
    kr_auto_free char *from = kr_path_join(p->origin, path), *to = kr_path_join(folder, name);
    struct stat st;

    if (lstat(to, &st) == 0)
        return S_ISDIR(st.st_mode) && kr_path_is_dir(from) ? link_rest(p, path, to, err) : 0;
    if (kr_files_covers(p->there, path))
        return 0;
    if (symlink(from, to) < 0)
        return kr_fail_errno(err, errno, "link %s", to);
    return 0;
}

static int link_rest(const struct place *p, const char *below, const char *folder,
                     struct kr_err *err)
{
    kr_auto_free char *origin =
        below[0] != '\0' ? kr_path_join(p->origin, below) : kr_strdup(p->origin);
    kr_auto_dir DIR *dir = opendir(origin);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = below[0] != '\0' ? kr_asprintf("%s/%s", below, entry->d_name)
                                                   : kr_strdup(entry->d_name);

        if (!is_never_read(entry->d_name) && link_one(p, path, entry->d_name, folder, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* Takes large files out of the list, which become links; a native library is code at any size. */
static int link_large(struct kr_files *files, const char *library, const char *folder,
                      struct kr_err *err)
{
    for (size_t i = files->n; i > 0; i--) {
        const struct kr_file *file = &files->v[i - 1];
        kr_auto_free char *parent = NULL, *to = NULL;

        if (file->size <= LINKED_ABOVE || file->disk == NULL ||
            (library != NULL && strcmp(file->path, library) == 0))
            continue;
        if (kr_path_under(folder, file->path, &to, err) < 0)
            return -(int)err->code;
        parent = kr_path_parent(to);
        if (kr_mkdir_p(parent, 0700, err) < 0)
            return -(int)err->code;
        if (symlink(file->disk, to) < 0)
            return kr_fail_errno(err, errno, "link %s", to);
        kr_files_remove(files, file->path);
    }
    return 0;
}

static uint64_t bytes_to_copy(const struct kr_files *files)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < files->n; i++)
        sum += files->v[i].size <= LINKED_ABOVE ? files->v[i].size : 0;
    return sum;
}

/* False: the folder cannot be read whole any more. */
static bool read_code(struct kr_app *app, const char *origin, struct kr_files *files)
{
    kr_auto_free char *cache = kr_path_join(app->data_dir, "cache");
    kr_auto_json json_t *warnings = json_array();
    struct kr_bundle bundle = {.root = origin, .cache_dir = cache};
    struct kr_err ignored = KR_ERR_INIT;

    return kr_path_is_dir(origin) && kr_bundle_collect(&bundle, files, warnings, &ignored) == 0;
}

static int fill(struct kr_app *app, const json_t *snapshot, const char *root,
                struct kr_files *files, const char *folder, struct kr_err *err)
{
    kr_auto_free char *library = kr_code_library(json_object_get(snapshot, "document"));
    const char *origin = kr_json_str(snapshot, "source_root", root);
    bool kept = strcmp(origin, root) != 0; /* root is a copy of former code */
    kr_auto_files struct kr_files there = {0};
    const struct place p = {.origin = origin, .there = kept ? &there : files};
    bool links = !kept || read_code(app, origin, &there);

    if (kr_remove_tree(folder, err) < 0 || kr_mkdir_p(folder, 0700, err) < 0 ||
        link_large(files, library, folder, err) < 0 || kr_code_copy(files, folder, err) < 0)
        return -(int)err->code;
    return links ? link_rest(&p, "", folder, err) : 0;
}

int kr_code_place(struct kr_app *app, const json_t *snapshot, const char *root, const char *folder,
                  bool *placed, struct kr_err *err)
{
    const json_t *document = json_object_get(snapshot, "document");
    kr_auto_files struct kr_files files = {0};
    bool same = false;

    *placed = false;
    if (kr_json_str(json_object_get(document, "code"), "digest", NULL) == NULL)
        return 0; /* it was too large even to notice changes, which was said */
    if (kr_code_collect(app, root, document, &files, &same, err) < 0)
        return kr_wrap(err, "the code in %s", root);
    if (!same)
        kr_note(app, KR_NOTE_WARN,
                "the code in %s is not what was recorded: what is there now is served", root);
    if (bytes_to_copy(&files) > KR_CODE_KEEP_MAX) {
        kr_note(app, KR_NOTE_WARN,
                "the code in %s is larger than %d MB: it is served from there, with every change "
                "of it, and not from a copy",
                root, KR_CODE_KEEP_MAX >> 20);
        return 0;
    }
    if (fill(app, snapshot, root, &files, folder, err) < 0)
        return kr_wrap(err, "copy the code in %s", root);
    *placed = true;
    return 0;
}
