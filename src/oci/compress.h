/* SPDX-License-Identifier: Apache-2.0 */
/* Layer compression: tar bytes go in, a blob of the cache comes out, and both digests are made in
 * the same pass. Equal input gives equal bytes. */
#ifndef KR_OCI_COMPRESS_H
#define KR_OCI_COMPRESS_H

#include "oci/cache.h"

#include <stdbool.h>

struct kr_layer {
    char digest[KR_DIGEST_SIZE];  /* of the compressed blob */
    char diff_id[KR_DIGEST_SIZE]; /* of the tar */
    uint64_t size;                /* of the compressed blob */
    bool zstd;                    /* else gzip */
};

struct kr_packer;

int kr_packer_open(struct kr_cache *cache, bool zstd, struct kr_packer **out,
                   struct kr_err *err) KR_MUST_USE;
int kr_packer_write(struct kr_packer *p, const void *bytes, size_t n,
                    struct kr_err *err) KR_MUST_USE;
/* Publishes the blob. The packer is gone afterwards, also on failure. */
int kr_packer_close(struct kr_packer *p, struct kr_layer *out, struct kr_err *err) KR_MUST_USE;
void kr_packer_drop(struct kr_packer *p); /* NULL is fine */
KR_DEFINE_AUTO(struct kr_packer *, kr_packer_drop);
#define kr_auto_packer kr_auto(kr_packer_drop_p)

/* Names the compressors and their versions: another one may give other bytes. */
const char *kr_packer_version(bool zstd);

#endif
