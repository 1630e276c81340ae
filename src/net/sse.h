/* SPDX-License-Identifier: Apache-2.0 */
/* Incremental reader of server-sent events: bytes in any pieces in, whole events out. */
#ifndef KR_NET_SSE_H
#define KR_NET_SSE_H

#include "base/buf.h"

#include <stddef.h>

struct kr_sse_event {
    const char *event; /* "message" when none was given */
    const char *data;  /* lines joined by '\n'; "" is an empty keep-alive */
    size_t data_len;
    const char *id; /* last id seen, "" when none */
};

/* Everything in the event lives until the callback returns. Negative ends the feed with that
 * value. */
typedef int kr_sse_fn(void *data, const struct kr_sse_event *event, struct kr_err *err);

struct kr_sse {
    kr_sse_fn *on_event;
    void *data;
    struct kr_buf line, text, event, id;
    bool has_data;
    bool after_cr; /* a '\n' right after '\r' belongs to it */
    int bom;       /* bytes of a byte order mark seen at the start, -1: past it */
};

enum { KR_SSE_MAX = 1024 * 1024 }; /* longest line, and longest event */

void kr_sse_init(struct kr_sse *sse, kr_sse_fn *on_event, void *data);
void kr_sse_finish(struct kr_sse *sse);

/* KR_E_LIMIT for a line or event over KR_SSE_MAX. An event at the end of the stream without its
 * blank line is dropped, as the standard says. */
int kr_sse_feed(struct kr_sse *sse, const void *bytes, size_t n, struct kr_err *err) KR_MUST_USE;

#endif
