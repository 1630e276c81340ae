/* SPDX-License-Identifier: Apache-2.0 */
/* The server object and the connection; what the parts of kourou-serve see of each other. */
#ifndef KR_SERVE_SERVE_H
#define KR_SERVE_SERVE_H

#include "serve/answer.h"
#include "serve/arguments.h"
#include "serve/config.h"
#include "serve/conn.h"
#include "serve/gate.h"
#include "serve/metrics.h"
#include "serve/pool.h"
#include "serve/record.h"
#include "serve/reply.h"
#include "serve/run_name.h"

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
    bool run_data; /* shows or changes what other web sites must not */
    bool probe;    /* asked by supervisors, under whatever name */
    bool fixed;    /* the server's own: no endpoint or setting takes its place */
    bool takes_body;
    bool json_body;      /* the body must be JSON: else 415 */
    bool any_type;       /* custom endpoints take what they are sent */
    bool on_loop;        /* requests of this one hold no thread of their worker */
    bool uploads;        /* and this one while it comes */
    bool mounted;        /* an application: default endpoints go before it */
    char *method, *said; /* of a custom endpoint, as the worker said it */
    enum kr_kind kind;
    kr_handler handler;
    struct kr_route_stats stats;
    struct kr_route *next;
};

struct kr_server {
    struct kr_loop loop;
    struct kr_options opt;
    struct kr_config cfg;
    struct kr_pool pool;
    struct kr_metrics metrics;
    struct kr_journal *journal;
    struct kr_control *control;
    struct kr_gate *gate;
    struct kr_reload *reload;
    struct kr_watch listener, signals;
    struct kr_timer sweep, drain_timer;
    struct kr_route *routes;
    struct kr_conn *conns;
    uint32_t conn_count;
    struct kr_room room;
    bool listening, accept_paused, draining, drain_forced;
    int exit_status, port;
    struct kr_buf scratch;
    char date[64];
    int64_t date_s;
    int64_t started_ms; /* of the loop's clock */
    unsigned char random[4096];
    size_t random_at;
    char *openapi; /* document; NULL: not made yet */
    size_t openapi_n;
    char **worker_argv, **worker_env;
    char *deployment_json;
    bool middleware; /* every request goes through the worker's middleware */
    bool bodies;     /* workers take bodies in parts and answer in parts */
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

/* custom.c */
void kr_custom_submit(struct kr_conn *conn, int64_t timeout_ms);
void kr_custom_reply(struct kr_conn *conn, const struct kr_answer *a);
void kr_custom_begin(struct kr_conn *conn, struct kr_view head, int status);
void kr_custom_left(struct kr_conn *conn); /* the client has ended its side */

/* origin.c */
bool kr_origin_is_loopback(const char *host);
/* False: 403 was sent. Run data: the path changes or shows what other web sites must not. */
bool kr_origin_check(struct kr_conn *conn, bool run_data);

/* cors.c */
bool kr_cors_allows(const struct kr_cors *cors, struct kr_view origin);
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
void kr_invoke_submit(struct kr_conn *conn, enum kr_kind kind, int64_t timeout_ms);
void kr_invoke_left(struct kr_conn *conn); /* the client has gone while a worker had its request */
void kr_handle_custom(struct kr_conn *conn);
void kr_handle_health(struct kr_conn *conn);
void kr_handle_ready(struct kr_conn *conn); /* what /health says, where no endpoint can be put */
void kr_handle_livez(struct kr_conn *conn);
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
