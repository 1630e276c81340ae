/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_printable(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p <= 0x20 || *p == 0x7f)
            return false;
    }
    return true;
}

static bool take_port(struct kr_view text, uint16_t *port)
{
    uint64_t value;

    if (!kr_view_u64(text, &value) || value == 0 || value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool take_authority(struct kr_view all, struct kr_url *out)
{
    const char *end;

    if (all.n == 0 || memchr(all.p, '@', all.n) != NULL)
        return false;
    if (all.p[0] == '[') {
        end = memchr(all.p, ']', all.n);
        if (end == NULL || end == all.p + 1)
            return false;
        out->ipv6 = true;
        out->host = (struct kr_view){all.p + 1, (size_t)(end - all.p) - 1};
        end++;
    } else {
        end = memchr(all.p, ':', all.n);
        if (end == NULL)
            end = all.p + all.n;
        out->host = (struct kr_view){all.p, (size_t)(end - all.p)};
        if (out->host.n == 0)
            return false;
    }
    if (end == all.p + all.n)
        return true;
    return *end == ':' &&
           take_port((struct kr_view){end + 1, (size_t)(all.p + all.n - end) - 1}, &out->port);
}

bool kr_url_parse(const char *text, struct kr_url *out)
{
    size_t scheme;

    *out = (struct kr_url){0};
    if (text == NULL || !is_printable(text))
        return false;
    if (strncasecmp(text, "https://", 8) == 0) {
        *out = (struct kr_url){.https = true, .port = 443};
        scheme = 8;
    } else if (strncasecmp(text, "http://", 7) == 0) {
        out->port = 80;
        scheme = 7;
    } else {
        return false;
    }
    text += scheme;
    scheme = strcspn(text, "/?#\\");
    if (text[scheme] == '\\') /* read as a slash by some, as part of the host by others */
        return false;
    out->path = kr_view_of(text + scheme);
    return take_authority((struct kr_view){text, scheme}, out);
}

bool kr_url_same_origin(const char *a, const char *b)
{
    struct kr_url x, y;

    return kr_url_parse(a, &x) && kr_url_parse(b, &y) && x.https == y.https && x.port == y.port &&
           x.host.n == y.host.n && strncasecmp(x.host.p, y.host.p, x.host.n) == 0;
}

bool kr_url_is_loopback(const char *url)
{
    struct kr_url u;
    char host[64];

    if (!kr_url_parse(url, &u) || u.host.n >= sizeof(host))
        return false;
    (void)snprintf(host, sizeof(host), KR_VIEW_FMT, KR_VIEW_ARG(u.host));
    if (u.ipv6)
        return strcmp(host, "::1") == 0;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    return kr_starts_with(host, "127.") && strspn(host, "0123456789.") == strlen(host);
}

/* Folder of the path of base: up to and with its last slash, without the query. */
static struct kr_view folder_of(struct kr_view path)
{
    size_t n = 0, end = 0;

    while (end < path.n && path.p[end] != '?' && path.p[end] != '#') {
        if (path.p[end] == '/')
            n = end + 1;
        end++;
    }
    return (struct kr_view){path.p, n};
}

char *kr_url_resolve(const char *base, const char *location)
{
    struct kr_url from, to;
    kr_auto_free char *made = NULL;
    struct kr_view origin;

    if (!kr_url_parse(base, &from) || location == NULL || location[0] == '\0' ||
        !is_printable(location))
        return NULL;
    origin = (struct kr_view){base, (size_t)(from.path.p - base)};
    if (strncasecmp(location, "http://", 7) == 0 || strncasecmp(location, "https://", 8) == 0)
        made = kr_strdup(location);
    else if (kr_starts_with(location, "//"))
        made = kr_asprintf("%s:%s", from.https ? "https" : "http", location);
    else if (location[0] == '/')
        made = kr_asprintf(KR_VIEW_FMT "%s", KR_VIEW_ARG(origin), location);
    else if (location[strcspn(location, ":/?#")] == ':')
        return NULL; /* another scheme */
    else
        made =
            kr_asprintf(KR_VIEW_FMT "%s" KR_VIEW_FMT "%s", KR_VIEW_ARG(origin),
                        from.path.n == 0 ? "/" : "", KR_VIEW_ARG(folder_of(from.path)), location);
    if (!kr_url_parse(made, &to) || (from.https && !to.https))
        return NULL;
    return kr_steal(&made);
}

void kr_url_encode(struct kr_buf *out, const char *text, const char *keep)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL || strchr(keep, *text) != NULL)
            kr_buf_addc(out, *text);
        else
            kr_buf_addf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

char *kr_url_decode(struct kr_view text)
{
    kr_auto_free char *out = kr_malloc(text.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '%' && i + 2 < text.n && hex_value(text.p[i + 1]) >= 0 &&
            hex_value(text.p[i + 2]) >= 0) {
            c = (char)(hex_value(text.p[i + 1]) * 16 + hex_value(text.p[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return NULL;
        out[n++] = c;
    }
    out[n] = '\0';
    return kr_steal(&out);
}

/* Do the parameters behind a link target hold rel=next? */
static bool is_next(struct kr_view params)
{
    struct kr_view param, name;

    while (params.n != 0) {
        (void)kr_view_cut(&params, ';', &param);
        if (!kr_view_cut(&param, '=', &name) || !kr_view_eq_nocase(kr_view_trim(name), "rel"))
            continue;
        param = kr_view_trim(param);
        if (param.n >= 2 && param.p[0] == '"' && param.p[param.n - 1] == '"')
            param = (struct kr_view){param.p + 1, param.n - 2};
        if (kr_view_eq_nocase(param, "next"))
            return true;
    }
    return false;
}

char *kr_url_next_link(const char *link)
{
    const char *at = link;

    while (at != NULL && (at = strchr(at, '<')) != NULL) {
        const char *end = strchr(at, '>');
        size_t n;

        if (end == NULL)
            return NULL;
        n = strcspn(end + 1, ",");
        if (is_next((struct kr_view){end + 1, n}))
            return kr_strndup(at + 1, (size_t)(end - at) - 1);
        at = end + 1 + n;
    }
    return NULL;
}

char *kr_url_host(const char *url)
{
    struct kr_url u;
    const char *host;

    if (!kr_url_parse(url, &u))
        return kr_strdup("?");
    host = u.ipv6 ? u.host.p - 1 : u.host.p;
    return kr_strndup(host, (size_t)(u.path.p - host));
}
