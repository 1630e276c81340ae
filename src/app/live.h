/* SPDX-License-Identifier: Apache-2.0 */
/* How deployments are right now. */
#ifndef KR_APP_LIVE_H
#define KR_APP_LIVE_H

#include "app/app.h"

/* Looks at the deployments of full records, all at once and for at most limit_ms, and puts status,
 * url, page_url into the rows; the store learns what changed. "state_note": what the deployer says
 * about it; "unread": true when it could not be read and the row shows the stored state. */
void kr_live_rows(struct kr_app *app, json_t *rows, int64_t limit_ms);

#endif
