/* SPDX-License-Identifier: Apache-2.0 */
/* Which ignore file leaves a path out of the bundle. */
#ifndef KR_PACK_IGNORE_FIND_H
#define KR_PACK_IGNORE_FIND_H

#include "base/err.h"

/* path is relative to the root. *what: the topmost ignored part of the path ("data/" of a folder,
 * or the path), *file: name of the ignore file that says so ("sub/.gitignore";
 * ".git/info/exclude"); both are the caller's, and NULL when no ignore file names it. */
int kr_ignore_find(const char *root, const char *path, char **file, char **what,
                   struct kr_err *err) KR_MUST_USE;

#endif
