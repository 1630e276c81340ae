/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be known about a base image before layers can be put on it. */
#ifndef KR_OCI_BASE_IMAGE_H
#define KR_OCI_BASE_IMAGE_H

#include "oci/cache.h"
#include "oci/manifest.h"

struct kr_base_python {
    int minor;  /* 3.<minor> */
    char *bin;  /* folder of python3: "/usr/local/bin" */
    char *site; /* where packages go: "/usr/local/lib/python3.11/site-packages" */
};
void kr_base_python_finish(struct kr_base_python *python);
#define kr_auto_base_python kr_auto(kr_base_python_finish)

/* As kr_image_get, but what is known of the digest behind the tag is not fetched again. */
int kr_base_get(struct kr_repo *repo, struct kr_cache *cache, const char *what,
                struct kr_image *out, struct kr_err *err) KR_MUST_USE;

/* The Python of the image: told by the official images' variable, else found by reading the layers
 * (fetched into the cache once). Without Python, older than 3.9, or with musl instead of glibc is
 * KR_E_INVALID with the way out. name: the reference, for messages. */
int kr_base_find_python(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                        const char *name, struct kr_base_python *out,
                        struct kr_err *err) KR_MUST_USE;

/* A blob into the cache, verified; nothing is fetched when it is there. */
int kr_blob_to_cache(struct kr_repo *repo, struct kr_cache *cache, const char *digest,
                     struct kr_err *err) KR_MUST_USE;

#endif
