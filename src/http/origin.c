/* SPDX-License-Identifier: Apache-2.0 */
/* Other web sites. A deployment without a key that only this machine can reach is still reached by
 * every page that its user looks at: whatever the content type, such a page is told apart by what
 * the browser says of it (Origin, Sec-Fetch-Site), and by the name it used (Host), which a page can
 * let point at this machine. Programs send neither of the first two, and a name that nobody outside
 * can own. */
#include "http/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define WAY_IN "name it in allow_origins of the setting cors, or deploy with auth_key, to let it in"

bool kr_origin_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host, &v6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/* "name:port" or "[v6]:port" in its two parts; the port is empty without one. */
static void split_authority(struct kr_view authority, struct kr_view *name, struct kr_view *port)
{
    const char *close =
        authority.n > 0 && authority.p[0] == '[' ? memchr(authority.p, ']', authority.n) : NULL;
    const char *from = close != NULL ? close : authority.p;
    const char *colon = memchr(from, ':', authority.n - (size_t)(from - authority.p));
    const char *end = authority.p + authority.n;

    *name =
        (struct kr_view){authority.p, colon != NULL ? (size_t)(colon - authority.p) : authority.n};
    *port = colon != NULL ? (struct kr_view){colon + 1, (size_t)(end - colon - 1)}
                          : (struct kr_view){end, 0};
    if (name->n > 1 && name->p[name->n - 1] == '.')
        name->n--;
}

/* Whether an origin ("https://a.example:8443") means this authority. */
static bool names_authority(struct kr_view origin, struct kr_view authority)
{
    const char *sep = memmem(origin.p, origin.n, "://", 3);
    struct kr_view name, port, own_name, own_port;
    const char *usual;

    if (sep == NULL)
        return false;
    usual = sep - origin.p == 5 && strncasecmp(origin.p, "https", 5) == 0 ? "443" : "80";
    origin.n -= (size_t)(sep + 3 - origin.p);
    origin.p = sep + 3;
    split_authority(origin, &name, &port);
    split_authority(authority, &own_name, &own_port);
    port = port.n > 0 ? port : kr_view_of(usual);
    own_port = own_port.n > 0 ? own_port : kr_view_of(usual);
    return name.n == own_name.n && strncasecmp(name.p, own_name.p, name.n) == 0 &&
           port.n == own_port.n && memcmp(port.p, own_port.p, port.n) == 0;
}

static bool ends_in(struct kr_view name, const char *end)
{
    size_t n = strlen(end);

    return name.n > n && strncasecmp(name.p + name.n - n, end, n) == 0;
}

static bool is_address(struct kr_view name)
{
    char text[64];
    struct in6_addr v6;
    struct in_addr v4;

    if (name.n > 2 && name.p[0] == '[')
        name = (struct kr_view){name.p + 1, name.n - 2};
    if (name.n >= sizeof(text))
        return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1;
}

/* Name of the host in a URL or an origin. */
static bool has_name(const char *url, struct kr_view name)
{
    struct kr_view rest = kr_view_of(url != NULL ? url : ""), authority, other, port;
    const char *sep = memmem(rest.p, rest.n, "://", 3);

    if (sep == NULL)
        return false;
    rest.n -= (size_t)(sep + 3 - rest.p);
    rest.p = sep + 3;
    (void)kr_view_cut(&rest, '/', &authority);
    split_authority(authority, &other, &port);
    return other.n == name.n && name.n > 0 && strncasecmp(other.p, name.p, name.n) == 0;
}

/* Addresses, and names that only this machine or its own network can have given. */
static bool host_is_ours(const struct kr_front *front, struct kr_view host)
{
    const struct kr_cors *cors = &front->cfg.cors;
    struct kr_view name, port;

    if (host.p == NULL || cors->any_origin)
        return true;
    split_authority(host, &name, &port);
    if (memchr(name.p, '.', name.n) == NULL && name.p[0] != '[')
        return true;
    if (is_address(name) || ends_in(name, ".localhost") || ends_in(name, ".internal"))
        return true;
    for (size_t i = 0; i < json_array_size(cors->origins); i++) {
        if (has_name(json_string_value(json_array_get(cors->origins, i)), name))
            return true;
    }
    return has_name(front->cfg.public_url, name);
}

static void refuse(struct kr_conn *conn, const char *why, struct kr_view who)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(2048);

    kr_buf_addf(&text, "Refused: %s %.*s; " WAY_IN, why, who.n < 300 ? (int)who.n : 300, who.p);
    kr_conn_error(conn, 403, kr_buf_str(&text));
}

/* What the browser says of the page that asks. */
static bool page_may(const struct kr_conn *conn)
{
    struct kr_view origin = kr_request_known(&conn->req, conn->in, KR_H_ORIGIN);
    struct kr_view site = kr_request_known(&conn->req, conn->in, KR_H_FETCH_SITE);
    struct kr_view host = kr_request_known(&conn->req, conn->in, KR_H_HOST);

    if (site.p != NULL && kr_view_eq_nocase(site, "same-origin"))
        return true;
    if (origin.p != NULL)
        return kr_cors_allows(&conn->front->cfg.cors, origin) ||
               ((site.p == NULL || kr_view_eq_nocase(site, "none")) && host.p != NULL &&
                names_authority(origin, host));
    return site.p == NULL || kr_view_eq_nocase(site, "none") || conn->front->cfg.cors.any_origin;
}

bool kr_origin_check(struct kr_conn *conn, bool run_data)
{
    struct kr_view origin = kr_request_known(&conn->req, conn->in, KR_H_ORIGIN);
    struct kr_view host = kr_request_known(&conn->req, conn->in, KR_H_HOST);

    if (!conn->front->cfg.guarded)
        return true;
    if (!host_is_ours(conn->front, host)) {
        refuse(conn, "this deployment has no key and does not answer to the name", host);
        return false;
    }
    if (run_data && !page_may(conn)) {
        refuse(conn, "this deployment has no key and does not answer to the web site",
               origin.p != NULL ? origin : kr_view_of("that asks"));
        return false;
    }
    return true;
}
