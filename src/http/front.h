/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP/1.1 server on one event loop: connections, limits, other web sites, answers. What it
 * serves is its owner's: routes with their handlers, and what the owner keeps with a connection. */
#ifndef KR_HTTP_FRONT_H
#define KR_HTTP_FRONT_H

#include "base/buf.h"
#include "base/id.h"
#include "http/cors.h"
#include "http/loop.h"
#include "http/route.h"
#include "http/stats.h"

struct kr_conn;
struct kr_front;

/* Called by the front; what the owner has no use for does nothing, none is NULL. */
struct kr_front_ops {
    size_t conn_size; /* of the owner's connection, whose first member is a struct kr_conn */
    void (*opened)(struct kr_conn *conn);
    void (*reset)(struct kr_conn *conn);     /* the next request comes on the same connection */
    void (*abandoned)(struct kr_conn *conn); /* nobody waits for the handler's answer any more */
    void (*freed)(struct kr_conn *conn);
    void (*closed)(struct kr_front *front); /* a connection has gone */

    /* May this request have its route? False: it was answered. Its body has not come yet. */
    bool (*allowed)(struct kr_conn *conn);
    void (*left)(struct kr_conn *conn);  /* the client sends nothing more, and waits perhaps */
    void (*moved)(struct kr_conn *conn); /* what kr_conn_body() gave lies elsewhere now */
    void (*paused)(struct kr_conn *conn, bool paused); /* the reader of a stream is slow */
    void (*uploaded)(struct kr_conn *conn); /* more of its body has come, or (!upload) the end */
    uint64_t (*held)(const struct kr_conn *conn);    /* bytes that the owner holds for it */
    bool (*is_expected)(const struct kr_conn *conn); /* its failure is no news in the log */
};

/* What the owner says before kr_front_listen(). Texts are borrowed. */
struct kr_front_config {
    const char *host, *port_file, *public_url;
    int port; /* 0: any free one */
    int64_t max_connections;
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    uint64_t max_body;
    uint64_t inline_body; /* larger ones lie in a memory file */
    uint64_t memory;      /* that all requests and answers under way may hold */
    struct kr_cors cors;
    bool guarded;          /* no key, and on this machine only: other web sites are kept out */
    struct kr_view common; /* header lines sent with every answer */
};

/* The memory that requests and answers hold, of all connections together. */
struct kr_room {
    uint64_t held;
    uint64_t most;       /* since memory was given back to the system */
    int64_t searched_ms; /* nothing could be given back then */
};

struct kr_front_counters {
    struct kr_route_stats other; /* requests that matched no route */
    uint64_t connections, bad_requests, evicted, no_room;
    uint64_t bytes_in, bytes_out;
};

struct kr_front {
    struct kr_loop loop;
    const struct kr_front_ops *ops;
    struct kr_front_config cfg;
    struct kr_front_counters count;
    struct kr_watch listener; /* .fd may be set by the owner before kr_front_listen() */
    struct kr_timer sweep;
    struct kr_route *routes; /* in the order in which they are asked */
    struct kr_conn *conns;
    uint32_t conn_count;
    struct kr_room room;
    int port; /* that it listens on */
    bool listening, accept_paused, draining;
    struct kr_buf scratch;
    char date[64];
    int64_t date_s;
    unsigned char random[4096];
    size_t random_at;
    struct kr_buf log_lines;
    int64_t log_second;
    unsigned log_count, log_dropped;
};

/* ops and cfg are set before; the loop is open afterwards. */
int kr_front_open(struct kr_front *front, struct kr_err *err) KR_MUST_USE;
/* Closes every connection. The log file stays open until kr_log_close(). */
void kr_front_close(struct kr_front *front);
void kr_front_finish(struct kr_front *front);

/* Accepts connections on listener.fd, or on a socket that it opens when that is -1. */
int kr_front_listen(struct kr_front *front, struct kr_err *err) KR_MUST_USE;
void kr_front_accept_more(struct kr_front *front);

/* Accepts no more, and ends every connection with the request that it has. */
void kr_front_drain(struct kr_front *front);

/* A random identifier, cheaper than kr_uuid4() by asking the system seldom. */
void kr_front_uuid(struct kr_front *front, char text[KR_UUID_SIZE]);

#endif
