/* SPDX-License-Identifier: Apache-2.0 */
/* Files and paths. Names that come from outside become paths only through kr_path_under(). */
#ifndef KR_BASE_PATH_H
#define KR_BASE_PATH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

/* "a/b"; an absolute b wins. Caller frees. */
char *kr_path_join(const char *a, const char *b) KR_MUST_USE;

/* The folder that a path lies in; "/" of what lies in none. Caller frees. */
char *kr_path_parent(const char *path) KR_MUST_USE;

/* Checked door for outside names: a relative path below a root, of components that are not empty,
 * ".", "..", and without NUL or control characters. Returns 0 or an error that names the path. */
int kr_path_check_relative(const char *name, struct kr_err *err) KR_MUST_USE;

/* root + "/" + checked name. *out is the caller's. */
int kr_path_under(const char *root, const char *name, char **out, struct kr_err *err) KR_MUST_USE;

/* Appends the whole file to buf, up to its maximum (an error that names both beyond it). */
int kr_file_read(const char *path, struct kr_buf *buf,
                 struct kr_err *err) KR_MUST_USE KR_ERR_OPTIONAL;

/* Writes a temporary file beside path, syncs it and renames it: readers see old or new, never
 * half. */
int kr_file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode,
                         struct kr_err *err) KR_MUST_USE KR_ERR_OPTIONAL;

/* mkdir -p; new folders get mode. Existing ones are left as they are. */
int kr_mkdir_p(const char *path, mode_t mode, struct kr_err *err) KR_MUST_USE KR_ERR_OPTIONAL;

/* rm -rf below and including path, without following symbolic links; a missing path is fine. */
int kr_remove_tree(const char *path, struct kr_err *err) KR_MUST_USE KR_ERR_OPTIONAL;

bool kr_path_exists(const char *path);
bool kr_path_is_dir(const char *path);

/* Looks a program up in $PATH (or checks a path with a slash). Caller frees; NULL when not
 * found. */
char *kr_path_find_program(const char *name) KR_MUST_USE;

/* Folder of the running program's file, symbolic links resolved. Caller frees; NULL on failure. */
char *kr_path_of_self(void) KR_MUST_USE;

/* ~ and ~/x expanded with $HOME. Caller frees. */
char *kr_path_expand_home(const char *path) KR_MUST_USE;

#endif
