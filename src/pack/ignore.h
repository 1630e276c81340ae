/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore rules with the meaning git gives them: the last matching pattern wins, files in deeper
 * folders win over those above, `!` takes a path back in, a trailing slash means folders only, a
 * slash elsewhere anchors the pattern to the folder of its file, `**` crosses folders. */
#ifndef KR_PACK_IGNORE_H
#define KR_PACK_IGNORE_H

#include "base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

struct kr_ignore; /* the rules of one folder, chained to those of the folder above */

/* base: the folder's path relative to the top ("" for the top itself). The parent is borrowed and
 * must outlive the new one. */
struct kr_ignore *kr_ignore_create(const struct kr_ignore *parent, const char *base) KR_MUST_USE;
void kr_ignore_destroy(struct kr_ignore *rules);

/* Adds the lines of an ignore file; later lines win over earlier ones. */
void kr_ignore_add(struct kr_ignore *rules, const char *text, size_t n);

/* The same for a file of ours: its lines with `!` also say that a file is meant to be sent. */
void kr_ignore_add_own(struct kr_ignore *rules, const char *text, size_t n);

/* Whether a line with `!` of ours names the path, and none behind it leaves it out. One with
 * nothing but asterisks in its last part names nothing. */
bool kr_ignore_takes(const struct kr_ignore *rules, const char *path, bool is_dir);

/* Whether such a line may name something below the folder. */
bool kr_ignore_takes_below(const struct kr_ignore *rules, const char *folder);

/* What the rules say about a path relative to the top. The caller does not ask for anything below a
 * folder that is ignored. NULL rules ignore nothing. */
bool kr_ignore_match(const struct kr_ignore *rules, const char *path, bool is_dir);

/* One pattern against a whole path, without anchoring and folder rules: `*` and `?` stop at
 * slashes. */
bool kr_glob_match(const char *pattern, const char *text);

#endif
