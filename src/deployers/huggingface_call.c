/* SPDX-License-Identifier: Apache-2.0 */
/* A Space as it is: restarted, or looked at before its app is called. What the Hub's edge answers
 * in its place is no result, and a Space that sleeps is woken by a visit, not by the call that
 * would get lost. */
#include "deployers/huggingface.h"

#include "base/alloc.h"
#include "deployers/lifecycle.h"

#include <string.h>

enum { POLL_MS = 2000, VISIT_MS = 15000, FIRST_POLLS = 10 };

int kr_hf_visit(struct kr_hf *hf, const struct kr_runtime *rt, bool is_private, const char *path,
                struct kr_http_response *res, struct kr_err *err)
{
    kr_auto_free char *base = kr_runtime_url(hf->hub, rt);
    kr_auto_free char *bearer = NULL, *url = NULL;
    struct kr_http_request req = {.method = "GET", .timeout_ms = VISIT_MS, .max_body = 65536};

    if (base == NULL)
        return kr_fail(err, KR_E_REMOTE, "the Hub names no address of the app");
    req.url = url = kr_asprintf("%s%s", base, path);
    /* The token goes to the app's edge of a private Space only: a public app would receive it. */
    if (is_private && kr_hub_token(hf->hub) != NULL)
        req.authorization = bearer = kr_asprintf("Bearer %s", kr_hub_token(hf->hub));
    return kr_http_send(kr_hub_http(hf->hub), &req, res, err);
}

/* One look, and what it says: 1 it may be called, 0 it is on its way, negative: it cannot be. */
struct call_wait {
    struct kr_hf *hf;
    const char *id;
    struct kr_space space;
    int64_t started_ms;
    bool waited; /* it was not there at first: its health decides */
    char *last_stage;
};

static void call_wait_finish(struct call_wait *w)
{
    kr_space_finish(&w->space);
    free(w->last_stage);
}

static int explain(const struct call_wait *w, struct kr_err *err)
{
    kr_auto_free char *page = kr_space_page(w->hf->hub, w->id);
    const struct kr_space_fault fault = {.id = w->id,
                                         .page = page,
                                         .prog = w->hf->env->prog,
                                         .name = w->hf->what->name,
                                         .rt = &w->space.runtime};

    return kr_space_explain(&fault, err);
}

static void show(struct call_wait *w, const char *doing)
{
    const char *stage = w->space.runtime.stage_name;
    int64_t s = (kr_http_now(kr_hub_http(w->hf->hub)) - w->started_ms) / 1000;

    if (w->last_stage != NULL && strcmp(w->last_stage, stage) == 0)
        return;
    free(w->last_stage);
    w->last_stage = kr_strdup(stage);
    kr_hf_step(w->hf, "wake", false, "Space %s is %s; %s (%lld s)", w->id, stage, doing,
               (long long)s);
}

static bool is_private(const struct kr_space *space)
{
    return space->visibility != NULL ? strcmp(space->visibility, "private") == 0
                                     : space->is_private;
}

/* The visit alone wakes it; the app's server says whether it can be invoked, one of a former
 * version in its health check. */
static bool answers(struct call_wait *w)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT,
                                             former = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *health =
        kr_endpoint_path(w->hf->what->snapshot, "health_url_path", "/health");
    struct kr_err ignored = KR_ERR_INIT; /* it is asked again */
    bool hidden = is_private(&w->space);

    if (kr_hf_visit(w->hf, &w->space.runtime, hidden, KR_READY_PATH, &res, &ignored) < 0)
        return false;
    if (kr_ready_says(res.status, kr_buf_str(&res.body), res.body.n))
        return res.status == 200;
    return kr_stage_serves(w->space.runtime.stage) &&
           kr_hf_visit(w->hf, &w->space.runtime, hidden, health, &former, &ignored) == 0 &&
           former.status == 200;
}

static int look(struct call_wait *w, struct kr_err *err)
{
    const struct kr_runtime *rt = &w->space.runtime;
    struct kr_err why = KR_ERR_INIT;

    kr_space_finish(&w->space);
    if (kr_space_get(w->hf->hub, w->id, &w->space, &why) < 0) {
        if (why.code != KR_E_NOT_FOUND)
            return w->waited ? 0 : 1; /* the app may answer all the same */
        *err = why;
        return -(int)why.code;
    }
    if (kr_stage_sleeps(rt->stage)) {
        show(w, "waking it");
        w->waited = true;
        (void)answers(w); /* the visit wakes it */
        return 0;
    }
    if (rt->stage == KR_STAGE_BUILDING || rt->stage == KR_STAGE_APP_STARTING) {
        show(w, "waiting for it");
        w->waited = true;
        return 0;
    }
    if (kr_stage_serves(rt->stage))
        return !w->waited || answers(w);
    if (rt->stage == KR_STAGE_UNKNOWN && rt->error == NULL)
        return 1;
    return explain(w, err);
}

/* What the headers of the call depend on. */
static int remember_private(struct kr_hf *hf, const struct kr_space *space, struct kr_err *err)
{
    bool now = is_private(space);

    if (space->id == NULL || (json_is_boolean(json_object_get(hf->metadata, "private")) &&
                              kr_json_bool(hf->metadata, "private", false) == now))
        return 0;
    return kr_hf_save(hf, "private", json_boolean(now), err);
}

int kr_hf_ready(const struct kr_deployer_env *env, const struct kr_deployment *what,
                int64_t timeout_ms, struct kr_deployment_status *status, struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    kr_auto(call_wait_finish) struct call_wait w = {.hf = &hf};
    int64_t deadline_ms;
    int rc = 0;

    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    w.id = kr_hf_space_id(&hf);
    if (w.id == NULL)
        return 0;
    w.started_ms = kr_http_now(kr_hub_http(hf.hub));
    deadline_ms = w.started_ms + timeout_ms;
    for (int polls = 1; rc == 0; polls++) {
        rc = look(&w, err);
        if (rc < 0)
            return rc;
        if (rc == 0 && kr_http_now(kr_hub_http(hf.hub)) >= deadline_ms) {
            (void)kr_fail(err, KR_E_TIMEOUT, "Space %s is still %s", w.id,
                          w.last_stage != NULL ? w.last_stage : "not answering");
            return kr_hint(err,
                           "the Hub goes on with it: run the same command again, or look with "
                           "`%s deployment describe %s`",
                           env->prog, what->name);
        }
        if (rc == 0 && kr_http_sleep(kr_hub_http(hf.hub),
                                     polls <= FIRST_POLLS ? POLL_MS / 4 : POLL_MS, err) < 0)
            return -(int)err->code;
    }
    if (w.waited)
        kr_hf_step(&hf, "wake", true, "Space %s is RUNNING (%lld s)", w.id,
                   (long long)((kr_http_now(kr_hub_http(hf.hub)) - w.started_ms) / 1000));
    if (remember_private(&hf, &w.space, err) < 0)
        return -(int)err->code;
    status->metadata = json_incref(hf.metadata);
    return 0;
}

int kr_hf_restart(const struct kr_deployer_env *env, const struct kr_deployment *what, bool factory,
                  int64_t timeout_ms, struct kr_deployment_status *status, struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    kr_auto_space struct kr_space space = {0};
    kr_auto_space_want struct kr_space_want want = {0};
    kr_auto_runtime struct kr_runtime rt = {0};
    struct kr_hf_goal goal = {.want = &want, .expects_move = true};
    const struct kr_account *account = NULL;
    const char *id;

    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    id = kr_hf_space_id(&hf);
    if (id == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "deployment %s has no Space yet", what->name);
        return kr_hint(err, "deploy it again to go on");
    }
    if (kr_hub_need_token(hf.hub, err) < 0 || kr_hub_whoami(hf.hub, &account, err) < 0 ||
        kr_space_want_init(&want, what, account->name, err) < 0 ||
        kr_hf_need_ours(&hf, id, err) < 0 || kr_space_get(hf.hub, id, &space, err) < 0)
        return -(int)err->code;
    free(want.id); /* the recorded one, whatever the settings would call it now */
    want.id = kr_strdup(id);
    kr_hf_step(&hf, "restart", false, "%s Space %s", factory ? "Building anew" : "Restarting", id);
    if (kr_space_restart(hf.hub, id, factory, &rt, err) < 0)
        return -(int)err->code;
    goal.commit = space.sha != NULL ? space.sha : "";
    goal.move_seen = kr_stage_is_moving(rt.stage);
    goal.is_private = is_private(&space);
    goal.deadline_ms = kr_http_now(kr_hub_http(hf.hub)) + timeout_ms;
    return kr_hf_wait(&hf, &goal, status, err);
}
