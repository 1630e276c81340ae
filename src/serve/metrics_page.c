/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: Prometheus text, or JSON for Accept: application/json. */
#include "serve/handlers.h"

#include "base/clock.h"
#include "serve/record.h"
#include "serve/server.h"

#include <string.h>

static uint64_t front_rss(void)
{
    kr_auto_file FILE *f = fopen("/proc/self/statm", "re");
    char line[128];
    struct kr_view rest, head;
    uint64_t pages = 0;

    if (f == NULL || fgets(line, sizeof(line), f) == NULL)
        return 0;
    rest = kr_view_of(line);
    (void)kr_view_cut(&rest, ' ', &head);
    (void)kr_view_cut(&rest, ' ', &head);
    (void)kr_view_u64(head, &pages);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void family(struct kr_buf *out, const char *name, const char *type, const char *help)
{
    kr_buf_addf(out, "# HELP kourou_%s %s\n# TYPE kourou_%s %s\n", name, help, name, type);
}

static void single(struct kr_buf *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    family(out, name, type, help);
    kr_buf_addf(out, "kourou_%s %llu\n", name, (unsigned long long)value);
}

static void label_text(char *to, size_t size, const char *label)
{
    size_t n = 0;

    for (; *label != '\0' && n + 2 < size; label++) {
        if (*label == '"' || *label == '\\')
            to[n++] = '\\';
        to[n++] = *label;
    }
    to[n] = '\0';
}

static void requests(struct kr_buf *out, const char *label, const struct kr_route_stats *s)
{
    char path[256];

    label_text(path, sizeof(path), label);
    for (int i = 0; i < KR_STATUS_SLOTS && s->by_status[i].status != 0; i++)
        kr_buf_addf(out, "kourou_requests_total{path=\"%s\",status=\"%u\"} %llu\n", path,
                    s->by_status[i].status, (unsigned long long)s->by_status[i].count);
}

static void latency(struct kr_buf *out, const char *label, const struct kr_route_stats *s)
{
    uint64_t sum = 0;
    char path[256];

    label_text(path, sizeof(path), label);
    for (int i = 0; i < KR_LATENCY_SLOTS && s->count > 0; i++) {
        sum += s->latency[i];
        if (i < KR_LATENCY_SLOTS - 1)
            kr_buf_addf(out, "kourou_request_duration_seconds_bucket{path=\"%s\",le=\"%g\"} %llu\n",
                        path, kr_latency_bound(i), (unsigned long long)sum);
        else
            kr_buf_addf(out,
                        "kourou_request_duration_seconds_bucket{path=\"%s\",le=\"+Inf\"} %llu\n",
                        path, (unsigned long long)sum);
    }
    if (s->count > 0)
        kr_buf_addf(out,
                    "kourou_request_duration_seconds_sum{path=\"%s\"} %.6f\n"
                    "kourou_request_duration_seconds_count{path=\"%s\"} %llu\n",
                    path, (double)s->latency_sum_us / 1e6, path, (unsigned long long)s->count);
}

static uint32_t in_flight(const struct kr_pool *pool)
{
    uint32_t n = 0;

    for (int64_t i = 0; i < pool->slots; i++)
        n += pool->workers[i].inflight;
    return n;
}

static void workers(struct kr_buf *out, const struct kr_pool *pool)
{
    static const char *const names[] = {"down",      "starting", "ready",
                                        "condemned", "draining", "dying"};

    family(out, "workers", "gauge", "Worker processes by state");
    for (int i = 0; i < 6; i++)
        kr_buf_addf(out, "kourou_workers{state=\"%s\"} %u\n", names[i],
                    kr_pool_count(pool, (enum kr_worker_state)i));
    family(out, "memory_bytes", "gauge", "Resident memory");
    kr_buf_addf(out, "kourou_memory_bytes{process=\"front\"} %llu\n",
                (unsigned long long)front_rss());
    for (int64_t i = 0; i < pool->slots; i++) {
        if (pool->workers[i].pid > 0 || i < pool->cfg.workers)
            kr_buf_addf(out, "kourou_memory_bytes{process=\"worker-%lld\"} %llu\n", (long long)i,
                        (unsigned long long)pool->workers[i].rss);
    }
}

static void text_page(struct kr_server *srv, struct kr_buf *out)
{
    const struct kr_pool_counters *c = &srv->pool.count;

    family(out, "requests_total", "counter", "HTTP requests by path and status");
    for (const struct kr_route *r = srv->front.routes; r != NULL; r = r->next)
        requests(out, r->label, &r->stats);
    requests(out, "other", &srv->front.count.other);
    family(out, "request_duration_seconds", "histogram", "Time from head to answer");
    for (const struct kr_route *r = srv->front.routes; r != NULL; r = r->next)
        latency(out, r->label, &r->stats);
    latency(out, "other", &srv->front.count.other);
    single(out, "executions_total", "counter", "Pipeline runs", srv->executions.count);
    single(out, "executions_failed_total", "counter", "Pipeline runs that failed",
           srv->executions.failed);
    single(out, "queue_length", "gauge", "Requests that wait for a worker", srv->pool.queued);
    single(out, "in_flight", "gauge", "Requests that workers have", in_flight(&srv->pool));
    single(out, "connections", "gauge", "Open client connections", srv->front.conn_count);
    single(out, "connections_total", "counter", "Client connections accepted",
           srv->front.count.connections);
    single(out, "connections_evicted_total", "counter",
           "Connections that stood still, closed to make room for others",
           srv->front.count.evicted);
    single(out, "request_memory_bytes", "gauge", "Memory that requests and answers hold",
           srv->front.room.held);
    single(out, "request_memory_limit_bytes", "gauge", "What they may hold together",
           kr_room_limit(&srv->front));
    single(out, "request_memory_refused_total", "counter", "Requests refused for lack of memory",
           srv->front.count.no_room);
    single(out, "bad_requests_total", "counter", "Requests refused by the HTTP parser or too slow",
           srv->front.count.bad_requests);
    single(out, "received_bytes_total", "counter", "Bytes of requests", srv->front.count.bytes_in);
    single(out, "sent_bytes_total", "counter", "Bytes of answers", srv->front.count.bytes_out);
    single(out, "worker_restarts_total", "counter", "Workers that were replaced", c->restarts);
    single(out, "worker_crashes_total", "counter", "Workers that ended by themselves", c->crashes);
    single(out, "reloads_total", "counter", "Times that changed code took over", c->reloads);
    single(out, "worker_timeouts_total", "counter", "Requests that passed their timeout",
           c->timeouts);
    single(out, "worker_memory_kills_total", "counter", "Workers stopped for their memory",
           c->memory_kills);
    single(out, "rejected_total", "counter", "Requests refused because none could take them",
           c->rejected);
    single(out, "redispatched_total", "counter", "Requests given to another worker",
           c->redispatched);
    single(out, "runs_dropped_total", "counter", "Runs that the journal could not keep up with",
           kr_journal_dropped(srv));
    family(out, "uptime_seconds", "gauge", "Since the server was started");
    kr_buf_addf(out, "kourou_uptime_seconds %.3f\n",
                (double)(srv->front.loop.now_ms - srv->started_ms) / 1000.0);
    workers(out, &srv->pool);
}

static void json_page(struct kr_conn *conn)
{
    struct kr_server *srv = kr_server_of(conn);
    kr_auto_json json_t *doc = json_object();
    kr_auto_free char *text = NULL;
    char stamp[KR_ISO_SIZE];

    kr_json_set_int(doc, "total_executions", (int64_t)srv->executions.count);
    kr_json_set_int(doc, "failed_executions", (int64_t)srv->executions.failed);
    if (srv->executions.last_wall_ms > 0)
        kr_json_set_str(doc, "last_execution_time",
                        kr_iso8601(srv->executions.last_wall_ms, stamp));
    else
        kr_json_set(doc, "last_execution_time", json_null());
    kr_json_set_int(doc, "queue_length", srv->pool.queued);
    kr_json_set_int(doc, "in_flight", in_flight(&srv->pool));
    kr_json_set_int(doc, "workers_ready", kr_pool_count(&srv->pool, KR_W_READY));
    kr_json_set_int(doc, "worker_restarts", (int64_t)srv->pool.count.restarts);
    kr_json_set_int(doc, "timeouts", (int64_t)srv->pool.count.timeouts);
    kr_json_set_int(doc, "memory_bytes", (int64_t)front_rss());
    text = kr_json_canonical(doc);
    kr_conn_reply_text(conn, 200, "application/json", text, strlen(text));
}

void kr_handle_metrics(struct kr_conn *conn)
{
    struct kr_view accept = kr_request_known(&conn->req, conn->in, KR_H_ACCEPT);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4u << 20);

    if (accept.p != NULL && memmem(accept.p, accept.n, "application/json", 16) != NULL) {
        json_page(conn);
        return;
    }
    kr_pool_watch_memory(&kr_server_of(conn)->pool);
    text_page(kr_server_of(conn), &out);
    kr_conn_reply_text(conn, 200, "text/plain; version=0.0.4; charset=utf-8", kr_buf_str(&out),
                       out.n);
}
