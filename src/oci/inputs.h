/* SPDX-License-Identifier: Apache-2.0 */
/* What requirements take from this machine: wheels, folders of wheels and of indexes, sources. */
#ifndef KR_OCI_INPUTS_H
#define KR_OCI_INPUTS_H

#include "base/json.h"
#include "oci/cache.h"

struct kr_inputs {
    const char *requirements;  /* text, or NULL */
    const char *constraints;   /* text, or NULL */
    const json_t *args;        /* ["--find-links=..."], or NULL */
    const json_t *environment; /* {"NAME":"value"} for ${NAME}, or NULL */
};

/* *digest: "sha256:..." over names and contents of all files on this machine that are named there,
 * also by PIP_FIND_LINKS and UV_FIND_LINKS; the same for the same contents, wherever they lie. A
 * file is read again only when it has changed. What is not there does not count: the installer will
 * say so. *files: how many there are. */
int kr_inputs_digest(struct kr_cache *cache, const struct kr_inputs *in,
                     char digest[KR_DIGEST_SIZE], size_t *files, struct kr_err *err) KR_MUST_USE;

#endif
