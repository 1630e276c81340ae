/* SPDX-License-Identifier: Apache-2.0 */
/* The server object and the connection; what the parts of kourou-serve see of each other. */
#ifndef KR_SERVE_SERVE_H
#define KR_SERVE_SERVE_H

#include "serve/answer.h"
#include "serve/arguments.h"
#include "serve/config.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/pool.h"
#include "serve/record.h"
#include "serve/reply.h"

#include <sys/types.h>

struct kr_conn;
struct kr_server;
struct kr_journal;
struct kr_control;
struct kr_reload;

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

struct kr_route {
    char *path; /* exact, or with {name} segments, or ending in {name:path} */
    size_t path_n;
    char *label; /* for metrics and log */
    unsigned methods;
    bool pattern;
    bool auth;
    bool json_body; /* the body must be JSON: else 415 */
    bool any_type;  /* custom endpoints take what they are sent */
    enum kr_kind kind;
    kr_handler handler;
    struct kr_route_stats stats;
    struct kr_route *next;
};

enum kr_conn_state {
    KR_C_HEAD, /* idle, or a head is coming */
    KR_C_BODY,
    KR_C_WAIT,   /* a worker or the journal has the request */
    KR_C_STREAM, /* an event stream has begun */
    KR_C_SEND,   /* the rest of an answer */
    KR_C_LINGER, /* answered and shut down: input is read away for a moment */
    KR_C_CLOSED
};

struct kr_conn {
    struct kr_watch watch;
    struct kr_later later;
    struct kr_server *srv;
    struct kr_conn *prev, *next;
    enum kr_conn_state state;
    bool keep_alive, no_body_out, chunked_out, eof, processing, paused, expect_sent;
    int64_t deadline_ms, arrived_us, since_ms; /* since: it waits for a head */
    struct kr_http http;
    char *in;
    size_t in_n, in_cap, in_at;
    struct kr_span body;    /* of a body that lies in `in` */
    struct kr_buf body_buf; /* a body that came in chunks */
    int body_fd;            /* a large body */
    struct kr_buf out;
    int file_fd; /* a body that is sent from a file */
    off_t file_at;
    uint64_t file_left;
    struct kr_route *route;
    struct kr_call call;
    struct kr_buf head; /* head block of a custom call; arguments of an invocation and
                         * what its answer says of them */
    size_t tail_at;     /* where those begin in it */
    char request_id[65];
    char run_name[65];
    int status;
    uint64_t sent;
    uint64_t ticket; /* of a question to the journal */
};

struct kr_server {
    struct kr_loop loop;
    struct kr_options opt;
    struct kr_config cfg;
    struct kr_pool pool;
    struct kr_metrics metrics;
    struct kr_journal *journal;
    struct kr_control *control;
    struct kr_reload *reload;
    struct kr_watch listener, signals;
    struct kr_timer sweep, drain_timer;
    struct kr_route *routes;
    struct kr_conn *conns;
    uint32_t conn_count;
    uint64_t body_bytes; /* held in memory files */
    bool listening, accept_paused, draining, drain_forced;
    int exit_status, port;
    struct kr_buf scratch;
    char date[64];
    int64_t date_s;
    int64_t started_wall_ms;
    unsigned char random[4096];
    size_t random_at;
    char *openapi; /* document; NULL: not made yet */
    size_t openapi_n;
    char **worker_argv, **worker_env;
    char *deployment_json;
    bool middleware; /* every request goes through the worker's middleware */
    struct kr_arguments arguments;
    struct kr_buf metadata; /* the part of the metadata of answers that is the same in all */
    struct kr_buf answer;   /* of the invocation that is being answered */
    struct kr_buf log_lines;
    int64_t log_second;
    unsigned log_count, log_dropped;
};

/* server.c */
int kr_server_start(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_server_finish(struct kr_server *srv);
void kr_server_drain(struct kr_server *srv); /* stop accepting, finish, exit 0 */
void kr_server_accept_more(struct kr_server *srv);
void kr_server_learn(struct kr_server *srv, const json_t *ready); /* what a READY frame says */
int kr_server_listen(struct kr_server *srv, struct kr_err *err) KR_MUST_USE; /* listen.c */
void kr_server_uuid(struct kr_server *srv, char text[KR_RUN_ID_LEN + 1]);
void kr_server_check_drained(struct kr_server *srv);

/* conn.c */
void kr_conn_open(struct kr_server *srv, int fd);
void kr_conn_close(struct kr_conn *conn);
void kr_conn_resume(struct kr_conn *conn); /* the answer was sent: next request, if there is one */
void kr_conn_deadline(struct kr_conn *conn, int64_t in_ms);
void kr_conn_sweep(struct kr_server *srv);
bool kr_conn_make_room(struct kr_server *srv); /* room.c; false: every connection is in use */
struct kr_view kr_conn_body(const struct kr_conn *conn);

/* cors.c */
void kr_cors_headers(const struct kr_conn *conn, struct kr_buf *out);
bool kr_cors_is_preflight(const struct kr_conn *conn);
void kr_cors_preflight(struct kr_conn *conn);

/* route.c */
void kr_routes_init(struct kr_server *srv);
void kr_routes_finish(struct kr_server *srv);
void kr_routes_custom(struct kr_server *srv, const json_t *ready);
/* Route of a head, or NULL after the request was refused. */
struct kr_route *kr_route_find(struct kr_conn *conn);
unsigned kr_method_bit_of(const struct kr_http *http);
/* 405 (or 404) for a request whose method the parser does not know; its head was not parsed. */
void kr_route_unknown_method(struct kr_conn *conn);

/* auth.c */
bool kr_auth_check(struct kr_conn *conn); /* false: 401 was sent */

/* handlers */
void kr_handle_invoke(struct kr_conn *conn);
void kr_invoke_left(struct kr_conn *conn); /* the client has gone while a worker had its request */
void kr_handle_custom(struct kr_conn *conn);
void kr_handle_health(struct kr_conn *conn);
void kr_handle_info(struct kr_conn *conn);
void kr_handle_metrics(struct kr_conn *conn);
void kr_handle_openapi(struct kr_conn *conn);
void kr_handle_docs(struct kr_conn *conn);
void kr_handle_redoc(struct kr_conn *conn);
void kr_handle_dashboard(struct kr_conn *conn);
void kr_handle_runs(struct kr_conn *conn);
json_t *kr_info_json(struct kr_server *srv); /* caller's */

/* openapi.c */
void kr_openapi_forget(struct kr_server *srv); /* the next request makes it anew */

/* control.c */
int kr_control_open(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_control_close(struct kr_server *srv);
int kr_control_takeover(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_control_taken(struct kr_server *srv); /* we are ready: the old server may drain */

/* access_log.c */
void kr_access_log(struct kr_conn *conn, int64_t us);
void kr_access_log_flush(struct kr_server *srv);
int kr_log_open(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_log_close(void);

#endif
