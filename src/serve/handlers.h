/* SPDX-License-Identifier: Apache-2.0 */
/* What is behind the paths of a deployment. */
#ifndef KR_SERVE_HANDLERS_H
#define KR_SERVE_HANDLERS_H

#include "base/json.h"

struct kr_conn;
struct kr_server;

void kr_handle_invoke(struct kr_conn *conn);
void kr_handle_custom(struct kr_conn *conn);
void kr_handle_health(struct kr_conn *conn);
void kr_handle_ready(struct kr_conn *conn); /* what /health says, where no endpoint can be put */
void kr_handle_livez(struct kr_conn *conn);
void kr_handle_info(struct kr_conn *conn);
void kr_handle_metrics(struct kr_conn *conn);
void kr_handle_openapi(struct kr_conn *conn);
void kr_handle_docs(struct kr_conn *conn);
void kr_handle_redoc(struct kr_conn *conn);
void kr_handle_dashboard(struct kr_conn *conn);
void kr_handle_runs(struct kr_conn *conn);

json_t *kr_info_json(struct kr_server *srv);   /* caller's */
void kr_openapi_forget(struct kr_server *srv); /* the next request makes it anew */
bool kr_auth_check(struct kr_conn *conn);      /* false: 401 was sent */

#endif
