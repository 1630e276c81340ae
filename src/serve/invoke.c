/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that a worker answers: invoke, stream, batch and custom endpoints. */
#include "serve/serve.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/redact.h"
#include "serve/scan.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define SCAN_MAX (16u * 1024 * 1024) /* larger bodies cannot name a timeout */

static struct kr_conn *conn_of(struct kr_call *call)
{
    return (struct kr_conn *)((char *)call - offsetof(struct kr_conn, call));
}

static void record(struct kr_conn *conn, int status, bool ok)
{
    struct kr_server *srv = conn->srv;
    struct kr_run_record r = {
        .status = (uint16_t)status, .kind = (uint8_t)conn->call.kind, .ok = ok};
    int64_t us = srv->loop.now_us - conn->arrived_us;

    if (conn->call.kind == KR_K_CUSTOM && conn->route != NULL &&
        conn->route->handler == kr_handle_custom)
        return;
    if (status == 422 || status == 503)
        return; /* nothing ran */
    srv->metrics.executions++;
    srv->metrics.executions_failed += !ok;
    srv->metrics.last_execution_wall_ms = kr_wall_ms();
    if (srv->journal == NULL)
        return;
    memcpy(r.id, conn->call.run_id, sizeof(r.id));
    memcpy(r.name, conn->run_name, sizeof(r.name));
    r.started_ms = srv->metrics.last_execution_wall_ms - us / 1000;
    r.duration_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    kr_journal_add(srv, &r);
}

void kr_invoke_left(struct kr_conn *conn)
{
    conn->status = 499;
    record(conn, 499, false);
}

/* -- head blocks of custom answers ------------------------------------------------------------- */

static bool hop_by_hop(struct kr_view name)
{
    static const char *const names[] = {"connection",     "keep-alive", "transfer-encoding",
                                        "content-length", "upgrade",    "te",
                                        "trailer",        "date",       "x-request-id"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if (kr_view_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

static void add_head_lines(struct kr_buf *out, struct kr_view head)
{
    struct kr_view line, name;

    while (head.n > 0) {
        (void)kr_view_cut(&head, '\n', &line);
        if (line.n == 0 || memchr(line.p, '\r', line.n) != NULL ||
            memchr(line.p, '\0', line.n) != NULL)
            continue;
        name = line;
        (void)kr_view_cut(&line, ':', &name);
        if (name.n == 0 || hop_by_hop(name))
            continue;
        line = kr_view_trim(line);
        kr_buf_addf(out, KR_VIEW_FMT ": " KR_VIEW_FMT "\r\n", KR_VIEW_ARG(name), KR_VIEW_ARG(line));
    }
}

/* A large custom answer: the head stands at the start of the memory file. */
static bool head_from_file(const struct kr_answer *a, struct kr_buf *out, uint64_t *at)
{
    char size[4], *text;
    uint32_t n;

    if (pread(a->fd, size, 4, 0) != 4)
        return false;
    n = kr_u32_get(size);
    if (n > KR_HTTP_HEAD_MAX || n + 4 > a->fd_size)
        return false;
    text = kr_buf_reserve(out, n);
    if (text == NULL || pread(a->fd, text, n, 4) != (ssize_t)n)
        return false;
    out->n += n;
    *at = (uint64_t)n + 4;
    return true;
}

/* What a worker says may be no status that can be sent at all. */
static int status_of(int said)
{
    return said >= 200 && said <= 599 ? said : 500;
}

static void reply_custom(struct kr_conn *conn, const struct kr_answer *a)
{
    kr_auto_buf struct kr_buf lines = KR_BUF_INIT(KR_HTTP_HEAD_MAX * 4);
    kr_auto_buf struct kr_buf raw = KR_BUF_INIT(KR_HTTP_HEAD_MAX * 2);
    struct kr_reply reply = {
        .status = status_of(a->status), .body = a->body, .fd = a->fd, .fd_size = a->fd_size};
    struct kr_view head = a->head;

    if (a->fd >= 0) {
        if (!head_from_file(a, &raw, &reply.fd_at)) {
            (void)close(a->fd);
            kr_conn_error(conn, 502, "The worker sent an answer that could not be read");
            return;
        }
        reply.fd_size = a->fd_size - reply.fd_at;
        head = (struct kr_view){.p = raw.p, .n = raw.n};
    }
    add_head_lines(&lines, head);
    reply.extra = (struct kr_view){.p = kr_buf_str(&lines), .n = lines.n};
    kr_conn_reply(conn, &reply);
}

/* -- results ----------------------------------------------------------------------------------- */

/* What an exception says may hold what the step knew. */
static struct kr_view without_secrets(struct kr_view text, struct kr_buf *copy)
{
    kr_buf_init(copy, text.n + 1);
    kr_buf_add(copy, text.p, text.n);
    if (copy->n > 0)
        kr_redact(copy->p, copy->n);
    return (struct kr_view){.p = kr_buf_str(copy), .n = copy->n};
}

static void on_answer(struct kr_call *call, const struct kr_answer *a)
{
    struct kr_conn *conn = conn_of(call);
    kr_auto_buf struct kr_buf copy = KR_BUF_INIT(0);
    struct kr_reply reply = {.status = status_of(a->status),
                             .type = "application/json",
                             .body = a->body,
                             .fd = a->fd,
                             .fd_size = a->fd_size};

    record(conn, a->status, a->run_ok);
    if (conn->state == KR_C_STREAM) {
        if (a->fd >= 0)
            (void)close(a->fd);
        kr_conn_stream_end(conn);
    } else if (a->head.p != NULL) {
        reply_custom(conn, a);
    } else if (a->outputs) {
        reply.body = kr_answer_outputs(conn, a->body, a->run_us);
        kr_conn_reply(conn, &reply);
    } else {
        if (!a->run_ok && a->fd < 0)
            reply.body = without_secrets(a->body, &copy);
        kr_conn_reply(conn, &reply);
    }
}

static void on_chunk(struct kr_call *call, struct kr_view bytes, int status)
{
    static const char error[] = "event: error\n";
    struct kr_conn *conn = conn_of(call);
    kr_auto_buf struct kr_buf copy = KR_BUF_INIT(0);

    if (bytes.n > sizeof(error) && memcmp(bytes.p, error, sizeof(error) - 1) == 0)
        bytes = without_secrets(bytes, &copy);
    if (conn->state == KR_C_WAIT)
        kr_conn_stream_begin(conn, status_of(status));
    kr_conn_stream_data(conn, bytes.p, bytes.n);
}

static void on_failure(struct kr_call *call, int status, bool retryable, const char *detail)
{
    struct kr_conn *conn = conn_of(call);
    kr_auto_free char *text = kr_answer_failure(conn, retryable, detail);

    record(conn, status, false);
    if (conn->state == KR_C_STREAM) {
        kr_auto_buf struct kr_buf event = KR_BUF_INIT(8192);

        kr_buf_addf(&event, "event: error\ndata: %s\n\n", text);
        conn->keep_alive = false;
        kr_conn_stream_data(conn, kr_buf_str(&event), event.n);
        kr_conn_stream_end(conn);
    } else {
        kr_conn_reply_text(conn, status, "application/json", text, strlen(text));
    }
}

static const struct kr_call_ops call_ops = {
    .answer = on_answer, .chunk = on_chunk, .failure = on_failure};

/* -- requests ---------------------------------------------------------------------------------- */

static void scan(struct kr_conn *conn, struct kr_scan *out)
{
    void *map;

    if (conn->body_fd < 0 || conn->http.body_n > SCAN_MAX) {
        kr_scan_body(kr_conn_body(conn), out);
    } else {
        map = mmap(NULL, conn->http.body_n, PROT_READ, MAP_PRIVATE, conn->body_fd, 0);
        if (map == MAP_FAILED) {
            kr_scan_body((struct kr_view){.p = "", .n = 0}, out);
            return;
        }
        kr_scan_body((struct kr_view){.p = map, .n = conn->http.body_n}, out);
        if (out->run_name.n > 0 && out->run_name.n < sizeof(conn->run_name)) {
            memcpy(conn->run_name, out->run_name.p, out->run_name.n);
            conn->run_name[out->run_name.n] = '\0';
        }
        out->run_name = (struct kr_view){.p = NULL, .n = 0};
        (void)munmap(map, conn->http.body_n);
    }
}

/* Workers may want the arguments of an invocation instead of its body. */
static void read_arguments(struct kr_conn *conn)
{
    const struct kr_arguments *arguments = &conn->srv->arguments;
    struct kr_call *call = &conn->call;

    if (arguments->edition == 0 || call->kind != KR_K_INVOKE || call->body_fd >= 0 ||
        !kr_arguments_read(arguments, call->body, call->run_id, &conn->head, &conn->tail_at))
        return;
    call->arguments = (struct kr_view){.p = conn->head.p, .n = conn->tail_at};
    call->edition = arguments->edition;
}

static void submit(struct kr_conn *conn, enum kr_kind kind, int64_t timeout_ms)
{
    struct kr_server *srv = conn->srv;
    struct kr_call *call = &conn->call;
    const char *detail;
    int status;

    kr_server_uuid(srv, call->run_id);
    if (conn->request_id[0] == '\0')
        memcpy(conn->request_id, call->run_id, sizeof(call->run_id));
    call->ops = &call_ops;
    call->kind = kind;
    call->deadline_ms = srv->loop.now_ms + timeout_ms;
    call->body = kr_conn_body(conn);
    call->body_fd = conn->body_fd;
    call->body_size =
        conn->http.body_n + (kind == KR_K_CUSTOM && conn->body_fd >= 0 ? conn->head.n + 4 : 0);
    call->arguments = (struct kr_view){.p = NULL, .n = 0};
    read_arguments(conn);
    conn->state = KR_C_WAIT;
    if (!kr_pool_submit(&srv->pool, call, &status, &detail))
        on_failure(call, status, true, detail);
}

/* A large body travels with its head in front of it in one memory file. */
static bool join_head(struct kr_conn *conn)
{
    kr_auto_fd int fd = memfd_create("kourou-body", MFD_CLOEXEC);
    uint64_t left = conn->http.body_n;
    char size[4];
    off_t at = 0;

    kr_u32_put(size, (uint32_t)conn->head.n);
    if (fd < 0 || write(fd, size, 4) != 4 ||
        write(fd, conn->head.p, conn->head.n) != (ssize_t)conn->head.n)
        return false;
    while (left > 0) {
        ssize_t n = sendfile(fd, conn->body_fd, &at, left);

        if (n <= 0)
            return false;
        left -= (uint64_t)n;
    }
    (void)close(conn->body_fd);
    conn->body_fd = kr_steal_fd(&fd);
    return true;
}

static void submit_custom(struct kr_conn *conn, int64_t timeout_ms)
{
    const struct kr_http *http = &conn->http;
    struct kr_view path = kr_http_view(conn->in, http->path),
                   query = kr_http_view(conn->in, http->query);

    kr_buf_reset(&conn->head);
    kr_buf_addf(&conn->head, "%s\t" KR_VIEW_FMT "\t" KR_VIEW_FMT "\n", kr_http_method(http),
                KR_VIEW_ARG(path), KR_VIEW_ARG(query));
    for (uint32_t i = 0; i < http->header_count; i++) {
        struct kr_view name = kr_http_view(conn->in, http->headers[i].name);
        struct kr_view value = kr_view_trim(kr_http_view(conn->in, http->headers[i].value));

        for (size_t k = 0; k < name.n; k++)
            kr_buf_addc(&conn->head,
                        name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] + 32) : name.p[k]);
        kr_buf_add(&conn->head, ": ", 2);
        kr_buf_add(&conn->head, value.p, value.n);
        kr_buf_addc(&conn->head, '\n');
    }
    conn->call.head = (struct kr_view){.p = conn->head.p, .n = conn->head.n};
    if (conn->body_fd >= 0) {
        if (!join_head(conn)) {
            kr_conn_error(conn, 500, "Request body could not be kept");
            return;
        }
        conn->call.head = (struct kr_view){.p = NULL, .n = 0};
    }
    submit(conn, KR_K_CUSTOM, timeout_ms);
}

void kr_handle_invoke(struct kr_conn *conn)
{
    struct kr_server *srv = conn->srv;
    struct kr_scan found;

    scan(conn, &found);
    if (found.run_name.n > 0 && found.run_name.n < sizeof(conn->run_name)) {
        memcpy(conn->run_name, found.run_name.p, found.run_name.n);
        conn->run_name[found.run_name.n] = '\0';
    }
    if (found.timeout_ms == 0)
        found.timeout_ms = srv->cfg.request_timeout_ms;
    conn->call.head = (struct kr_view){.p = NULL, .n = 0};
    if (srv->middleware)
        submit_custom(conn, found.timeout_ms);
    else
        submit(conn, conn->route->kind, found.timeout_ms);
}

void kr_handle_custom(struct kr_conn *conn)
{
    submit_custom(conn, conn->srv->cfg.request_timeout_ms);
}
