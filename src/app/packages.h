/* SPDX-License-Identifier: Apache-2.0 */
/* Installed packages that the code imports, compared with the requirements. */
#ifndef KR_APP_PACKAGES_H
#define KR_APP_PACKAGES_H

#include "app/deploy.h"
#include "app/make.h"

/* KR_E_INVALID when a file of the project imports a package that neither the requirements nor what
 * they require bring: names it and the line to add. Imports inside functions and those that are
 * guarded against ImportError are sentences only, and so is everything where not all that is
 * installed is known: own base images, install commands, requirements that are not installed here.
 * With request->add_missing the lines are written to the project's list, whole or not at all. */
int kr_packages_check(struct kr_app *app, const struct kr_deploy_request *request,
                      const struct kr_made *made, const char *flavor,
                      struct kr_err *err) KR_MUST_USE;

/* packages_add.c: puts lines into the list that the requirements of the docker settings come from:
 * the file they name, requirements.txt, [project] of pyproject.toml, or a new requirements.txt.
 * *list, the caller's, is its name. */
int kr_packages_add(struct kr_app *app, const struct kr_made *made, const json_t *lines,
                    char **list, struct kr_err *err) KR_MUST_USE;

/* What such a list is called; NULL: it stands in code or comes from a command. Caller frees. */
char *kr_packages_list(const struct kr_made *made) KR_MUST_USE;

#endif
