/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/tar.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct item {
    char *path;
    const struct kr_file *file; /* NULL: a folder */
    uint32_t uid, gid;
};

struct list {
    struct item *v;
    size_t n;
};

struct out {
    int (*sink)(void *data, const void *bytes, size_t n, struct kr_err *err);
    void *data;
    struct kr_err *err;
    bool over; /* it failed: what libarchive writes on closing is not wanted */
};

static void add_item(struct list *list, char *path, const struct kr_file *file,
                     const struct kr_tar_part *part)
{
    if ((list->n & (list->n - 1)) == 0)
        list->v = kr_reallocarray(list->v, list->n == 0 ? 1 : list->n * 2, sizeof(*list->v));
    list->v[list->n++] = (struct item){path, file, part->uid, part->gid};
}

static void list_finish(struct list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->v[i].path);
    free(list->v);
}

/* Folders above a file that its predecessor in the sorted list did not have yet. */
static void add_folders(struct list *list, const char *path, const char *before,
                        const struct kr_tar_part *part)
{
    for (const char *p = path; (p = strchr(p, '/')) != NULL; p++) {
        size_t n = (size_t)(p - path);
        kr_auto_free char *folder = NULL;

        if (before != NULL && strncmp(path, before, n + 1) == 0)
            continue;
        folder = part->prefix[0] != '\0' ? kr_asprintf("%s/%.*s", part->prefix, (int)n, path)
                                         : kr_strndup(path, n);
        if (part->there == NULL || !part->there(part->data, folder))
            add_item(list, kr_steal(&folder), NULL, part);
    }
}

static int by_path(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = strcmp(x->path, y->path);

    return order != 0 ? order : (x->file != NULL) - (y->file != NULL);
}

/* Of several entries for one path the last part's counts for files, the first for folders. */
static void make_list(const struct kr_tar_part *parts, size_t n, struct list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        const struct kr_files *files = parts[i].files;

        if (parts[i].prefix[0] != '\0' && !parts[i].fixed_prefix)
            add_item(list, kr_strdup(parts[i].prefix), NULL, &parts[i]);
        for (size_t k = 0; files != NULL && k < files->n; k++) {
            const char *path = files->v[k].path;

            add_folders(list, path, k > 0 ? files->v[k - 1].path : NULL, &parts[i]);
            add_item(list,
                     parts[i].prefix[0] != '\0' ? kr_asprintf("%s/%s", parts[i].prefix, path)
                                                : kr_strdup(path),
                     &files->v[k], &parts[i]);
        }
    }
    if (list->n > 1)
        qsort(list->v, list->n, sizeof(*list->v), by_path);
    for (size_t i = 0; i < list->n; i++) {
        if (kept > 0 && strcmp(list->v[kept - 1].path, list->v[i].path) == 0)
            free(list->v[i].path);
        else
            list->v[kept++] = list->v[i];
    }
    list->n = kept;
}

void kr_tar_key(const struct kr_tar_part *parts, size_t n, char key[7 + KR_SHA256_HEX])
{
    struct kr_digest *d = kr_digest_create(KR_SHA256);
    struct list list = {0};

    make_list(parts, n, &list);
    for (size_t i = 0; i < list.n; i++) {
        const struct item *item = &list.v[i];
        kr_auto_free char *line = kr_asprintf(
            "%c %u %u %s %s",
            item->file == NULL       ? 'd'
            : item->file->executable ? 'x'
                                     : '-',
            item->uid, item->gid, item->file != NULL ? item->file->sha256 : "", item->path);

        kr_digest_update(d, line, strlen(line) + 1);
    }
    list_finish(&list);
    memcpy(key, "sha256:", 7);
    kr_digest_finish(d, key + 7);
}

static la_ssize_t on_bytes(struct archive *a, void *data, const void *bytes, size_t n)
{
    struct out *out = data;

    if (out->over || out->sink(out->data, bytes, n, out->err) == 0)
        return (la_ssize_t)n;
    archive_set_error(a, EIO, "%s", "stopped");
    return -1;
}

static int fail_archive(struct archive *a, const char *path, struct kr_err *err)
{
    if (err->code != KR_OK) /* the sink said why */
        return -(int)err->code;
    return kr_fail(err, KR_E_SYSTEM, "archive entry %s: %s", path, archive_error_string(a));
}

static int write_bytes(struct archive *a, const struct item *item, const void *bytes, size_t n,
                       struct kr_err *err)
{
    if (n > 0 && archive_write_data(a, bytes, n) != (la_ssize_t)n)
        return fail_archive(a, item->path, err);
    return 0;
}

static int write_disk(struct archive *a, const struct item *item, struct kr_err *err)
{
    kr_auto_fd int fd = open(item->file->disk, O_RDONLY | O_CLOEXEC);
    struct kr_digest *d;
    char chunk[65536], hex[KR_SHA256_HEX];
    uint64_t left = item->file->size;
    ssize_t n = 0;
    int rc = 0;

    if (fd < 0)
        return kr_fail_errno(err, errno, "%s", item->file->disk);
    d = kr_digest_create(KR_SHA256);
    while (rc == 0 && (n = read(fd, chunk, sizeof(chunk))) > 0 && (uint64_t)n <= left) {
        kr_digest_update(d, chunk, (size_t)n);
        left -= (uint64_t)n;
        rc = write_bytes(a, item, chunk, (size_t)n, err);
    }
    kr_digest_finish(d, hex);
    if (rc < 0)
        return rc;
    if (n < 0)
        return kr_fail_errno(err, errno, "%s", item->file->disk);
    if (n > 0 || left > 0 || strcmp(hex, item->file->sha256) != 0)
        return kr_fail(err, KR_E_CONFLICT, "%s changed while it was packed", item->file->disk);
    return 0;
}

static int write_item(struct archive *a, struct archive_entry *entry, const struct item *item,
                      struct kr_err *err)
{
    const struct kr_file *file = item->file;

    (void)archive_entry_clear(entry);
    archive_entry_set_pathname(entry, item->path);
    archive_entry_set_filetype(entry, file == NULL ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, file == NULL || file->executable ? 0755 : 0644);
    archive_entry_set_size(entry, file != NULL ? (la_int64_t)file->size : 0);
    archive_entry_set_mtime(entry, KR_TAR_MTIME, 0);
    archive_entry_set_uid(entry, item->uid);
    archive_entry_set_gid(entry, item->gid);
    if (archive_write_header(a, entry) != ARCHIVE_OK)
        return fail_archive(a, item->path, err);
    if (file == NULL)
        return 0;
    return file->bytes != NULL ? write_bytes(a, item, file->bytes, (size_t)file->size, err)
                               : write_disk(a, item, err);
}

int kr_tar_write(const struct kr_tar_part *parts, size_t n,
                 int (*sink)(void *data, const void *bytes, size_t n, struct kr_err *err),
                 void *data, struct kr_err *err)
{
    struct out out = {sink, data, err, false};
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    struct list list = {0};
    int rc = 0;

    if (a == NULL || entry == NULL)
        abort();
    make_list(parts, n, &list);
    /* Names are bytes to us: no locale decides how they are written. */
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_set_format_option(a, "pax", "hdrcharset", "BINARY") != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
        archive_write_open(a, &out, NULL, on_bytes, NULL) != ARCHIVE_OK)
        rc = fail_archive(a, "(start)", err);
    for (size_t i = 0; rc == 0 && i < list.n; i++)
        rc = write_item(a, entry, &list.v[i], err);
    if (rc == 0 && archive_write_close(a) != ARCHIVE_OK)
        rc = fail_archive(a, "(end)", err);
    out.over = true;
    archive_entry_free(entry);
    (void)archive_write_free(a);
    list_finish(&list);
    return rc;
}

/* The entry as readers see it; *path is the caller's. False: it has no name. */
static bool entry_of(struct archive_entry *from, struct kr_tar_entry *out, char **path)
{
    const char *name = archive_entry_pathname(from);
    const char *link = archive_entry_symlink(from), *hard = archive_entry_hardlink(from);
    size_t n;

    if (name == NULL)
        return false;
    while (name[0] == '/' || (name[0] == '.' && name[1] == '/'))
        name++;
    n = strlen(name);
    while (n > 0 && name[n - 1] == '/')
        n--;
    *path = kr_strndup(name, n);
    *out = (struct kr_tar_entry){.path = *path, .type = KR_TAR_OTHER};
    if (hard != NULL) {
        out->type = KR_TAR_HARD_LINK;
        out->target = hard;
    } else if (link != NULL) {
        out->type = KR_TAR_LINK;
        out->target = link;
    } else if (archive_entry_filetype(from) == AE_IFDIR) {
        out->type = KR_TAR_FOLDER;
    } else if (archive_entry_filetype(from) == AE_IFREG) {
        out->type = KR_TAR_FILE;
    }
    return true;
}

/* Damage shows itself at the next head. */
static void read_contents(struct archive *a, const struct kr_tar_reader *reader,
                          const struct kr_tar_entry *entry, size_t wanted)
{
    kr_auto_buf struct kr_buf bytes = KR_BUF_INIT(wanted);
    char chunk[65536];

    while (bytes.n < wanted) {
        size_t left = wanted - bytes.n;
        la_ssize_t n = archive_read_data(a, chunk, left < sizeof(chunk) ? left : sizeof(chunk));

        if (n <= 0)
            break;
        kr_buf_add(&bytes, chunk, (size_t)n);
    }
    reader->contents(reader->data, entry, kr_buf_str(&bytes), bytes.n);
}

int kr_tar_read(int fd, const struct kr_tar_reader *reader, struct kr_err *err)
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    int rc = 0, got = ARCHIVE_EOF;
    bool more = true;

    if (a == NULL)
        abort();
    if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(a) < ARCHIVE_WARN ||
        archive_read_support_filter_zstd(a) < ARCHIVE_WARN ||
        archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK)
        rc = kr_fail(err, KR_E_INVALID, "layer cannot be read: %s", archive_error_string(a));
    while (rc == 0 && more && (got = archive_read_next_header(a, &entry)) >= ARCHIVE_WARN &&
           got != ARCHIVE_EOF) {
        kr_auto_free char *path = NULL;
        struct kr_tar_entry seen;
        size_t wanted = 0;

        if (!entry_of(entry, &seen, &path))
            continue;
        more = reader->entry(reader->data, &seen, &wanted);
        if (more && wanted > 0 && seen.type == KR_TAR_FILE)
            read_contents(a, reader, &seen, wanted);
    }
    if (rc == 0 && got < ARCHIVE_WARN)
        rc = kr_fail(err, KR_E_INVALID, "layer cannot be read: %s", archive_error_string(a));
    (void)archive_read_free(a);
    return rc;
}

void kr_tar_warm(void)
{
    (void)archive_write_free(archive_write_new());
}
