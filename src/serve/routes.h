/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of a deployment: default endpoints, and custom ones as the worker reports them. */
#ifndef KR_SERVE_ROUTES_H
#define KR_SERVE_ROUTES_H

#include "base/json.h"
#include "http/route.h"
#include "serve/frame.h"

struct kr_server;

struct kr_endpoint {
    struct kr_route route; /* first */
    bool fixed;            /* the server's own: no other endpoint or setting takes its place */
    bool on_loop;          /* requests of this one hold no thread of their worker */
    bool mounted;          /* an application: default endpoints go before it */
    char *method, *said;   /* of a custom endpoint, as the worker said it; else NULL */
    enum kr_kind kind;
};

static inline struct kr_endpoint *kr_endpoint_of(const struct kr_route *route)
{
    return (struct kr_endpoint *)(uintptr_t)route;
}

void kr_routes_init(struct kr_server *srv);
void kr_routes_finish(struct kr_server *srv);
void kr_routes_custom(struct kr_server *srv, const json_t *ready);

#endif
