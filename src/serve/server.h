/* SPDX-License-Identifier: Apache-2.0 */
/* The server: the parts that make a deployment out of a snapshot, and its life from ready to
 * drained. */
#ifndef KR_SERVE_SERVER_H
#define KR_SERVE_SERVER_H

#include "http/conn.h"
#include "serve/arguments.h"
#include "serve/config.h"
#include "serve/pool.h"

struct kr_control;
struct kr_gate;
struct kr_journal;
struct kr_reload;

struct kr_executions {
    uint64_t count, failed;
    int64_t last_wall_ms;
};

struct kr_server {
    struct kr_front front;
    struct kr_options opt;
    struct kr_config cfg;
    struct kr_pool pool;
    struct kr_executions executions;
    struct kr_journal *journal;
    struct kr_control *control;
    struct kr_gate *gate;
    struct kr_reload *reload;
    struct kr_watch signals;
    struct kr_timer drain_timer;
    bool drain_forced;
    int exit_status;
    int64_t started_ms; /* of the loop's clock */
    char *openapi;      /* document; NULL: not made yet */
    size_t openapi_n;
    char **worker_argv, **worker_env;
    char *deployment_json;
    bool middleware; /* every request goes through the worker's middleware */
    bool bodies;     /* workers take bodies in parts and answer in parts */
    struct kr_arguments arguments;
    struct kr_buf metadata; /* the part of the metadata of answers that is the same in all */
    struct kr_buf answer;   /* of the invocation that is being answered */
};

static inline struct kr_server *kr_server_of(const struct kr_conn *conn)
{
    return (struct kr_server *)((char *)conn->front - offsetof(struct kr_server, front));
}

int kr_server_start(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
/* What kr_server_start() sets up before the pool; alone, for tests. */
int kr_server_open(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_server_finish(struct kr_server *srv);
void kr_server_drain(struct kr_server *srv); /* stop accepting, finish, exit 0 */
void kr_server_learn(struct kr_server *srv, const json_t *ready); /* what a READY frame says */
void kr_server_check_drained(struct kr_server *srv);

#endif
