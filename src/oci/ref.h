/* SPDX-License-Identifier: Apache-2.0 */
/* Image references: [registry/]repository[:tag][@digest], read as Docker reads them. */
#ifndef KR_OCI_REF_H
#define KR_OCI_REF_H

#include "base/attrs.h"
#include "base/err.h"

#include <stdbool.h>

#define KR_DIGEST_SIZE 72 /* "sha256:" + 64 hex + NUL */

struct kr_ref {
    char *registry;   /* "docker.io", "localhost:5000", "[::1]:5000" */
    char *repository; /* "library/python" */
    char *tag;        /* NULL when none was written */
    char *digest;     /* "sha256:..." or NULL */
};

#define KR_REF_INIT                                                                                \
    {                                                                                              \
        .registry = NULL                                                                           \
    }
void kr_ref_finish(struct kr_ref *ref);
#define kr_auto_ref kr_auto(kr_ref_finish)

/* Normalises: "python" is docker.io/library/python. A first part with a dot, a colon, an upper-case
 * letter, or "localhost" is a registry. The tag stays NULL when there is none (callers mean
 * latest). */
int kr_ref_parse(const char *text, struct kr_ref *out, struct kr_err *err) KR_MUST_USE;

/* Whole reference in normal form; caller frees. */
char *kr_ref_text(const struct kr_ref *ref) KR_MUST_USE;

/* "registry/repository@digest"; caller frees. */
char *kr_ref_with_digest(const struct kr_ref *ref, const char *digest) KR_MUST_USE;

/* What stands behind /manifests/: the digest, else the tag, else "latest". Borrowed. */
const char *kr_ref_what(const struct kr_ref *ref);

/* Host that serves the registry's interface: registry-1.docker.io for docker.io. Borrowed. */
const char *kr_ref_host(const char *registry);

/* "sha256:" and 64 lower-case hex digits. */
bool kr_digest_valid(const char *digest);

/* A tag made of any text: what tags do not allow becomes '-'. Caller frees. */
char *kr_ref_tag_of(const char *text) KR_MUST_USE;

#endif
