/* SPDX-License-Identifier: Apache-2.0 */
#include "http/conn.h"

#include <string.h>
#include <strings.h>

unsigned kr_method_bits(struct kr_view name)
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

unsigned kr_method_bit_of(const struct kr_request *req)
{
    return kr_method_bits(kr_view_of(kr_request_method(req)));
}

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
    type = kr_request_known(&conn->req, conn->in, KR_H_CONTENT_TYPE);
    encoding = kr_request_known(&conn->req, conn->in, KR_H_CONTENT_ENCODING);
    if (encoding.p != NULL && !kr_view_eq_nocase(encoding, "identity")) {
        kr_conn_error(conn, 415, "Content-Encoding is not supported, send plain JSON");
        return false;
    }
    if (type.p != NULL ? !is_json_type(type) : conn->front->cfg.guarded && conn->req.has_body) {
        kr_conn_error(conn, 415, "Content-Type must be application/json");
        return false;
    }
    return true;
}

/* A request that is refused before its body was read ends its connection. */
static void no_body_wanted(struct kr_conn *conn)
{
    if (conn->req.has_body)
        conn->keep_alive = false;
    conn->state = KR_C_WAIT;
}

static struct kr_route *look_up(struct kr_conn *conn, unsigned *allowed)
{
    char text[KR_HTTP_URL_MAX];
    struct kr_view path = kr_request_view(conn->in, conn->req.path);
    unsigned bit = kr_method_bit_of(&conn->req);

    *allowed = 0;
    if (path.n <= sizeof(text)) /* it is compared as it is meant: %41 is A */
        path = (struct kr_view){.p = text, .n = kr_percent_decode(path, text)};
    for (struct kr_route *r = conn->front->routes; r != NULL; r = r->next) {
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
    for (const struct kr_route *r = conn->front->routes; r != NULL; r = r->next)
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
    if (!conn->front->ops->allowed(conn))
        return NULL;
    if (conn->req.has_body && !route->takes_body) {
        kr_conn_error(conn, 413, "This path takes no request body");
        return NULL;
    }
    if (!check_body_type(conn, route))
        return NULL;
    conn->state = KR_C_BODY;
    conn->keep_alive = keep;
    return route;
}
