/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that go to the worker while they come. What the worker was sent and has not used is
 * bounded: until it has used some, the rest stays with the front. */
#include "serve/client.h"
#include "serve/server.h"

/* The worker is not to blame for a slow client: its time runs while it could go on. */
void kr_upload_watch(struct kr_client *client)
{
    struct kr_conn *conn = &client->conn;
    struct kr_server *srv = kr_server_of(conn);
    bool its_turn = conn->upload && conn->body_buf.n == 0 && client->credit > 0;

    if (client->call.where == KR_CALL_SENT)
        kr_pool_extend(&srv->pool, &client->call,
                       its_turn ? INT64_MAX : srv->front.loop.now_ms + srv->cfg.request_timeout_ms);
}

void kr_upload_forward(struct kr_client *client)
{
    struct kr_conn *conn = &client->conn;
    size_t n = conn->body_buf.n < client->credit ? conn->body_buf.n : client->credit;
    bool last;

    if (client->call.where != KR_CALL_SENT)
        return;
    last = !conn->upload && n == conn->body_buf.n;
    if (n > 0 || (last && !client->ended)) {
        kr_pool_body(&client->call, (struct kr_view){.p = conn->body_buf.p, .n = n}, last);
        client->credit -= (uint32_t)n;
        client->ended = last;
        kr_upload_took(conn, n);
    }
    kr_upload_watch(client);
}

void kr_upload_taken(struct kr_client *client, uint32_t bytes)
{
    if (bytes == 0 && kr_upload_wanted(&client->conn))
        return;
    if (bytes > KR_UPLOAD_WINDOW - client->credit)
        bytes = KR_UPLOAD_WINDOW - client->credit;
    client->credit += bytes;
    if (bytes > 0 && !client->ended)
        kr_upload_forward(client);
}
