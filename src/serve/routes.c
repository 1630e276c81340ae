/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes.h"

#include "base/alloc.h"
#include "base/log.h"
#include "serve/handlers.h"
#include "serve/server.h"

#include <string.h>

static struct kr_route *add(struct kr_server *srv, const char *path, unsigned methods,
                            kr_handler handler)
{
    struct kr_endpoint *endpoint = kr_calloc(1, sizeof(*endpoint));
    struct kr_route *route = &endpoint->route, **link = &srv->front.routes;

    route->path = kr_strdup(path[0] != '\0' ? path : "/");
    route->path_n = strlen(route->path);
    route->label = kr_strdup(route->path);
    route->methods = methods;
    route->handler = handler;
    while (*link != NULL)
        link = &(*link)->next;
    *link = route;
    return route;
}

static void add_invoke(struct kr_server *srv, const char *path, enum kr_kind kind)
{
    struct kr_route *route = add(srv, path, KR_M_POST, kr_handle_invoke);

    kr_endpoint_of(route)->kind = kind;
    route->auth = route->run_data = route->json_body = route->takes_body = true;
}

static void add_fixed(struct kr_server *srv, const char *path, kr_handler handler)
{
    struct kr_route *route = add(srv, path, KR_M_GET, handler);

    route->probe = kr_endpoint_of(route)->fixed = true;
}

void kr_routes_init(struct kr_server *srv)
{
    const struct kr_config *c = &srv->cfg;
    char *home = kr_asprintf("%s/", c->root_prefix);
    struct kr_route *runs;

    add_fixed(srv, KR_PATH_LIVE, kr_handle_livez);
    add_fixed(srv, KR_PATH_READY, kr_handle_ready);
    if ((c->endpoints & KR_EP_INVOKE) != 0) {
        add_invoke(srv, c->invoke_path, KR_K_INVOKE);
        if (c->streams)
            add_invoke(srv, c->stream_path, KR_K_STREAM);
        add_invoke(srv, c->batch_path, KR_K_BATCH);
        runs = add(srv, c->runs_path, KR_M_GET, kr_handle_runs);
        runs->auth = runs->run_data = true;
    }
    if ((c->endpoints & KR_EP_HEALTH) != 0)
        add(srv, c->health_path, KR_M_GET, kr_handle_health)->probe = true;
    if ((c->endpoints & KR_EP_INFO) != 0)
        (void)add(srv, c->info_path, KR_M_GET, kr_handle_info);
    if ((c->endpoints & KR_EP_METRICS) != 0)
        (void)add(srv, c->metrics_path, KR_M_GET, kr_handle_metrics);
    if ((c->endpoints & (KR_EP_DOCS | KR_EP_REDOC)) != 0)
        (void)add(srv, c->openapi_path, KR_M_GET, kr_handle_openapi);
    if ((c->endpoints & KR_EP_DOCS) != 0)
        (void)add(srv, c->docs_path, KR_M_GET, kr_handle_docs);
    if ((c->endpoints & KR_EP_REDOC) != 0)
        (void)add(srv, c->redoc_path, KR_M_GET, kr_handle_redoc);
    if ((c->endpoints & KR_EP_DASHBOARD) != 0) {
        (void)add(srv, home, KR_M_GET, kr_handle_dashboard);
        if (c->dashboard != NULL) { /* last: every other path may be a file of the dashboard */
            kr_auto_free char *all = kr_asprintf("%s/{file:path}", c->root_prefix);

            add(srv, all, KR_M_GET, kr_handle_dashboard)->pattern = true;
        }
    }
    free(home);
}

static void free_endpoint(struct kr_endpoint *endpoint)
{
    free(endpoint->method);
    free(endpoint->said);
    free(endpoint->route.path);
    free(endpoint->route.label);
    free(endpoint);
}

void kr_routes_finish(struct kr_server *srv)
{
    while (srv->front.routes != NULL) {
        struct kr_route *route = srv->front.routes;

        srv->front.routes = route->next;
        free_endpoint(kr_endpoint_of(route));
    }
}

/* -- custom endpoints -------------------------------------------------------------------------- */

/* Whether the worker names an endpoint in one of its lists. */
static bool is_listed(const json_t *ready, const char *which, const char *method, const char *path)
{
    const json_t *list = json_object_get(ready, which);
    kr_auto_free char *name = kr_asprintf("%s %s", method, path);

    for (size_t i = 0; kr_json_bool(ready, "bodies", false) && i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));

        if (one != NULL && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

/* In the order in which the worker says them, as it looks for them itself: before the default ones.
 * Applications have a whole tree of paths and come after those, but before the dashboard's files.
 */
static void insert_custom(struct kr_server *srv, struct kr_endpoint *endpoint)
{
    struct kr_route **link = &srv->front.routes;

    while (*link != NULL && kr_endpoint_of(*link)->fixed)
        link = &(*link)->next;
    while (*link != NULL && (endpoint->mounted ? (*link)->handler != kr_handle_dashboard
                                               : kr_endpoint_of(*link)->said != NULL &&
                                                     !kr_endpoint_of(*link)->mounted))
        link = &(*link)->next;
    endpoint->route.next = *link;
    *link = &endpoint->route;
}

static void add_custom(struct kr_server *srv, const json_t *ready, const json_t *spec)
{
    const char *path = kr_json_str(spec, "path", ""), *method = kr_json_str(spec, "method", "GET");
    kr_auto_buf struct kr_buf full = KR_BUF_INIT(2048);
    unsigned bit = kr_method_bits(kr_view_of(method));
    bool uploads = is_listed(ready, "uploads", method, path);
    bool on_loop = is_listed(ready, "loop", method, path);
    bool mounted = kr_json_bool(spec, "mounted", false);
    struct kr_endpoint *endpoint;
    struct kr_route *route;

    kr_buf_adds(&full, srv->cfg.api_prefix);
    if (path[0] != '/')
        kr_buf_addc(&full, '/');
    kr_buf_adds(&full, path);
    if (full.failed || bit == 0)
        return;
    for (struct kr_route *r = srv->front.routes; r != NULL; r = r->next) {
        bool same = strcmp(r->path, full.p) == 0;

        if (same && kr_endpoint_of(r)->fixed) {
            kr_log(KR_LOG_ERROR, "serve",
                   "endpoint %s %s is left out: the path is the server's own", method, full.p);
            return;
        }
        if (same && r->handler == kr_handle_custom && (r->methods & bit) != 0) {
            kr_endpoint_of(r)->on_loop = on_loop;
            r->uploads = uploads; /* reported by an earlier worker */
            return;
        }
        if (same && r->handler != kr_handle_custom && (r->methods & bit) != 0)
            r->methods &= ~bit; /* a custom endpoint replaces the default one */
    }
    endpoint = kr_calloc(1, sizeof(*endpoint));
    route = &endpoint->route;
    route->path = kr_buf_steal(&full);
    route->path_n = strlen(route->path);
    route->label = kr_strdup(route->path);
    route->methods = bit;
    route->pattern = strchr(route->path, '{') != NULL;
    route->auth = kr_json_bool(spec, "auth_required", true);
    endpoint->kind = KR_K_CUSTOM;
    route->handler = kr_handle_custom;
    route->any_type = route->takes_body = route->run_data = true;
    route->uploads = uploads;
    endpoint->on_loop = on_loop;
    endpoint->mounted = mounted;
    endpoint->method = kr_strdup(method);
    endpoint->said = kr_strdup(path);
    insert_custom(srv, endpoint);
}

void kr_routes_custom(struct kr_server *srv, const json_t *ready)
{
    const json_t *list = json_object_get(ready, "routes");

    srv->middleware = kr_json_bool(ready, "middleware", false);
    srv->bodies = kr_json_bool(ready, "bodies", false);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_custom(srv, ready, json_array_get(list, i));
}
