/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a Space about: look first, create with everything in one call or send differences only,
 * one commit, then wait. Every step may be repeated after any failure or kill. */
#include "deployers/huggingface.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "deployers/docker.h"
#include "deployers/huggingface_settings.h"
#include "hub/sync.h"
#include "hub/vars.h"
#include "pack/bundle.h"
#include "pack/gate.h"

#include <string.h>

/* What is known when the work begins. */
struct launch {
    struct kr_hf *hf;
    struct kr_space_want want;
    struct kr_files files;
    struct kr_space space; /* as found; id NULL: there is none */
    struct kr_sync_plan plan;
    struct kr_vars_plan vars;
    struct kr_hf_changes changes;
    struct kr_sync_request request;
    const struct kr_account *account;
    char *message;
    bool created, restarted; /* restarted: something we did restarts the Space */
    bool paused_by_us, move_seen;
};

static void launch_finish(struct launch *l)
{
    kr_vars_plan_finish(&l->vars);
    kr_hf_changes_finish(&l->changes);
    kr_sync_plan_finish(&l->plan);
    kr_space_finish(&l->space);
    kr_files_finish(&l->files);
    kr_space_want_finish(&l->want);
    free(l->message);
}

static int find_space(struct launch *l, struct kr_err *err)
{
    const char *id = l->want.id;

    if (kr_space_get(l->hf->hub, id, &l->space, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err);
        kr_space_finish(&l->space);
        l->space = (struct kr_space){0};
        return 0;
    }
    if (kr_hf_check_moved(l->hf, id, &l->space, err) < 0)
        return -(int)err->code;
    if (l->space.sdk != NULL && strcmp(l->space.sdk, "docker") != 0 && !l->hf->what->adopt) {
        (void)kr_fail(err, KR_E_CONFLICT,
                      "Space %s exists and is a %s Space, not one of this deployment", id,
                      l->space.sdk);
        return kr_hint(err, "choose another name with --name, or take it over with --adopt");
    }
    return 0;
}

/* Must a call of the app carry the Hub's token? */
static bool is_private(const struct launch *l)
{
    const char *is = l->want.visibility;

    if (is == NULL && l->space.id != NULL)
        is = l->space.visibility;
    return is != NULL ? strcmp(is, "private") == 0 : l->space.is_private;
}

/* Can anybody see the files? What is not known is taken for open: the Hub makes Spaces public. */
static bool strangers_read(const struct launch *l)
{
    const char *is = l->want.visibility;

    if (is == NULL && l->space.id != NULL)
        is = l->space.visibility != NULL ? l->space.visibility
             : l->space.is_private       ? "private"
                                         : NULL;
    return is == NULL || strcmp(is, "public") == 0;
}

static struct kr_space_new new_space(const struct launch *l)
{
    return (struct kr_space_new){
        .id = l->want.id,
        .visibility = l->want.visibility,
        .hardware = l->want.hardware,
        .sleep_s = kr_hf_sleep_counts(&l->want) ? l->want.sleep_s : 0,
        .dev_mode = l->want.dev_mode == 1,
        .region = l->want.region,
        .resource_group = l->want.resource_group,
        .secrets = l->want.secrets,
        .variables = l->want.variables,
        .volumes = l->want.volumes,
    };
}

/* A Space that does not exist has an empty tree. */
static int plan_fresh(struct launch *l, struct kr_err *err)
{
    l->request = (struct kr_sync_request){.space = l->want.id,
                                          .files = &l->files,
                                          .id = l->hf->what->id,
                                          .message = "",
                                          .adopt = true};
    if (kr_sync_compare(&l->request, &l->plan, NULL, err) < 0)
        return -(int)err->code;
    return kr_vars_plan(l->want.secrets, l->want.variables, NULL, NULL, NULL, &l->vars, err);
}

/* Files and metadata are checked before there is a Space. */
static int check_fresh(struct launch *l, struct kr_err *err)
{
    if (plan_fresh(l, err) < 0 || kr_sync_check(l->hf->hub, &l->request, &l->plan, err) < 0)
        return -(int)err->code;
    kr_sync_plan_finish(&l->plan);
    kr_vars_plan_finish(&l->vars);
    return 0;
}

static int create_space(struct launch *l, struct kr_err *err)
{
    struct kr_space_new what = new_space(l);
    bool existed = false;

    if (check_fresh(l, err) < 0)
        return -(int)err->code;
    if (kr_json_bool(l->hf->metadata, "committed", false))
        kr_hf_note(l->hf, true, "Space %s has vanished from the Hub; creating it again",
                   l->want.id);
    /* Written before the call, so that a kill right after it leaves a Space known to be ours. */
    kr_json_set_bool(l->hf->metadata, "committed", false);
    kr_json_set(l->hf->metadata, "vars", json_object());
    kr_json_set(l->hf->metadata, "applied", kr_hf_changes_created(&l->want));
    kr_json_set_bool(l->hf->metadata, "creating", true);
    if (kr_hf_save(l->hf, "space_id", json_string(l->want.id), err) < 0)
        return -(int)err->code;
    kr_hf_step(l->hf, "create", false, "Creating Space %s", l->want.id);
    if (kr_space_create(l->hf->hub, &what, &existed, err) < 0)
        return -(int)err->code;
    if (existed) /* came into being since we looked: treat it as any Space found */
        return find_space(l, err);
    l->created = true;
    /* Without a visibility it has what its owner prefers. */
    if (l->want.visibility == NULL && find_space(l, err) < 0)
        return -(int)err->code;
    kr_hf_step(l->hf, "create", true, "Created %s Space %s",
               l->want.visibility != NULL ? l->want.visibility
               : is_private(l)            ? "private"
                                          : "public",
               l->want.id);
    kr_json_set_bool(l->hf->metadata, "private", is_private(l));
    if (kr_hf_changes_of_new(l->hf, &l->want, err) < 0)
        return -(int)err->code;
    if (kr_vars_plan(l->want.secrets, l->want.variables, NULL, NULL, NULL, &l->vars, err) < 0)
        return -(int)err->code;
    return kr_hf_save(l->hf, "vars", json_incref(l->vars.record), err);
}

/* A Space that exists but is not marked as ours is left alone. */
static int check_owner(struct launch *l, struct kr_err *err)
{
    bool begun = kr_json_bool(l->hf->metadata, "creating", false) &&
                 strcmp(kr_json_str(l->hf->metadata, "space_id", ""), l->want.id) == 0;

    if (l->plan.owner == KR_OWNER_OURS || l->hf->what->adopt || l->created)
        return 0;
    if (l->plan.owner == KR_OWNER_FRESH && begun)
        return 0;
    if (l->plan.owner == KR_OWNER_OTHER)
        (void)kr_fail(err, KR_E_CONFLICT, "Space %s belongs to another deployment (%s)", l->want.id,
                      l->plan.marked_id != NULL ? l->plan.marked_id : "unknown");
    else
        (void)kr_fail(err, KR_E_CONFLICT, "Space %s exists and was not made by this deployment",
                      l->want.id);
    return kr_hint(err, "choose another name with --name, or take it over with --adopt");
}

static int plan_files(struct launch *l, struct kr_err *err)
{
    free(l->message);
    l->message = kr_asprintf("Deploy %s (snapshot %.8s)", l->hf->what->name,
                             l->hf->what->snapshot_id != NULL ? l->hf->what->snapshot_id : "");
    l->request = (struct kr_sync_request){
        .space = l->want.id,
        .files = &l->files,
        .id = l->hf->what->id,
        .parent = l->space.sha,
        .message = l->message,
        .adopt = l->hf->what->adopt || l->created,
    };
    if (kr_sync_plan(l->hf->hub, &l->request, &l->plan, err) < 0)
        return -(int)err->code;
    l->plan.checked = l->created; /* check_fresh() has seen the same files */
    return check_owner(l, err);
}

static int plan_vars(struct launch *l, struct kr_err *err)
{
    kr_auto_json json_t *secrets = NULL, *variables = NULL;

    if (kr_vars_list(l->hf->hub, l->want.id, KR_SECRET, &secrets, err) < 0 ||
        kr_vars_list(l->hf->hub, l->want.id, KR_VARIABLE, &variables, err) < 0)
        return -(int)err->code;
    return kr_vars_plan(l->want.secrets, l->want.variables, secrets, variables,
                        json_object_get(l->hf->metadata, "vars"), &l->vars, err);
}

/* A pause can only be ended by a restart, which not every token may do; nobody knows of the tokens
 * of a CI. */
static bool may_restart(const struct launch *l)
{
    return l->account->kind != KR_TOKEN_OAUTH && l->account->kind != KR_TOKEN_CI;
}

/* Each change restarts a Space that runs; several of them are made while it is paused. */
static int apply_vars(struct launch *l, struct kr_err *err)
{
    bool live = kr_stage_serves(l->space.runtime.stage);

    if (l->vars.n == 0)
        return 0;
    kr_hf_step(l->hf, "variables", false, "Setting %zu secret%s and variables", l->vars.n,
               l->vars.n == 1 ? "" : "s");
    if (live && l->vars.n > 1 && may_restart(l)) {
        l->paused_by_us = true;
        if (kr_space_pause(l->hf->hub, l->want.id, NULL, err) < 0)
            return -(int)err->code;
    }
    if (kr_vars_apply(l->hf->hub, l->want.id, &l->vars, err) < 0)
        return -(int)err->code;
    l->restarted = true;
    kr_hf_step(l->hf, "variables", true, "Set %zu secret%s and variables", l->vars.n,
               l->vars.n == 1 ? "" : "s");
    return kr_hf_save(l->hf, "vars", json_incref(l->vars.record), err);
}

static int commit_files(struct launch *l, struct kr_sync_result *result, struct kr_err *err)
{
    char size[16];

    if (kr_sync_run(l->hf->hub, &l->request, &l->plan, result, err) < 0)
        return -(int)err->code;
    if (result->committed)
        kr_hf_step(l->hf, "commit", true, "Committed %zu file%s (%s) as %.7s", result->sent,
                   result->sent == 1 ? "" : "s", kr_size_text(result->bytes, size), result->commit);
    kr_json_set_bool(l->hf->metadata, "committed", true);
    kr_json_set_bool(l->hf->metadata, "creating", false);
    kr_json_set_str(l->hf->metadata, "space_id", l->want.id);
    return kr_hf_save(l->hf, "commit", json_string(result->commit), err);
}

/* The Space a deployment had under another name goes once the new one stands. */
static int remove_previous(struct launch *l, const char *previous, struct kr_err *err)
{
    struct kr_deployment old = *l->hf->what;
    kr_auto_json json_t *metadata = json_pack("{s:s,s:b}", "space_id", previous, "committed", 1);

    if (strcmp(previous, l->want.id) == 0)
        return 0;
    old.metadata = metadata;
    old.adopt = false;
    kr_hf_note(l->hf, false, "removing Space %s, which this deployment used before", previous);
    return kr_deployer_deprovision(&kr_deployer_huggingface, l->hf->env, &old, true, 60000, err);
}

static int prepare(struct launch *l, struct kr_hf *hf, struct kr_err *err)
{
    l->hf = hf;
    if (kr_hub_need_token(hf->hub, err) < 0 || kr_hub_whoami(hf->hub, &l->account, err) < 0 ||
        kr_space_want_init(&l->want, hf->what, l->account->name, err) < 0 ||
        kr_account_check_write(l->account, l->want.id, err) < 0)
        return -(int)err->code;
    if (find_space(l, err) < 0)
        return -(int)err->code;
    return kr_hf_files(hf, &l->want, strangers_read(l), &l->files, err);
}

/* Files that are about to be sent are held fast before anything is touched. */
static int hold_changes(struct launch *l, struct kr_err *err)
{
    for (size_t i = 0; i < l->files.n; i++) {
        for (size_t k = 0; k < l->plan.n; k++) {
            if (l->plan.v[k].file == &l->files.v[i] &&
                kr_gate_hold(l->hf->gate, &l->files.v[i], err) < 0)
                return -(int)err->code;
        }
    }
    return 0;
}

/* What would change on a Space that is there, and whether this token may do all of it. */
static int plan_update(struct launch *l, struct kr_err *err)
{
    if (plan_files(l, err) < 0 || plan_vars(l, err) < 0 ||
        kr_hf_changes_plan(&l->want, &l->space, json_object_get(l->hf->metadata, "applied"),
                           &l->changes, err) < 0)
        return -(int)err->code;
    return kr_hf_changes_allowed(l->hf, &l->changes, &l->space, err);
}

static int update_space(struct launch *l, struct kr_err *err)
{
    if (plan_update(l, err) < 0 || hold_changes(l, err) < 0 ||
        kr_sync_check(l->hf->hub, &l->request, &l->plan, err) < 0)
        return -(int)err->code;
    kr_json_set_bool(l->hf->metadata, "private", is_private(l));
    if (strcmp(kr_json_str(l->hf->metadata, "space_id", ""), l->want.id) != 0 &&
        kr_hf_save(l->hf, "space_id", json_string(l->want.id), err) < 0)
        return -(int)err->code;
    if (apply_vars(l, err) < 0)
        return -(int)err->code;
    return kr_hf_changes_apply(l->hf, &l->want, &l->changes, &l->restarted, err);
}

/* Nothing but a restart revives a Space in such a stage when its files stay as they are. */
static bool needs_revival(const struct launch *l)
{
    enum kr_stage stage = l->space.runtime.stage;

    return l->space.id != NULL && !l->created &&
           (stage == KR_STAGE_RUNTIME_ERROR || stage == KR_STAGE_BUILD_ERROR ||
            stage == KR_STAGE_CONFIG_ERROR);
}

static int revive(struct launch *l, struct kr_err *err)
{
    kr_auto_runtime struct kr_runtime rt = {0};

    kr_hf_note(l->hf, false, "Space %s is in %s; restarting it", l->want.id,
               l->space.runtime.stage_name);
    if (kr_space_restart(l->hf->hub, l->want.id, false, &rt, err) < 0)
        return -(int)err->code;
    l->restarted = true;
    l->move_seen = kr_stage_is_moving(rt.stage);
    return 0;
}

/* Everything that is sent. */
static int change_space(struct launch *l, struct kr_sync_result *result, struct kr_err *err)
{
    if (l->space.id == NULL && create_space(l, err) < 0)
        return -(int)err->code;
    if ((l->created ? plan_files(l, err) : update_space(l, err)) < 0 ||
        commit_files(l, result, err) < 0)
        return -(int)err->code;
    if (l->paused_by_us)
        return kr_hf_start(l->hf, l->want.id, &l->move_seen, err);
    if (!result->committed && !l->restarted && needs_revival(l) && may_restart(l))
        return revive(l, err);
    return 0;
}

/* What was paused for a change that then failed is not left behind in that state. */
static int not_left_paused(struct launch *l, struct kr_err *err)
{
    kr_auto_free char *page = kr_space_page(l->hf->hub, l->want.id);
    struct kr_err ignored = KR_ERR_INIT;
    bool moving;

    if (!l->paused_by_us || strstr(err->msg, "is PAUSED") != NULL)
        return -(int)err->code;
    if (err->code != KR_E_CANCELLED && kr_hf_start(l->hf, l->want.id, &moving, &ignored) == 0) {
        kr_hf_note(l->hf, false, "Space %s was paused for the change and is started again",
                   l->want.id);
        return -(int)err->code;
    }
    return kr_wrap(err,
                   "Space %s is PAUSED until the same command is run again or it is started at %s",
                   l->want.id, page);
}

static int launch(struct launch *l, int64_t deadline_ms, struct kr_deployment_status *status,
                  bool *changed, struct kr_err *err)
{
    struct kr_sync_result result = {0};
    struct kr_hf_goal goal = {.want = &l->want, .deadline_ms = deadline_ms};
    kr_auto_free char *previous = kr_strdup(kr_json_str(l->hf->metadata, "space_id", l->want.id));

    if (change_space(l, &result, err) < 0)
        return not_left_paused(l, err);
    *changed = l->created || result.committed || l->vars.n > 0 || l->restarted || l->changes.n > 0;
    goal.commit = result.commit;
    goal.new_commit = result.committed;
    goal.expects_move = l->created || result.committed || l->restarted;
    goal.move_seen = l->move_seen;
    goal.created = l->created;
    goal.is_private = is_private(l);
    goal.before = l->space.id != NULL && !l->created ? &l->space.runtime : NULL;
    if (!goal.expects_move && l->space.runtime.stage == KR_STAGE_RUNNING &&
        l->space.runtime.sha != NULL && strcmp(l->space.runtime.sha, result.commit) == 0) {
        status->state = KR_STATE_RUNNING; /* as wanted, and what we looked at says so */
        status->url = kr_runtime_url(l->hf->hub, &l->space.runtime);
        status->page_url = kr_space_page(l->hf->hub, l->want.id);
        status->detail = kr_strdup(l->space.runtime.stage_name);
    } else if (kr_hf_wait(l->hf, &goal, status, err) < 0) {
        return -(int)err->code;
    } else {
        *changed = true;
    }
    return remove_previous(l, previous, err);
}

int kr_hf_provision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                    int64_t timeout_ms, struct kr_deployment_status *status, bool *changed,
                    struct kr_err *err)
{
    int64_t deadline_ms = kr_mono_ms() + timeout_ms;
    kr_auto_hf struct kr_hf hf = {0};
    struct launch l = {0};
    int rc;

    *changed = false;
    *status = (struct kr_deployment_status){.state = KR_STATE_PENDING};
    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    rc = prepare(&l, &hf, err);
    if (rc == 0 && l.space.id == NULL)
        rc = kr_gate_hold_all(hf.gate, &l.files, err);
    if (rc == 0 && what->rehearse) {
        rc = kr_rehearse(env, what, &l.files, l.want.app_port, l.want.variables, l.want.secrets,
                         timeout_ms, err);
        deadline_ms = kr_mono_ms() + timeout_ms;
    }
    if (rc == 0)
        rc = launch(&l, deadline_ms, status, changed, err);
    status->metadata = json_incref(hf.metadata);
    launch_finish(&l);
    return rc;
}

static json_t *plan_of_files(const struct launch *l)
{
    static const char *const verbs[] = {
        [KR_CHANGE_ADD] = "add", [KR_CHANGE_UPDATE] = "update", [KR_CHANGE_DELETE] = "delete"};
    json_t *list = json_array();

    for (size_t i = 0; i < l->plan.n; i++) {
        const struct kr_change *c = &l->plan.v[i];

        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:I}", "change", verbs[c->kind], "path", c->path, "bytes",
                            (json_int_t)(c->file != NULL ? c->file->size : 0)));
    }
    return list;
}

static json_t *plan_of_vars(const struct launch *l)
{
    json_t *list = json_array();

    for (size_t i = 0; i < l->vars.n; i++) {
        const struct kr_var_change *c = &l->vars.v[i];

        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:s}", "change", c->remove ? "delete" : "set", "kind",
                            c->kind == KR_SECRET ? "secret" : "variable", "key", c->key));
    }
    return list;
}

static void add_call(json_t *calls, const struct launch *l, const char *route)
{
    kr_auto_free char *call = kr_asprintf("POST /api/spaces/%s/%s", l->want.id, route);

    (void)json_array_append_new(calls, json_pack("{s:s}", "call", call));
}

/* A restart that is part of the deploy: out of a pause, ours or another's, or out of an error. */
static bool plans_restart(const struct launch *l)
{
    if (l->space.id == NULL)
        return false;
    if (l->space.runtime.stage == KR_STAGE_PAUSED)
        return true;
    return l->plan.n == 0 && l->vars.n == 0 && needs_revival(l) && may_restart(l);
}

static void plan_calls(const struct launch *l, json_t *calls)
{
    struct kr_space_new what = new_space(l);
    bool pauses = l->space.id != NULL && kr_stage_serves(l->space.runtime.stage) && l->vars.n > 1 &&
                  may_restart(l);

    if (pauses)
        add_call(calls, l, "pause");
    if (l->space.id == NULL)
        (void)json_array_append_new(calls, json_pack("{s:s,s:o}", "call", "POST /api/repos/create",
                                                     "body", kr_space_new_json(&what, true)));
    for (size_t i = 0; l->space.id != NULL && i < l->vars.n; i++) {
        kr_auto_free char *call =
            kr_asprintf("%s /api/spaces/%s/%s", l->vars.v[i].remove ? "DELETE" : "POST", l->want.id,
                        l->vars.v[i].kind == KR_SECRET ? "secrets" : "variables");

        (void)json_array_append_new(
            calls, json_pack("{s:s,s:{s:s}}", "call", call, "body", "key", l->vars.v[i].key));
    }
    kr_hf_changes_calls(l->want.id, &l->changes, calls);
    if (l->plan.n > 0) {
        kr_auto_free char *call = kr_asprintf("POST /api/spaces/%s/commit/main", l->want.id);

        (void)json_array_append_new(
            calls, json_pack("{s:s,s:{s:I,s:I}}", "call", call, "body", "files",
                             (json_int_t)l->plan.n, "bytes", (json_int_t)l->plan.bytes));
    }
    if (pauses || plans_restart(l))
        add_call(calls, l, "restart");
}

static size_t count_changes(const struct launch *l)
{
    return (l->space.id == NULL) + l->plan.n + l->vars.n + l->changes.n + plans_restart(l);
}

int kr_hf_plan(const struct kr_deployer_env *env, const struct kr_deployment *what, json_t **out,
               struct kr_err *err)
{
    kr_auto_hf struct kr_hf hf = {0};
    struct launch l = {0};
    kr_auto_json json_t *plan = json_object(), *calls = json_array();
    int rc;

    if (kr_hf_init(&hf, env, what, err) < 0)
        return -(int)err->code;
    rc = prepare(&l, &hf, err);
    if (rc == 0 && l.space.id == NULL)
        rc = plan_fresh(&l, err);
    else if (rc == 0)
        rc = plan_update(&l, err);
    if (rc == 0) {
        plan_calls(&l, calls);
        kr_json_set_str(plan, "space", l.want.id);
        kr_json_set_bool(plan, "exists", l.space.id != NULL);
        kr_json_set_str(plan, "build_mode", kr_launch_mode_name(kr_hf_mode(what)));
        kr_json_set(plan, "files", plan_of_files(&l));
        kr_json_set_int(plan, "unchanged", (int64_t)l.plan.unchanged);
        kr_json_set(plan, "variables", plan_of_vars(&l));
        kr_json_set(plan, "settings", kr_hf_changes_json(&l.changes));
        kr_json_set_int(plan, "changes", (int64_t)count_changes(&l));
        kr_json_set(plan, "calls", json_incref(calls));
        *out = kr_steal(&plan);
    }
    launch_finish(&l);
    return rc;
}
