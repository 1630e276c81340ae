/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/client.h"

#include "serve/handlers.h"
#include "serve/invoke.h"
#include "serve/record.h"
#include "serve/run_name.h"
#include "serve/server.h"

static void opened(struct kr_conn *conn)
{
    struct kr_client *client = kr_client_of(conn);

    client->call.body_fd = -1;
    kr_buf_init(&client->head, KR_HTTP_HEAD_MAX * 2);
}

static void reset(struct kr_conn *conn)
{
    struct kr_client *client = kr_client_of(conn);

    client->call.more = client->call.left = false;
    kr_run_name_forget(client);
}

static void abandoned(struct kr_conn *conn)
{
    struct kr_client *client = kr_client_of(conn);
    struct kr_server *srv = kr_server_of(conn);

    kr_journal_forget(conn);
    if (client->call.where == KR_CALL_IDLE)
        return;
    if (client->call.more) /* from now on it is its own time */
        kr_pool_extend(&srv->pool, &client->call,
                       srv->front.loop.now_ms + srv->cfg.request_timeout_ms);
    kr_pool_abandon(&srv->pool, &client->call);
    kr_invoke_left(client);
}

static void freed(struct kr_conn *conn)
{
    struct kr_client *client = kr_client_of(conn);

    kr_buf_finish(&client->head);
    kr_run_name_forget(client);
}

static void closed(struct kr_front *front)
{
    kr_server_check_drained(
        (struct kr_server *)((char *)front - offsetof(struct kr_server, front)));
}

static bool allowed(struct kr_conn *conn)
{
    return !conn->route->auth || kr_auth_check(conn);
}

static void left(struct kr_conn *conn)
{
    kr_custom_left(kr_client_of(conn));
}

static void moved(struct kr_conn *conn)
{
    struct kr_client *client = kr_client_of(conn);

    if (client->call.where != KR_CALL_IDLE && !client->call.more)
        client->call.body = kr_conn_body(conn);
}

static void paused(struct kr_conn *conn, bool is_paused)
{
    kr_pool_pause(&kr_client_of(conn)->call, is_paused);
}

static void uploaded(struct kr_conn *conn)
{
    kr_upload_forward(kr_client_of(conn));
}

static uint64_t held(const struct kr_conn *conn)
{
    return kr_client_of(conn)->head.cap;
}

/* That it is not ready yet is no news while it starts, and who deploys asks until it is. */
static bool is_expected(const struct kr_conn *conn)
{
    return conn->status == 503 && !kr_server_of(conn)->pool.was_ready;
}

const struct kr_front_ops kr_client_ops = {.conn_size = sizeof(struct kr_client),
                                           .opened = opened,
                                           .reset = reset,
                                           .abandoned = abandoned,
                                           .freed = freed,
                                           .closed = closed,
                                           .allowed = allowed,
                                           .left = left,
                                           .moved = moved,
                                           .paused = paused,
                                           .uploaded = uploaded,
                                           .held = held,
                                           .is_expected = is_expected};
