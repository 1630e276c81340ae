/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore files with the meaning Docker gives them: every pattern is anchored to the top, a folder
 * that matches takes all below it along, the last matching line wins, and `!` takes back in even
 * below such a folder. */
#ifndef KR_PACK_DOCKERIGNORE_H
#define KR_PACK_DOCKERIGNORE_H

#include "base/json.h"

#include <stdbool.h>

struct kr_dockerignore;

/* What no context needs, whoever builds it. */
#define KR_DOCKERIGNORE_ALWAYS ".git\n.gitattributes\n.dockerignore\nDockerfile\n"

struct kr_dockerignore *kr_dockerignore_parse(const char *text, size_t n) KR_MUST_USE;
void kr_dockerignore_destroy(struct kr_dockerignore *rules);
KR_DEFINE_AUTO(struct kr_dockerignore *, kr_dockerignore_destroy);
#define kr_auto_dockerignore kr_auto(kr_dockerignore_destroy_p)

/* NULL rules leave nothing out. */
bool kr_dockerignore_match(const struct kr_dockerignore *rules, const char *path);

/* Path that docker settings give: `dockerignore` of build_config (or of the given key), or its
 * older spelling; NULL: none. */
const char *kr_dockerignore_setting(const json_t *docker, const char *key);

/* Rules of that file below root; own: those of .dockerignore when no file is named, and
 * KR_DOCKERIGNORE_ALWAYS. *out is NULL when there is none. */
int kr_dockerignore_load(const char *root, const json_t *docker, bool own,
                         struct kr_dockerignore **out, struct kr_err *err) KR_MUST_USE;

#endif
