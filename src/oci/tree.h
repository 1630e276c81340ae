/* SPDX-License-Identifier: Apache-2.0 */
/* Folders on disk as lists of files, and back. */
#ifndef KR_OCI_TREE_H
#define KR_OCI_TREE_H

#include "core/files.h"

#include <stdbool.h>

/* Adds every regular file below dir. skip(path) leaves files and folders out; may be NULL. Links
 * are followed when they lead to files. */
int kr_tree_read(const char *dir, bool (*skip)(const char *path), struct kr_files *out,
                 struct kr_err *err) KR_MUST_USE;

/* Writes the files below dir. */
int kr_tree_write(const char *dir, const struct kr_files *files, struct kr_err *err) KR_MUST_USE;

/* A new empty folder below parent (made when missing); caller frees and removes it. */
int kr_tree_temp(const char *parent, char **dir, struct kr_err *err) KR_MUST_USE;

#endif
