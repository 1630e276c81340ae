/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/tree.h"

#include "base/alloc.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 100

struct read {
    const char *dir;
    bool (*skip)(const char *path);
    char **paths;
    size_t n;
};

static int walk(struct read *r, const char *rel, int depth, struct kr_err *err)
{
    kr_auto_free char *full = kr_path_join(r->dir, rel);
    kr_auto_dir DIR *dir = opendir(full);
    struct dirent *entry;

    if (dir == NULL)
        return kr_fail_errno(err, errno, "folder %s", full);
    if (depth > DEPTH_MAX)
        return kr_fail(err, KR_E_LIMIT, "folders are nested too deep: %s", full);
    while ((entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = kr_path_join(rel, entry->d_name);
        kr_auto_free char *disk = kr_path_join(r->dir, path);
        struct stat st;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (r->skip != NULL && r->skip(path)))
            continue;
        if (lstat(disk, &st) < 0 || (S_ISLNK(st.st_mode) && stat(disk, &st) < 0))
            return kr_fail_errno(err, errno, "%s", disk);
        if (S_ISDIR(st.st_mode)) {
            if (walk(r, path, depth + 1, err) < 0)
                return -(int)err->code;
        } else if (S_ISREG(st.st_mode)) {
            if ((r->n & (r->n - 1)) == 0)
                r->paths = kr_reallocarray(r->paths, r->n == 0 ? 1 : r->n * 2, sizeof(char *));
            r->paths[r->n++] = kr_steal(&path);
        }
    }
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int kr_tree_read(const char *dir, bool (*skip)(const char *path), struct kr_files *out,
                 struct kr_err *err)
{
    struct read r = {.dir = dir, .skip = skip};
    int rc = walk(&r, "", 0, err);

    if (r.n > 1)
        qsort(r.paths, r.n, sizeof(char *), by_text);
    for (size_t i = 0; i < r.n; i++) {
        kr_auto_free char *disk = kr_path_join(dir, r.paths[i]);

        if (rc == 0)
            rc = kr_files_add_disk(out, r.paths[i], disk, err);
        free(r.paths[i]);
    }
    free(r.paths);
    return rc;
}

static int copy_file(const struct kr_file *file, const char *to, struct kr_err *err)
{
    mode_t mode = file->executable ? 0755 : 0644;
    kr_auto_fd int in = -1, out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    char chunk[65536];
    ssize_t n;

    if (out < 0)
        return kr_fail_errno(err, errno, "%s", to);
    if (file->bytes != NULL)
        return write(out, file->bytes, file->size) == (ssize_t)file->size
                   ? 0
                   : kr_fail_errno(err, errno, "%s", to);
    in = open(file->disk, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return kr_fail_errno(err, errno, "%s", file->disk);
    while ((n = read(in, chunk, sizeof(chunk))) > 0) {
        if (write(out, chunk, (size_t)n) != n)
            return kr_fail_errno(err, errno, "%s", to);
    }
    return n < 0 ? kr_fail_errno(err, errno, "%s", file->disk) : 0;
}

int kr_tree_write(const char *dir, const struct kr_files *files, struct kr_err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        kr_auto_free char *to = NULL, *folder = NULL;

        if (kr_path_under(dir, files->v[i].path, &to, err) < 0)
            return -(int)err->code;
        folder = kr_strdup(to);
        *strrchr(folder, '/') = '\0';
        if (kr_mkdir_p(folder, 0755, err) < 0 || copy_file(&files->v[i], to, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_tree_temp(const char *parent, char **dir, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(parent, "stage-XXXXXX");

    if (kr_mkdir_p(parent, 0700, err) < 0)
        return -(int)err->code;
    if (mkdtemp(path) == NULL)
        return kr_fail_errno(err, errno, "folder below %s", parent);
    *dir = kr_steal(&path);
    return 0;
}
