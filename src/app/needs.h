/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment needs where it goes, looked at before anything is created or recorded. */
#ifndef KR_APP_NEEDS_H
#define KR_APP_NEEDS_H

#include "app/make.h"
#include "app/target.h"
#include "core/files.h"

/* Compares what the code needs with the files that are sent. left_out: sentences of the bundle
 * about what it left out. stays: the folder itself is what will run, so what is missing
 * is said and no more. */
int kr_needs_code(struct kr_app *app, const struct kr_made *made, bool stays,
                  const struct kr_files *sent, const json_t *left_out,
                  struct kr_err *err) KR_MUST_USE;

/* Programs for the processor it is sent to, requirements that can be read, and a value for each
 * ${NAME} in them. machine gets that processor, for target->what.machine of this and later targets.
 * Nothing is asked of the local deployer, which runs the code with the programs and packages of
 * this machine. */
int kr_needs_check(struct kr_target *target, char machine[16], struct kr_err *err) KR_MUST_USE;

/* Value of ${NAME} in the requirements where they are installed: a variable of the docker settings
 * or the deployment, or (*secret) a key of its secrets. KR_E_NOT_FOUND when nobody gives one.
 * *value is borrowed. */
int kr_needs_variable(const struct kr_target *target, const char *name, const char **value,
                      bool *secret, struct kr_err *err) KR_MUST_USE;

#endif
