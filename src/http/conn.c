/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection: bytes in, requests out, one at a time; absolute deadlines per state. */
#include "http/conn.h"

#include "base/alloc.h"
#include "base/log.h"
#include "http/access_log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_LARGE     65536
#define IN_SHORT     16384 /* instead, when memory is short */
#define LINGER_MS    2000
#define DRAIN_LINGER 1000 /* an idle connection of a draining server may still ask once */

static void process(struct kr_conn *conn);
static void count_request(struct kr_conn *conn);

void kr_conn_deadline(struct kr_conn *conn, int64_t in_ms)
{
    conn->deadline_ms = in_ms <= 0 ? INT64_MAX : conn->front->loop.now_ms + in_ms;
    if (in_ms > 0)
        kr_timer_at(&conn->front->loop, &conn->front->sweep, conn->deadline_ms);
}

/* -- open and close ---------------------------------------------------------------------------- */

static void free_conn(struct kr_later *later)
{
    struct kr_conn *conn = (struct kr_conn *)((char *)later - offsetof(struct kr_conn, later));

    free(conn->in);
    kr_buf_finish(&conn->out);
    kr_buf_finish(&conn->body_buf);
    conn->front->ops->freed(conn);
    free(conn);
}

void kr_conn_close(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;

    if (conn->state == KR_C_CLOSED)
        return;
    front->ops->abandoned(conn);
    count_request(conn);
    conn->state = KR_C_CLOSED;
    kr_body_forget(conn);
    kr_room_forget(conn);
    if (conn->file_fd >= 0)
        (void)close(conn->file_fd);
    conn->file_fd = -1;
    kr_watch_close(&front->loop, &conn->watch);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        front->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    front->conn_count--;
    conn->later.run = free_conn;
    kr_loop_later(&front->loop, &conn->later);
    kr_front_accept_more(front);
    front->ops->closed(front);
}

void kr_conn_cut(struct kr_conn *conn)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(conn->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    kr_conn_close(conn);
}

/* -- requests ---------------------------------------------------------------------------------- */

static void count_request(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;
    int64_t us = kr_loop_us(&front->loop) - conn->arrived_us;

    if (conn->status == 0)
        return;
    kr_stats_add(conn->route != NULL ? &conn->route->stats : &front->count.other, conn->status, us);
    front->count.bytes_in += conn->req.head_end + conn->req.body_n;
    front->count.bytes_out += conn->sent;
    kr_access_log(conn, us);
    conn->status = 0;
}

static void drop_input(struct kr_conn *conn)
{
    free(conn->in);
    conn->in = NULL;
    conn->in_n = conn->in_at = conn->in_cap = 0;
}

/* Makes the connection ready for the next request; bytes that came early stay. */
static void next_request(struct kr_conn *conn)
{
    size_t rest = conn->in_n - conn->in_at;

    kr_body_forget(conn);
    if (rest > 0)
        memmove(conn->in, conn->in + conn->in_at, rest);
    conn->in_n = rest;
    conn->in_at = 0;
    if (rest == 0 && conn->in_cap > (kr_room_is_short(conn->front) ? KR_CONN_FIRST : IN_LARGE))
        drop_input(conn);
    kr_request_reset(&conn->req);
    conn->route = NULL;
    conn->sent = 0;
    conn->request_id[0] = '\0';
    conn->chunked_out = conn->no_body_out = conn->paused = conn->expect_sent = false;
    if (conn->out.cap > IN_LARGE)
        kr_buf_finish(&conn->out);
    conn->upload = conn->discard = conn->streamed = false;
    conn->front->ops->reset(conn);
    kr_buf_reset(&conn->out);
    conn->state = KR_C_HEAD;
    conn->since_ms = conn->front->loop.now_ms;
    (void)kr_room_take(conn);
    kr_conn_deadline(conn, conn->front->draining ? DRAIN_LINGER : conn->front->cfg.idle_timeout_ms);
}

/* Closing while unread input waits would reset the connection and the client could lose the
 * answer. */
static void linger(struct kr_conn *conn)
{
    if (conn->eof) {
        kr_conn_close(conn);
        return;
    }
    (void)shutdown(conn->watch.fd, SHUT_WR);
    conn->state = KR_C_LINGER;
    conn->since_ms = conn->front->loop.now_ms;
    drop_input(conn);
    kr_body_forget(conn);
    kr_buf_finish(&conn->out);
    (void)kr_room_take(conn);
    kr_watch_set(&conn->front->loop, &conn->watch, EPOLLIN);
    kr_conn_deadline(conn, LINGER_MS);
}

/* The answer was sent before its request was there whole. */
static void read_rest(struct kr_conn *conn)
{
    conn->state = KR_C_BODY;
    kr_body_resume(conn);
    kr_watch_set(&conn->front->loop, &conn->watch, EPOLLIN);
    if (!conn->processing)
        process(conn);
}

void kr_conn_resume(struct kr_conn *conn)
{
    count_request(conn);
    if (conn->cut) {
        kr_conn_cut(conn);
        return;
    }
    if (conn->discard && conn->keep_alive && !conn->eof) {
        read_rest(conn);
        return;
    }
    if (!conn->keep_alive || (conn->eof && conn->in_n == conn->in_at)) {
        linger(conn);
        return;
    }
    next_request(conn);
    kr_watch_set(&conn->front->loop, &conn->watch, conn->eof ? 0 : EPOLLIN);
    if (!conn->processing && conn->in_n > 0)
        process(conn);
}

static void take_request_id(struct kr_conn *conn)
{
    struct kr_view given = kr_request_known(&conn->req, conn->in, KR_H_REQUEST_ID);

    conn->request_id[0] = '\0';
    if (given.p == NULL || given.n == 0 || given.n >= sizeof(conn->request_id))
        return;
    for (size_t i = 0; i < given.n; i++) {
        unsigned char c = (unsigned char)given.p[i];

        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\')
            return;
    }
    memcpy(conn->request_id, given.p, given.n);
    conn->request_id[given.n] = '\0';
}

static void no_room(struct kr_conn *conn)
{
    conn->front->count.no_room++;
    if (conn->state == KR_C_HEAD)
        conn->arrived_us = conn->since_ms * 1000;
    kr_conn_refuse(conn, 503, KR_NO_ROOM);
}

/* The head is complete: everything that can be refused without the body is refused here. */
static void begin_request(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;
    struct kr_request *req = &conn->req;

    conn->arrived_us = front->loop.now_us;
    conn->keep_alive = kr_request_keep_alive(req) && !front->draining;
    conn->no_body_out = req->parser.method == HTTP_HEAD;
    take_request_id(conn);
    conn->state = KR_C_BODY;
    if (req->has_body)
        kr_body_begin(conn);
    conn->route = kr_route_find(conn);
    if (conn->route == NULL || conn->state != KR_C_BODY)
        return;
    conn->upload = conn->route->uploads && req->has_body;
    if (req->want_continue && conn->in_n == conn->in_at && !conn->upload)
        kr_conn_continue(conn);
}

/* After a part of a body was taken out of the buffer, its place is used again. */
static void reuse_buffer(struct kr_conn *conn)
{
    bool elsewhere = conn->body_fd >= 0 || conn->req.chunked || conn->upload || conn->discard;
    size_t rest = conn->in_n - conn->in_at;

    if ((conn->state != KR_C_BODY && !conn->upload) || !elsewhere ||
        conn->in_at <= conn->req.head_end)
        return;
    if (rest > 0)
        memmove(conn->in + conn->req.head_end, conn->in + conn->in_at, rest);
    conn->in_n = conn->req.head_end + rest;
    conn->in_at = conn->req.head_end;
}

static void bad_request(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;
    int status = conn->req.bad_status;

    if (conn->discard || conn->streamed) {
        kr_upload_fail(conn, status, status == 503 ? KR_NO_ROOM : conn->req.bad_reason);
        return;
    }
    if (status == 503) {
        no_room(conn);
        return;
    }
    front->count.bad_requests++;
    if (conn->state == KR_C_HEAD)
        conn->arrived_us = conn->since_ms * 1000;
    if (status == 405)
        kr_route_unknown_method(conn);
    else
        kr_conn_refuse(conn, status, conn->req.bad_reason);
}

/* All of the request is there. */
static void whole_request(struct kr_conn *conn)
{
    if (conn->discard) {
        next_request(conn);
    } else if (conn->streamed) {
        kr_upload_end(conn);
    } else {
        conn->upload = false;
        conn->state = KR_C_WAIT;
        kr_conn_deadline(conn, 0);
        conn->route->handler(conn);
    }
}

/* What has come is used up. */
static void part_of_request(struct kr_conn *conn)
{
    if (conn->state == KR_C_BODY || conn->upload)
        kr_body_moved(conn);
    reuse_buffer(conn);
    if (conn->state == KR_C_BODY && conn->upload)
        kr_upload_begin(conn);
    else if (conn->upload)
        kr_upload_arrived(conn);
    else if (conn->state == KR_C_HEAD && conn->in_n == conn->in_at && conn->in_n > 0 &&
             conn->deadline_ms > conn->front->loop.now_ms + conn->front->cfg.header_timeout_ms)
        kr_conn_deadline(conn, conn->front->cfg.header_timeout_ms);
}

static void process(struct kr_conn *conn)
{
    bool go = conn->in_n > conn->in_at;

    conn->processing = true;
    while (go && (conn->state == KR_C_HEAD || conn->state == KR_C_BODY || conn->upload)) {
        enum kr_request_event event =
            kr_request_feed(&conn->req, conn->in, &conn->in_at, conn->in_n);

        if (event == KR_REQUEST_BAD) {
            bad_request(conn);
            break;
        }
        if (event == KR_REQUEST_MORE) {
            part_of_request(conn);
            break;
        }
        if (event == KR_REQUEST_HEAD)
            begin_request(conn);
        else
            whole_request(conn);
        go = conn->state == KR_C_BODY || conn->in_n > conn->in_at;
    }
    conn->processing = false;
    if (conn->eof && (conn->state == KR_C_HEAD || conn->state == KR_C_BODY))
        kr_conn_close(conn); /* the rest of a request will never come */
}

/* -- events ------------------------------------------------------------------------------------ */

/* How large the buffer should be; 0: it stays as it is, and full. A body that will lie in it gets
 * all its room at once, or, when memory is short, as it comes. */
static size_t wanted(const struct kr_conn *conn)
{
    const struct kr_request *req = &conn->req;
    bool tight = kr_room_is_short(conn->front), full = conn->in_n >= conn->in_cap;
    size_t cap = conn->in_cap, all = cap == 0 ? KR_CONN_FIRST : cap;

    if ((conn->state == KR_C_BODY || conn->upload) && req->has_body) {
        if (req->chunked || conn->upload || req->content_length > conn->front->cfg.inline_body)
            all = tight ? req->head_end + IN_SHORT : IN_LARGE;
        else
            all = req->head_end + (size_t)req->content_length + 1;
        if (tight && all > cap)
            all = !full ? cap : cap * 2 < all ? cap * 2 : all;
    }
    if (all > cap || !full)
        return all > cap ? all : cap;
    return cap < KR_HTTP_HEAD_MAX + KR_CONN_FIRST ? cap * 2 : 0;
}

static bool make_room(struct kr_conn *conn)
{
    size_t want = wanted(conn);

    if (want == 0)
        return false;
    if (want > conn->in_cap) {
        conn->in = kr_reallocarray(conn->in, want, 1);
        conn->in_cap = want;
        conn->front->ops->moved(conn); /* bytes of the next request come behind it */
    }
    return true;
}

static void read_away(struct kr_conn *conn)
{
    char bytes[16384];
    ssize_t n = read(conn->watch.fd, bytes, sizeof(bytes));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        kr_conn_close(conn);
}

static void client_ended(struct kr_conn *conn)
{
    conn->eof = true;
    if (conn->state == KR_C_HEAD || conn->state == KR_C_BODY || conn->upload) {
        kr_conn_close(conn);
        return;
    }
    kr_watch_set(&conn->front->loop, &conn->watch, conn->watch.events & ~(uint32_t)EPOLLIN);
    conn->front->ops->left(conn);
}

static void on_readable(struct kr_conn *conn)
{
    bool full, none;
    ssize_t n;

    if (conn->state == KR_C_LINGER) {
        read_away(conn);
        return;
    }
    full = kr_upload_waits(conn) || !make_room(conn);
    none = conn->in_cap > KR_CONN_FIRST && !kr_room_take(conn);
    if (none && (conn->state == KR_C_HEAD || conn->state == KR_C_BODY)) {
        no_room(conn);
        return;
    }
    if (none && conn->upload) {
        kr_upload_fail(conn, 503, KR_NO_ROOM);
        return;
    }
    if (full || none) { /* pipelined bytes wait in the kernel */
        kr_watch_set(&conn->front->loop, &conn->watch, conn->watch.events & ~(uint32_t)EPOLLIN);
        return;
    }
    n = read(conn->watch.fd, conn->in + conn->in_n, conn->in_cap - conn->in_n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        kr_conn_close(conn);
    } else if (n == 0) {
        client_ended(conn);
    } else {
        if (conn->in_n == 0)
            conn->since_ms = conn->front->loop.now_ms;
        conn->in_n += (size_t)n;
        process(conn);
    }
}

static void on_event(struct kr_watch *watch, uint32_t events)
{
    struct kr_conn *conn = (struct kr_conn *)watch;

    if ((events & (EPOLLERR | EPOLLHUP)) != 0 && (events & EPOLLIN) == 0) {
        kr_conn_close(conn);
        return;
    }
    if ((events & EPOLLOUT) != 0 && !kr_conn_flush(conn))
        return;
    if ((events & EPOLLIN) != 0 && conn->state != KR_C_CLOSED)
        on_readable(conn);
}

void kr_conn_open(struct kr_front *front, int fd)
{
    struct kr_err err = KR_ERR_INIT;
    struct kr_conn *conn = kr_calloc(1, front->ops->conn_size);

    conn->watch = (struct kr_watch){.fd = fd, .on_ready = on_event};
    conn->front = front;
    conn->body_fd = conn->file_fd = -1;
    kr_buf_init(&conn->out, 64u * 1024 * 1024);
    kr_buf_init(&conn->body_buf, front->cfg.inline_body + 64);
    kr_request_init(&conn->req, front->cfg.max_body, kr_body_keep);
    conn->next = front->conns;
    if (front->conns != NULL)
        front->conns->prev = conn;
    front->conns = conn;
    front->conn_count++;
    front->count.connections++;
    front->ops->opened(conn);
    conn->since_ms = front->loop.now_ms;
    kr_conn_deadline(conn, front->cfg.header_timeout_ms);
    if (kr_watch_add(&front->loop, &conn->watch, EPOLLIN, &err) < 0) {
        kr_log(KR_LOG_ERROR, "serve", "%s", err.msg);
        kr_conn_close(conn);
    }
}

/* -- deadlines --------------------------------------------------------------------------------- */

static void expire(struct kr_conn *conn)
{
    if (conn->state == KR_C_BODY && !conn->discard) {
        conn->front->count.bad_requests++;
        kr_conn_refuse(conn, 408, "The request body did not arrive in time");
    } else if (conn->upload && conn->state == KR_C_WAIT) {
        kr_upload_fail(conn, 408, "The request body did not arrive in time");
    } else if (conn->state == KR_C_HEAD && conn->in_n > 0) {
        conn->front->count.bad_requests++;
        conn->arrived_us = conn->since_ms * 1000;
        kr_conn_refuse(conn, 408, "The request head did not arrive in time");
    } else {
        kr_conn_close(conn);
    }
}

void kr_conn_sweep(struct kr_front *front)
{
    int64_t now = front->loop.now_ms, next = INT64_MAX;
    struct kr_conn *conn = front->conns;

    while (conn != NULL) {
        struct kr_conn *following = conn->next;

        if (conn->deadline_ms <= now)
            expire(conn);
        conn = following;
    }
    for (conn = front->conns; conn != NULL; conn = conn->next)
        next = conn->deadline_ms < next ? conn->deadline_ms : next;
    kr_room_tidy(front);
    if (next != INT64_MAX)
        kr_timer_at(&front->loop, &front->sweep, next);
    kr_front_accept_more(front);
}
