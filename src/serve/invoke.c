/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that a worker answers: invoke, stream, batch, and what all of those have in common. */
#include "serve/invoke.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "serve/answer.h"
#include "serve/handlers.h"
#include "serve/mask.h"
#include "serve/record.h"
#include "serve/routes.h"
#include "serve/run_name.h"
#include "serve/scan.h"
#include "serve/server.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SCAN_MAX (16u * 1024 * 1024) /* larger bodies cannot name a timeout */

static const char event_stream[] =
    "content-type: text/event-stream; charset=utf-8\r\nx-accel-buffering: no\r\n";

static void record_run(struct kr_client *client, int status, bool ok)
{
    const struct kr_conn *conn = &client->conn;
    struct kr_server *srv = kr_server_of(conn);
    struct kr_run_record r = {
        .status = (uint16_t)status, .kind = (uint8_t)client->call.kind, .ok = ok};
    int64_t us = srv->front.loop.now_us - conn->arrived_us;

    if (client->call.kind == KR_K_CUSTOM && conn->route != NULL &&
        conn->route->handler == kr_handle_custom)
        return;
    srv->executions.count++;
    srv->executions.failed += !ok;
    srv->executions.last_wall_ms = kr_wall_ms();
    if (srv->journal == NULL)
        return;
    memcpy(r.id, client->call.run_id, sizeof(r.id));
    r.name = kr_run_name(client);
    r.started_ms = srv->executions.last_wall_ms - us / 1000;
    r.duration_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    kr_journal_add(srv, &r);
}

static void record(struct kr_client *client, int status, bool ok)
{
    if (status != 422 && status != 503) /* else nothing ran */
        record_run(client, status, ok);
}

void kr_invoke_left(struct kr_client *client)
{
    client->conn.status = 499;
    record(client, 499, false);
}

/* -- results ----------------------------------------------------------------------------------- */

static void on_failure(struct kr_call *call, int status, bool retryable, const char *detail);

static void on_answer(struct kr_call *call, const struct kr_answer *given)
{
    struct kr_answer own = *given, *a = &own;
    struct kr_client *client = kr_client_of_call(call);
    struct kr_conn *conn = &client->conn;
    kr_auto_buf struct kr_buf copy = KR_BUF_INIT(0);
    struct kr_reply reply = {.status = kr_status_of(a->status), .type = "application/json"};
    bool batch =
        conn->route->handler == kr_handle_invoke && kr_endpoint_of(conn->route)->kind == KR_K_BATCH;

    kr_run_name_answered(client, a);
    if (!kr_mask_answer(batch, a, &copy)) {
        (void)close(a->fd);
        on_failure(call, 502, false, "The worker sent an answer that could not be read");
        return;
    }
    reply.body = a->body;
    reply.fd = a->fd;
    reply.fd_size = a->fd_size;
    record(client, a->status, a->run_ok);
    kr_upload_stop(conn);
    if (conn->state == KR_C_STREAM) {
        if (a->fd >= 0)
            (void)close(a->fd);
        kr_conn_stream_end(conn, a->cut);
    } else if (a->head.p != NULL) {
        kr_custom_reply(client, a);
    } else if (a->outputs) {
        reply.body = kr_answer_outputs(client, a->body, a->run_us);
        kr_conn_reply(conn, &reply);
    } else {
        kr_conn_reply(conn, &reply);
    }
}

static void on_chunk(struct kr_call *call, struct kr_view bytes, int status)
{
    struct kr_client *client = kr_client_of_call(call);
    struct kr_conn *conn = &client->conn;
    kr_auto_buf struct kr_buf copy = KR_BUF_INIT(0);

    bytes = kr_mask_event(bytes, &copy);
    if (conn->state == KR_C_WAIT)
        kr_run_name_streamed(client, bytes);
    if (conn->state == KR_C_WAIT)
        kr_conn_stream_begin(conn, kr_status_of(status), kr_view_of(event_stream), -1);
    kr_conn_stream_data(conn, bytes.p, bytes.n);
    if (call->kind == KR_K_CUSTOM) /* as long as it goes on */
        kr_upload_watch(client);
}

static void on_begin(struct kr_call *call, struct kr_view head, int status)
{
    struct kr_client *client = kr_client_of_call(call);
    struct kr_conn *conn = &client->conn;

    if (conn->state == KR_C_WAIT)
        kr_custom_begin(client, head, status);
    else
        kr_conn_close(conn);
}

static void on_sent(struct kr_call *call)
{
    kr_upload_forward(kr_client_of_call(call));
}

static void on_taken(struct kr_call *call, uint32_t bytes)
{
    kr_upload_taken(kr_client_of_call(call), bytes);
}

static void on_failure(struct kr_call *call, int status, bool retryable, const char *detail)
{
    struct kr_client *client = kr_client_of_call(call);
    struct kr_conn *conn = &client->conn;
    kr_auto_free char *text = kr_answer_failure(client, retryable, detail);

    if (status != 503 || !retryable)
        record_run(client, status, false);
    kr_upload_stop(conn);
    if (conn->state == KR_C_STREAM && call->kind == KR_K_CUSTOM) {
        kr_conn_stream_end(conn, true); /* of its form nothing is known here */
    } else if (conn->state == KR_C_STREAM) {
        kr_auto_buf struct kr_buf event = KR_BUF_INIT(8192);

        kr_buf_addf(&event, "event: error\ndata: %s\n\n", text);
        conn->keep_alive = false;
        kr_conn_stream_data(conn, kr_buf_str(&event), event.n);
        kr_conn_stream_end(conn, false);
    } else {
        kr_conn_reply_text(conn, status, "application/json", text, strlen(text));
    }
}

static const struct kr_call_ops call_ops = {.answer = on_answer,
                                            .chunk = on_chunk,
                                            .begin = on_begin,
                                            .sent = on_sent,
                                            .taken = on_taken,
                                            .failure = on_failure};

/* -- requests ---------------------------------------------------------------------------------- */

static void scan(struct kr_client *client, struct kr_scan *out)
{
    const struct kr_conn *conn = &client->conn;
    void *map;

    if (conn->body_fd < 0 || conn->req.body_n > SCAN_MAX) {
        kr_scan_body(kr_conn_body(conn), out);
        kr_run_name_given(client, out->run_name);
    } else {
        map = mmap(NULL, conn->req.body_n, PROT_READ, MAP_PRIVATE, conn->body_fd, 0);
        if (map == MAP_FAILED) {
            kr_scan_body((struct kr_view){.p = "", .n = 0}, out);
            return;
        }
        kr_scan_body((struct kr_view){.p = map, .n = conn->req.body_n}, out);
        kr_run_name_given(client, out->run_name);
        (void)munmap(map, conn->req.body_n);
    }
}

/* Workers may want the arguments of an invocation instead of its body. */
static void read_arguments(struct kr_client *client)
{
    const struct kr_arguments *arguments = &kr_server_of(&client->conn)->arguments;
    struct kr_call *call = &client->call;

    if (arguments->edition == 0 || call->kind != KR_K_INVOKE || call->body_fd >= 0 ||
        !kr_arguments_read(arguments, call->body, call->run_id, &client->head, &client->tail_at))
        return;
    call->arguments = (struct kr_view){.p = client->head.p, .n = client->tail_at};
    call->edition = arguments->edition;
}

void kr_invoke_submit(struct kr_client *client, enum kr_kind kind, int64_t timeout_ms)
{
    struct kr_conn *conn = &client->conn;
    struct kr_server *srv = kr_server_of(conn);
    struct kr_call *call = &client->call;
    const char *detail;
    int status;

    kr_front_uuid(&srv->front, call->run_id);
    if (conn->request_id[0] == '\0')
        memcpy(conn->request_id, call->run_id, sizeof(call->run_id));
    call->ops = &call_ops;
    call->kind = kind;
    call->light = kr_endpoint_of(conn->route)->on_loop;
    call->limit_ms = srv->front.loop.now_ms + srv->cfg.request_timeout_ms;
    call->deadline_ms =
        srv->front.loop.now_ms + timeout_ms; /* a request may ask for less, not more */
    if (call->deadline_ms > call->limit_ms)
        call->deadline_ms = call->limit_ms;
    call->more = conn->streamed;
    if (call->more) {
        client->credit = KR_UPLOAD_WINDOW;
        call->parted = client->ended = false;
    }
    call->body = call->more ? (struct kr_view){.p = "", .n = 0} : kr_conn_body(conn);
    call->body_fd = conn->body_fd;
    call->body_size =
        conn->req.body_n + (kind == KR_K_CUSTOM && conn->body_fd >= 0 ? client->head.n + 4 : 0);
    call->arguments = (struct kr_view){.p = NULL, .n = 0};
    read_arguments(client);
    conn->state = KR_C_WAIT;
    if (!kr_pool_submit(&srv->pool, call, &status, &detail))
        on_failure(call, status, true, detail);
}

void kr_handle_invoke(struct kr_conn *conn)
{
    struct kr_client *client = kr_client_of(conn);
    struct kr_server *srv = kr_server_of(conn);
    struct kr_scan found;

    scan(client, &found);
    if (found.timeout_ms == 0)
        found.timeout_ms = srv->cfg.request_timeout_ms;
    client->call.head = (struct kr_view){.p = NULL, .n = 0};
    if (srv->middleware)
        kr_custom_submit(client, found.timeout_ms);
    else
        kr_invoke_submit(client, kr_endpoint_of(conn->route)->kind, found.timeout_ms);
}
