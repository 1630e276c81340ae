/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be known about a base image before layers can be put on it. */
#ifndef KR_OCI_BASE_IMAGE_H
#define KR_OCI_BASE_IMAGE_H

#include "oci/base_tree.h"
#include "oci/cache.h"
#include "oci/manifest.h"

/* As kr_image_get, but what is known of the digest behind the tag is not fetched again. */
int kr_base_get(struct kr_repo *repo, struct kr_cache *cache, const char *what,
                struct kr_image *out, struct kr_err *err) KR_MUST_USE;

/* The files of the image, from its layers, which are fetched into the cache once. */
int kr_base_read(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                 struct kr_base_tree *out, struct kr_err *err) KR_MUST_USE;

/* A blob into the cache, verified; nothing is fetched when it is there. */
int kr_blob_to_cache(struct kr_repo *repo, struct kr_cache *cache, const char *digest,
                     struct kr_err *err) KR_MUST_USE;

#endif
