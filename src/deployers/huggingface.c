/* SPDX-License-Identifier: Apache-2.0 */
/* The huggingface deployer: a deployment is a docker Space. This file has what is done to a Space
 * that exists; huggingface_launch.c brings it about, huggingface_wait.c waits for it. */
#include "deployers/huggingface.h"

#include "base/alloc.h"
#include "base/redact.h"
#include "hub/logs.h"
#include "hub/sync.h"
#include "net/http.h"
#include "pack/bundle.h"
#include "pack/gate.h"

#include <stdarg.h>
#include <string.h>

static void hub_progress(void *data, const char *step, const char *text, int64_t done,
                         int64_t total, bool bytes, bool finished)
{
    const struct kr_deployer_env *env = data;

    env->step(env->data, step, text, done, total, bytes, finished);
}

static void hub_note(void *data, bool warning, const char *text)
{
    const struct kr_deployer_env *env = data;

    env->note(env->data, warning, text);
}

static bool hub_cancelled(void *data)
{
    const struct kr_deployer_env *env = data;

    return env->cancelled != NULL && env->cancelled(env->data);
}

int kr_hf_init(struct kr_hf *hf, const struct kr_deployer_env *env,
               const struct kr_deployment *what, struct kr_err *err)
{
    const char *token = kr_json_str(what->settings, "token", NULL);
    const char *secret = kr_json_str(what->settings, "secret_name", NULL);
    kr_auto_free char *source = secret != NULL ? kr_asprintf("the secret '%s'", secret) : NULL;
    kr_auto_free char *update =
        secret != NULL ? kr_asprintf("%s secret update %s --token=<new token>", env->prog, secret)
                       : NULL;
    struct kr_hub_options options = {
        .token = token,
        .token_source = source,
        .token_update = update,
        .ui = {.data = (void *)(uintptr_t)env,
               .progress = hub_progress,
               .note = hub_note,
               .cancelled = hub_cancelled},
        .until_ms = env->until_ms,
    };

    *hf = (struct kr_hf){.env = env, .what = what};
    hf->metadata = what->metadata != NULL ? json_deep_copy(what->metadata) : json_object();
    kr_redact_add(token);
    kr_redact_add(what->auth_key);
    return kr_hub_open(&options, &hf->hub, err);
}

void kr_hf_finish(struct kr_hf *hf)
{
    kr_gate_close(hf->gate);
    kr_hub_close(hf->hub);
    json_decref(hf->metadata);
    *hf = (struct kr_hf){0};
}

const char *kr_hf_space_id(const struct kr_hf *hf)
{
    return kr_json_str(hf->metadata, "space_id", NULL);
}

int kr_hf_save(struct kr_hf *hf, const char *key, json_t *value, struct kr_err *err)
{
    kr_json_set(hf->metadata, key, value);
    return hf->env->save(hf->env->data, hf->metadata, err);
}

void kr_hf_note(const struct kr_hf *hf, bool warning, const char *fmt, ...)
{
    char text[2048];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    hf->env->note(hf->env->data, warning, text);
}

void kr_hf_step(const struct kr_hf *hf, const char *step, bool finished, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    hf->env->step(hf->env->data, step, text, 0, 0, false, finished);
}

int kr_hf_check_moved(const struct kr_hf *hf, const char *asked, const struct kr_space *space,
                      struct kr_err *err)
{
    if (!space->moved)
        return 0;
    (void)kr_fail(err, KR_E_CONFLICT, "Space %s was renamed to %s", asked, space->id);
    return kr_hint(err,
                   "rename it back on the Hub, or delete the record with `%s deployment delete %s "
                   "--force` and deploy again",
                   hf->env->prog, hf->what->name);
}

int kr_hf_start(struct kr_hf *hf, const char *id, bool *moving, struct kr_err *err)
{
    kr_auto_free char *page = kr_space_page(hf->hub, id);
    kr_auto_runtime struct kr_runtime rt = {0};

    if (kr_space_restart(hf->hub, id, false, &rt, err) == 0) {
        *moving = kr_stage_is_moving(rt.stage);
        return 0;
    }
    return kr_wrap(err,
                   "Space %s is PAUSED, so nothing answers there until it is started at %s or with "
                   "`%s deployment provision %s`",
                   id, page, hf->env->prog, hf->what->name);
}

static int validate(const struct kr_deployer_env *env, const struct kr_deployment *what,
                    struct kr_err *err)
{
    kr_auto_space_want struct kr_space_want want = {0};

    (void)env;
    if (kr_space_want_init(&want, what, NULL, err) < 0)
        return -(int)err->code;
    return 0;
}

/* Is the recorded Space still the one of this deployment? 0 with *ours; the Space may be gone. */
static int look_owner(struct kr_hf *hf, const char *id, bool *there, bool *ours, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT((size_t)16 << 20);
    kr_auto_space struct kr_space space = {0};
    kr_auto_json json_t *marker = NULL;
    const char *marked;

    *there = *ours = false;
    if (kr_space_get(hf->hub, id, &space, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err);
        return 0;
    }
    *there = true;
    if (kr_hf_check_moved(hf, id, &space, err) < 0)
        return -(int)err->code;
    if (kr_space_read_file(hf->hub, id, NULL, KR_MARKER_PATH, &text, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err);
        /* Created by us, but the deploy ended before its first commit. */
        *ours = !kr_json_bool(hf->metadata, "committed", false) &&
                kr_json_bool(hf->metadata, "creating", false);
        return 0;
    }
    if (kr_json_parse(text.p, text.n, KR_MARKER_PATH, &marker, NULL) < 0)
        return 0;
    marked = kr_json_str(marker, "deployment", "");
    *ours = strcmp(marked, hf->what->id) == 0;
    return 0;
}

static int fail_foreign(const struct kr_hf *hf, const char *id, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_CONFLICT, "Space %s does not belong to this deployment", id);
    return kr_hint(err,
                   "it carries no marker of deployment %s, so it is left alone; `%s deployment "
                   "delete %s --force` removes the record only",
                   hf->what->name, hf->env->prog, hf->what->name);
}

int kr_hf_need_ours(struct kr_hf *hf, const char *id, struct kr_err *err)
{
    bool there, ours;

    if (look_owner(hf, id, &there, &ours, err) < 0)
        return -(int)err->code;
    if (!there) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "Space %s is gone", id);
        return kr_hint(err, "deploy it again to make it anew");
    }
    return ours || hf->what->adopt ? 0 : fail_foreign(hf, id, err);
}

/* A login of `hf auth login` may pause a Space and not start it again. */
static void note_one_way(struct kr_hf *hf, const char *id)
{
    const struct kr_account *account = NULL;
    kr_auto_free char *page = kr_space_page(hf->hub, id);
    struct kr_err ignored = KR_ERR_INIT;

    if (kr_hub_whoami(hf->hub, &account, &ignored) == 0 && account->kind == KR_TOKEN_OAUTH)
        kr_hf_note(hf, true,
                   "this login may not start the Space again: that is done at %s, or with an "
                   "access token",
                   page);
}

static int deprovision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                       bool remove, int64_t timeout_ms, struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    bool there, ours;
    const char *id;

    (void)timeout_ms;
    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    id = kr_hf_space_id(&hf);
    if (id == NULL)
        return 0; /* never got as far as a Space */
    if (kr_hub_need_token(hf.hub, err) < 0 || look_owner(&hf, id, &there, &ours, err) < 0)
        return -(int)err->code;
    if (!there) {
        kr_hf_note(&hf, false, "Space %s is gone already", id);
        return 0;
    }
    if (!ours && !what->adopt)
        return fail_foreign(&hf, id, err);
    if (remove)
        return kr_space_delete(hf.hub, id, NULL, err);
    note_one_way(&hf, id);
    return kr_space_pause(hf.hub, id, NULL, err);
}

static int status(const struct kr_deployer_env *env, const struct kr_deployment *what,
                  struct kr_deployment_status *out, struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    kr_auto_runtime struct kr_runtime rt = {0};
    const char *id;

    *out = (struct kr_deployment_status){.state = KR_STATE_ABSENT};
    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    id = kr_hf_space_id(&hf);
    if (id == NULL)
        return 0;
    if (kr_runtime_get(hf.hub, id, &rt, err) < 0) {
        if (err->code == KR_E_NOT_FOUND) {
            kr_err_clear(err);
            out->detail = kr_asprintf(
                "Space %s is gone: deleted on the Hub, or not visible to this token", id);
            return 0;
        }
        out->state = KR_STATE_UNKNOWN;
        return -(int)err->code;
    }
    out->state = kr_space_state(rt.stage);
    out->url = kr_runtime_url(hf.hub, &rt);
    out->page_url = kr_space_page(hf.hub, id);
    if (rt.error != NULL)
        out->detail = kr_asprintf("%s: %.300s", rt.stage_name, rt.error);
    else
        out->detail = kr_strdup(rt.stage_name);
    return 0;
}

struct line_sink {
    const struct kr_log_request *request;
    size_t lines;
};

static void on_line(void *data, const char *text, const char *when)
{
    struct line_sink *sink = data;

    (void)when;
    sink->lines++;
    sink->request->line(sink->request->data, text);
}

static int logs(const struct kr_deployer_env *env, const struct kr_deployment *what,
                const struct kr_log_request *request, struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    struct line_sink sink = {.request = request};
    struct kr_log_options options = {.build = request->build,
                                     .follow = request->follow,
                                     .tail = request->tail,
                                     .line = on_line,
                                     .data = &sink};

    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    options.space = kr_hf_space_id(&hf);
    if (options.space == NULL && request->image_shown)
        return 0;
    if (options.space == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "deployment %s has no Space yet", what->name);
        return kr_hint(err, "deploy it again to go on");
    }
    if (kr_hub_need_token(hf.hub, err) < 0)
        return -(int)err->code;
    if (kr_hub_logs(hf.hub, &options, err) < 0) {
        bool no_container = !request->build && err->code != KR_E_AUTH &&
                            err->code != KR_E_NETWORK && err->code != KR_E_CANCELLED &&
                            sink.lines == 0;
        bool no_build = request->image_shown && err->code == KR_E_NOT_FOUND;

        if (!no_container && !no_build)
            return -(int)err->code;
        kr_err_clear(err);
    }
    if (sink.lines > 0 || request->build || request->follow)
        return 0;
    /* No container has written anything: the build log says why. */
    kr_hf_note(&hf, false, "the run log is empty; this is the build log");
    options.build = true;
    return kr_hub_logs(hf.hub, &options, err);
}

/* As it was when looked at last; before that, as the settings want it. */
static bool is_private(const struct kr_hf *hf)
{
    const char *visibility = kr_json_str(hf->what->settings, "visibility", "");
    bool asked = kr_json_bool(hf->what->settings, "private", strcmp(visibility, "private") == 0);

    return kr_json_bool(hf->metadata, "private", asked);
}

static int headers(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   json_t **out, struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    kr_auto_free char *bearer = NULL;
    kr_auto_json json_t *made = json_object();

    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    if (is_private(&hf)) {
        /* The Hub's edge wants its own token in the one header both would use. */
        if (kr_hub_need_token(hf.hub, err) < 0)
            return -(int)err->code;
        bearer = kr_asprintf("Bearer %s", kr_hub_token(hf.hub));
        if (what->auth_key != NULL)
            kr_json_set_str(made, "X-API-Key", what->auth_key);
    } else if (what->auth_key != NULL) {
        bearer = kr_asprintf("Bearer %s", what->auth_key);
    }
    if (bearer != NULL)
        kr_json_set_str(made, "Authorization", bearer);
    *out = kr_steal(&made);
    return 0;
}

const struct kr_deployer kr_deployer_huggingface = {
    .flavor = "huggingface",
    .traits = {.takes = KR_TAKES_SOURCE,
               .image_readers = "the image has to be public",
               .source_max = KR_BUNDLE_SPACE_MAX,
               .calls_hub = true,
               .warm = kr_http_warm},
    .validate = validate,
    .provision = kr_hf_provision,
    .plan = kr_hf_plan,
    .status = status,
    .logs = logs,
    .deprovision = deprovision,
    .restart = kr_hf_restart,
    .ready = kr_hf_ready,
    .headers = headers,
};
