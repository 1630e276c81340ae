/* SPDX-License-Identifier: Apache-2.0 */
/* Other web sites: what browsers are told they may do, and which pages are kept out. */
#ifndef KR_HTTP_CORS_H
#define KR_HTTP_CORS_H

#include "base/buf.h"
#include "base/json.h"
#include "base/view.h"

#include <stdbool.h>

struct kr_conn;

struct kr_cors {
    bool on, any_origin, any_header, credentials;
    const json_t *origins; /* borrowed, may be NULL */
    const char *methods;   /* "GET, POST" */
    const char *headers;   /* "x-a, x-b"; unused when any_header */
};

/* cors.c */
bool kr_cors_allows(const struct kr_cors *cors, struct kr_view origin);
void kr_cors_headers(const struct kr_conn *conn, struct kr_buf *out);
bool kr_cors_is_preflight(const struct kr_conn *conn);
void kr_cors_preflight(struct kr_conn *conn);

/* origin.c */
bool kr_origin_is_loopback(const char *host);
/* False: 403 was sent. Run data: the path changes or shows what other web sites must not. */
bool kr_origin_check(struct kr_conn *conn, bool run_data);

#endif
