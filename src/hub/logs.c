/* SPDX-License-Identifier: Apache-2.0 */
/* Logs come as server-sent events {"data":"text\n","timestamp":"..."}. A new connection replays the
 * log from its start, so what was shown is recognised by time and count. */
#include "hub/logs.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/redact.h"
#include "hub/hub_impl.h"
#include "net/sse.h"

#include <stdio.h>
#include <string.h>

enum {
    IDLE_MS = 5000,
    DRAINED_MS = 2000, /* silence behind lines that came */
    FOLLOW_IDLE_MS = 120000,
    LASTED_MS = 30000, /* a connection that long was a good one */
    RECONNECTS = 5,    /* in a row */
    LINE_MAX_BYTES = 64 * 1024
};

struct kr_log {
    struct kr_hub *hub;
    struct kr_log_options opt;
    struct kr_hub_call call;
    char *doing, *path, *url;
    struct kr_http_request req;
    struct kr_http_stream *stream;
    struct kr_sse sse;
    struct kr_redactor redactor;
    struct kr_buf line; /* text without its line end yet */
    char last[64];      /* time of the event shown last */
    uint64_t at_last;   /* events shown with that time */
    uint64_t shown;     /* events shown in all */
    bool skipping;      /* in a replay */
    uint64_t skip_left; /* of events of the time `last`, or of all when there are no times */
    int64_t heard_ms;   /* when the last event with text came */
    int64_t since_ms;   /* when the present connection began */
    int64_t resume_ms;  /* when to connect again; 0: connected */
    int failures;       /* in a row */
    int64_t until_ms;   /* not following: what is newer came after we asked; 0: not known */
    bool over;
};

/* Colours and whatever else moves a terminal's cursor are removed; what stood before a lone '\r'
 * was meant to be overwritten. */
static void clean(struct kr_buf *line)
{
    size_t n = 0;

    for (size_t i = 0; i < line->n; i++) {
        unsigned char c = (unsigned char)line->p[i];

        if (c == 0x1b && i + 1 < line->n && line->p[i + 1] == '[') {
            for (i += 2; i < line->n && (line->p[i] < 0x40 || line->p[i] > 0x7e); i++)
                ;
        } else if (c == '\r' && i + 1 < line->n) {
            n = 0;
        } else if ((c >= 0x20 && c != 0x7f) || c == '\t') {
            line->p[n++] = (char)c;
        }
    }
    line->n = n;
    if (line->p != NULL)
        line->p[n] = '\0';
}

static void show(struct kr_log *log, const char *when)
{
    clean(&log->line);
    if (log->line.n != 0)
        kr_redact(log->line.p, log->line.n);
    if (log->opt.line != NULL)
        log->opt.line(log->opt.data, kr_buf_str(&log->line), when);
    kr_buf_reset(&log->line);
}

static void take_lines(struct kr_log *log, const char *text, const char *when)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        size_t room = LINE_MAX_BYTES - log->line.n, part = n < room ? n : room;

        kr_buf_add(&log->line, p, part);
        p += part;
        if (part < n || *p == '\n')
            show(log, when);
        p += part == n && *p == '\n';
    }
}

/* Secrets go before the text is cut into lines: they may be longer than one, or than an event. */
static void take_text(struct kr_log *log, const char *text, const char *when)
{
    kr_auto_buf struct kr_buf said = KR_BUF_INIT(strlen(text) + KR_REDACT_BLOCK);

    kr_redactor_feed(&log->redactor, text, strlen(text), &said);
    take_lines(log, kr_buf_str(&said), when);
}

/* What is left of the last line is shown. */
static void take_end(struct kr_log *log)
{
    kr_auto_buf struct kr_buf said = KR_BUF_INIT(KR_REDACT_BLOCK);

    kr_redactor_end(&log->redactor, &said);
    take_lines(log, kr_buf_str(&said), log->last);
    if (log->line.n != 0)
        show(log, log->last);
}

static void finish(struct kr_log *log)
{
    take_end(log);
    log->over = true;
}

/* Was this event of a replay shown before? Times decide; without them, the count. */
static bool was_shown(struct kr_log *log, const char *when)
{
    int order;

    if (!log->skipping)
        return false;
    order = log->last[0] != '\0' && when[0] != '\0' ? strcmp(when, log->last) : 0;
    if (order < 0)
        return true;
    if (order == 0 && log->skip_left > 0) {
        log->skip_left--;
        return true;
    }
    log->skipping = order == 0 && log->last[0] != '\0';
    return false;
}

static int on_event(void *data, const struct kr_sse_event *event, struct kr_err *err)
{
    struct kr_log *log = data;
    kr_auto_json json_t *body = NULL;
    const char *text, *when;

    (void)err;
    if (event->data_len == 0 || event->data[0] != '{' ||
        kr_json_parse(event->data, event->data_len, "", &body, NULL) < 0)
        return 0; /* keep-alive, or something we do not know */
    text = kr_json_str(body, "data", NULL);
    when = kr_json_str(body, "timestamp", "");
    if (text == NULL)
        return 0;
    log->heard_ms = kr_http_now(log->hub->http);
    if (log->over || was_shown(log, when))
        return 0;
    if (log->until_ms > 0 && kr_iso8601_parse(when) > log->until_ms) {
        finish(log);
        return 0;
    }
    log->failures = 0;
    if (strcmp(when, log->last) != 0) {
        (void)snprintf(log->last, sizeof(log->last), "%s", when);
        log->at_last = 0;
    }
    log->at_last++;
    log->shown++;
    take_text(log, text, when);
    return 0;
}

static int on_data(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    struct kr_log *log = data;

    if (kr_sse_feed(&log->sse, bytes, n, err) < 0)
        return -(int)err->code;
    return log->over ? 1 : 0;
}

/* The header has whole seconds, so the second that it names counts as before. */
static void on_begin(void *data, const struct kr_http_response *res)
{
    struct kr_log *log = data;
    int64_t at;

    if (!log->opt.follow && kr_http_date_parse(kr_http_header(res, "date"), &at))
        log->until_ms = (at + 1) * 1000;
}

/* Not following: how much silence is the end. */
static int64_t idle_limit(const struct kr_log *log)
{
    if (log->opt.idle_ms > 0)
        return log->opt.idle_ms;
    return log->shown != 0 ? DRAINED_MS : IDLE_MS;
}

static int log_connect(struct kr_log *log, struct kr_err *err)
{
    static const char *const headers[] = {"Accept: text/event-stream", NULL};
    bool first = log->url == NULL;

    free(log->path);
    free(log->url);
    log->path =
        kr_asprintf("/api/spaces/%s/logs/%s", log->opt.space, log->opt.build ? "build" : "run");
    if (first && log->opt.tail >= 0) {
        char *with_tail = kr_asprintf("%s?tail=%lld", log->path, (long long)log->opt.tail);

        free(log->path);
        log->path = with_tail;
    }
    log->url = kr_hub_url(log->hub, log->path);
    log->call.path = log->path;
    kr_hub_request(log->hub, &log->call, log->url, &log->req);
    log->req.headers = headers;
    log->req.data = log;
    log->req.on_data = on_data;
    log->req.on_begin = on_begin;
    log->req.idle_ms = log->opt.follow ? FOLLOW_IDLE_MS : idle_limit(log) * 4;
    kr_sse_finish(&log->sse);
    kr_sse_init(&log->sse, on_event, log);
    log->skipping = log->shown != 0;
    log->skip_left = log->last[0] != '\0' ? log->at_last : log->shown;
    log->heard_ms = log->since_ms = kr_http_now(log->hub->http);
    log->resume_ms = 0;
    if (log->skipping)
        take_end(log); /* its rest may come or not: it is not kept for another connection */
    return kr_http_stream_open(log->hub->http, &log->req, &log->stream, err);
}

int kr_log_open(struct kr_hub *hub, const struct kr_log_options *options, struct kr_log **out,
                struct kr_err *err)
{
    kr_auto_log struct kr_log *log = NULL;

    if (hub->offline)
        return kr_fail(err, KR_E_NETWORK, "read the log of Space %s: HF_HUB_OFFLINE is set",
                       options->space);
    log = kr_calloc(1, sizeof(*log));
    log->hub = hub;
    log->opt = *options;
    if (log->opt.reconnects <= 0 || log->opt.reconnects > RECONNECTS)
        log->opt.reconnects = RECONNECTS;
    log->doing = kr_asprintf("read the %s log of Space %s", options->build ? "build" : "run",
                             options->space);
    log->call = (struct kr_hub_call){.doing = log->doing, .method = "GET", .space = options->space};
    kr_buf_init(&log->line, (size_t)2 * LINE_MAX_BYTES);
    kr_redactor_init(&log->redactor);
    kr_sse_init(&log->sse, on_event, log);
    if (log_connect(log, err) < 0)
        return -(int)err->code;
    *out = kr_steal(&log);
    return 0;
}

void kr_log_close(struct kr_log *log)
{
    if (log == NULL)
        return;
    kr_http_stream_close(log->stream);
    kr_sse_finish(&log->sse);
    kr_buf_finish(&log->line);
    kr_redactor_finish(&log->redactor);
    free(log->doing);
    free(log->path);
    free(log->url);
    free(log);
}

/* The connection broke: when following, it is made again after a while. */
static int broken(struct kr_log *log, const struct kr_err *why, struct kr_err *err)
{
    static const int64_t waits[RECONNECTS] = {1000, 2000, 4000, 8000, 10000};

    if (!log->opt.follow && why->code == KR_E_TIMEOUT) {
        finish(log);
        return 0;
    }
    if (kr_http_now(log->hub->http) - log->since_ms > LASTED_MS)
        log->failures = 0;
    if (why->code == KR_E_CANCELLED || log->failures >= log->opt.reconnects) {
        if (err != NULL)
            *err = *why;
        return kr_wrap(err, "%s", log->doing);
    }
    kr_http_stream_close(log->stream);
    log->stream = NULL;
    log->resume_ms = kr_http_now(log->hub->http) + waits[log->failures++];
    return 0;
}

/* The stream is over and has an answer. */
static int ended(struct kr_log *log, struct kr_err *err)
{
    const struct kr_http_response *res = kr_http_stream_response(log->stream);
    struct kr_err why = KR_ERR_INIT;

    if (res->status >= 500 || res->status == 408 || res->status == 429) {
        (void)kr_hub_problem(log->hub, &log->call, res, &why);
        if (log->failures < log->opt.reconnects)
            return broken(log, &why, err);
    }
    if (res->status != 200)
        return kr_hub_problem(log->hub, &log->call, res, err);
    finish(log);
    return 0;
}

int kr_log_pump(struct kr_log *log, int64_t wait_ms, bool *done, struct kr_err *err)
{
    struct kr_http *http = log->hub->http;
    struct kr_err why = KR_ERR_INIT;
    int64_t left = log->resume_ms - kr_http_now(http);
    bool over = false;
    int rc = 0, pumped;

    *done = log->over;
    if (log->over)
        return 0;
    if (log->stream == NULL && left > 0)
        return kr_http_sleep(http, left < wait_ms ? left : wait_ms, err);
    if (log->stream == NULL && log_connect(log, err) < 0)
        return -(int)err->code;
    pumped = kr_http_stream_pump(log->stream, wait_ms, &over, &why);

    if (log->over) /* a line of after we asked */
        rc = 0;
    else if (pumped < 0)
        rc = broken(log, &why, err);
    else if (over)
        rc = ended(log, err);
    else if (!log->opt.follow && kr_http_now(http) - log->heard_ms >= idle_limit(log))
        finish(log);
    *done = log->over;
    return rc;
}

int kr_hub_logs(struct kr_hub *hub, const struct kr_log_options *options, struct kr_err *err)
{
    enum { STEP_MS = 500 };
    kr_auto_log struct kr_log *log = NULL;
    bool done = false;

    if (kr_log_open(hub, options, &log, err) < 0)
        return -(int)err->code;
    while (!done) {
        if (kr_log_pump(log, STEP_MS, &done, err) < 0)
            return -(int)err->code;
    }
    return 0;
}
