/* SPDX-License-Identifier: Apache-2.0 */
/* Showing deployments, taking them down and bringing them back. */
#include "app/deployment.h"

#include "app/build_log.h"
#include "app/code.h"
#include "app/example.h"
#include "app/live.h"
#include "app/rollout.h"
#include "app/target.h"
#include "base/alloc.h"
#include "pack/gate.h"

#include <string.h>

enum { LOOK_MS = 10000, KEY_SHOWN = 8, DEFAULT_TIMEOUT_S = 600 };

/* The store learns the state of all deployments, so that filters and order see it. *looked: the
 * rows by id. */
static int refresh_all(struct kr_app *app, json_t **looked, struct kr_err *err)
{
    struct kr_query query = {.page = 1, .hidden = true};
    kr_auto_json json_t *page = NULL;
    json_t *row;
    size_t i;

    *looked = json_object();
    if (kr_store_list(app->store, KR_DEPLOYMENT, &query, NULL, &page, err) < 0 ||
        kr_live_rows(app, json_object_get(page, "items"), LOOK_MS, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(page, "items"), i, row)
        kr_json_set(*looked, kr_json_str(row, "id", ""), json_incref(row));
    return 0;
}

/* How they are, from refresh_all() when it was asked, else from a look now. */
static int bring_up_to_date(struct kr_app *app, json_t *items, const json_t *looked,
                            struct kr_err *err)
{
    static const char *const live[] = {"status", "state_note", "unread"};
    json_t *row;
    size_t i;

    if (looked == NULL)
        return kr_live_rows(app, items, LOOK_MS, err);
    json_array_foreach(items, i, row)
    {
        const json_t *seen = json_object_get(looked, kr_json_str(row, "id", ""));

        for (size_t k = 0; k < KR_ARRAY_LEN(live); k++) {
            json_t *value = json_object_get(seen, live[k]);

            if (value != NULL)
                kr_json_set(row, live[k], json_incref(value));
        }
    }
    return 0;
}

static bool asks_for_state(const struct kr_query *query)
{
    const char *sort = query->sort_by != NULL ? query->sort_by : "";

    return json_object_get(query->filters, "status") != NULL ||
           json_object_get(query->filters, "url") != NULL || strstr(sort, "status") != NULL ||
           strstr(sort, "url") != NULL;
}

/* A full row becomes one of a list. */
static void shorten(json_t *row)
{
    size_t n;
    const struct kr_field *fields = kr_entity_fields(KR_DEPLOYMENT, &n);

    for (size_t i = 0; i < n; i++) {
        if (fields[i].hidden)
            (void)json_object_del(row, fields[i].name);
    }
    if (json_object_get(row, "unread") == NULL)
        (void)json_object_del(row, "state_note");
}

int kr_deployments_list(struct kr_app *app, const struct kr_query *query, json_t **page,
                        struct kr_err *err)
{
    static const struct kr_query everything = {.page = 1};
    struct kr_query full = query != NULL ? *query : everything;
    kr_auto_json json_t *made = NULL, *looked = NULL;
    json_t *items, *row;
    size_t i;

    full.hidden = true;
    kr_deployments_sweep(app);
    if ((asks_for_state(&full) && refresh_all(app, &looked, err) < 0) ||
        kr_store_list(app->store, KR_DEPLOYMENT, &full, NULL, &made, err) < 0)
        return -(int)err->code;
    items = json_object_get(made, "items");
    if (bring_up_to_date(app, items, looked, err) < 0)
        return -(int)err->code;
    json_array_foreach(items, i, row) shorten(row);
    *page = kr_steal(&made);
    return 0;
}

static int add_history(struct kr_app *app, json_t *row, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL;
    struct kr_query query = {.page = 1, .size = 20, .sort_by = "desc:at"};
    json_t *history = json_array(), *items;

    kr_json_set_str(scope, "deployment_id", kr_json_str(row, "id", ""));
    kr_json_set(row, "history", history);
    if (kr_store_list(app->store, KR_EVENT, &query, scope, &page, err) < 0)
        return -(int)err->code;
    items = json_object_get(page, "items");
    for (size_t i = json_array_size(items); i > 0; i--)
        (void)json_array_append(history, json_array_get(items, i - 1));
    return 0;
}

/* First eight characters, unless that is most of it. */
static void show_key(json_t *row, const char *key, bool clear)
{
    kr_auto_free char *masked = NULL;

    if (key != NULL && !clear)
        masked =
            strlen(key) > 2 * KEY_SHOWN ? kr_asprintf("%.*s***", KEY_SHOWN, key) : kr_strdup("***");
    kr_json_set_str(row, "auth_key", clear ? key : masked);
}

static void add_snapshot(json_t *row, const json_t *snapshot)
{
    static const char *const parts[] = {"input_schema", "output_schema", "parameters"};
    const json_t *document = json_object_get(snapshot, "document");

    for (size_t i = 0; i < KR_ARRAY_LEN(parts); i++) {
        json_t *part = json_object_get(document, parts[i]);

        if (part != NULL)
            kr_json_set(row, parts[i], json_incref(part));
    }
    if (snapshot != NULL)
        kr_json_set(row, "source_root", json_incref(json_object_get(snapshot, "source_root")));
}

/* Row for people with everything that helps to use it; live: its state is looked at first. */
static int complete_row(struct kr_app *app, json_t *row, bool live, bool show_secret,
                        struct kr_err *err)
{
    kr_auto_target struct kr_target target = {0};
    kr_auto_json json_t *rows = json_array(), *headers = NULL;
    json_t *tried = json_object_get(json_object_get(row, "settings"), "tried");
    struct kr_err problem = KR_ERR_INIT;

    (void)json_array_append(rows, row);
    if (live && kr_live_rows(app, rows, LOOK_MS, err) < 0)
        return -(int)err->code;
    if (kr_target_init(app, row, KR_TARGET_LOOK, &target, &problem) < 0) {
        kr_json_set_str(row, "state_note", problem.msg);
        show_key(row, NULL, false);
        return add_history(app, row, err);
    }
    show_key(row, target.auth_key, show_secret);
    add_snapshot(row, target.snapshot);
    target.quiet = true;
    if (kr_json_str(row, "url", NULL) != NULL &&
        kr_deployer_headers(target.deployer, &target.env, &target.what, &headers, &problem) == 0)
        kr_example_add(app, row, &target, headers, show_secret);
    if (tried != NULL)
        kr_json_set(row, "tried_snapshot_id", json_incref(tried));
    (void)json_object_del(row, "settings");
    return add_history(app, row, err);
}

/* *unread: why the state could not be read, or NULL; may be NULL. */
static int get_row(struct kr_app *app, const char *ref, bool live, bool show_secret, json_t **row,
                   json_t **unread, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL;

    *row = NULL;
    if (kr_deployment_row(app, ref, &found, err) < 0 ||
        complete_row(app, found, live, show_secret, err) < 0)
        return -(int)err->code;
    if (unread != NULL)
        *unread = json_incref(json_object_get(found, "unread"));
    (void)json_object_del(found, "unread");
    *row = kr_steal(&found);
    return 0;
}

int kr_deployment_get(struct kr_app *app, const char *ref, bool show_secret, json_t **row,
                      struct kr_err *err)
{
    return get_row(app, ref, true, show_secret, row, NULL, err);
}

int kr_deployment_recorded(struct kr_app *app, const char *ref, json_t **row, struct kr_err *err)
{
    return get_row(app, ref, false, false, row, NULL, err);
}

int kr_deployment_refresh(struct kr_app *app, const char *ref, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *unread = NULL;

    if (get_row(app, ref, true, true, row, &unread, err) < 0)
        return -(int)err->code;
    if (unread == NULL)
        return 0;
    (void)kr_fail(err, KR_E_REMOTE, "the state of '%s' could not be read: %s",
                  kr_json_str(*row, "name", ref), json_string_value(unread));
    json_decref(*row);
    *row = NULL;
    return -KR_E_REMOTE;
}

/* Lock of a deployment, and its record as it is under the lock. */
static int take(struct kr_app *app, const char *ref, int *lock, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *before = NULL;

    if (kr_deployment_row(app, ref, &before, err) < 0 ||
        kr_deployment_lock(app, kr_json_str(before, "name", ""), lock, err) < 0)
        return -(int)err->code;
    return kr_deployment_row(app, kr_json_str(before, "id", ""), row, err);
}

static int find_snapshot(struct kr_app *app, const char *ref, const char *pipeline,
                         const json_t *row, json_t **snapshot, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object();

    if (ref == NULL)
        ref = kr_json_str(row, "snapshot_id", NULL);
    if (ref == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "deployment '%s' has no snapshot",
                      kr_json_str(row, "name", "?"));
        return kr_hint(err, "deploy its source: %s pipeline deploy --name %s <source>", app->prog,
                       kr_json_str(row, "name", "?"));
    }
    if (pipeline != NULL)
        kr_json_set_str(scope, "pipeline", pipeline);
    return kr_store_find(app->store, KR_SNAPSHOT, ref, scope, snapshot, err);
}

int kr_deployment_provision(struct kr_app *app, const char *ref, const char *snapshot,
                            const char *pipeline, const json_t *allow_secrets, bool overtake,
                            int timeout_s, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *record = NULL, *wanted = NULL, *allowed = NULL, *fields = json_object();
    kr_auto_fd int lock = -1;
    struct kr_rollout rollout = {.fields = fields, .verb = "provision", .timeout_s = timeout_s};

    *row = NULL;
    if (take(app, ref, &lock, &record, err) < 0 ||
        find_snapshot(app, snapshot, pipeline, record, &wanted, err) < 0)
        return -(int)err->code;
    if (!overtake && !kr_deployment_is_mine(record) &&
        !kr_confirm(app, "Deployment '%s' belongs to %s. Take it over?",
                    kr_json_str(record, "name", "?"), kr_json_str(record, "user", "?"))) {
        (void)kr_fail(err, KR_E_CANCELLED, "deployment '%s' was not changed",
                      kr_json_str(record, "name", "?"));
        return kr_hint(err, "--overtake does it without asking");
    }
    if (allow_secrets != NULL &&
        kr_gate_allow(kr_json_str(wanted, "source_root", "."), allow_secrets, &allowed, err) < 0)
        return -(int)err->code;
    kr_json_set(fields, "pipeline", json_incref(json_object_get(wanted, "pipeline")));
    rollout.existing = record;
    rollout.snapshot = wanted;
    rollout.allow_secrets = allowed;
    return kr_rollout(app, &rollout, row, err);
}

/* The snapshot before the present one; when the present one never came up, the last that did; after
 * an attempt that failed, the one that ran before it. */
static const char *snapshot_before(const json_t *row)
{
    const char *now = kr_json_str(row, "snapshot_id", "");
    const char *good = kr_json_str(json_object_get(row, "settings"), "good", NULL);

    return good != NULL && (strcmp(good, now) != 0 ||
                            json_object_get(json_object_get(row, "settings"), "tried") != NULL)
               ? good
               : kr_json_str(row, "previous_snapshot_id", NULL);
}

int kr_deployment_rollback(struct kr_app *app, const char *ref, const json_t *allow_secrets,
                           int timeout_s, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *record = NULL, *wanted = NULL, *allowed = NULL, *fields = json_object();
    kr_auto_fd int lock = -1;
    struct kr_rollout rollout = {
        .fields = fields, .verb = "rollback", .timeout_s = timeout_s, .keep_root = true};
    const char *before;

    *row = NULL;
    if (take(app, ref, &lock, &record, err) < 0)
        return -(int)err->code;
    before = snapshot_before(record);
    if (before == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "deployment '%s' has no previous snapshot",
                      kr_json_str(record, "name", "?"));
        return kr_hint(err, "it was deployed once only, or the snapshot was deleted");
    }
    if (kr_store_find(app->store, KR_SNAPSHOT, before, NULL, &wanted, err) < 0 ||
        (allow_secrets != NULL &&
         kr_gate_allow(kr_json_str(wanted, "source_root", "."), allow_secrets, &allowed, err) < 0))
        return -(int)err->code;
    rollout.allow_secrets = allowed;
    kr_json_set(fields, "pipeline", json_incref(json_object_get(wanted, "pipeline")));
    rollout.existing = record;
    rollout.snapshot = wanted;
    return kr_rollout(app, &rollout, row, err);
}

static int take_down(struct kr_app *app, const json_t *record, bool remove, int timeout_s,
                     struct kr_err *err)
{
    kr_auto_target struct kr_target target = {0};
    int64_t seconds;

    if (kr_target_init(app, record, KR_TARGET_LOOK, &target, err) < 0)
        return -(int)err->code;
    if (target.deployer == NULL &&
        kr_deployer_need(kr_json_str(record, "flavor", ""), &target.deployer, err) < 0)
        return -(int)err->code;
    seconds =
        timeout_s > 0 ? timeout_s : kr_json_int(target.settings, "lcm_timeout", DEFAULT_TIMEOUT_S);
    return kr_deployer_deprovision(target.deployer, &target.env, &target.what, remove,
                                   seconds * 1000, err);
}

static int restart_in_place(struct kr_app *app, const json_t *record, bool factory, int timeout_s,
                            struct kr_target *target, struct kr_err *err)
{
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_UNKNOWN};
    kr_auto_json json_t *change = json_object();
    const char *id = kr_json_str(record, "id", "");
    int64_t seconds =
        timeout_s > 0 ? timeout_s : kr_json_int(target->settings, "lcm_timeout", DEFAULT_TIMEOUT_S);

    if (kr_deployer_restart(target->deployer, &target->env, &target->what, factory, seconds * 1000,
                            &status, err) < 0)
        return kr_wrap(err, "restart '%s'", kr_json_str(record, "name", "?"));
    kr_json_set_str(change, "status", kr_state_name(status.state));
    kr_json_set_str(change, "url", status.url);
    kr_json_set_str(change, "error", NULL);
    if (kr_store_update(app->store, KR_DEPLOYMENT, id, change, err) < 0)
        return -(int)err->code;
    return kr_event_add(app, id, "restarted", factory ? "built anew" : NULL, err);
}

int kr_deployment_restart(struct kr_app *app, const char *ref, bool factory, int timeout_s,
                          json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *record = NULL, *wanted = NULL, *fields = json_object();
    kr_auto_target struct kr_target target = {0};
    kr_auto_fd int lock = -1;
    struct kr_rollout rollout = {.fields = fields, .verb = "restart", .timeout_s = timeout_s};

    *row = NULL;
    if (take(app, ref, &lock, &record, err) < 0 ||
        kr_target_init(app, record, KR_TARGET_LOOK, &target, err) < 0)
        return -(int)err->code;
    if (kr_deployer_restarts(target.deployer)) {
        if (restart_in_place(app, record, factory, timeout_s, &target, err) < 0)
            return -(int)err->code;
        return kr_deployment_recorded(app, kr_json_str(record, "id", ""), row, err);
    }
    if (factory) {
        (void)kr_fail(err, KR_E_INVALID, "the deployer flavor '%s' builds nothing in place",
                      kr_json_str(record, "flavor", "?"));
        return kr_hint(err, "deploy with --prevent-build-reuse to build an image anew");
    }
    if (find_snapshot(app, NULL, NULL, record, &wanted, err) < 0 ||
        take_down(app, record, false, timeout_s, err) < 0)
        return -(int)err->code;
    rollout.existing = record;
    rollout.snapshot = wanted;
    return kr_rollout(app, &rollout, row, err);
}

int kr_deployment_deprovision(struct kr_app *app, const char *ref, int timeout_s,
                              struct kr_err *err)
{
    kr_auto_json json_t *record = NULL, *change = json_object();
    kr_auto_fd int lock = -1;

    if (take(app, ref, &lock, &record, err) < 0)
        return -(int)err->code;
    if (take_down(app, record, false, timeout_s, err) < 0)
        return kr_wrap(err, "deprovision '%s'", kr_json_str(record, "name", "?"));
    kr_json_set_str(change, "status", kr_state_name(KR_STATE_ABSENT));
    kr_json_set_str(change, "url", NULL);
    kr_json_set_str(change, "error", NULL);
    if (kr_store_update(app->store, KR_DEPLOYMENT, kr_json_str(record, "id", ""), change, err) < 0)
        return -(int)err->code;
    return kr_event_add(app, kr_json_str(record, "id", ""), "deprovisioned", NULL, err);
}

int kr_deployment_delete(struct kr_app *app, const char *ref, bool force, int timeout_s,
                         struct kr_err *err)
{
    kr_auto_json json_t *record = NULL;
    kr_auto_fd int lock = -1;
    const char *name;

    if (take(app, ref, &lock, &record, err) < 0)
        return -(int)err->code;
    name = kr_json_str(record, "name", "?");
    if (take_down(app, record, true, timeout_s, err) < 0) {
        (void)kr_wrap(err, "delete '%s'", name);
        if (!force)
            return kr_hint(err, "--force removes the record, whatever is left of the deployment");
        kr_note(app, KR_NOTE_WARN, "%s; only the record is removed", err->msg);
        kr_err_clear(err);
    }
    if (kr_store_delete(app->store, KR_DEPLOYMENT, kr_json_str(record, "id", ""), err) < 0)
        return -(int)err->code;
    kr_build_log_use(app, kr_json_str(record, "id", ""), NULL);
    kr_code_prune(app);
    return 0;
}

int kr_deployment_logs(struct kr_app *app, const char *ref, const struct kr_logs_request *request,
                       struct kr_err *err)
{
    kr_auto_json json_t *record = NULL;
    kr_auto_target struct kr_target target = {0};
    struct kr_log_request what = {.follow = request->follow,
                                  .build = request->build,
                                  .tail = request->tail,
                                  .line = request->line,
                                  .data = request->data};

    if (kr_deployment_row(app, ref, &record, err) < 0 ||
        kr_target_init(app, record, KR_TARGET_LOOK, &target, err) < 0)
        return -(int)err->code;
    if (target.deployer == NULL &&
        kr_deployer_need(kr_json_str(record, "flavor", ""), &target.deployer, err) < 0)
        return -(int)err->code;
    if (request->build &&
        kr_build_log_show(app, kr_json_str(record, "id", ""), request->tail, request->line,
                          request->data, &what.image_shown, err) < 0)
        return -(int)err->code;
    return kr_deployer_logs(target.deployer, &target.env, &target.what, &what, err);
}
