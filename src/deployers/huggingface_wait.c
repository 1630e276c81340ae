/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a Space: stages, live logs, the health of the app, and what to say when it fails. */
#include "deployers/huggingface.h"

#include "base/alloc.h"
#include "base/view.h"
#include "deployers/lifecycle.h"
#include "hub/logs.h"

#include <string.h>

enum {
    KEPT_LINES = 200,
    SHOWN_LINES = 20,
    END_QUIET_MS = 2000,
    POLL_MS = 3000,
    FIRST_POLLS = 5,
    LOG_TRIES = 5,
    LOOKS_AFTER_LOG = 3
};

/* The last lines of a log, oldest first. */
struct kept {
    char *v[KEPT_LINES];
    size_t n;
};

struct wait {
    struct kr_hf *hf;
    const struct kr_hf_goal *goal;
    struct kr_runtime rt;
    int64_t started_ms;
    int polls;
    bool move_seen;
    int restarts; /* we asked for, to get out of PAUSED */
    char *last_stage;
    struct kr_log *log; /* build or run log while it is of interest, or NULL */
    bool log_is_build, log_ended;
    int log_was_first; /* at this look: our build stood in the log before it was seen as a stage */
    int log_failures;  /* in a row: a log that cannot be followed is not asked for for ever */
    char *log_problem; /* why the log of a failure could not be read, or NULL */
    struct kept lines; /* of the log that is of interest */
    size_t lines_read; /* of all logs, ever */
    int seen_port;
    bool seen_loopback;
    char *health;    /* what the app said last when asked, or NULL */
    char *shown;     /* of that, to the user */
    bool crash_loop; /* the app itself says that its workers cannot start */
};

static void forget_lines(struct kept *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        free(lines->v[i]);
    lines->n = 0;
}

static void wait_finish(struct wait *w)
{
    kr_log_close(w->log);
    kr_runtime_finish(&w->rt);
    forget_lines(&w->lines);
    free(w->last_stage);
    free(w->health);
    free(w->shown);
    free(w->log_problem);
}

/* The clock of the client, which tests move. */
static int64_t now_ms(const struct wait *w)
{
    return kr_http_now(kr_hub_http(w->hf->hub));
}

static void keep_line(struct kept *lines, const char *text)
{
    if (lines->n == KEPT_LINES) {
        free(lines->v[0]);
        memmove(lines->v, lines->v + 1, (KEPT_LINES - 1) * sizeof(*lines->v));
        lines->n--;
    }
    lines->v[lines->n++] = kr_strdup(text);
}

/* "===== Build Queued at ... / Commit SHA: 151a283 =====": then what follows is ours. */
static bool names_commit(const char *line, const char *commit)
{
    const char *at = strstr(line, "Commit SHA: ");

    return at != NULL && commit != NULL && strlen(commit) >= 7 &&
           strncmp(at + strlen("Commit SHA: "), commit, 7) == 0;
}

static void note_port(struct wait *w, const char *line)
{
    int port;
    bool loopback = false;

    if (w->log_is_build || w->seen_port != 0)
        return;
    port = kr_space_port_in_line(line, &loopback);
    if (port == 0 || (port == w->goal->want->app_port && !loopback))
        return;
    w->seen_port = port;
    w->seen_loopback = loopback;
    if (port != w->goal->want->app_port)
        kr_hf_note(w->hf, true,
                   "the app says it listens on port %d, the Space expects %d (app_port)", port,
                   w->goal->want->app_port);
    else
        kr_hf_note(w->hf, true,
                   "the app listens on 127.0.0.1 only; in a Space it must listen on 0.0.0.0");
}

static void on_line(void *data, const char *text, const char *when)
{
    struct wait *w = data;

    (void)when;
    if (w->log_is_build && names_commit(text, w->goal->commit)) {
        w->move_seen = true;
        forget_lines(&w->lines);
    }
    keep_line(&w->lines, text);
    w->lines_read++;
    note_port(w, text);
    w->hf->env->log_line(w->hf->env->data, w->log_is_build ? "build" : "run", text);
}

static void close_log(struct wait *w)
{
    kr_log_close(w->log);
    w->log = NULL;
}

/* Opens the log that belongs to the stage. Not having one yet is no failure. */
static void follow_log(struct wait *w)
{
    bool building = w->rt.stage == KR_STAGE_BUILDING || w->rt.stage == KR_STAGE_RUNNING_BUILDING;
    bool starting = w->rt.stage == KR_STAGE_APP_STARTING;
    struct kr_log_options options = {
        .space = w->goal->want->id, .follow = true, .tail = -1, .line = on_line, .data = w};

    struct kr_err ignored = KR_ERR_INIT;

    if ((!building && !starting) || w->log_failures >= LOG_TRIES)
        return;
    if (w->log != NULL && w->log_is_build == building)
        return;
    if (w->log_ended && w->log_is_build == building)
        return;
    close_log(w);
    forget_lines(&w->lines);
    options.build = w->log_is_build = building;
    w->log_ended = false;
    if (kr_log_open(w->hf->hub, &options, &w->log, &ignored) < 0)
        w->log = NULL;
}

static void look_for_commit(void *data, const char *text, const char *when)
{
    struct wait *w = data;

    (void)when;
    if (names_commit(text, w->goal->commit))
        w->move_seen = true;
}

/* A build that failed between two looks: its log says whether it was ours. */
static void ask_build_log(struct wait *w)
{
    struct kr_log_options options = {.space = w->goal->want->id,
                                     .build = true,
                                     .tail = -1,
                                     .idle_ms = 1000,
                                     .line = look_for_commit,
                                     .data = w};
    struct kr_err ignored = KR_ERR_INIT;

    if (w->rt.stage == KR_STAGE_BUILD_ERROR || w->rt.stage == KR_STAGE_RUNTIME_ERROR)
        (void)!kr_hub_logs(w->hf->hub, &options, &ignored);
}

/* Lets time pass, reading the log meanwhile. */
static int pass_time(struct wait *w, struct kr_err *err)
{
    int64_t ms = w->polls <= FIRST_POLLS ? POLL_MS / 3 : POLL_MS;
    int64_t until = now_ms(w) + ms, left;
    bool done = false;

    while ((left = until - now_ms(w)) > 0) {
        struct kr_err ignored = KR_ERR_INIT;

        if (kr_denv_cancelled(w->hf->env))
            return kr_fail(err, KR_E_CANCELLED, "stopped waiting for Space %s", w->goal->want->id);
        if (w->log == NULL)
            return kr_http_sleep(kr_hub_http(w->hf->hub), left, err);
        int rc = kr_log_pump(w->log, left < 200 ? left : 200, &done, &ignored);

        w->log_failures = rc < 0 ? w->log_failures + 1 : 0;
        if (rc < 0 || done) {
            w->log_ended = done;
            close_log(w);
        }
    }
    return 0;
}

static void show_stage(struct wait *w)
{
    int64_t s = (now_ms(w) - w->started_ms) / 1000;

    if (w->last_stage != NULL && strcmp(w->last_stage, w->rt.stage_name) == 0)
        return;
    free(w->last_stage);
    w->last_stage = kr_strdup(w->rt.stage_name);
    kr_hf_step(w->hf, "wait", false, "Space is %s (%lld s)", w->rt.stage_name, (long long)s);
}

static int look(struct wait *w, struct kr_err *err)
{
    kr_runtime_finish(&w->rt);
    w->rt = (struct kr_runtime){0};
    w->polls++;
    if (kr_runtime_get(w->hf->hub, w->goal->want->id, &w->rt, err) < 0)
        return -(int)err->code;
    if (kr_stage_is_moving(w->rt.stage))
        w->move_seen = true;
    show_stage(w);
    return 0;
}

/* kourou-serve says in its health check when no worker can be started, and why. */
static void read_verdict(struct wait *w, const struct kr_http_response *res)
{
    kr_auto_json json_t *body = NULL;
    const char *detail;

    if (kr_json_parse(kr_buf_str(&res->body), res->body.n, "health", &body, NULL) < 0)
        return;
    w->crash_loop = strcmp(kr_json_str(body, "status", ""), "crash-loop") == 0;
    detail = kr_json_str(body, "detail", NULL);
    if (w->crash_loop && detail != NULL) {
        free(w->health);
        w->health = kr_strdup(detail);
    }
}

/* One GET of a path of the app through its public address; 0: no answer. */
static int ask(struct wait *w, const char *path, struct kr_http_response *res)
{
    struct kr_err why = KR_ERR_INIT;

    free(w->health);
    w->health = NULL;
    if (kr_hf_visit(w->hf, &w->rt, w->goal->is_private, path, res, &why) < 0) {
        w->health = kr_strdup(why.msg);
        return 0;
    }
    w->health = kr_asprintf("GET %s answers %d: %.200s", path, res->status, kr_buf_str(&res->body));
    return res->status;
}

/* Whether the app can be invoked: its server says so itself; one of a former version in its health
 * check. */
static bool healthy(struct wait *w)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT,
                                             former = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *path = kr_endpoint_path(w->hf->what->snapshot, "health_url_path", "/health");
    int status = ask(w, KR_READY_PATH, &res);

    if (status == 0)
        return false;
    if (kr_ready_says(status, kr_buf_str(&res.body), res.body.n)) {
        read_verdict(w, &res);
        return status == 200;
    }
    status = ask(w, path, &former);
    if (status != 0 && status != 200)
        read_verdict(w, &former);
    return status == 200;
}

/* Why an app that runs is not ready, once for each reason. */
static void show_health(struct wait *w)
{
    if (w->health == NULL || (w->shown != NULL && strcmp(w->shown, w->health) == 0))
        return;
    free(w->shown);
    w->shown = kr_strdup(w->health);
    kr_hf_step(w->hf, "wait", false, "Space is RUNNING, its app is not ready: %.300s", w->health);
}

/* The stage is ahead of the log that is followed: what stands in it and has not been read yet is
 * often the line that says why. */
static void read_to_the_end(struct wait *w)
{
    int64_t heard = now_ms(w);
    size_t had = w->lines_read;
    struct kr_err ignored = KR_ERR_INIT;

    while (w->log != NULL && now_ms(w) - heard < END_QUIET_MS && !kr_denv_cancelled(w->hf->env)) {
        if (kr_log_pump(w->log, 200, &w->log_ended, &ignored) < 0 || w->log_ended)
            close_log(w);
        if (w->lines_read != had)
            heard = now_ms(w);
        had = w->lines_read;
    }
    close_log(w);
}

static const char *cause_in(const struct wait *w)
{
    return kr_space_error_line((const char *const *)w->lines.v, w->lines.n);
}

struct late {
    struct wait *w;
    struct kept shown; /* lines of the log that were printed as they came */
};

static void on_late_line(void *data, const char *text, const char *when)
{
    struct late *late = data;

    for (size_t i = 0; i < late->shown.n; i++) {
        if (strcmp(late->shown.v[i], text) == 0) {
            keep_line(&late->w->lines, text);
            return;
        }
    }
    on_line(late->w, text, when);
}

/* Reads the end of the right log and prints what was not shown as it came. A build's log is read
 * again even when it was followed: it may have been the log of the build before, which stands for a
 * moment when the next one begins. That it cannot be read is part of what is said, never in place
 * of it. */
static void show_end_of_log(struct wait *w, bool build)
{
    struct late late = {.w = w};
    bool followed = w->log_is_build == build;
    struct kr_err why = KR_ERR_INIT;
    struct kr_log_options options = {.space = w->goal->want->id,
                                     .build = build,
                                     .tail = SHOWN_LINES,
                                     .idle_ms = END_QUIET_MS,
                                     .reconnects = 2,
                                     .line = on_late_line,
                                     .data = &late};

    if (followed)
        read_to_the_end(w);
    close_log(w);
    if (followed && !build && cause_in(w) != NULL)
        return;
    if (followed && w->lines.n > 0) {
        options.tail = KEPT_LINES;
        late.shown = w->lines;
        w->lines.n = 0;
    }
    forget_lines(&w->lines);
    w->log_is_build = build;
    if (kr_hub_logs(w->hf->hub, &options, &why) < 0 && w->lines.n == 0 && late.shown.n == 0) {
        free(w->log_problem);
        w->log_problem = kr_strdup(why.msg);
    }
    if (w->lines.n == 0)
        w->lines = late.shown;
    else
        forget_lines(&late.shown);
}

static int failed(struct wait *w, struct kr_err *err)
{
    const char *id = w->goal->want->id;
    kr_auto_free char *page = kr_space_page(w->hf->hub, id);
    struct kr_space_fault fault = {.id = id,
                                   .page = page,
                                   .prog = w->hf->env->prog,
                                   .name = w->hf->what->name,
                                   .rt = &w->rt,
                                   .deploying = true};
    bool build = w->rt.stage == KR_STAGE_BUILD_ERROR;

    if (build || w->rt.stage == KR_STAGE_RUNTIME_ERROR || w->rt.stage == KR_STAGE_UNKNOWN) {
        show_end_of_log(w, build);
        fault.log = build ? "build" : "run";
        fault.log_problem = w->log_problem;
        fault.cause = cause_in(w);
    }
    if (w->seen_port != 0 && w->rt.stage == KR_STAGE_RUNTIME_ERROR) {
        (void)kr_fail(err, KR_E_REMOTE,
                      "Space %s: %s: the app listens on %sport %d, the Space expects %d", id,
                      w->rt.stage_name, w->seen_loopback ? "127.0.0.1, " : "", w->seen_port,
                      w->goal->want->app_port);
        return kr_hint(err, "set app_port to the app's port, or let the app listen on 0.0.0.0:%d",
                       w->goal->want->app_port);
    }
    return kr_space_explain(&fault, err);
}

static int crashed(struct wait *w, struct kr_err *err)
{
    const char *cause;

    show_end_of_log(w, false);
    cause = cause_in(w);
    (void)kr_fail(err, KR_E_REMOTE, "Space %s runs, but the pipeline cannot start: %.500s",
                  w->goal->want->id, cause != NULL ? cause : w->health);
    return kr_hint(
        err,
        "`%s deployment logs %s` shows the whole log; after mending it, run the same command again",
        w->hf->env->prog, w->hf->what->name);
}

static int paused(struct wait *w, struct kr_err *err)
{
    bool moving = false;

    if (w->restarts > 0 && now_ms(w) - w->started_ms < KR_SPACE_SETTLE_MS)
        return 0; /* the restart has not shown yet */
    if (w->restarts > 0) {
        (void)kr_fail(err, KR_E_PLAN, "Space %s stays PAUSED%s%.300s", w->goal->want->id,
                      w->rt.error != NULL ? ": " : "", w->rt.error != NULL ? w->rt.error : "");
        return kr_hint(
            err, "the account may run no more Spaces at a time: pause another one, then run the "
                 "same command again");
    }
    kr_hf_note(w->hf, false, "Space %s is paused; restarting it", w->goal->want->id);
    w->restarts++;
    w->started_ms = now_ms(w);
    if (kr_hf_start(w->hf, w->goal->want->id, &moving, err) < 0)
        return -(int)err->code;
    w->move_seen = w->move_seen || moving;
    return 0;
}

static int timed_out(struct wait *w, struct kr_err *err)
{
    const char *id = w->goal->want->id;

    if (w->seen_port != 0)
        (void)kr_fail(err, KR_E_TIMEOUT,
                      "Space %s is still %s: the app listens on %sport %d, the Space expects %d",
                      id, w->rt.stage_name, w->seen_loopback ? "127.0.0.1, " : "", w->seen_port,
                      w->goal->want->app_port);
    else if (w->rt.stage == KR_STAGE_RUNNING && w->health != NULL)
        (void)kr_fail(err, KR_E_TIMEOUT, "Space %s is RUNNING but its app is not healthy: %s", id,
                      w->health);
    else
        (void)kr_fail(err, KR_E_TIMEOUT, "Space %s is still %s", id,
                      w->rt.stage_name != NULL ? w->rt.stage_name : "not known");
    return kr_hint(
        err,
        "the Hub goes on with it: run the same command again to wait further (--timeout), or look "
        "with `%s deployment describe %s`",
        w->hf->env->prog, w->hf->what->name);
}

/* An end that was not there before our change is not of before it, unless work was under way
 * then. */
static bool is_news(const struct wait *w)
{
    const struct kr_runtime *before = w->goal->before;

    if (before == NULL || before->stage_name == NULL || kr_stage_is_moving(before->stage))
        return false;
    return strcmp(before->stage_name, w->rt.stage_name) != 0 ||
           strcmp(before->error != NULL ? before->error : "",
                  w->rt.error != NULL ? w->rt.error : "") != 0;
}

/* 1: it is up and healthy; 0: go on waiting; negative: failed. */
static int turn(struct wait *w, struct kr_err *err)
{
    struct kr_space_look at = {.want_sha = w->goal->commit,
                               .new_commit = w->goal->new_commit,
                               .expects_move = w->goal->expects_move || w->restarts > 0,
                               .move_seen = w->move_seen,
                               .since_ms = now_ms(w) - w->started_ms};

    if (look(w, err) < 0)
        return -(int)err->code;
    at.is_news = w->goal->created || is_news(w);
    if (!w->move_seen && !at.is_news && w->goal->new_commit) {
        ask_build_log(w);
        w->log_was_first = w->move_seen ? w->polls : 0;
    }
    /* The log is ahead of the stage, which may be of before a few times more. */
    if (w->log_was_first != 0 && kr_stage_is_error(w->rt.stage) &&
        w->polls < w->log_was_first + LOOKS_AFTER_LOG)
        return 0;
    at.move_seen = w->move_seen;
    at.stage = w->rt.stage;
    at.has_error = w->rt.error != NULL || strstr(w->rt.stage_name, "ERROR") != NULL;
    at.sha = w->rt.sha;
    switch (kr_space_judge(&at)) {
    case KR_SPACE_UP:
        if (healthy(w))
            return 1;
        show_health(w);
        return w->crash_loop ? crashed(w, err) : 0;
    case KR_SPACE_FAILED:
        return failed(w, err);
    case KR_SPACE_PAUSED:
        return paused(w, err);
    case KR_SPACE_ASLEEP:
        (void)healthy(w); /* the visit wakes it */
        return 0;
    case KR_SPACE_WAIT:
        break;
    }
    follow_log(w);
    return 0;
}

int kr_hf_wait(struct kr_hf *hf, const struct kr_hf_goal *goal, struct kr_deployment_status *status,
               struct kr_err *err)
{
    struct wait w = {.hf = hf,
                     .goal = goal,
                     .started_ms = kr_http_now(kr_hub_http(hf->hub)),
                     .move_seen = goal->move_seen};
    int rc = 0;

    while (rc == 0) {
        rc = turn(&w, err);
        if (rc == 0 && now_ms(&w) >= goal->deadline_ms)
            rc = timed_out(&w, err);
        if (rc == 0)
            rc = pass_time(&w, err);
    }
    if (err->code == KR_E_CANCELLED)
        (void)kr_hint(err, "the Hub goes on with it; run the same command again to wait for it");
    status->state = rc > 0                     ? KR_STATE_RUNNING
                    : err->code == KR_E_REMOTE ? KR_STATE_ERROR
                                               : KR_STATE_PENDING;
    if (w.rt.stage_name != NULL) {
        status->url = kr_runtime_url(hf->hub, &w.rt);
        status->detail = kr_strdup(w.rt.stage_name);
    }
    status->page_url = kr_space_page(hf->hub, goal->want->id);
    if (rc > 0)
        kr_hf_step(hf, "wait", true, "Space is RUNNING and its app is healthy (%lld s)",
                   (long long)((now_ms(&w) - w.started_ms) / 1000));
    wait_finish(&w);
    return rc > 0 ? 0 : rc;
}
