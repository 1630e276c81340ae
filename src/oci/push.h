/* SPDX-License-Identifier: Apache-2.0 */
/* Sending blobs and manifests to a registry. What is there already is not sent; blobs of another
 * repository of the same registry are mounted; blobs of another registry are copied piece by piece
 * without a file in between; a cut upload goes on where the registry says it stands. */
#ifndef KR_OCI_PUSH_H
#define KR_OCI_PUSH_H

#include "oci/cache.h"
#include "oci/repo.h"

enum kr_blob_source { KR_BLOB_CACHE, KR_BLOB_BYTES, KR_BLOB_REPO };

/* What is thought of a blob without having asked. The registry itself refuses a manifest with a
 * blob that it has not: kr_push_image() asks for all of them then. */
enum kr_blob_guess {
    KR_BLOB_ASK,
    KR_BLOB_KNOWN, /* the registry has a manifest in this repository that names it */
    KR_BLOB_NEW    /* just made: a small one is sent without asking first */
};

struct kr_blob {
    const char *digest;
    uint64_t size;
    enum kr_blob_source source;
    enum kr_blob_guess guess;
    const void *bytes; /* KR_BLOB_BYTES */
};

enum kr_blob_fate { KR_BLOB_THERE, KR_BLOB_MOUNTED, KR_BLOB_SENT };

struct kr_push {
    struct kr_repo *to;
    struct kr_cache *cache; /* of KR_BLOB_CACHE blobs */
    struct kr_repo *from;   /* of KR_BLOB_REPO blobs */
    /* repository of the same registry that has the KR_BLOB_REPO blobs, or NULL */
    const char *mount_from;
    size_t parallel; /* uploads at once; 0: 4 */
    uint64_t chunk;  /* bytes of one PATCH; a blob up to that size goes in one PUT; 0: 32 MiB */
    void *data;
    void (*progress)(void *data, uint64_t done,
                     uint64_t total); /* bytes of what has to travel; or NULL */
    /* results */
    uint64_t bytes_sent; /* bodies of blobs, repeats included */
    size_t there, mounted, sent;
};

/* Makes all blobs present, as far as the guesses hold. KR_E_NOT_FOUND: a KR_BLOB_CACHE blob is
 * missing or damaged in the cache (the message names it); the caller makes it again. Every call may
 * be repeated. */
int kr_push_blobs(struct kr_push *push, const struct kr_blob *blobs, size_t n,
                  struct kr_err *err) KR_MUST_USE;

/* Puts a manifest under a tag or digest; the registry has to answer with the digest of the
 * bytes. */
int kr_push_manifest(struct kr_repo *to, const char *what, const char *media_type, const char *text,
                     size_t n, struct kr_err *err) KR_MUST_USE;

/* Blobs, then the manifest (OCI) that names them. When the registry does not take the manifest
 * although the guesses say that nothing is missing, all blobs are asked for, what is missing is
 * sent, and the manifest is put again. */
int kr_push_image(struct kr_push *push, struct kr_blob *blobs, size_t n, const char *what,
                  const char *manifest, struct kr_err *err) KR_MUST_USE;

#endif
