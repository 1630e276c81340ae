/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that call a deployment, ready to be copied. */
#ifndef KR_APP_EXAMPLE_H
#define KR_APP_EXAMPLE_H

#include "app/target.h"

/* Puts "invoke_example" and "curl_example" into row (it has an url). headers: as
 * kr_deployer_headers gives them; their values are replaced by placeholders, but the deployment's
 * own key stays with show_secret. */
void kr_example_add(struct kr_app *app, json_t *row, const struct kr_target *target,
                    const json_t *headers, bool show_secret);

#endif
