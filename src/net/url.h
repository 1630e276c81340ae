/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of http and https. */
#ifndef KR_NET_URL_H
#define KR_NET_URL_H

#include "base/buf.h"
#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_url {
    bool https;
    struct kr_view host; /* without brackets */
    bool ipv6;
    uint16_t port;       /* the scheme's when none is written */
    struct kr_view path; /* path, query and fragment: may be empty */
};

/* The views point into text. False when it is not http(s)://host[:port][/...] or carries user
 * information or control characters. */
bool kr_url_parse(const char *text, struct kr_url *out);

/* Same scheme, host (any case) and port. The one comparison that decides where credentials go. */
bool kr_url_same_origin(const char *a, const char *b);

/* Is the host this machine (localhost, 127.0.0.0/8, ::1)? */
bool kr_url_is_loopback(const char *url);

/* Location header as an absolute address; NULL when it is not http(s) or leads from https to http.
 * Caller frees. */
char *kr_url_resolve(const char *base, const char *location) KR_MUST_USE;

/* Percent-encodes everything but letters, digits and "-._~", and the characters of `keep`. */
void kr_url_encode(struct kr_buf *out, const char *text, const char *keep);
char *kr_url_decode(struct kr_view text) KR_MUST_USE; /* caller frees; NULL when it holds a NUL */

/* Target of `rel="next"` in a Link header, or NULL. Caller frees. */
char *kr_url_next_link(const char *link) KR_MUST_USE;

/* Host with its port when one is written ("127.0.0.1:8080"), for messages. Caller frees. */
char *kr_url_host(const char *url) KR_MUST_USE;

#endif
