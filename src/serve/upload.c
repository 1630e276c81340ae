/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that go to the worker while they come. What has come and was not sent is bounded, and so
 * is what the worker was sent and has not used: beyond that nothing is read from the client. */
#include "serve/serve.h"

#include <sys/epoll.h>

#define WINDOW        (64u * 1024) /* sent and not used */
#define HELD_MAX      (64u * 1024) /* come and not sent */
#define READ_AWAY_MAX (64u * 1024) /* of a body that nobody wants, to keep the connection */

int kr_upload_keep(struct kr_conn *conn, const char *bytes, size_t n)
{
    if (conn->discard)
        return 0;
    kr_buf_add(&conn->body_buf, bytes, n);
    return kr_room_take(conn) && !conn->body_buf.failed ? 0 : 503;
}

bool kr_upload_waits(const struct kr_conn *conn)
{
    return conn->upload && conn->call.more && conn->body_buf.n >= HELD_MAX;
}

/* The worker is not to blame for a slow client: its time runs while it could go on. */
void kr_upload_watch(struct kr_conn *conn)
{
    bool client = conn->upload && conn->body_buf.n == 0 && conn->credit > 0;
    int64_t now = conn->srv->loop.now_ms;

    if (conn->call.where == KR_CALL_SENT)
        kr_pool_extend(&conn->srv->pool, &conn->call,
                       client ? INT64_MAX : now + conn->srv->cfg.request_timeout_ms);
}

static bool wants_continue(const struct kr_conn *conn)
{
    return conn->http.want_continue && !conn->expect_sent && conn->upload &&
           conn->state == KR_C_WAIT && conn->http.body_raw == 0;
}

void kr_upload_begin(struct kr_conn *conn)
{
    conn->credit = WINDOW;
    conn->call.more = true;
    conn->call.parted = conn->ended = false;
    conn->state = KR_C_WAIT;
    if (wants_continue(conn))
        kr_body_rest(conn);
    conn->route->handler(conn);
}

void kr_upload_forward(struct kr_conn *conn)
{
    size_t n = conn->body_buf.n < conn->credit ? conn->body_buf.n : conn->credit;
    bool last;

    if (kr_upload_waits(conn) && conn->pace.rests_ms == 0)
        kr_body_rest(conn);
    if (conn->call.where != KR_CALL_SENT)
        return;
    last = !conn->upload && n == conn->body_buf.n;
    if (n > 0 || (last && !conn->ended)) {
        kr_pool_body(&conn->call, (struct kr_view){.p = conn->body_buf.p, .n = n}, last);
        kr_buf_drop(&conn->body_buf, n);
        conn->credit -= (uint32_t)n;
        conn->ended = last;
    }
    kr_upload_watch(conn);
    if (conn->upload && conn->pace.rests_ms != 0 && n > 0 && !kr_upload_waits(conn)) {
        kr_body_resume(conn);
        kr_watch_set(&conn->srv->loop, &conn->watch, conn->watch.events | EPOLLIN);
    }
}

void kr_upload_taken(struct kr_conn *conn, uint32_t bytes)
{
    if (bytes == 0 && wants_continue(conn)) {
        conn->expect_sent = true;
        kr_body_resume(conn);
        kr_conn_continue(conn);
        return;
    }
    if (bytes > WINDOW - conn->credit)
        bytes = WINDOW - conn->credit;
    conn->credit += bytes;
    if (bytes > 0 && !conn->ended)
        kr_upload_forward(conn);
}

void kr_upload_end(struct kr_conn *conn)
{
    conn->upload = false;
    kr_conn_deadline(conn, 0);
    kr_upload_forward(conn);
}

void kr_upload_stop(struct kr_conn *conn)
{
    uint64_t left = conn->http.content_length - conn->http.body_n;

    if (!conn->upload)
        return;
    conn->upload = false;
    kr_buf_reset(&conn->body_buf);
    conn->discard = conn->keep_alive && !conn->http.chunked && left <= READ_AWAY_MAX &&
                    (!conn->http.want_continue || conn->expect_sent);
    if (!conn->discard)
        conn->keep_alive = false;
}

void kr_upload_abandon(struct kr_conn *conn)
{
    struct kr_server *srv = conn->srv;

    if (conn->call.where == KR_CALL_IDLE)
        return;
    if (conn->call.more) /* from now on it is its own time */
        kr_pool_extend(&srv->pool, &conn->call, srv->loop.now_ms + srv->cfg.request_timeout_ms);
    kr_pool_abandon(&srv->pool, &conn->call);
    kr_invoke_left(conn);
}

void kr_upload_fail(struct kr_conn *conn, int status, const char *detail)
{
    bool silent = conn->discard || conn->state != KR_C_WAIT;

    kr_upload_abandon(conn);
    conn->upload = conn->discard = false;
    if (silent)
        kr_conn_close(conn); /* it has an answer, or a part of one */
    else
        kr_conn_refuse(conn, status, detail);
}
