/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/cache.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NOTE_MAX ((size_t)1 << 20)
#define KEEP_MS  3600000
#define NOTE_MS                                                                                    \
    (30 * 86400000LL)     /* notes are small, but there is one for each code that was built */
#define STALE_MS 86400000 /* a temporary file that old belongs to a process that was killed */

struct kr_cache {
    char *blobs; /* .../blobs/sha256 */
    char *notes; /* .../notes */
    uint64_t max;
};

struct kr_cache_writer {
    struct kr_cache *cache;
    char *temp;
    int fd;
    struct kr_digest *digest;
    uint64_t size;
};

int kr_cache_open(const char *dir, uint64_t max, struct kr_cache **out, struct kr_err *err)
{
    kr_auto_cache struct kr_cache *cache = kr_calloc(1, sizeof(*cache));

    cache->blobs = kr_path_join(dir, "blobs/sha256");
    cache->notes = kr_path_join(dir, "notes");
    cache->max = max != 0 ? max : KR_CACHE_DEFAULT_MAX;
    if (kr_mkdir_p(cache->blobs, 0700, err) < 0 || kr_mkdir_p(cache->notes, 0700, err) < 0)
        return kr_wrap(err, "layer cache");
    *out = kr_steal(&cache);
    return 0;
}

void kr_cache_close(struct kr_cache *cache)
{
    if (cache == NULL)
        return;
    free(cache->blobs);
    free(cache->notes);
    free(cache);
}

static char *blob_path(const struct kr_cache *cache, const char *digest)
{
    return kr_digest_valid(digest) ? kr_path_join(cache->blobs, digest + 7) : NULL;
}

bool kr_cache_has(struct kr_cache *cache, const char *digest, uint64_t size)
{
    kr_auto_free char *path = blob_path(cache, digest);
    struct stat st;

    return path != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           (size == UINT64_MAX || (uint64_t)st.st_size == size);
}

static int hash_fd(int fd, char hex[KR_SHA256_HEX], uint64_t *size)
{
    struct kr_digest *d = kr_digest_create(KR_SHA256);
    static const size_t step = 65536;
    kr_auto_free char *chunk = kr_malloc(step);
    ssize_t n;

    *size = 0;
    while ((n = pread(fd, chunk, step, (off_t)*size)) > 0) {
        kr_digest_update(d, chunk, (size_t)n);
        *size += (uint64_t)n;
    }
    kr_digest_finish(d, hex);
    return n < 0 ? -1 : 0;
}

int kr_cache_read(struct kr_cache *cache, const char *digest, int *fd, uint64_t *size,
                  struct kr_err *err)
{
    kr_auto_free char *path = blob_path(cache, digest);
    kr_auto_fd int own = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char hex[KR_SHA256_HEX];

    if (own < 0)
        return kr_fail(err, KR_E_NOT_FOUND, "%s is not in the layer cache", digest);
    if (hash_fd(own, hex, size) < 0 || strcmp(hex, digest + 7) != 0) {
        (void)unlink(path);
        return kr_fail(err, KR_E_NOT_FOUND, "%s was damaged in the layer cache", digest);
    }
    (void)futimens(own, NULL); /* used now; failing only makes it look old */
    *fd = kr_steal_fd(&own);
    return 0;
}

int kr_cache_writer_open(struct kr_cache *cache, struct kr_cache_writer **out, struct kr_err *err)
{
    kr_auto_cache_writer struct kr_cache_writer *w = kr_calloc(1, sizeof(*w));

    w->cache = cache;
    w->temp = kr_path_join(cache->blobs, "tmp-XXXXXX");
    w->fd = mkostemp(w->temp, O_CLOEXEC);
    if (w->fd < 0) {
        int saved = errno;

        free(w->temp);
        w->temp = NULL;
        return kr_fail_errno(err, saved, "layer cache %s", cache->blobs);
    }
    w->digest = kr_digest_create(KR_SHA256);
    *out = kr_steal(&w);
    return 0;
}

void kr_cache_writer_drop(struct kr_cache_writer *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0)
        (void)close(w->fd);
    if (w->temp != NULL)
        (void)unlink(w->temp);
    kr_digest_destroy(w->digest);
    free(w->temp);
    free(w);
}

static int fail_write(const struct kr_cache_writer *w, int why, struct kr_err *err)
{
    (void)kr_fail_errno(err, why, "layer cache %s", w->cache->blobs);
    if (why == ENOSPC || why == EDQUOT)
        return kr_hint(err, "make room there, or set KOUROU_HOME to a folder on a larger disk");
    return -(int)KR_E_SYSTEM;
}

int kr_cache_write(struct kr_cache_writer *w, const void *bytes, size_t n, struct kr_err *err)
{
    const char *p = bytes;
    size_t left = n;

    while (left > 0) {
        ssize_t done = write(w->fd, p, left);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail_write(w, errno, err);
        p += done;
        left -= (size_t)done;
    }
    kr_digest_update(w->digest, bytes, n);
    w->size += n;
    return 0;
}

int kr_cache_rewind(struct kr_cache_writer *w, struct kr_err *err)
{
    if (ftruncate(w->fd, 0) < 0 || lseek(w->fd, 0, SEEK_SET) < 0)
        return fail_write(w, errno, err);
    kr_digest_destroy(w->digest);
    w->digest = kr_digest_create(KR_SHA256);
    w->size = 0;
    return 0;
}

int kr_cache_publish(struct kr_cache_writer *own, const char *wanted, char digest[KR_DIGEST_SIZE],
                     uint64_t *size, struct kr_err *err)
{
    kr_auto_cache_writer struct kr_cache_writer *w = own;
    kr_auto_free char *path = NULL;

    memcpy(digest, "sha256:", 7);
    kr_digest_finish(w->digest, digest + 7);
    w->digest = NULL;
    *size = w->size;
    if (wanted != NULL && strcmp(wanted, digest) != 0)
        return kr_fail(err, KR_E_REMOTE, "%s arrived as %s", wanted, digest);
    path = blob_path(w->cache, digest);
    if (fsync(w->fd) < 0 || rename(w->temp, path) < 0)
        return fail_write(w, errno, err);
    free(w->temp);
    w->temp = NULL;
    kr_cache_trim(w->cache);
    return 0;
}

static char *note_path(const struct kr_cache *cache, const char *key)
{
    char hex[KR_SHA256_HEX];

    kr_sha256_hex(key, strlen(key), hex);
    return kr_path_join(cache->notes, hex);
}

json_t *kr_cache_note(struct kr_cache *cache, const char *key)
{
    kr_auto_free char *path = note_path(cache, key);
    kr_auto_json json_t *doc = NULL;
    struct kr_err ignored = KR_ERR_INIT;
    json_t *note = NULL;

    if (kr_json_read_file(path, NOTE_MAX, &doc, &ignored) == 0 &&
        strcmp(kr_json_str(doc, "key", ""), key) == 0)
        note = json_incref(json_object_get(doc, "note"));
    return note;
}

void kr_cache_set_note(struct kr_cache *cache, const char *key, const json_t *note)
{
    kr_auto_free char *path = note_path(cache, key), *text = NULL;
    kr_auto_json json_t *doc = json_object();

    kr_json_set_str(doc, "key", key);
    kr_json_set(doc, "note", json_incref((json_t *)(uintptr_t)note));
    text = kr_json_canonical(doc);
    /* A note that cannot be kept costs time later and nothing else. */
    (void)!kr_file_write_atomic(path, text, strlen(text), 0600, NULL);
}

struct aged {
    char *path;
    uint64_t size;
    int64_t used_ms;
};

static int by_age(const void *a, const void *b)
{
    const struct aged *x = a, *y = b;

    return (x->used_ms > y->used_ms) - (x->used_ms < y->used_ms);
}

static size_t list_blobs(const struct kr_cache *cache, struct aged **out, uint64_t *total)
{
    kr_auto_dir DIR *dir = opendir(cache->blobs);
    struct dirent *entry;
    size_t n = 0;

    *out = NULL;
    *total = 0;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = kr_path_join(cache->blobs, entry->d_name);
        struct stat st;

        if (entry->d_name[0] == '.' || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        if ((n & (n - 1)) == 0)
            *out = kr_reallocarray(*out, n == 0 ? 1 : n * 2, sizeof(**out));
        (*out)[n++] =
            (struct aged){kr_steal(&path), (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec * 1000};
        *total += (uint64_t)st.st_size;
    }
    return n;
}

static void trim_notes(const struct kr_cache *cache, int64_t now)
{
    kr_auto_dir DIR *dir = opendir(cache->notes);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        struct stat st;

        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode) && now - (int64_t)st.st_mtim.tv_sec * 1000 > NOTE_MS)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
}

void kr_cache_trim(struct kr_cache *cache)
{
    struct aged *blobs;
    uint64_t total;
    size_t n = list_blobs(cache, &blobs, &total);
    int64_t now = kr_wall_ms();

    if (n > 1 && total > cache->max)
        qsort(blobs, n, sizeof(*blobs), by_age);
    for (size_t i = 0; i < n; i++) {
        bool stale = strstr(blobs[i].path, "/tmp-") != NULL && now - blobs[i].used_ms > STALE_MS;
        bool surplus = total > cache->max && now - blobs[i].used_ms > KEEP_MS;

        if ((stale || surplus) && unlink(blobs[i].path) == 0)
            total -= blobs[i].size;
        free(blobs[i].path);
    }
    free(blobs);
    trim_notes(cache, now);
}
