/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler a request gets. */
#ifndef KR_HTTP_ROUTE_H
#define KR_HTTP_ROUTE_H

#include "base/view.h"
#include "http/request.h"
#include "http/stats.h"

#include <stdbool.h>
#include <stddef.h>

struct kr_conn;
struct kr_front;

enum kr_method_bit {
    KR_M_GET = 1, /* HEAD comes with it */
    KR_M_POST = 2,
    KR_M_PUT = 4,
    KR_M_PATCH = 8,
    KR_M_DELETE = 16,
    KR_M_OPTIONS = 32
};

/* Called when the whole request is there; must end in kr_conn_reply() now or later. */
typedef void (*kr_handler)(struct kr_conn *conn);

/* The owner of a front makes them, as the first member of something larger if it likes. */
struct kr_route {
    char *path; /* exact, or with {name} segments, or ending in {name:path} */
    size_t path_n;
    char *label; /* for metrics and log */
    unsigned methods;
    bool pattern;
    bool auth;
    bool run_data; /* shows or changes what other web sites must not */
    bool probe;    /* asked by supervisors, under whatever name */
    bool takes_body;
    bool json_body; /* the body must be JSON: else 415 */
    bool any_type;  /* the handler takes what it is sent */
    bool uploads; /* the handler is called when the head is there, and gets the body as it comes */
    kr_handler handler;
    struct kr_route_stats stats;
    struct kr_route *next;
};

/* Route of a head, or NULL after the request was refused. */
struct kr_route *kr_route_find(struct kr_conn *conn);
/* 0: no method of ours; "*" is all of them. */
unsigned kr_method_bits(struct kr_view name);
unsigned kr_method_bit_of(const struct kr_request *req);
/* 405 (or 404) for a request whose method the parser does not know; its head was not parsed. */
void kr_route_unknown_method(struct kr_conn *conn);

#endif
