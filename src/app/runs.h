/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: every deployment keeps a journal of its own; the store gets a copy of what is new in
 * them. */
#ifndef KR_APP_RUNS_H
#define KR_APP_RUNS_H

#include "app/app.h"

/* Fetches runs that the store does not know yet from all deployments that answer, in parallel and
 * for a bounded time. What could not be asked is noted in the ui; only the store's own failures are
 * errors. */
int kr_runs_refresh(struct kr_app *app, struct kr_err *err) KR_MUST_USE;

#endif
