/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of names that come from outside. */
#ifndef KR_CORE_NAME_H
#define KR_CORE_NAME_H

#include "base/err.h"

#include <stddef.h>

/* Names of stacks, components, secrets, deployments, snapshots: 1..255 bytes of printable UTF-8
 * without '/', white space at the ends, or control characters. `what` is for the message. */
int kr_name_check(const char *what, const char *name, struct kr_err *err) KR_MUST_USE;

/* Keys of secrets and free --key=value arguments: Python identifiers. */
int kr_identifier_check(const char *what, const char *name, struct kr_err *err) KR_MUST_USE;

/* Name for a Space, container, folder: [^A-Za-z0-9_-] to '-', lower case, '-' stripped at the ends,
 * empty gives "deployment". Caller frees. */
char *kr_name_slug(const char *name) KR_MUST_USE;

/* The candidate nearest to word by edit distance, or NULL when none is near. */
const char *kr_name_nearest(const char *word, const char *const *candidates, size_t count);

#endif
