/* SPDX-License-Identifier: Apache-2.0 */
#include "app/target.h"

#include "app/build_log.h"
#include "app/code.h"
#include "app/runtime_env.h"
#include "app/secret.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/redact.h"
#include "core/flavor.h"
#include "core/secret_ref.h"

#include <pwd.h>
#include <string.h>

bool kr_cancelled(const struct kr_app *app)
{
    return app->ui.cancelled != NULL && app->ui.cancelled(app->ui.data);
}

const struct kr_deployer_traits *kr_target_traits(const struct kr_target *target)
{
    return kr_deployer_traits(kr_json_str(target->row, "flavor", NULL));
}

int kr_deployer_need(const char *flavor, const struct kr_deployer **out, struct kr_err *err)
{
    kr_auto_free char *names = NULL;

    *out = kr_deployer_find(flavor);
    if (*out != NULL)
        return 0;
    names = kr_deployer_names();
    (void)kr_fail(err, KR_E_INVALID, "this build cannot deploy with the deployer flavor '%s'",
                  flavor);
    return kr_hint(err, "it can deploy with: %s", names);
}

int kr_deployment_row(struct kr_app *app, const char *ref, json_t **row, struct kr_err *err)
{
    return kr_store_find(app->store, KR_DEPLOYMENT, ref, NULL, row, err);
}

bool kr_deployment_is_mine(const json_t *row)
{
    char room[4096];
    struct passwd pw, *found = NULL;

    return getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) != 0 || found == NULL ||
           strcmp(found->pw_name, kr_json_str(row, "user", found->pw_name)) == 0;
}

int kr_deployment_deployer(struct kr_app *app, const json_t *row, json_t **component,
                           struct kr_err *err)
{
    const char *id = kr_json_str(row, "deployer_id", NULL);
    json_t *given = json_object_get(row, "deployer_row");

    if (given != NULL) {
        *component = json_incref(given);
        return 0;
    }
    if (id != NULL)
        return kr_store_find(app->store, KR_COMPONENT, id, NULL, component, err);
    *component = json_object();
    kr_json_set_str(*component, "flavor", kr_json_str(row, "flavor", ""));
    kr_json_set(*component, "config", json_object());
    return 0;
}

int kr_event_add(struct kr_app *app, const char *deployment_id, const char *what,
                 const char *detail, struct kr_err *err)
{
    kr_auto_json json_t *event = json_object();

    kr_json_set_str(event, "deployment_id", deployment_id);
    kr_json_set_str(event, "what", what);
    kr_json_set_str(event, "detail", detail);
    return kr_store_insert(app->store, KR_EVENT, event, NULL, err);
}

int kr_text_resolve(struct kr_app *app, const json_t *value, char **out, struct kr_err *err)
{
    kr_auto_free char *name = NULL, *key = NULL;
    const char *text = json_string_value(value);

    *out = NULL;
    if (text == NULL)
        return 0;
    if (kr_secret_ref_parse(text, &name, &key))
        return kr_secret_resolve(app, name, key, out, err);
    *out = kr_strdup(text);
    kr_redact_add(text);
    return 0;
}

/* -- what the deployer may do ------------------------------------------------------------------ */

static void on_step(void *data, const char *step, const char *text, int64_t done, int64_t total,
                    bool bytes, bool finished)
{
    struct kr_target *t = data;
    struct kr_progress p = {.step = step,
                            .text = text,
                            .done = done,
                            .total = total,
                            .bytes = bytes,
                            .finished = finished};

    kr_build_log_step(t->build_log, text);
    if (!t->quiet && t->app->ui.progress != NULL)
        t->app->ui.progress(t->app->ui.data, &p);
}

static void on_note(void *data, bool warning, const char *text)
{
    struct kr_target *t = data;

    kr_build_log_line(t->build_log, text);
    if (!t->quiet)
        kr_note(t->app, warning ? KR_NOTE_WARN : KR_NOTE_INFO, "%s", text);
}

static void on_log_line(void *data, const char *source, const char *line)
{
    struct kr_target *t = data;
    kr_auto_free char *copy = NULL;

    kr_build_log_line(t->build_log, line);
    if (t->quiet || t->app->ui.log_line == NULL)
        return;
    copy = kr_strdup(line);
    kr_redact(copy, strlen(copy));
    t->app->ui.log_line(t->app->ui.data, source, copy);
}

static int on_save(void *data, const json_t *metadata, struct kr_err *err)
{
    struct kr_target *t = data;
    kr_auto_json json_t *change = NULL;

    if (t->quiet)
        return 0;
    change = json_object();
    kr_json_set(change, "metadata", json_deep_copy(metadata));
    return kr_store_update(t->app->store, KR_DEPLOYMENT, kr_json_str(t->row, "id", ""), change,
                           err);
}

static bool on_cancelled(void *data)
{
    struct kr_target *t = data;

    return kr_cancelled(t->app);
}

static const char *store_name(void)
{
    const char *url = kr_env_get("KOUROU_STORE_URL");

    return url != NULL ? url : "default";
}

static int on_place(void *data, const char *folder, bool *placed, struct kr_err *err)
{
    const struct kr_target *t = data;

    return kr_code_place(t->app, t->snapshot, t->what.source_root, folder, placed, err);
}

static void fill_env(struct kr_target *t)
{
    t->env = (struct kr_deployer_env){
        .data = t,
        .step = on_step,
        .note = on_note,
        .log_line = on_log_line,
        .save = on_save,
        .cancelled = on_cancelled,
        .place = on_place,
        .data_dir = t->app->data_dir,
        .runtime_dir = t->app->runtime_dir,
        .prog = t->app->prog,
        .store = store_name(),
    };
}

/* Asked when the folders have been listed: every record that a folder can belong to is there by
 * then. */
static bool is_known(void *data, const char *id)
{
    struct kr_target *t = data;
    struct kr_err err = KR_ERR_INIT;

    if (t->metadata == NULL && kr_store_ids(t->app->store, KR_DEPLOYMENT, &t->metadata, &err) < 0)
        return true;
    return json_object_get(t->metadata, id) != NULL;
}

void kr_deployments_sweep(struct kr_app *app)
{
    struct kr_target t = {.app = app};

    fill_env(&t);
    kr_deployers_sweep(&t.env, is_known, &t);
    kr_target_finish(&t);
}

/* -- settings ---------------------------------------------------------------------------------- */

/* What the snapshot says, and beside it what belongs to the registered component alone or is
 * secret. */
static json_t *layered_settings(const struct kr_settings_table *table, const json_t *config,
                                const json_t *snapshot)
{
    const json_t *fixed = kr_json_at(snapshot, "document", "settings", "deployer", NULL);
    json_t *out = kr_settings_defaults(table);

    for (size_t i = 0; i < table->count; i++) {
        const struct kr_setting *row = &table->rows[i];
        json_t *own = json_object_get(config, row->name), *said = json_object_get(fixed, row->name);
        json_t *value = said != NULL && !row->component_only ? said : own;

        if (value != NULL)
            kr_json_set(out, row->name, json_incref(value));
    }
    return out;
}

/* The documented setting secret_name: the token is the key `token` of that secret. */
static int resolve_token(struct kr_app *app, json_t *settings, struct kr_err *err)
{
    const char *name = kr_json_str(settings, "secret_name", NULL);
    kr_auto_free char *token = NULL;

    if (name == NULL || kr_json_str(settings, "token", NULL) != NULL)
        return 0;
    if (kr_secret_resolve(app, name, "token", &token, err) < 0)
        return kr_wrap(err, "secret_name of the deployer");
    kr_json_set_str(settings, "token", token);
    return 0;
}

/* A token that is a reference to the key `token` of a secret says the same as secret_name. */
static void name_secret(json_t *settings)
{
    const char *ref = kr_json_str(settings, "token", NULL);
    kr_auto_free char *name = NULL, *key = NULL;

    if (ref != NULL && kr_secret_ref_parse(ref, &name, &key) && strcmp(key, "token") == 0)
        kr_json_set_str(settings, "secret_name", name);
}

static int load_settings(struct kr_target *t, struct kr_err *err)
{
    const struct kr_flavor *flavor;
    kr_auto_json json_t *component = NULL, *raw = NULL, *typed = NULL;

    if (kr_deployment_deployer(t->app, t->row, &component, err) < 0)
        return -(int)err->code;
    flavor = kr_flavor_find(KR_DEPLOYER, kr_json_str(component, "flavor", ""));
    if (flavor == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "no deployer flavor '%s'",
                       kr_json_str(component, "flavor", ""));
    if (kr_settings_check(flavor->table, json_object_get(component, "config"),
                          "configuration of the deployer", &typed, err) < 0)
        return -(int)err->code;
    raw = layered_settings(flavor->table, typed, t->snapshot);
    (void)json_object_del(raw, "auth_key"); /* the record has the one in force */
    name_secret(raw);
    if (kr_secret_refs_resolve(raw, kr_secret_resolve, t->app, &t->settings, err) < 0)
        return kr_wrap(err, "deployer '%s'", kr_json_str(component, "name", "?"));
    t->deployer = kr_deployer_find(flavor->name);
    return resolve_token(t->app, t->settings, err);
}

static int load_snapshot(struct kr_target *t, struct kr_err *err)
{
    const char *id = kr_json_str(t->row, "snapshot_id", NULL);
    json_t *given = json_object_get(t->row, "snapshot_row");

    if (given != NULL)
        t->snapshot = json_incref(given);
    if (given != NULL || id == NULL)
        return 0;
    return kr_store_find(t->app->store, KR_SNAPSHOT, id, NULL, &t->snapshot, err);
}

static void fill_what(struct kr_target *t)
{
    t->what = (struct kr_deployment){
        .id = kr_json_str(t->row, "id", NULL),
        .name = kr_json_str(t->row, "name", NULL),
        .pipeline = kr_json_str(t->row, "pipeline", NULL),
        .snapshot_id = kr_json_str(t->snapshot, "id", NULL),
        .snapshot_name = kr_json_str(t->snapshot, "name", NULL),
        .snapshot = json_object_get(t->snapshot, "document"),
        .settings = t->settings,
        .environment = t->environment,
        .secrets = t->secrets,
        .auth_key = t->auth_key,
        .source_root = t->source_root,
        .python = kr_json_str(t->snapshot, "python", NULL),
        .stack = t->stack,
        .image = t->image,
        .allow_secrets = kr_json_at(t->row, "settings", "request", "allow_secrets", NULL),
        .metadata = t->metadata,
    };
}

int kr_target_init(struct kr_app *app, const json_t *row, enum kr_target_depth depth,
                   struct kr_target *out, struct kr_err *err)
{
    const char *root;
    const json_t *metadata = json_object_get(row, "metadata");

    *out = (struct kr_target){.app = app, .row = json_incref((json_t *)(uintptr_t)row)};
    fill_env(out);
    out->metadata = json_is_object(metadata) ? json_deep_copy(metadata) : json_object();
    if (load_snapshot(out, err) < 0 || load_settings(out, err) < 0 ||
        kr_text_resolve(app, json_object_get(row, "auth_key"), &out->auth_key, err) < 0)
        return -(int)err->code;
    root = kr_json_str(out->snapshot, "source_root", NULL);
    out->source_root = kr_strdup(root != NULL ? root : app->source_root);
    if (depth == KR_TARGET_FULL &&
        (kr_deployer_need(kr_json_str(row, "flavor", ""), &out->deployer, err) < 0 ||
         kr_runtime_env(app, row, json_object_get(out->snapshot, "document"), &out->environment,
                        &out->secrets, &out->stack, err) < 0))
        return -(int)err->code;
    fill_what(out);
    return 0;
}

static void wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void kr_target_finish(struct kr_target *target)
{
    json_decref(target->row);
    json_decref(target->snapshot);
    json_decref(target->settings);
    json_decref(target->environment);
    json_decref(target->secrets);
    json_decref(target->stack);
    json_decref(target->metadata);
    wipe(target->auth_key);
    free(target->source_root);
    free(target->image);
    *target = (struct kr_target){0};
}
