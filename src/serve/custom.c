/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of the pipeline's own: what of a request goes to the worker, and the heads of its
 * answers. */
#include "serve/handlers.h"
#include "serve/invoke.h"
#include "serve/routes.h"
#include "serve/server.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- head blocks of answers ------------------------------------------------------------------- */

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

struct framing {
    int64_t length; /* that the worker declared, -1 without */
    bool close;
};

static void add_head_lines(struct kr_buf *out, struct kr_view head, struct framing *framing)
{
    struct kr_view line, name;
    uint64_t length;

    *framing = (struct framing){.length = -1, .close = false};
    while (head.n > 0) {
        (void)kr_view_cut(&head, '\n', &line);
        if (line.n == 0 || memchr(line.p, '\r', line.n) != NULL ||
            memchr(line.p, '\0', line.n) != NULL)
            continue;
        name = line;
        (void)kr_view_cut(&line, ':', &name);
        line = kr_view_trim(line);
        if (kr_view_eq_nocase(name, "content-length") && kr_view_u64(line, &length) &&
            length <= INT64_MAX)
            framing->length = (int64_t)length;
        if (kr_view_eq_nocase(name, "connection") && kr_view_eq_nocase(line, "close"))
            framing->close = true;
        if (name.n == 0 || hop_by_hop(name))
            continue;
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

void kr_custom_reply(struct kr_client *client, const struct kr_answer *a)
{
    struct kr_conn *conn = &client->conn;
    kr_auto_buf struct kr_buf lines = KR_BUF_INIT(KR_HTTP_HEAD_MAX * 4);
    kr_auto_buf struct kr_buf raw = KR_BUF_INIT(KR_HTTP_HEAD_MAX * 2);
    struct kr_reply reply = {
        .status = kr_status_of(a->status), .body = a->body, .fd = a->fd, .fd_size = a->fd_size};
    struct kr_view head = a->head;
    struct framing framing;

    if (a->fd >= 0) {
        if (!head_from_file(a, &raw, &reply.fd_at)) {
            (void)close(a->fd);
            kr_conn_error(conn, 502, "The worker sent an answer that could not be read");
            return;
        }
        reply.fd_size = a->fd_size - reply.fd_at;
        head = (struct kr_view){.p = raw.p, .n = raw.n};
    }
    add_head_lines(&lines, head, &framing);
    conn->keep_alive = conn->keep_alive && !framing.close;
    reply.extra = (struct kr_view){.p = kr_buf_str(&lines), .n = lines.n};
    kr_conn_reply(conn, &reply);
}

void kr_custom_begin(struct kr_client *client, struct kr_view head, int status)
{
    struct kr_conn *conn = &client->conn;
    kr_auto_buf struct kr_buf lines = KR_BUF_INIT(KR_HTTP_HEAD_MAX * 4);
    struct framing framing;

    add_head_lines(&lines, head, &framing);
    conn->keep_alive = conn->keep_alive && !framing.close;
    kr_conn_stream_begin(conn, kr_status_of(status),
                         (struct kr_view){.p = kr_buf_str(&lines), .n = lines.n}, framing.length);
}

/* -- requests ---------------------------------------------------------------------------------- */

/* A large body travels with its head in front of it in one memory file. */
static bool join_head(struct kr_client *client)
{
    struct kr_conn *conn = &client->conn;
    kr_auto_fd int fd = memfd_create("kourou-body", MFD_CLOEXEC);
    uint64_t left = conn->req.body_n;
    char size[4];
    off_t at = 0;

    kr_u32_put(size, (uint32_t)client->head.n);
    if (fd < 0 || write(fd, size, 4) != 4 ||
        write(fd, client->head.p, client->head.n) != (ssize_t)client->head.n)
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

static void add_end(struct kr_buf *out, const struct sockaddr_storage *end)
{
    char text[INET6_ADDRSTRLEN] = "";
    unsigned port = 0;

    if (end->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)end;

        (void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        port = ntohs(in->sin_port);
    } else if (end->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)end;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) != 0;

        (void)inet_ntop(mapped ? AF_INET : AF_INET6,
                        mapped ? in->sin6_addr.s6_addr + 12 : in->sin6_addr.s6_addr, text,
                        sizeof(text));
        port = ntohs(in->sin6_port);
    }
    kr_buf_addf(out, "\t%s\t%u", text, port);
}

/* Who speaks with whom: asked once for a connection. */
static const char *ends_of(struct kr_client *client)
{
    const struct kr_conn *conn = &client->conn;
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(sizeof(client->ends));
    struct sockaddr_storage theirs = {0}, ours = {0};
    socklen_t theirs_n = sizeof(theirs), ours_n = sizeof(ours);

    if (client->ends[0] != '\0')
        return client->ends;
    (void)getpeername(conn->watch.fd, (struct sockaddr *)&theirs, &theirs_n);
    (void)getsockname(conn->watch.fd, (struct sockaddr *)&ours, &ours_n);
    add_end(&text, &theirs);
    add_end(&text, &ours);
    (void)snprintf(client->ends, sizeof(client->ends), "%s", kr_buf_str(&text));
    return client->ends;
}

/* The first line of the head block. */
static void add_request_line(struct kr_client *client)
{
    const struct kr_conn *conn = &client->conn;
    const struct kr_request *req = &conn->req;
    const struct kr_endpoint *endpoint = kr_endpoint_of(conn->route);
    struct kr_view path = kr_request_view(conn->in, req->path),
                   query = kr_request_view(conn->in, req->query);

    kr_buf_addf(&client->head, "%s\t" KR_VIEW_FMT "\t" KR_VIEW_FMT, kr_request_method(req),
                KR_VIEW_ARG(path), KR_VIEW_ARG(query));
    if (kr_server_of(conn)->bodies) {
        kr_buf_addf(&client->head, "\t%s\t1.%u%s", kr_server_of(conn)->opt.space ? "https" : "http",
                    req->parser.http_minor, ends_of(client));
        if (endpoint->said != NULL)
            kr_buf_addf(&client->head, "\t%s\t%s", endpoint->method, endpoint->said);
    }
    kr_buf_addc(&client->head, '\n');
}

/* False: the client wants something else than HTTP. */
static bool add_headers(struct kr_client *client)
{
    const struct kr_conn *conn = &client->conn;
    const struct kr_request *req = &conn->req;

    for (uint32_t i = 0; i < req->header_count; i++) {
        struct kr_view name = kr_request_view(conn->in, req->headers[i].name);
        struct kr_view value = kr_view_trim(kr_request_view(conn->in, req->headers[i].value));

        if (kr_view_eq_nocase(name, "upgrade") && kr_view_eq_nocase(value, "websocket"))
            return false;
        for (size_t k = 0; k < name.n; k++)
            kr_buf_addc(&client->head,
                        name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] + 32) : name.p[k]);
        kr_buf_add(&client->head, ": ", 2);
        kr_buf_add(&client->head, value.p, value.n);
        kr_buf_addc(&client->head, '\n');
    }
    return true;
}

void kr_custom_submit(struct kr_client *client, int64_t timeout_ms)
{
    struct kr_conn *conn = &client->conn;

    kr_buf_reset(&client->head);
    add_request_line(client);
    if (!add_headers(client)) {
        kr_upload_stop(conn);
        kr_conn_error(conn, 501, "WebSockets are not supported; use requests and event streams");
        return;
    }
    client->call.head = (struct kr_view){.p = client->head.p, .n = client->head.n};
    if (conn->body_fd >= 0) {
        if (!join_head(client)) {
            kr_conn_error(conn, 500, "Request body could not be kept");
            return;
        }
        client->call.head = (struct kr_view){.p = NULL, .n = 0};
    }
    kr_invoke_submit(client, KR_K_CUSTOM, timeout_ms);
}

void kr_handle_custom(struct kr_conn *conn)
{
    kr_custom_submit(kr_client_of(conn), kr_server_of(conn)->cfg.request_timeout_ms);
}

void kr_custom_left(struct kr_client *client)
{
    if (kr_server_of(&client->conn)->bodies && client->call.kind == KR_K_CUSTOM &&
        client->call.where != KR_CALL_IDLE)
        kr_pool_leave(&client->call);
}
