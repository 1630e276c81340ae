/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/sift.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    TRIES = 4,
    CHUNK = KR_CONTENT_HEAD,
    PAGE = 4096,
    HEAP_MAX = 65536, /* smaller files are held in memory */
    RESTED_MS = 2000, /* after its last change a file may change again without new times */
};

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* -- the spool --------------------------------------------------------------------------------- */

static int open_spool(struct kr_spool *spool, struct kr_err *err)
{
    kr_auto_free char *name = NULL;

    if (spool->fd >= 0)
        return 0;
    if (spool->dir != NULL && kr_mkdir_p(spool->dir, 0700, err) < 0)
        return -(int)err->code;
    spool->fd =
        open(spool->dir != NULL ? spool->dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd >= 0)
        return 0;
    name = kr_path_join(spool->dir != NULL ? spool->dir : "/tmp", "held-XXXXXX");
    spool->fd = mkostemp(name, O_CLOEXEC); /* not every file system can do without a name */
    if (spool->fd < 0)
        return kr_fail_errno(err, errno, "temporary file for what is sent");
    (void)unlink(name);
    return 0;
}

void kr_spool_finish(struct kr_spool *spool)
{
    if (spool->fd >= 0)
        (void)close(spool->fd);
    spool->fd = -1;
}

/* A file on its way into memory or the spool. */
struct held {
    struct kr_spool *spool; /* NULL: nothing is held */
    char *heap;
    uint64_t at, n;
};

static int held_begin(struct held *h, uint64_t size, struct kr_err *err)
{
    free(h->heap);
    h->heap = NULL;
    h->n = 0;
    if (h->spool == NULL)
        return 0;
    if (size <= HEAP_MAX) {
        h->heap = kr_malloc((size_t)size + 1);
        return 0;
    }
    h->at = (h->spool->end + PAGE - 1) / PAGE * PAGE;
    return open_spool(h->spool, err);
}

static int held_add(struct held *h, const char *bytes, size_t n, struct kr_err *err)
{
    size_t done = 0;

    if (h->heap != NULL)
        memcpy(h->heap + h->n, bytes, n);
    while (h->spool != NULL && h->heap == NULL && done < n) {
        ssize_t part = pwrite(h->spool->fd, bytes + done, n - done, (off_t)(h->at + h->n + done));

        if (part < 0 && errno != EINTR)
            return kr_fail_errno(err, errno, "temporary file for what is sent");
        done += part > 0 ? (size_t)part : 0;
    }
    h->n += n;
    return 0;
}

static int held_end(struct held *h, struct kr_file *file, struct kr_err *err)
{
    void *map;

    if (h->spool == NULL)
        return 0;
    if (h->heap != NULL) {
        h->heap[h->n] = '\0';
        file->bytes = kr_steal(&h->heap);
        return 0;
    }
    map = mmap(NULL, (size_t)h->n, PROT_READ, MAP_PRIVATE, h->spool->fd, (off_t)h->at);
    if (map == MAP_FAILED)
        return kr_fail_errno(err, errno, "memory for '%s'", file->path);
    file->bytes = map;
    file->mapped = (size_t)h->n;
    h->spool->end = h->at + h->n;
    return 0;
}

/* -- the pass ---------------------------------------------------------------------------------- */

struct pass {
    const char *disk;
    int fd;
    const struct kr_sift *how;
    struct held held;
    struct kr_digest *sha, *git;
    char *head;
    size_t head_n;
    bool private_key;
    char tail[16]; /* of the bytes before, for a word that two reads cut */
};

static void pass_finish(struct pass *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    kr_digest_destroy(p->sha);
    kr_digest_destroy(p->git);
    free(p->held.heap);
    free(p->head);
}

static void take(struct pass *p, const char *bytes, size_t n)
{
    char edge[2 * sizeof(p->tail)];
    size_t some = n < sizeof(p->tail) ? n : sizeof(p->tail);

    kr_digest_update(p->sha, bytes, n);
    kr_digest_update(p->git, bytes, n);
    if (p->how->scan != NULL)
        kr_scan_feed(p->how->scan, bytes, n);
    if (p->head_n == 0) {
        memcpy(p->head, bytes, n);
        p->head_n = n;
    } else if (p->head[0] == '-' || p->head[0] == 'B' || p->head[0] == 'C' || p->head[0] == '#') {
        memcpy(edge, p->tail, sizeof(p->tail));
        memcpy(edge + sizeof(p->tail), bytes, some);
        p->private_key |= kr_content_has_private_key(bytes, n) ||
                          kr_content_has_private_key(edge, sizeof(p->tail) + some);
    }
    if (n >= sizeof(p->tail))
        memcpy(p->tail, bytes + n - sizeof(p->tail), sizeof(p->tail));
}

/* Whole chunks, so that the head is whole too. */
static int read_chunk(const struct pass *p, char *to, size_t n, size_t *got, struct kr_err *err)
{
    *got = 0;
    while (*got < n) {
        ssize_t part = read(p->fd, to + *got, n - *got);

        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return kr_fail_errno(err, errno, "%s", p->disk);
        if (part == 0)
            break;
        *got += (size_t)part;
    }
    return 0;
}

/* Reads as many bytes as the file had. *whole false: there are fewer now. */
static int read_once(struct pass *p, uint64_t size, bool *whole, struct kr_err *err)
{
    kr_auto_free char *chunk = kr_malloc(CHUNK);
    uint64_t left = size;

    if (lseek(p->fd, 0, SEEK_SET) < 0)
        return kr_fail_errno(err, errno, "%s", p->disk);
    kr_digest_destroy(p->sha);
    kr_digest_destroy(p->git);
    p->sha = kr_digest_create(KR_SHA256);
    p->git = kr_git_blob_create(size);
    p->head_n = 0;
    p->private_key = false;
    if (p->how->scan != NULL)
        kr_scan_begin(p->how->scan);
    if (held_begin(&p->held, size, err) < 0)
        return -(int)err->code;
    *whole = true;
    while (left > 0 && *whole) {
        size_t n = left < CHUNK ? (size_t)left : CHUNK, got;

        if (read_chunk(p, chunk, n, &got, err) < 0 || held_add(&p->held, chunk, got, err) < 0)
            return -(int)err->code;
        if (got > 0)
            take(p, chunk, got);
        *whole = got == n;
        left -= got;
    }
    return 0;
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && ns_of(a->st_mtim) == ns_of(b->st_mtim) &&
           ns_of(a->st_ctim) == ns_of(b->st_ctim);
}

/* Reads until the file rested meanwhile, or does nothing but grow. */
static int read_at_rest(struct pass *p, struct stat *st, bool *grew, struct kr_err *err)
{
    struct stat after;
    bool whole = false;

    for (int tried = 0; tried < TRIES; tried++) {
        if (fstat(p->fd, st) < 0)
            return kr_fail_errno(err, errno, "%s", p->disk);
        if (read_once(p, (uint64_t)st->st_size, &whole, err) < 0)
            return -(int)err->code;
        if (fstat(p->fd, &after) < 0)
            return kr_fail_errno(err, errno, "%s", p->disk);
        *grew = after.st_size > st->st_size;
        if (whole && same_stat(st, &after))
            return 0;
    }
    if (whole && *grew)
        return 0;
    (void)kr_fail(err, KR_E_CONFLICT, "%s keeps changing while it is read", p->disk);
    return kr_hint(err, "wait until it is written, or leave it out with .kourouignore");
}

static int open_file(const char *disk, int *fd, struct stat *st, struct kr_err *err)
{
    *fd = open(disk, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, st) < 0)
        return kr_fail_errno(err, errno, "%s", disk);
    if (!S_ISREG(st->st_mode))
        return kr_fail(err, KR_E_INVALID, "%s is not a file", disk);
    return 0;
}

static void finish_file(struct pass *p, const struct stat *st, bool grew, struct kr_file *file,
                        struct kr_sifted *out)
{
    uint64_t size = (uint64_t)st->st_size;

    kr_digest_finish(p->sha, file->sha256);
    kr_digest_finish(p->git, file->blob);
    p->sha = p->git = NULL;
    file->size = size;
    file->inode = (uint64_t)st->st_ino;
    file->mtime_ns = grew ? 0 : ns_of(st->st_mtim);
    file->ctime_ns = grew ? 0 : ns_of(st->st_ctim);
    out->grew = grew;
    out->content = kr_content_of(p->head, p->head_n, size, p->how->says);
    if (out->content == KR_CONTENT_PUBLIC && p->private_key)
        out->content = KR_CONTENT_CREDENTIAL;
    if (p->how->scan != NULL)
        kr_scan_end(p->how->scan, &out->hits);
}

int kr_sift_file(const char *disk, const struct kr_sift *how, struct kr_spool *spool,
                 struct kr_file *file, struct kr_sifted *out, struct kr_err *err)
{
    kr_auto(pass_finish) struct pass p = {.disk = disk, .fd = -1, .how = how};
    struct stat st;
    bool grew = false;

    p.held.spool = spool;
    *out = (struct kr_sifted){.content = KR_CONTENT_PLAIN};
    if (open_file(disk, &p.fd, &st, err) < 0)
        return -(int)err->code;
    p.head = kr_malloc(CHUNK);
    if (read_at_rest(&p, &st, &grew, err) < 0)
        return -(int)err->code;
    finish_file(&p, &st, grew, file, out);
    return held_end(&p.held, file, err);
}

static bool is_as_it_was(const struct kr_file *file, const struct stat *st)
{
    int64_t newest = file->ctime_ns > file->mtime_ns ? file->ctime_ns : file->mtime_ns;

    return file->mtime_ns != 0 && (uint64_t)st->st_ino == file->inode &&
           (uint64_t)st->st_size == file->size && ns_of(st->st_mtim) == file->mtime_ns &&
           ns_of(st->st_ctim) == file->ctime_ns && kr_wall_ms() - newest / 1000000 > RESTED_MS;
}

int kr_sift_hold(const char *disk, struct kr_spool *spool, struct kr_file *file, bool *same,
                 struct kr_err *err)
{
    kr_auto_fd int fd = -1;
    kr_auto_free char *chunk = kr_malloc(CHUNK);
    struct held held = {.spool = spool};
    struct stat st;
    ssize_t n = 0;
    int rc = open_file(disk, &fd, &st, err);

    *same = rc == 0 && is_as_it_was(file, &st);
    if (rc < 0 || !*same)
        return rc;
    rc = held_begin(&held, file->size, err);
    while (rc == 0 && held.n < file->size && (n = read(fd, chunk, CHUNK)) > 0) {
        size_t left = (size_t)(file->size - held.n);

        rc = held_add(&held, chunk, (size_t)n < left ? (size_t)n : left, err);
    }
    if (rc == 0 && (n < 0 || fstat(fd, &st) < 0))
        rc = kr_fail_errno(err, errno, "%s", disk);
    *same = rc == 0 && held.n == file->size && is_as_it_was(file, &st);
    if (*same)
        rc = held_end(&held, file, err);
    free(held.heap);
    return rc;
}
