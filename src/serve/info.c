/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health, /livez and /info. */
#include "serve/handlers.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "serve/server.h"

#include <string.h>

static void reply_json(struct kr_conn *conn, int status, json_t *doc)
{
    kr_auto_free char *text = kr_json_canonical(doc);

    kr_conn_reply_text(conn, status, "application/json", text, strlen(text));
}

static void add_tail(json_t *doc, const struct kr_worker *w)
{
    json_t *lines = json_array();

    for (unsigned i = 0; i < w->tail_n; i++) {
        unsigned at = (w->tail_at + KR_TAIL_LINES - w->tail_n + i) % KR_TAIL_LINES;
        json_t *line = json_string(w->tail[at]);

        json_array_append_new(lines, line != NULL ? line : json_string("(not text)"));
    }
    kr_json_set(doc, "stderr", lines);
}

/* The usual answer is a constant: /health is asked often, and also while everything else is
 * busy. */
void kr_handle_health(struct kr_conn *conn)
{
    static const char fine[] = "{\"status\":\"healthy\"}";
    struct kr_server *srv = kr_server_of(conn);
    const struct kr_worker *failed;
    kr_auto_json json_t *doc = NULL;
    const char *status = "starting", *why = NULL;

    if (srv->front.draining)
        status = "draining";
    else if (kr_pool_invocable(&srv->pool, &why)) {
        kr_conn_reply_text(conn, 200, "application/json", fine, sizeof(fine) - 1);
        return;
    }
    doc = json_object();
    failed = kr_pool_failed_worker(&srv->pool);
    if (kr_pool_crash_loop(&srv->pool))
        status = "crash-loop";
    else if (failed != NULL)
        status = "failing";
    else if (kr_pool_count(&srv->pool, KR_W_READY) > 0 && !srv->front.draining)
        status = "stuck";
    else if (srv->pool.was_ready && !srv->front.draining)
        status = "restarting";
    kr_json_set_str(doc, "status", status);
    if (failed != NULL) {
        kr_json_set_str(doc, "detail", failed->last_error);
        kr_json_set_int(doc, "failures", failed->failures);
        add_tail(doc, failed);
    } else {
        kr_json_set_str(doc, "detail", why != NULL ? why : "the server is stopping");
    }
    reply_json(conn, 503, doc);
}

void kr_handle_ready(struct kr_conn *conn)
{
    kr_handle_health(conn);
}

/* Whether workers are there is not its question: who restarts the server for its sake would gain
 * nothing. */
void kr_handle_livez(struct kr_conn *conn)
{
    static const char alive[] = "{\"status\":\"alive\"}";

    kr_conn_reply_text(conn, 200, "application/json", alive, sizeof(alive) - 1);
}

static json_t *named(const char *id, const char *name)
{
    json_t *doc = json_object();

    kr_json_set_str(doc, "id", id);
    kr_json_set_str(doc, "name", name);
    return doc;
}

static json_t *share(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return value != NULL ? json_incref(value) : json_null();
}

static json_t *app_json(const struct kr_server *srv)
{
    const struct kr_config *c = &srv->cfg;
    json_t *app = json_object();

    kr_json_set_str(app, "app_runner_flavor", "kourou");
    kr_json_set_str(app, "title", c->title);
    kr_json_set_str(app, "version", c->version);
    kr_json_set_str(app, "docs_url_path", c->docs_path);
    kr_json_set_str(app, "redoc_url_path", c->redoc_path);
    kr_json_set_str(app, "openapi_url_path", c->openapi_path);
    kr_json_set_str(app, "invoke_url_path", c->invoke_path);
    kr_json_set_str(app, "batch_invoke_url_path", c->batch_path);
    kr_json_set_str(app, "stream_invoke_url_path", c->streams ? c->stream_path : NULL);
    kr_json_set_str(app, "health_url_path", c->health_path);
    kr_json_set_str(app, "info_url_path", c->info_path);
    kr_json_set_str(app, "metrics_url_path", c->metrics_path);
    kr_json_set_str(app, "runs_url_path", c->runs_path);
    return app;
}

static json_t *isolation_json(const struct kr_server *srv)
{
    json_t *doc = json_object();
    bool process = srv->cfg.processes > 0, afresh = srv->pool.afresh;

    kr_json_set_str(doc, "mode", process ? "process" : "thread");
    if (!process)
        return doc;
    kr_json_set_int(doc, "processes", srv->cfg.processes);
    kr_json_set_str(doc, "start", afresh ? "exec" : "fork");
    if (afresh && srv->pool.afresh_why[0] != '\0')
        kr_json_set_str(doc, "reason", srv->pool.afresh_why);
    return doc;
}

json_t *kr_info_json(struct kr_server *srv)
{
    json_t *doc = json_object(),
           *deployment = named(srv->opt.deployment_id, srv->opt.deployment_name);
    json_t *pipeline = json_object();
    char stamp[KR_ISO_SIZE];
    const char *why;

    kr_json_set_bool(deployment, "auth_enabled", srv->opt.auth_key != NULL);
    kr_json_set_str(deployment, "url", srv->opt.public_url);
    kr_json_set(doc, "deployment", deployment);
    kr_json_set(doc, "snapshot", named(srv->opt.snapshot_id, srv->opt.snapshot_name));
    kr_json_set_str(pipeline, "name", srv->cfg.pipeline);
    kr_json_set_str(pipeline, "description", srv->cfg.description);
    kr_json_set(pipeline, "parameters", share(srv->cfg.snapshot, "parameters"));
    kr_json_set(pipeline, "input_schema", share(srv->cfg.snapshot, "input_schema"));
    kr_json_set(pipeline, "output_schema", share(srv->cfg.snapshot, "output_schema"));
    kr_json_set_bool(pipeline, "streams", srv->cfg.streams);
    kr_json_set(doc, "pipeline", pipeline);
    kr_json_set(doc, "app", app_json(srv));
    kr_json_set(doc, "isolation", isolation_json(srv));
    kr_json_set_int(doc, "total_executions", (int64_t)srv->executions.count);
    if (srv->executions.last_wall_ms > 0)
        kr_json_set_str(doc, "last_execution_time",
                        kr_iso8601(srv->executions.last_wall_ms, stamp));
    else
        kr_json_set(doc, "last_execution_time", json_null());
    kr_json_set_str(doc, "status", kr_pool_invocable(&srv->pool, &why) ? "healthy" : "unhealthy");
    kr_json_set(doc, "uptime",
                json_real((double)(srv->front.loop.now_ms - srv->started_ms) / 1000.0));
    kr_json_set_str(doc, "kourou_version", KR_VERSION);
    return doc;
}

void kr_handle_info(struct kr_conn *conn)
{
    kr_auto_json json_t *doc = kr_info_json(kr_server_of(conn));

    reply_json(conn, 200, doc);
}
