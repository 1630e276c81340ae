/* SPDX-License-Identifier: Apache-2.0 */
/* How deployments are right now. */
#ifndef KR_APP_LIVE_H
#define KR_APP_LIVE_H

#include "app/app.h"

/* Looks at the deployments of full records, many at once and for at most limit_ms in all, and puts
 * status, url, page_url into the rows; the store learns what changed. "state_note": what the
 * deployer says about it. What could not be read has the status "unknown", why as its state_note,
 * and the bare reason as "unread". KR_E_CANCELLED: Ctrl-C; then no row is to be shown. */
int kr_live_rows(struct kr_app *app, json_t *rows, int64_t limit_ms,
                 struct kr_err *err) KR_MUST_USE;

#endif
