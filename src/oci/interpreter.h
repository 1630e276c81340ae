/* SPDX-License-Identifier: Apache-2.0 */
/* The user's own Python: what it says of itself, and work that is given to it. */
#ifndef KR_OCI_INTERPRETER_H
#define KR_OCI_INTERPRETER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* "3.11.2" of an interpreter. */
int kr_python_version(const char *python, char version[32], struct kr_err *err) KR_MUST_USE;

/* Byte code beside every .py below dir, as if dir were image_dir; the same bytes for the same files
 * and Python. Files that do not compile are left alone. cancelled(data): true ends it with
 * KR_E_CANCELLED; or NULL. */
int kr_python_compile(const char *python, const char *dir, const char *image_dir,
                      bool (*cancelled)(void *data), void *data, struct kr_err *err) KR_MUST_USE;

#endif
