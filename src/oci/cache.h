/* SPDX-License-Identifier: Apache-2.0 */
/* Content-addressed store of blobs on disk: <data folder>/cache/blobs/sha256/<hex>. Blobs appear by
 * rename and so are always whole; what the disk damaged is found by its digest when it is opened,
 * and removed. Several processes may share it. The least recently used go when it grows too
 * large. */
#ifndef KR_OCI_CACHE_H
#define KR_OCI_CACHE_H

#include "base/digest.h"
#include "base/json.h"
#include "oci/ref.h"

#include <stdint.h>

#define KR_CACHE_DEFAULT_MAX (UINT64_C(10) << 30)

struct kr_cache;

/* dir: the data folder's cache/. max 0: KR_CACHE_DEFAULT_MAX. */
int kr_cache_open(const char *dir, uint64_t max, struct kr_cache **out,
                  struct kr_err *err) KR_MUST_USE;
void kr_cache_close(struct kr_cache *cache);
KR_DEFINE_AUTO(struct kr_cache *, kr_cache_close);
#define kr_auto_cache kr_auto(kr_cache_close_p)

/* Whether a blob of that digest and size (UINT64_MAX: any) is there; its contents are not looked
 * at. */
bool kr_cache_has(struct kr_cache *cache, const char *digest, uint64_t size);

/* Opens a blob for reading after its digest was verified. KR_E_NOT_FOUND when it is missing or was
 * damaged (and is removed then). */
int kr_cache_read(struct kr_cache *cache, const char *digest, int *fd, uint64_t *size,
                  struct kr_err *err) KR_MUST_USE;

/* A blob being written. */
struct kr_cache_writer;
int kr_cache_writer_open(struct kr_cache *cache, struct kr_cache_writer **out,
                         struct kr_err *err) KR_MUST_USE;
int kr_cache_write(struct kr_cache_writer *w, const void *bytes, size_t n,
                   struct kr_err *err) KR_MUST_USE;
/* Starts again with an empty blob. */
int kr_cache_rewind(struct kr_cache_writer *w, struct kr_err *err) KR_MUST_USE;
/* Publishes under the digest of what was written; a wanted digest (or NULL) that differs is an
 * error. digest and size are filled. The writer is gone afterwards, also on failure. */
int kr_cache_publish(struct kr_cache_writer *w, const char *wanted, char digest[KR_DIGEST_SIZE],
                     uint64_t *size, struct kr_err *err) KR_MUST_USE;
void kr_cache_writer_drop(struct kr_cache_writer *w); /* NULL is fine */
KR_DEFINE_AUTO(struct kr_cache_writer *, kr_cache_writer_drop);
#define kr_auto_cache_writer kr_auto(kr_cache_writer_drop_p)

/* Small notes by key: what was made from which input. Missing or damaged: NULL. The key is any
 * text. */
json_t *kr_cache_note(struct kr_cache *cache, const char *key) KR_MUST_USE;
void kr_cache_set_note(struct kr_cache *cache, const char *key, const json_t *note);

/* Removes the least recently used blobs until the limit is kept, except those used in the last
 * hour, and notes that are a month old. */
void kr_cache_trim(struct kr_cache *cache);

#endif
