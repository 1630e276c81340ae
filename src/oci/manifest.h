/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, indexes and configs, read from a registry. Everything that arrives is checked against
 * its digest. */
#ifndef KR_OCI_MANIFEST_H
#define KR_OCI_MANIFEST_H

#include "base/json.h"
#include "oci/repo.h"

#define KR_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define KR_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define KR_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define KR_OCI_LAYER_GZIP  "application/vnd.oci.image.layer.v1.tar+gzip"
#define KR_OCI_LAYER_ZSTD  "application/vnd.oci.image.layer.v1.tar+zstd"
#define KR_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define KR_DOCKER_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"

#define KR_MANIFEST_MAX ((size_t)4 << 20)
#define KR_CONFIG_MAX   ((size_t)8 << 20)

/* An image for one platform. */
struct kr_image {
    char digest[KR_DIGEST_SIZE]; /* of the manifest of this platform */
    json_t *manifest;            /* "config", "layers" are checked to be descriptors */
    json_t *config;              /* NULL when it was not asked for */
};
void kr_image_finish(struct kr_image *image);
#define kr_auto_image kr_auto(kr_image_finish)

/* Gets the manifest behind a tag or digest; an index leads to the manifest of linux/amd64. The
 * platform of a single manifest is checked with its config. Another platform is KR_E_INVALID and
 * names what there is. */
int kr_image_get(struct kr_repo *repo, const char *what, struct kr_image *out,
                 struct kr_err *err) KR_MUST_USE;

/* Digest of the manifest behind a tag or digest, by HEAD. KR_E_NOT_FOUND when there is none. */
int kr_manifest_head(struct kr_repo *repo, const char *what, char digest[KR_DIGEST_SIZE],
                     struct kr_err *err) KR_MUST_USE;

struct kr_manifest_ask {
    struct kr_repo *repo; /* all with the same client */
    const char *what;
    /* results */
    char digest[KR_DIGEST_SIZE];
    int rc;
    struct kr_err err;
};

#define KR_MANIFEST_ASKS_MAX 4

/* kr_manifest_head for several at once. After one without an answer the others fail like it. */
void kr_manifest_heads(struct kr_manifest_ask *asks, size_t n);

/* A small blob into memory, verified. */
int kr_blob_get(struct kr_repo *repo, const char *digest, struct kr_buf *out,
                struct kr_err *err) KR_MUST_USE;

/* A descriptor is an object with mediaType, digest (valid) and size. */
bool kr_descriptor_valid(const json_t *d);

#endif
