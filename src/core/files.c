/* SPDX-License-Identifier: Apache-2.0 */
#include "core/files.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void file_finish(struct kr_file *file)
{
    free(file->path);
    free(file->disk);
    if (file->mapped > 0)
        (void)munmap(file->bytes, file->mapped);
    else
        free(file->bytes);
}

void kr_files_finish(struct kr_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        file_finish(&files->v[i]);
    free(files->v);
    *files = (struct kr_files){0};
}

/* Index of path, or of the place where it belongs. */
static size_t place_of(const struct kr_files *files, const char *path, bool *found)
{
    size_t low = 0, high = files->n;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(files->v[mid].path, path);

        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct kr_file *slot(struct kr_files *files, const char *path)
{
    bool found;
    size_t at = place_of(files, path, &found);

    if (found) {
        file_finish(&files->v[at]);
    } else {
        if ((files->n & (files->n - 1)) == 0)
            files->v =
                kr_reallocarray(files->v, files->n == 0 ? 1 : files->n * 2, sizeof(*files->v));
        memmove(&files->v[at + 1], &files->v[at], (files->n - at) * sizeof(*files->v));
        files->n++;
    }
    files->v[at] = (struct kr_file){.path = kr_strdup(path)};
    return &files->v[at];
}

int kr_files_add_bytes(struct kr_files *files, const char *path, const void *bytes, size_t n,
                       bool executable, struct kr_err *err)
{
    struct kr_file *file;

    if (kr_path_check_relative(path, err) < 0)
        return -(int)err->code;
    file = slot(files, path);
    file->bytes = kr_malloc(n + 1);
    if (n != 0)
        memcpy(file->bytes, bytes, n);
    file->bytes[n] = '\0';
    file->size = n;
    file->executable = executable;
    kr_sha256_hex(bytes, n, file->sha256);
    kr_git_blob_hex(bytes, n, file->blob);
    return 0;
}

int kr_files_add_disk(struct kr_files *files, const char *path, const char *disk,
                      struct kr_err *err)
{
    struct kr_file made = {0}, *file;
    struct stat st;

    if (kr_path_check_relative(path, err) < 0)
        return -(int)err->code;
    if (stat(disk, &st) < 0)
        return kr_fail_errno(err, errno, "%s", disk);
    if (kr_digest_file(disk, made.sha256, made.blob, &made.size, err) < 0)
        return -(int)err->code;
    file = slot(files, path);
    made.path = file->path;
    made.disk = kr_strdup(disk);
    made.executable = (st.st_mode & 0100) != 0;
    *file = made;
    return 0;
}

int kr_files_add_known(struct kr_files *files, const struct kr_file *file, struct kr_err *err)
{
    struct kr_file *to;

    if (kr_path_check_relative(file->path, err) < 0)
        return -(int)err->code;
    to = slot(files, file->path);
    memcpy(to->sha256, file->sha256, sizeof(to->sha256));
    memcpy(to->blob, file->blob, sizeof(to->blob));
    to->disk = kr_strdup(file->disk);
    to->size = file->size;
    to->mtime_ns = file->mtime_ns;
    to->ctime_ns = file->ctime_ns;
    to->inode = file->inode;
    to->executable = file->executable;
    return 0;
}

void kr_files_remove(struct kr_files *files, const char *path)
{
    bool found;
    size_t at = place_of(files, path, &found);

    if (!found)
        return;
    file_finish(&files->v[at]);
    files->n--;
    memmove(&files->v[at], &files->v[at + 1], (files->n - at) * sizeof(*files->v));
}

const struct kr_file *kr_files_find(const struct kr_files *files, const char *path)
{
    bool found;
    size_t at = place_of(files, path, &found);

    return found ? &files->v[at] : NULL;
}

bool kr_files_covers(const struct kr_files *files, const char *path)
{
    kr_auto_free char *below = kr_asprintf("%s/", path);
    bool found;
    size_t at = place_of(files, below, &found);

    return kr_files_find(files, path) != NULL ||
           (at < files->n && kr_starts_with(files->v[at].path, below));
}

static int by_path(const void *a, const void *b)
{
    const struct kr_file *x = a, *y = b;

    return strcmp(x->path, y->path);
}

void kr_files_sort(struct kr_files *files)
{
    if (files->n > 1)
        qsort(files->v, files->n, sizeof(*files->v), by_path);
}

void kr_files_digest(const struct kr_files *files, char digest[7 + KR_SHA256_HEX])
{
    struct kr_digest *d = kr_digest_create(KR_SHA256);

    for (size_t i = 0; i < files->n; i++) {
        const struct kr_file *f = &files->v[i];

        kr_digest_update(d, f->path, strlen(f->path) + 1);
        kr_digest_update(d, f->executable ? "x" : "-", 1);
        kr_digest_update(d, f->sha256, KR_SHA256_HEX);
    }
    memcpy(digest, "sha256:", 7);
    kr_digest_finish(d, digest + 7);
}

uint64_t kr_files_bytes(const struct kr_files *files)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < files->n; i++)
        sum += files->v[i].size;
    return sum;
}
