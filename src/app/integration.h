/* SPDX-License-Identifier: Apache-2.0 */
/* Integrations: sets of Python packages, and what is part of Kourou itself. */
#ifndef KR_APP_INTEGRATION_H
#define KR_APP_INTEGRATION_H

#include "app/app.h"

/* One row of kr_integrations, or KR_E_NOT_FOUND with the nearest name. */
int kr_integration_row(const char *name, json_t **row, struct kr_err *err) KR_MUST_USE;

/* All as rows {"integration","built_in","required_packages":[...]}. Caller's. */
json_t *kr_integrations_all(void) KR_MUST_USE;

/* Adds "installed" to each row: built in, or all its packages are in the user's Python. Without a
 * Python only what is built in counts. */
void kr_integrations_look(struct kr_app *app, json_t *rows);

enum kr_pip { KR_PIP_INSTALL, KR_PIP_UNINSTALL, KR_PIP_UPGRADE };

/* Runs pip (or uv) of the user's Python for the packages; its output goes to
 * stderr. */
int kr_integration_pip(struct kr_app *app, enum kr_pip what, const json_t *packages, bool uv,
                       struct kr_err *err) KR_MUST_USE;

#endif
