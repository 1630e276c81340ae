/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/digest_cache.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CACHE_MAX ((size_t)64 << 20)
#define RACY_MS   2000
#define HEAD      "kourou-digests 2." KR_CONTENT_EDITION " "
#define HEAD_LEN  (sizeof(HEAD) - 1)
#define BODY_AT   (HEAD_LEN + KR_SHA256_HEX) /* the line end stands where the NUL would */

struct record {
    struct kr_view stamp; /* "size mtime ctime inode" */
    struct kr_view sha256, blob, path;
    struct kr_view content; /* a letter of enum kr_content */
    struct kr_view clean;   /* key of what was looked for in vain, or "-" */
};

struct kr_digest_cache {
    char *file;
    struct kr_buf old; /* the file as read; the records point into it */
    struct record *v;  /* sorted by path, as written */
    size_t n;
    struct kr_buf fresh; /* lines of this run, in the order of the calls */
    size_t fresh_n;
    bool changed;
};

static int compare(struct kr_view a, const char *b)
{
    size_t n = strlen(b);
    int order = memcmp(a.p, b, a.n < n ? a.n : n);

    return order != 0 ? order : (a.n > n) - (a.n < n);
}

/* Records stand in the order they were written in; only ascending ones can be found again. */
static const struct record *find(const struct kr_digest_cache *cache, const char *path)
{
    size_t low = 0, high = cache->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare(cache->v[mid].path, path);

        if (order == 0)
            return &cache->v[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool parse_line(struct kr_view line, struct record *r)
{
    struct kr_view stamp = line, part;

    for (int i = 0; i < 4; i++) {
        if (!kr_view_cut(&line, ' ', &part))
            return false;
    }
    r->stamp = (struct kr_view){stamp.p, (size_t)(line.p - stamp.p) - 1};
    if (!kr_view_cut(&line, ' ', &r->sha256) || !kr_view_cut(&line, ' ', &r->blob) ||
        !kr_view_cut(&line, ' ', &r->content) || !kr_view_cut(&line, ' ', &r->clean))
        return false;
    r->path = line;
    return r->sha256.n == KR_SHA256_HEX - 1 && r->blob.n == KR_SHA1_HEX - 1 && r->content.n == 1 &&
           line.n > 0;
}

static void load(struct kr_digest_cache *cache)
{
    char sum[KR_SHA256_HEX];
    struct kr_view rest, line;
    bool more = true;
    size_t room = 0;

    if (kr_file_read(cache->file, &cache->old, NULL) < 0 || cache->old.n < BODY_AT ||
        memcmp(cache->old.p, HEAD, HEAD_LEN) != 0)
        return;
    kr_sha256_hex(cache->old.p + BODY_AT, cache->old.n - BODY_AT, sum);
    if (memcmp(cache->old.p + HEAD_LEN, sum, KR_SHA256_HEX - 1) != 0)
        return;
    rest = (struct kr_view){cache->old.p + BODY_AT, cache->old.n - BODY_AT};
    while (more && rest.n > 0) {
        struct record r;

        more = kr_view_cut(&rest, '\n', &line);
        if (!parse_line(line, &r))
            continue;
        if (cache->n == room) {
            room = room == 0 ? 256 : room * 2;
            cache->v = kr_reallocarray(cache->v, room, sizeof(*cache->v));
        }
        cache->v[cache->n++] = r;
    }
}

struct kr_digest_cache *kr_digest_cache_open(const char *dir, const char *name)
{
    struct kr_digest_cache *cache = kr_calloc(1, sizeof(*cache));
    char hex[KR_SHA256_HEX];

    kr_buf_init(&cache->old, CACHE_MAX);
    kr_buf_init(&cache->fresh, CACHE_MAX);
    if (dir == NULL || kr_mkdir_p(dir, 0700, NULL) < 0)
        return cache;
    kr_sha256_hex(name, strlen(name), hex);
    cache->file = kr_asprintf("%s/digests-%.16s", dir, hex);
    load(cache);
    return cache;
}

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Whether the record answers what is asked. */
static bool is_enough(const struct record *known, const char *stamp, const struct kr_sift *how)
{
    return known != NULL && kr_view_eq(known->stamp, stamp) &&
           (how->scan == NULL || (how->key != NULL && kr_view_eq(known->clean, how->key)));
}

static void take_record(const struct record *known, const struct stat *st, struct kr_file *file,
                        struct kr_sifted *out)
{
    memcpy(file->sha256, known->sha256.p, KR_SHA256_HEX - 1);
    memcpy(file->blob, known->blob.p, KR_SHA1_HEX - 1);
    file->sha256[KR_SHA256_HEX - 1] = file->blob[KR_SHA1_HEX - 1] = '\0';
    file->size = (uint64_t)st->st_size;
    file->mtime_ns = ns_of(st->st_mtim);
    file->ctime_ns = ns_of(st->st_ctim);
    file->inode = (uint64_t)st->st_ino;
    *out = (struct kr_sifted){.content = (enum kr_content)known->content.p[0]};
}

int kr_digest_cache_get(struct kr_digest_cache *cache, const char *disk, const struct stat *st,
                        const struct kr_sift *how, struct kr_file *file, struct kr_sifted *out,
                        struct kr_err *err)
{
    const struct record *known = find(cache, disk);
    struct kr_view clean = {"-", 1};
    char stamp[120];
    int64_t newest;

    (void)snprintf(stamp, sizeof(stamp), "%jd %" PRId64 " %" PRId64 " %ju", (intmax_t)st->st_size,
                   ns_of(st->st_mtim), ns_of(st->st_ctim), (uintmax_t)st->st_ino);
    if (is_enough(known, stamp, how)) {
        take_record(known, st, file, out);
        clean = known->clean;
    } else {
        if (kr_sift_file(disk, how, NULL, file, out, err) < 0)
            return -(int)err->code;
        cache->changed = true;
        newest = file->ctime_ns > file->mtime_ns ? file->ctime_ns : file->mtime_ns;
        if (file->mtime_ns == 0 || kr_wall_ms() - newest / 1000000 < RACY_MS)
            return 0;
        (void)snprintf(stamp, sizeof(stamp), "%" PRIu64 " %" PRId64 " %" PRId64 " %" PRIu64,
                       file->size, file->mtime_ns, file->ctime_ns, file->inode);
        if (how->scan != NULL && how->key != NULL && out->hits.n == 0)
            clean = kr_view_of(how->key);
    }
    kr_buf_addf(&cache->fresh, "%s %s %s %c " KR_VIEW_FMT " %s\n", stamp, file->sha256, file->blob,
                (char)out->content, KR_VIEW_ARG(clean), disk);
    cache->fresh_n++;
    return 0;
}

void kr_digest_cache_close(struct kr_digest_cache *cache)
{
    kr_auto_buf struct kr_buf whole = KR_BUF_INIT(CACHE_MAX + BODY_AT);
    char sum[KR_SHA256_HEX];

    if (cache == NULL)
        return;
    if (cache->file != NULL && !cache->fresh.failed &&
        (cache->changed || cache->fresh_n != cache->n)) {
        kr_sha256_hex(kr_buf_str(&cache->fresh), cache->fresh.n, sum);
        kr_buf_addf(&whole, HEAD "%s\n", sum);
        kr_buf_add(&whole, kr_buf_str(&cache->fresh), cache->fresh.n);
        /* A file that keeps changing is read each time and never remembered: then nothing is new
         * here. */
        /* Not being able to remember only costs time. */
        if (cache->old.n != whole.n || memcmp(cache->old.p, whole.p, whole.n) != 0)
            (void)!kr_file_write_atomic(cache->file, whole.p, whole.n, 0600, NULL);
    }
    kr_buf_finish(&cache->old);
    kr_buf_finish(&cache->fresh);
    free(cache->v);
    free(cache->file);
    free(cache);
}
