/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that a worker answers. */
#ifndef KR_SERVE_INVOKE_H
#define KR_SERVE_INVOKE_H

#include "serve/client.h"

void kr_invoke_submit(struct kr_client *client, enum kr_kind kind, int64_t timeout_ms);
void kr_invoke_left(struct kr_client *client); /* the client went while a worker had its request */

/* custom.c: endpoints of the pipeline's own, and everything when it has middleware. */
void kr_custom_submit(struct kr_client *client, int64_t timeout_ms);
void kr_custom_reply(struct kr_client *client, const struct kr_answer *a);
void kr_custom_begin(struct kr_client *client, struct kr_view head, int status);
void kr_custom_left(struct kr_client *client); /* it has ended its side */

#endif
