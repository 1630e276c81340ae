/* SPDX-License-Identifier: Apache-2.0 */
/* The Python that the entry point of an image runs, and where its pip would put packages. */
#ifndef KR_OCI_BASE_PYTHON_H
#define KR_OCI_BASE_PYTHON_H

#include "oci/base_image.h"
#include "oci/libc_version.h"

struct kr_base_python {
    int minor;        /* 3.<minor> */
    char *executable; /* what first lines of programs name: "/usr/local/bin/python3" */
    char *purelib;    /* "/usr/local/lib/python3.11/site-packages" */
    char *platlib;    /* the same but where a distribution keeps lib and lib64 apart */
    char *scripts;    /* "/usr/local/bin" */
    char *headers;    /* "/usr/local/include/python3.11"; a folder for each package below it */
    char *data;       /* "/usr/local" */
    struct kr_libc libc;
};
void kr_base_python_finish(struct kr_base_python *python);
#define kr_auto_base_python kr_auto(kr_base_python_finish)

/* Its members by their names, and "musl" and "libc" for the library. The caller's. */
json_t *kr_base_python_json(const struct kr_base_python *python) KR_MUST_USE;

/* The python3 that PATH finds first, PATH being that of `environment` ({"NAME":"value"} or NULL),
 * else the image's own. What it is decides the files of the image: links, pyvenv.cfg and the
 * standard library; PYTHON_VERSION only where these leave a choice. None, one older than 3.9, and
 * one that cannot be told is KR_E_INVALID with the way out. name: the reference, for messages. */
int kr_base_choose_python(const struct kr_base_tree *tree, const struct kr_image *image,
                          const json_t *environment, const char *name, struct kr_base_python *out,
                          struct kr_err *err) KR_MUST_USE;

/* The same with what is known of the image's digest; else its layers are read. */
int kr_base_find_python(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                        const json_t *environment, const char *name, struct kr_base_python *out,
                        struct kr_err *err) KR_MUST_USE;

#endif
