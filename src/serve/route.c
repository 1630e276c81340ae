/* SPDX-License-Identifier: Apache-2.0 */
/* Which handler a request gets: default endpoints, and custom ones as the worker reports them. */
#include "serve/serve.h"

#include "base/alloc.h"
#include "base/log.h"

#include <string.h>
#include <strings.h>

static struct kr_route *add(struct kr_server *srv, const char *path, unsigned methods,
                            kr_handler handler)
{
    struct kr_route *route = kr_calloc(1, sizeof(*route)), **link = &srv->routes;

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

    route->kind = kind;
    route->auth = route->run_data = route->json_body = route->takes_body = true;
}

static void add_fixed(struct kr_server *srv, const char *path, kr_handler handler)
{
    struct kr_route *route = add(srv, path, KR_M_GET, handler);

    route->fixed = route->probe = true;
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

static void free_route(struct kr_route *route)
{
    free(route->method);
    free(route->said);
    free(route->path);
    free(route->label);
    free(route);
}

void kr_routes_finish(struct kr_server *srv)
{
    while (srv->routes != NULL) {
        struct kr_route *route = srv->routes;

        srv->routes = route->next;
        free_route(route);
    }
}

/* -- custom endpoints -------------------------------------------------------------------------- */

static unsigned method_bit(struct kr_view name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } methods[] = {{"GET", KR_M_GET},         {"HEAD", KR_M_GET},
                   {"POST", KR_M_POST},       {"PUT", KR_M_PUT},
                   {"PATCH", KR_M_PATCH},     {"DELETE", KR_M_DELETE},
                   {"OPTIONS", KR_M_OPTIONS}, {"*", 63}};

    for (size_t i = 0; i < KR_ARRAY_LEN(methods); i++) {
        if (kr_view_eq_nocase(name, methods[i].name))
            return methods[i].bit;
    }
    return 0;
}

unsigned kr_method_bit_of(const struct kr_http *http)
{
    return method_bit(kr_view_of(kr_http_method(http)));
}

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
static void insert_custom(struct kr_server *srv, struct kr_route *route)
{
    struct kr_route **link = &srv->routes;

    while (*link != NULL && (*link)->fixed)
        link = &(*link)->next;
    while (*link != NULL && (route->mounted ? (*link)->handler != kr_handle_dashboard
                                            : (*link)->said != NULL && !(*link)->mounted))
        link = &(*link)->next;
    route->next = *link;
    *link = route;
}

static void add_custom(struct kr_server *srv, const json_t *ready, const json_t *spec)
{
    const char *path = kr_json_str(spec, "path", ""), *method = kr_json_str(spec, "method", "GET");
    kr_auto_buf struct kr_buf full = KR_BUF_INIT(2048);
    unsigned bit = method_bit(kr_view_of(method));
    bool uploads = is_listed(ready, "uploads", method, path);
    bool on_loop = is_listed(ready, "loop", method, path);
    bool mounted = kr_json_bool(spec, "mounted", false);
    struct kr_route *route = NULL;

    kr_buf_adds(&full, srv->cfg.api_prefix);
    if (path[0] != '/')
        kr_buf_addc(&full, '/');
    kr_buf_adds(&full, path);
    if (full.failed || bit == 0)
        return;
    for (struct kr_route *r = srv->routes; r != NULL; r = r->next) {
        bool same = strcmp(r->path, full.p) == 0;

        if (same && r->fixed) {
            kr_log(KR_LOG_ERROR, "serve",
                   "endpoint %s %s is left out: the path is the server's own", method, full.p);
            return;
        }
        if (same && r->handler == kr_handle_custom && (r->methods & bit) != 0) {
            r->on_loop = on_loop;
            r->uploads = uploads; /* reported by an earlier worker */
            return;
        }
        if (same && r->handler != kr_handle_custom && (r->methods & bit) != 0)
            r->methods &= ~bit; /* a custom endpoint replaces the default one */
    }
    route = kr_calloc(1, sizeof(*route));
    route->path = kr_buf_steal(&full);
    route->path_n = strlen(route->path);
    route->label = kr_strdup(route->path);
    route->methods = bit;
    route->pattern = strchr(route->path, '{') != NULL;
    route->auth = kr_json_bool(spec, "auth_required", true);
    route->kind = KR_K_CUSTOM;
    route->handler = kr_handle_custom;
    route->any_type = route->takes_body = route->run_data = true;
    route->uploads = uploads;
    route->on_loop = on_loop;
    route->mounted = mounted;
    route->method = kr_strdup(method);
    route->said = kr_strdup(path);
    insert_custom(srv, route);
}

void kr_routes_custom(struct kr_server *srv, const json_t *ready)
{
    const json_t *list = json_object_get(ready, "routes");

    srv->middleware = kr_json_bool(ready, "middleware", false);
    srv->bodies = kr_json_bool(ready, "bodies", false);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_custom(srv, ready, json_array_get(list, i));
}

/* -- matching ---------------------------------------------------------------------------------- */

/* {name} matches one segment, {name:path} the rest. */
static bool matches_pattern(const char *pattern, struct kr_view path)
{
    const char *p = path.p, *end = path.p + path.n;

    while (*pattern != '\0') {
        const char *close = *pattern == '{' ? strchr(pattern, '}') : NULL;

        if (close != NULL && close - pattern >= 5 && strncmp(close - 5, ":path", 5) == 0)
            return true;
        if (close != NULL) {
            const char *start = p;

            while (p < end && *p != '/')
                p++;
            if (p == start)
                return false;
            pattern = close + 1;
        } else {
            if (p == end || *p != *pattern)
                return false;
            p++;
            pattern++;
        }
    }
    return p == end;
}

static bool matches(const struct kr_route *route, struct kr_view path)
{
    if (!route->pattern)
        return route->path_n == path.n && memcmp(route->path, path.p, path.n) == 0;
    return matches_pattern(route->path, path);
}

static void refuse_method(struct kr_conn *conn, unsigned allowed)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{KR_M_GET, "GET, HEAD"}, {KR_M_POST, "POST"},     {KR_M_PUT, "PUT"},
                 {KR_M_PATCH, "PATCH"},   {KR_M_DELETE, "DELETE"}, {KR_M_OPTIONS, "OPTIONS"}};
    static const char detail[] = "{\"detail\":\"Method Not Allowed\"}";
    char allow[128] = "allow: ";
    struct kr_reply reply = {.status = 405, .type = "application/json", .fd = -1};
    size_t n = 7;

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if ((allowed & names[i].bit) != 0)
            n += (size_t)snprintf(allow + n, sizeof(allow) - n, "%s%s", n > 7 ? ", " : "",
                                  names[i].name);
    }
    n += (size_t)snprintf(allow + n, sizeof(allow) - n, "\r\n");
    reply.extra = (struct kr_view){.p = allow, .n = n};
    reply.body = (struct kr_view){.p = detail, .n = sizeof(detail) - 1};
    kr_conn_reply(conn, &reply);
}

static bool is_json_type(struct kr_view type)
{
    struct kr_view head;

    (void)kr_view_cut(&type, ';', &head);
    head = kr_view_trim(head);
    if (kr_view_eq_nocase(head, "application/json"))
        return true;
    return head.n > 17 && strncasecmp(head.p, "application/", 12) == 0 &&
           strncasecmp(head.p + head.n - 5, "+json", 5) == 0;
}

/* Type and encoding of the body. False: refused. */
static bool check_body_type(struct kr_conn *conn, const struct kr_route *route)
{
    struct kr_view type, encoding;

    if (route->any_type || !route->json_body)
        return true;
    type = kr_http_known(&conn->http, conn->in, KR_H_CONTENT_TYPE);
    encoding = kr_http_known(&conn->http, conn->in, KR_H_CONTENT_ENCODING);
    if (encoding.p != NULL && !kr_view_eq_nocase(encoding, "identity")) {
        kr_conn_error(conn, 415, "Content-Encoding is not supported, send plain JSON");
        return false;
    }
    if (type.p != NULL ? !is_json_type(type) : conn->srv->cfg.guarded && conn->http.has_body) {
        kr_conn_error(conn, 415, "Content-Type must be application/json");
        return false;
    }
    return true;
}

/* A request that is refused before its body was read ends its connection. */
static void no_body_wanted(struct kr_conn *conn)
{
    if (conn->http.has_body)
        conn->keep_alive = false;
    conn->state = KR_C_WAIT;
}

static struct kr_route *look_up(struct kr_conn *conn, unsigned *allowed)
{
    char text[KR_HTTP_URL_MAX];
    struct kr_view path = kr_http_view(conn->in, conn->http.path);
    unsigned bit = kr_method_bit_of(&conn->http);

    *allowed = 0;
    if (path.n <= sizeof(text)) /* it is compared as it is meant: %41 is A */
        path = (struct kr_view){.p = text, .n = kr_percent_decode(path, text)};
    for (struct kr_route *r = conn->srv->routes; r != NULL; r = r->next) {
        if (!matches(r, path))
            continue;
        *allowed |= r->methods;
        if ((r->methods & bit) != 0)
            return r;
    }
    return NULL;
}

void kr_route_unknown_method(struct kr_conn *conn)
{
    struct kr_view rest = {.p = conn->in, .n = conn->in_n}, method, path;
    unsigned allowed = 0;

    (void)kr_view_cut(&rest, ' ', &method);
    (void)kr_view_cut(&rest, ' ', &path);
    (void)kr_view_cut(&path, '?', &rest);
    for (const struct kr_route *r = conn->srv->routes; r != NULL; r = r->next)
        allowed |= matches(r, rest) ? r->methods : 0;
    conn->keep_alive = false;
    conn->state = KR_C_WAIT;
    if (allowed != 0)
        refuse_method(conn, allowed);
    else
        kr_conn_error(conn, 404, "Not Found");
}

struct kr_route *kr_route_find(struct kr_conn *conn)
{
    struct kr_route *route;
    unsigned allowed;
    bool keep;

    if (kr_cors_is_preflight(conn)) {
        no_body_wanted(conn);
        kr_cors_preflight(conn);
        return NULL;
    }
    route = look_up(conn, &allowed);
    if (route == NULL) {
        no_body_wanted(conn);
        if (allowed != 0)
            refuse_method(conn, allowed);
        else
            kr_conn_error(conn, 404, "Not Found");
        return NULL;
    }
    conn->route = route;
    keep = conn->keep_alive;
    no_body_wanted(conn);
    if (!route->probe && !kr_origin_check(conn, route->run_data))
        return NULL;
    if (route->auth && !kr_auth_check(conn))
        return NULL;
    if (conn->http.has_body && !route->takes_body) {
        kr_conn_error(conn, 413, "This path takes no request body");
        return NULL;
    }
    if (!check_body_type(conn, route))
        return NULL;
    conn->state = KR_C_BODY;
    conn->keep_alive = keep;
    return route;
}
