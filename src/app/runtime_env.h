/* SPDX-License-Identifier: Apache-2.0 */
/* Environment and secrets that an app gets: what components, then the stack, then the pipeline
 * say. */
#ifndef KR_APP_RUNTIME_ENV_H
#define KR_APP_RUNTIME_ENV_H

#include "app/app.h"

/* *environment {"NAME":"value"}, *secrets {"NAME":"secret value"} (a name stands in one of them:
 * the last who says it decides), *stack {"container_registry":{name,flavor,config},...} with
 * references resolved. */
int kr_runtime_env(struct kr_app *app, const json_t *deployment, const json_t *document,
                   json_t **environment, json_t **secrets, json_t **stack,
                   struct kr_err *err) KR_MUST_USE;

#endif
