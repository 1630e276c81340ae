/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that go to the handler while they come. What has come and was not taken is bounded: beyond
 * that nothing is read from the client. */
#include "http/conn.h"

#include <sys/epoll.h>

#define HELD_MAX      (64u * 1024) /* come and not taken */
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
    return conn->upload && conn->streamed && conn->body_buf.n >= HELD_MAX;
}

static bool wants_continue(const struct kr_conn *conn)
{
    return conn->req.want_continue && !conn->expect_sent && conn->upload &&
           conn->state == KR_C_WAIT && conn->req.body_raw == 0;
}

void kr_upload_begin(struct kr_conn *conn)
{
    conn->streamed = true;
    conn->state = KR_C_WAIT;
    if (wants_continue(conn))
        kr_body_rest(conn);
    conn->route->handler(conn);
}

void kr_upload_arrived(struct kr_conn *conn)
{
    if (kr_upload_waits(conn) && conn->pace.rests_ms == 0)
        kr_body_rest(conn);
    conn->front->ops->uploaded(conn);
}

void kr_upload_took(struct kr_conn *conn, size_t n)
{
    kr_buf_drop(&conn->body_buf, n);
    if (conn->upload && conn->pace.rests_ms != 0 && n > 0 && !kr_upload_waits(conn)) {
        kr_body_resume(conn);
        kr_watch_set(&conn->front->loop, &conn->watch, conn->watch.events | EPOLLIN);
    }
}

bool kr_upload_wanted(struct kr_conn *conn)
{
    if (!wants_continue(conn))
        return false;
    conn->expect_sent = true;
    kr_body_resume(conn);
    kr_conn_continue(conn);
    return true;
}

void kr_upload_end(struct kr_conn *conn)
{
    conn->upload = false;
    kr_conn_deadline(conn, 0);
    conn->front->ops->uploaded(conn);
}

void kr_upload_stop(struct kr_conn *conn)
{
    uint64_t left = conn->req.content_length - conn->req.body_n;

    if (!conn->upload)
        return;
    conn->upload = false;
    kr_buf_reset(&conn->body_buf);
    conn->discard = conn->keep_alive && !conn->req.chunked && left <= READ_AWAY_MAX &&
                    (!conn->req.want_continue || conn->expect_sent);
    if (!conn->discard)
        conn->keep_alive = false;
}

void kr_upload_fail(struct kr_conn *conn, int status, const char *detail)
{
    bool silent = conn->discard || conn->state != KR_C_WAIT;

    conn->front->ops->abandoned(conn);
    conn->upload = conn->discard = false;
    if (silent)
        kr_conn_close(conn); /* it has an answer, or a part of one */
    else
        kr_conn_refuse(conn, status, detail);
}
