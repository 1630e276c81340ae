/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine has and lacks. */
#ifndef KR_APP_DOCTOR_H
#define KR_APP_DOCTOR_H

#include "app/app.h"

/* Rows {"check","status":"ok"|"warn"|"fail","detail","hint"}. app NULL: it could not be opened, for
 * the reason in `why`. Values of secrets are not in any row. */
int kr_doctor(struct kr_app *app, const struct kr_err *why, json_t **rows,
              struct kr_err *err) KR_MUST_USE;

/* The same for what deploying with that flavor needs: Python, Docker, a token. */
json_t *kr_doctor_deployer(struct kr_app *app, const char *flavor) KR_MUST_USE;

#endif
