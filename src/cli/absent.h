/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of the grammar that have no counterpart here, and what does their work instead. */
#ifndef KR_CLI_ABSENT_H
#define KR_CLI_ABSENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether `path` ("deployer connect") is such a command: then *err says what to use. */
bool kr_absent(const char *prog, const char *path, struct kr_err *err) KR_MUST_USE;

/* The table, by number; false past the end. "*" as a path's first word stands for every component
 * group. */
bool kr_absent_at(size_t i, const char **path, const char **instead);

#endif
