/* SPDX-License-Identifier: Apache-2.0 */
/* Which C library a file is, and which wheels run with it. */
#ifndef KR_OCI_LIBC_VERSION_H
#define KR_OCI_LIBC_VERSION_H

#include "base/json.h"

#include <stdbool.h>

struct kr_libc {
    bool musl;
    int minor; /* glibc 2.<minor>, musl 1.<minor>; 0: not known */
};

/* Reads the version out of a C library for x86-64; false when it is none. */
bool kr_libc_version(const char *bytes, size_t n, struct kr_libc *out);

/* Platform tags of the wheels that run with it, best first, as pip orders them: ["manylinux_2_36_
 * x86_64", ..., "linux_x86_64"] with the older names behind their equals. One that is not known
 * counts as what current base images have at least. The caller's. */
json_t *kr_libc_tags(const struct kr_libc *libc) KR_MUST_USE;

/* uv's name for the newest of them that it has a name for. Caller frees. */
char *kr_libc_uv_platform(const struct kr_libc *libc) KR_MUST_USE;

#endif
