/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to invocations that are put together here: around the outputs that a worker gave, and in
 * place of a worker's. Workers write the same form (docs/worker-protocol.md). */
#include "serve/answer.h"

#include "base/alloc.h"
#include "serve/client.h"
#include "serve/metadata.h"
#include "serve/run_name.h"
#include "serve/server.h"
#include "serve/value.h"

#include <string.h>

#define ANSWER_MAX (KR_FRAME_MAX + (1u << 20))

void kr_answer_init(struct kr_server *srv)
{
    const struct kr_metadata metadata = {.deployment_id = srv->opt.deployment_id,
                                         .deployment_name = srv->opt.deployment_name,
                                         .snapshot_id = srv->opt.snapshot_id,
                                         .snapshot_name = srv->opt.snapshot_name,
                                         .pipeline_name = srv->cfg.pipeline};

    kr_buf_init(&srv->answer, ANSWER_MAX);
    kr_buf_init(&srv->metadata, 1u << 20);
    kr_metadata_write(&metadata, &srv->metadata);
}

void kr_answer_finish(struct kr_server *srv)
{
    kr_buf_finish(&srv->metadata);
    kr_buf_finish(&srv->answer);
}

static void add_seconds(struct kr_buf *out, uint32_t us)
{
    char fraction[7];

    for (int i = 5; i >= 0; i--) {
        fraction[i + 1] = (char)('0' + us % 10);
        us /= 10;
    }
    fraction[0] = '.';
    kr_write_integer(out, us);
    kr_buf_add(out, fraction, sizeof(fraction));
}

struct kr_view kr_answer_outputs(const struct kr_client *client, struct kr_view outputs,
                                 uint32_t us)
{
    struct kr_server *srv = kr_server_of(&client->conn);
    struct kr_buf *out = &srv->answer;

    kr_buf_reset(out);
    kr_buf_adds(out, "{\"success\":true,\"outputs\":");
    kr_buf_add(out, outputs.p, outputs.n);
    kr_buf_adds(out, ",\"execution_time\":");
    add_seconds(out, us);
    kr_buf_add(out, srv->metadata.p, srv->metadata.n);
    kr_buf_add(out, client->call.run_id, KR_RUN_ID_LEN);
    kr_buf_adds(out, "\",");
    kr_buf_add(out, client->head.p + client->tail_at, client->head.n - client->tail_at);
    kr_buf_adds(out, "},\"error\":null}");
    return (struct kr_view){.p = kr_buf_str(out), .n = out->n};
}

static json_t *failed_metadata(const struct kr_client *client)
{
    const struct kr_server *srv = kr_server_of(&client->conn);
    kr_auto_free char *name = kr_run_name(client);
    json_t *metadata = json_object();

    kr_json_set_str(metadata, "deployment_id", srv->opt.deployment_id);
    kr_json_set_str(metadata, "deployment_name", srv->opt.deployment_name);
    kr_json_set_str(metadata, "snapshot_id", srv->opt.snapshot_id);
    kr_json_set_str(metadata, "snapshot_name", srv->opt.snapshot_name);
    kr_json_set_str(metadata, "pipeline_name", srv->cfg.pipeline);
    kr_json_set_str(metadata, "run_id", client->call.run_id);
    kr_json_set_str(metadata, "run_name", name);
    kr_json_set(metadata, "parameters_used", json_null());
    return metadata;
}

char *kr_answer_failure(const struct kr_client *client, bool retryable, const char *detail)
{
    int64_t us = kr_server_of(&client->conn)->front.loop.now_us - client->conn.arrived_us;
    kr_auto_json json_t *doc = json_object();

    kr_json_set_bool(doc, "success", false);
    kr_json_set(doc, "outputs", json_null());
    kr_json_set(doc, "execution_time", json_real((double)(us > 0 ? us : 0) / 1e6));
    kr_json_set(doc, "metadata", failed_metadata(client));
    kr_json_set_str(doc, "error", detail);
    kr_json_set_str(doc, "detail", detail);
    kr_json_set_bool(doc, "retryable", retryable);
    kr_json_set_str(doc, "run_id", client->call.run_id);
    return kr_json_canonical(doc);
}
