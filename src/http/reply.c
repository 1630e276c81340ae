/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: head, body, event streams, and what a slow reader leaves to be sent later. */
#include "http/conn.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define COPY_MAX 32768 /* bodies up to this size are sent together with their head */
#define PAUSE_ABOVE                                                                                \
    (256u * 1024) /* unsent bytes of a stream at which its worker is told to wait                  \
                   */
#define RESUME_BELOW (64u * 1024)

const char *kr_reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < KR_ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}

int kr_status_of(int said)
{
    return said >= 200 && said <= 599 ? said : 500;
}

static const char *date_line(struct kr_front *front)
{
    time_t now = time(NULL);
    struct tm tm;

    if (front->date_s == now)
        return front->date;
    front->date_s = now;
    if (gmtime_r(&now, &tm) == NULL ||
        strftime(front->date, sizeof(front->date), "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm) == 0)
        front->date[0] = '\0';
    return front->date;
}

static void add_number(struct kr_buf *out, uint64_t v)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    kr_buf_add(out, digits + at, sizeof(digits) - at);
}

static void add_line(struct kr_buf *out, const char *name, const char *value)
{
    kr_buf_adds(out, name);
    kr_buf_adds(out, value);
    kr_buf_add(out, "\r\n", 2);
}

static bool has_line(struct kr_view lines, struct kr_view name)
{
    struct kr_view line, found;

    while (lines.n > 0) {
        (void)kr_view_cut(&lines, '\n', &line);
        (void)kr_view_cut(&line, ':', &found);
        if (found.n == name.n && strncasecmp(found.p, name.p, name.n) == 0)
            return true;
    }
    return false;
}

/* Header lines that every answer has, but for those that this one gives itself. */
static void add_common(struct kr_buf *out, struct kr_view common, struct kr_view own)
{
    struct kr_view line, name;

    while (common.n > 0) {
        struct kr_view whole = common;

        (void)kr_view_cut(&common, '\n', &line);
        whole.n = (size_t)(common.p - whole.p);
        (void)kr_view_cut(&line, ':', &name);
        if (!has_line(own, name))
            kr_buf_add(out, whole.p, whole.n);
    }
}

/* Status line and every header but those of the body; own: those that the answer gives itself. */
static struct kr_buf *begin_head(struct kr_conn *conn, int status, struct kr_view own)
{
    struct kr_front *front = conn->front;
    struct kr_buf *out = &front->scratch;

    kr_buf_reset(out);
    if (status == 200) {
        kr_buf_add(out, "HTTP/1.1 200 OK\r\n", 17);
    } else {
        kr_buf_add(out, "HTTP/1.1 ", 9);
        add_number(out, (uint64_t)status);
        kr_buf_addc(out, ' ');
        add_line(out, kr_reason_of(status), "");
    }
    kr_buf_adds(out, date_line(front));
    if (own.n == 0)
        kr_buf_add(out, front->cfg.common.p, front->cfg.common.n);
    else
        add_common(out, (struct kr_view){.p = front->cfg.common.p, .n = front->cfg.common.n}, own);
    if (conn->request_id[0] == '\0')
        kr_front_uuid(front, conn->request_id);
    add_line(out, "x-request-id: ", conn->request_id);
    if (front->cfg.cors.on && conn->req.known[KR_H_ORIGIN] >= 0 &&
        !has_line(own, kr_view_of("access-control-allow-origin")))
        kr_cors_headers(conn, out);
    if (status == 401 && !has_line(own, kr_view_of("www-authenticate")))
        kr_buf_adds(out, "www-authenticate: Bearer\r\n");
    if (status == 503 && !has_line(own, kr_view_of("retry-after")))
        kr_buf_adds(out, "retry-after: 1\r\n");
    if (front->draining)
        conn->keep_alive = false;
    if (!conn->keep_alive)
        kr_buf_adds(out, "connection: close\r\n");
    else if (conn->req.parser.http_minor == 0)
        kr_buf_adds(out, "connection: keep-alive\r\n");
    conn->status = status;
    return out;
}

/* -- sending ----------------------------------------------------------------------------------- */

static void want_write(struct kr_conn *conn)
{
    conn->since_ms = conn->front->loop.now_ms;
    kr_watch_set(&conn->front->loop, &conn->watch, conn->watch.events | EPOLLOUT);
    kr_conn_deadline(conn, conn->front->cfg.write_timeout_ms);
}

/* Writes what can be written now and keeps the rest in conn->out. False: the connection is
 * closed. */
static bool send_bytes(struct kr_conn *conn, struct iovec *iov, int count)
{
    ssize_t n = 0;

    if (conn->out.n == 0) {
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};

        do
            n = sendmsg(conn->watch.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN) {
            kr_conn_close(conn);
            return false;
        }
        n = n < 0 ? 0 : n;
    }
    conn->sent += (uint64_t)n;
    for (int i = 0; i < count; i++) {
        size_t skip = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;

        n -= (ssize_t)skip;
        if (iov[i].iov_len > skip)
            kr_buf_add(&conn->out, (char *)iov[i].iov_base + skip, iov[i].iov_len - skip);
    }
    /* Without room for more than a little, a reader that is not ready is not waited for. */
    if (conn->out.failed || (conn->out.n > KR_CONN_FIRST && !kr_room_for_answer(conn))) {
        kr_conn_cut(conn);
        return false;
    }
    return true;
}

/* Returns 1 all sent, 0 more to come, -1 closed. */
static int send_file(struct kr_conn *conn)
{
    while (conn->file_left > 0) {
        size_t want = conn->file_left < (1u << 20) ? (size_t)conn->file_left : 1u << 20;
        ssize_t n = sendfile(conn->watch.fd, conn->file_fd, &conn->file_at, want);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n <=
            0) { /* broken, or the file is shorter than it was: the length is already promised */
            kr_conn_close(conn);
            return -1;
        }
        conn->file_left -= (uint64_t)n;
        conn->sent += (uint64_t)n;
        conn->since_ms = conn->front->loop.now_ms;
    }
    if (conn->file_fd >= 0)
        (void)close(conn->file_fd);
    conn->file_fd = -1;
    conn->file_held = 0;
    return 1;
}

static void finish_send(struct kr_conn *conn)
{
    int file = conn->out.n == 0 ? send_file(conn) : 0;

    if (file < 0)
        return;
    if (file > 0) {
        kr_conn_resume(conn);
        return;
    }
    conn->state = KR_C_SEND;
    want_write(conn);
}

/* The reader has all that there is: what is awaited now is the rest of its own body, if anything.
 */
static void after_stream_part(struct kr_conn *conn)
{
    if (conn->upload && conn->pace.rests_ms == 0)
        kr_body_resume(conn);
    else
        kr_conn_deadline(conn, 0);
}

bool kr_conn_flush(struct kr_conn *conn)
{
    while (conn->out.n > 0) {
        ssize_t n = send(conn->watch.fd, conn->out.p, conn->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            kr_conn_close(conn);
            return false;
        }
        conn->sent += (uint64_t)n;
        kr_buf_drop(&conn->out, (size_t)n);
        conn->since_ms = conn->front->loop.now_ms;
        kr_conn_deadline(conn, conn->front->cfg.write_timeout_ms);
    }
    if (conn->paused && conn->out.n < RESUME_BELOW) {
        conn->paused = false;
        conn->front->ops->paused(conn, false);
    }
    if (conn->out.n > 0)
        return true;
    kr_watch_set(&conn->front->loop, &conn->watch, conn->watch.events & ~(uint32_t)EPOLLOUT);
    if (conn->state == KR_C_SEND)
        finish_send(conn);
    else if (conn->state == KR_C_STREAM)
        after_stream_part(conn);
    return conn->state != KR_C_CLOSED;
}

/* -- whole answers ----------------------------------------------------------------------------- */

/* Bytes behind the head of these would be taken for the beginning of the next answer. */
static bool is_bodiless(int status)
{
    return status == 204 || status == 304;
}

/* An answer in memory that waits for its reader needs room. False: another one was sent. */
static bool has_room(struct kr_conn *conn, const struct kr_reply *r)
{
    conn->file_held = r->fd_size > 0 && !r->on_disk ? r->fd_at + r->fd_size : 0;
    if (conn->file_held == 0 || kr_room_for_answer(conn))
        return true;
    (void)close(r->fd);
    conn->file_held = 0;
    conn->front->count.no_room++;
    kr_conn_error(conn, 503, "The answer is dropped: too many large ones wait for their readers");
    return false;
}

static void send_reply(struct kr_conn *conn, const struct kr_reply *r)
{
    struct kr_buf *head = begin_head(conn, r->status, r->extra);
    bool no_body = conn->no_body_out || is_bodiless(r->status);
    uint64_t size = r->fd_size > 0 ? r->fd_size : r->body.n;
    struct iovec iov[2];
    int count = 1;

    if (r->type != NULL)
        add_line(head, "content-type: ", r->type);
    if (r->extra.n > 0)
        kr_buf_add(head, r->extra.p, r->extra.n);
    if (!is_bodiless(r->status)) {
        kr_buf_add(head, "content-length: ", 16);
        add_number(head, size);
        kr_buf_add(head, "\r\n", 2);
    }
    kr_buf_add(head, "\r\n", 2);
    conn->file_fd = -1;
    conn->file_left = 0;
    if (r->fd >= 0 && (r->fd_size == 0 || no_body)) {
        (void)close(r->fd);
        conn->file_held = 0;
    } else if (r->fd_size > 0) {
        conn->file_fd = r->fd;
        conn->file_at = (off_t)r->fd_at;
        conn->file_left = r->fd_size;
    } else if (r->body.n > 0 && !no_body && r->body.n <= COPY_MAX) {
        kr_buf_add(head, r->body.p, r->body.n);
    } else if (r->body.n > 0 && !no_body) {
        iov[1] = (struct iovec){.iov_base = (void *)(uintptr_t)r->body.p, .iov_len = r->body.n};
        count = 2;
    }
    iov[0] = (struct iovec){.iov_base = head->p, .iov_len = head->n};
    if (send_bytes(conn, iov, count))
        finish_send(conn);
}

void kr_conn_reply(struct kr_conn *conn, const struct kr_reply *r)
{
    if (has_room(conn, r))
        send_reply(conn, r);
}

void kr_conn_reply_text(struct kr_conn *conn, int status, const char *type, const char *body,
                        size_t n)
{
    struct kr_reply reply = {.status = status, .type = type, .body = {.p = body, .n = n}, .fd = -1};

    kr_conn_reply(conn, &reply);
}

void kr_conn_error(struct kr_conn *conn, int status, const char *detail)
{
    kr_auto_json json_t *doc = json_object();
    kr_auto_free char *text = NULL;

    kr_json_set_str(doc, "detail", detail);
    if (status == 503) /* refused before anything of it ran */
        kr_json_set_bool(doc, "retryable", true);
    text = kr_json_canonical(doc);
    kr_conn_reply_text(conn, status, "application/json", text, strlen(text));
}

void kr_conn_refuse(struct kr_conn *conn, int status, const char *detail)
{
    conn->keep_alive = false;
    conn->state = KR_C_WAIT;
    kr_conn_error(conn, status, detail);
}

void kr_conn_continue(struct kr_conn *conn)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "HTTP/1.1 100 Continue\r\n\r\n",
                        .iov_len = 25};

    if (send_bytes(conn, &iov, 1) && conn->out.n > 0)
        want_write(conn);
}

/* -- answers in pieces ------------------------------------------------------------------------- */

void kr_conn_stream_begin(struct kr_conn *conn, int status, struct kr_view extra, int64_t length)
{
    bool chunks = length < 0 && !is_bodiless(status) && conn->req.parser.http_minor > 0;
    struct kr_buf *head;
    struct iovec iov;

    conn->no_body_out = conn->no_body_out || is_bodiless(status);
    conn->chunked_out = chunks && !conn->no_body_out;
    conn->stream_left = length < 0 || conn->no_body_out ? KR_STREAM_OPEN : (uint64_t)length;
    if (length < 0 && !conn->chunked_out && !conn->no_body_out)
        conn->keep_alive = false;
    head = begin_head(conn, status, extra);
    kr_buf_add(head, extra.p, extra.n);
    if (chunks)
        kr_buf_adds(head, "transfer-encoding: chunked\r\n");
    if (length >= 0) {
        kr_buf_adds(head, "content-length: ");
        add_number(head, (uint64_t)length);
        kr_buf_add(head, "\r\n", 2);
    }
    kr_buf_add(head, "\r\n", 2);
    iov = (struct iovec){.iov_base = head->p, .iov_len = head->n};
    conn->state = KR_C_STREAM;
    if (send_bytes(conn, &iov, 1) && conn->out.n > 0)
        want_write(conn);
}

/* What has been sent is all that will be. */
static void cut_stream(struct kr_conn *conn)
{
    conn->cut = conn->stream_left == KR_STREAM_OPEN && !conn->chunked_out && !conn->no_body_out;
    conn->keep_alive = false;
    conn->file_left = 0;
    finish_send(conn);
}

void kr_conn_stream_data(struct kr_conn *conn, const char *bytes, size_t n)
{
    char size[20];
    int len = snprintf(size, sizeof(size), "%zx\r\n", n);
    struct iovec iov[3] = {
        {.iov_base = size, .iov_len = conn->chunked_out ? (size_t)len : 0},
        {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n},
        {.iov_base = (void *)(uintptr_t) "\r\n", .iov_len = conn->chunked_out ? 2 : 0},
    };

    if (n == 0 || conn->no_body_out || conn->state != KR_C_STREAM)
        return;
    if (conn->stream_left != KR_STREAM_OPEN) {
        if (n > conn->stream_left) /* more than it said would be the next answer's beginning */
            iov[1].iov_len = (size_t)conn->stream_left;
        conn->stream_left -= iov[1].iov_len;
    }
    if (!send_bytes(conn, iov, 3))
        return;
    if (conn->out.n == 0)
        return;
    if (conn->out.n > PAUSE_ABOVE && !conn->paused) {
        conn->paused = true;
        conn->front->ops->paused(conn, true);
    }
    if ((conn->watch.events & EPOLLOUT) == 0)
        want_write(conn);
}

void kr_conn_stream_end(struct kr_conn *conn, bool cut)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t) "0\r\n\r\n",
                        .iov_len = conn->chunked_out ? 5 : 0};

    if (conn->state != KR_C_STREAM)
        return;
    if (cut || (conn->stream_left != KR_STREAM_OPEN && conn->stream_left > 0)) {
        cut_stream(conn);
        return;
    }
    if (!send_bytes(conn, &iov, 1))
        return;
    conn->file_left = 0;
    finish_send(conn);
}
