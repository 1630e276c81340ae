/* SPDX-License-Identifier: Apache-2.0 */
/* What a walk left out: other names of it, and what the user is told. */
#include "pack/walk.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { NAMES_MAX = 100 };

void kr_walk_warn(json_t *warnings, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(16384);
    va_list args;

    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    (void)json_array_append_new(warnings, json_string(kr_buf_str(&text)));
}

static void add_inode(struct kr_walk *w, const struct stat *st)
{
    if ((w->inode_count & (w->inode_count - 1)) == 0)
        w->inodes = kr_reallocarray(w->inodes, w->inode_count == 0 ? 1 : w->inode_count * 2,
                                    sizeof(*w->inodes));
    w->inodes[w->inode_count++] = (struct kr_inode){st->st_dev, st->st_ino};
}

void kr_walk_leave(struct kr_walk *w, enum kr_left_why why, const char *path, const struct stat *st)
{
    if (path != NULL) {
        json_t *name = json_string(path);

        if (w->left[why] == NULL)
            w->left[why] = json_array();
        if (name != NULL) /* not UTF-8: nothing can be said of it, and it is not sent */
            (void)json_array_append_new(w->left[why], name);
    }
    if (st != NULL)
        add_inode(w, st);
}

/* Files of a folder outside, as deep as credentials lie there. */
static void look_outside(struct kr_walk *w, const char *dir, const char *rel, int depth)
{
    kr_auto_free char *full = kr_path_join(dir, rel);
    kr_auto_dir DIR *d = opendir(full);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        kr_auto_free char *path = kr_path_join(rel, entry->d_name);
        struct stat st;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth > 0 &&
            (entry->d_name[0] == '.' || rel[0] != '\0' || kr_credential_folder(path)))
            look_outside(w, dir, path, depth - 1);
        else if (S_ISREG(st.st_mode) && st.st_nlink > 1 &&
                 (kr_credential_file(path) != KR_CREDENTIAL_NO || kr_credential_folder(rel)))
            add_inode(w, &st);
    }
}

static bool is_left(const struct kr_walk *w, const struct stat *st)
{
    for (size_t i = 0; i < w->inode_count; i++) {
        if (w->inodes[i].dev == st->st_dev && w->inodes[i].ino == st->st_ino)
            return true;
    }
    return false;
}

static void add_own(struct kr_walk *w)
{
    kr_auto_free char *data = kr_env_data_dir(), *config = kr_env_config_dir();
    kr_auto_free char *store = kr_path_join(data, "store.db");
    kr_auto_free char *key = kr_path_join(config, "encryption.key");
    struct stat st;

    if (stat(store, &st) == 0)
        add_inode(w, &st);
    if (stat(key, &st) == 0)
        add_inode(w, &st);
}

void kr_walk_drop_links(struct kr_walk *w)
{
    const char *home = kr_env_get("HOME");
    size_t kept = 0;
    bool many = false;

    for (size_t i = 0; i < w->n; i++)
        many |= w->v[i].st.st_nlink > 1;
    if (many) {
        kr_auto_free char *above = kr_path_join(w->real_root, "..");

        add_own(w);
        look_outside(w, above, "", 1);
        if (home != NULL)
            look_outside(w, home, "", 3);
    }
    for (size_t i = 0; i < w->n; i++) {
        struct kr_found *f = &w->v[i];

        if (!f->taken && is_left(w, &f->st)) {
            kr_walk_leave(w, KR_LEFT_SECRET, f->path, NULL);
            free(f->path);
        } else {
            w->v[kept++] = *f;
        }
    }
    w->n = kept;
}

void kr_walk_tell(const struct kr_walk *w)
{
    static const struct {
        const char *one, *many, *rest;
    } said[] = {
        [KR_LEFT_SECRET] = {" may hold secrets and was left out",
                            " may hold secrets and were left out",
                            "; give secrets with 'secret create' and the pipeline's secrets "
                            "setting; a line '!NAME' in .kourouignore sends it all the same"},
        [KR_LEFT_OURS] = {" belongs to Kourou and was left out",
                          " belong to Kourou and were left out",
                          ": stores, keys, caches and logs never leave this machine"},
        [KR_LEFT_OUTPUT] = {" is what this command writes to, and was left out",
                            " are what this command writes to, and were left out", ""},
        [KR_LEFT_POINTER] = {" is a pointer of Git LFS, not the file itself",
                             " are pointers of Git LFS, not the files themselves",
                             ": run `git lfs pull` and deploy again"},
    };

    for (size_t why = 0; why < KR_LEFT_WHYS; why++) {
        kr_auto_buf struct kr_buf names = KR_BUF_INIT(8192);
        size_t n = json_array_size(w->left[why]);

        for (size_t i = 0; i < n && i < NAMES_MAX; i++)
            kr_buf_addf(&names, "%s'%s'", i > 0 ? ", " : "",
                        json_string_value(json_array_get(w->left[why], i)));
        if (n > NAMES_MAX)
            kr_buf_addf(&names, " and %zu more", n - NAMES_MAX);
        if (n > 0)
            kr_walk_warn(w->warnings, "%s%s%s", kr_buf_str(&names),
                         n > 1 ? said[why].many : said[why].one, said[why].rest);
    }
}
