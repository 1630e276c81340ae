/* SPDX-License-Identifier: Apache-2.0 */
/* A request's body: in the connection's buffer, in a buffer of its own when it comes in chunks, in
 * a memory file when it is large; and the pace at which it has to come. */
#include "http/conn.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define RATE       65536 /* bytes a second for the body as a whole, beyond the base time */
#define PACE_BYTES 16384 /* in each interval */
#define WORTH_BYTES                                                                                \
    1024 /* less than this is no reason to keep a connection when all are in use                   \
          */

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

static bool use_memory_file(struct kr_conn *conn)
{
    struct kr_view had = {.p = conn->body_buf.p, .n = conn->body_buf.n};

    conn->body_fd = memfd_create("kourou-body", MFD_CLOEXEC);
    if (conn->body_fd < 0 || !write_all(conn->body_fd, had.p, had.n))
        return false;
    kr_buf_finish(&conn->body_buf);
    return true;
}

int kr_body_keep(struct kr_request *req, const char *bytes, size_t n)
{
    struct kr_conn *conn = (struct kr_conn *)((char *)req - offsetof(struct kr_conn, req));

    if (conn->upload || conn->discard)
        return kr_upload_keep(conn, bytes, n);
    if (conn->body_fd < 0 && !req->chunked && req->content_length <= conn->front->cfg.inline_body) {
        if (conn->body.n == 0)
            conn->body.at = (uint32_t)(bytes - req->base);
        conn->body.n += (uint32_t)n;
        return 0;
    }
    if (conn->body_fd < 0 && req->chunked && conn->body_buf.n + n <= conn->front->cfg.inline_body) {
        kr_buf_add(&conn->body_buf, bytes, n);
        return kr_room_take(conn) && !conn->body_buf.failed ? 0 : 503;
    }
    if (conn->body_fd < 0 && !use_memory_file(conn))
        return 503;
    return kr_room_take(conn) && write_all(conn->body_fd, bytes, n) ? 0 : 503;
}

struct kr_view kr_conn_body(const struct kr_conn *conn)
{
    if (conn->body_fd >= 0)
        return (struct kr_view){.p = "", .n = 0};
    if (conn->body_buf.n > 0)
        return (struct kr_view){.p = conn->body_buf.p, .n = conn->body_buf.n};
    if (conn->body.n > 0)
        return kr_request_view(conn->in, conn->body);
    return (struct kr_view){.p = "", .n = 0};
}

uint64_t kr_body_held(const struct kr_conn *conn)
{
    uint64_t page = 4096, file = conn->body_fd >= 0 ? conn->req.body_n : 0;

    return conn->body_buf.cap + (file + page - 1) / page * page;
}

void kr_body_forget(struct kr_conn *conn)
{
    conn->body = (struct kr_span){0, 0};
    if (conn->body_buf.p != NULL)
        kr_buf_finish(&conn->body_buf);
    kr_buf_init(&conn->body_buf, conn->front->cfg.inline_body + 64);
    if (conn->body_fd >= 0)
        (void)close(conn->body_fd);
    conn->body_fd = -1;
}

/* -- pace -------------------------------------------------------------------------------------- */

static void next_interval(struct kr_conn *conn)
{
    int64_t left = conn->pace.until_ms - conn->front->loop.now_ms;
    int64_t interval = conn->front->cfg.body_timeout_ms;

    if (left < 1)
        left = 1;
    kr_conn_deadline(conn, left < interval ? left : interval);
}

void kr_body_begin(struct kr_conn *conn)
{
    const struct kr_request *req = &conn->req;
    uint64_t most = req->chunked ? req->body_max : req->content_length;

    conn->since_ms = conn->front->loop.now_ms;
    conn->pace =
        (struct kr_body_pace){.until_ms = conn->since_ms + conn->front->cfg.body_timeout_ms +
                                          (int64_t)(most / RATE) * 1000};
    next_interval(conn);
}

void kr_body_moved(struct kr_conn *conn)
{
    uint64_t n = conn->req.body_n;

    if (n - conn->pace.marked >= WORTH_BYTES) {
        conn->pace.marked = n;
        conn->since_ms = conn->front->loop.now_ms;
    }
    if (n - conn->pace.counted >= PACE_BYTES) {
        conn->pace.counted = n;
        next_interval(conn);
    }
}

void kr_body_rest(struct kr_conn *conn)
{
    kr_conn_deadline(conn, 0);
    conn->pace.rests_ms = conn->front->loop.now_ms;
}

void kr_body_resume(struct kr_conn *conn)
{
    int64_t now = conn->front->loop.now_ms;

    if (conn->pace.rests_ms != 0)
        conn->pace.until_ms += now - conn->pace.rests_ms;
    conn->pace.rests_ms = 0;
    conn->pace.counted = conn->req.body_n;
    conn->since_ms = now;
    next_interval(conn);
}
