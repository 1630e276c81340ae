/* SPDX-License-Identifier: Apache-2.0 */
#include "app/deploy.h"

#include "app/code.h"
#include "app/deployment.h"
#include "app/rollout.h"
#include "app/stack.h"
#include "app/target.h"
#include "base/alloc.h"
#include "base/id.h"
#include "base/path.h"
#include "base/yaml.h"
#include "core/name.h"
#include "pack/gate.h"
#include <string.h>

enum { AUTH_KEY_LENGTH = 32, MAX_BUILD_FILE = 1 << 20 };

/* What a deploy works with, once it is known. */
struct deploy {
    struct kr_app *app;
    const struct kr_deploy_request *request;
    json_t *stack, *deployer, *snapshot, *existing, *fields, *allow;
    struct kr_made made;
    bool is_made;
    char *name, *image;
    int lock;
};

static void deploy_finish(struct deploy *d)
{
    json_decref(d->stack);
    json_decref(d->deployer);
    json_decref(d->snapshot);
    json_decref(d->existing);
    json_decref(d->fields);
    json_decref(d->allow);
    kr_made_finish(&d->made);
    free(d->name);
    free(d->image);
    if (d->lock >= 0)
        (void)close(d->lock);
}

static int load_stack(struct kr_app *app, const char *ref, json_t **stack, json_t **deployer,
                      struct kr_err *err)
{
    const char *id;

    if (kr_stack_get(app, ref, stack, err) < 0)
        return -(int)err->code;
    id = kr_json_str(kr_json_at(*stack, "components", "deployer", NULL), "id", NULL);
    if (id == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "stack '%s' has no deployer",
                      kr_json_str(*stack, "name", "?"));
        return kr_hint(err, "%s stack update %s -D <deployer>", app->prog,
                       kr_json_str(*stack, "name", "?"));
    }
    return kr_store_find(app->store, KR_COMPONENT, id, NULL, deployer, err);
}

static int find_snapshot(struct deploy *d, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object();

    if (d->request->pipeline != NULL)
        kr_json_set_str(scope, "pipeline", d->request->pipeline);
    return kr_store_find(d->app->store, KR_SNAPSHOT, d->request->snapshot, scope, &d->snapshot,
                         err);
}

/* A stored snapshot goes to the stack it was made for. */
static int choose_stack(struct deploy *d, struct kr_err *err)
{
    const char *ref = d->request->stack;
    const struct kr_deployer *deployer;

    if (d->snapshot != NULL && ref == NULL)
        ref = kr_json_str(d->snapshot, "stack_id", NULL);
    if (load_stack(d->app, ref, &d->stack, &d->deployer, err) < 0)
        return -(int)err->code;
    if (d->snapshot != NULL && ref != NULL &&
        strcmp(kr_json_str(d->snapshot, "stack_id", ""), kr_json_str(d->stack, "id", "")) != 0)
        return kr_fail(err, KR_E_CONFLICT, "the snapshot was made for another stack than '%s'",
                       kr_json_str(d->stack, "name", "?"));
    return kr_deployer_need(kr_json_str(d->deployer, "flavor", ""), &deployer, err);
}

static int compile(struct deploy *d, struct kr_err *err)
{
    struct kr_progress p = {.step = "compile", .text = "Reading the pipeline"};
    struct kr_ui *ui = &d->app->ui;

    if (d->request->source == NULL)
        return 0;
    if (ui->progress != NULL)
        ui->progress(ui->data, &p);
    if (kr_make(d->app, d->request, d->app->source_root, d->stack, d->deployer, &d->made, err) < 0)
        return -(int)err->code;
    d->is_made = true;
    p.finished = true;
    p.text = "Pipeline read";
    if (ui->progress != NULL)
        ui->progress(ui->data, &p);
    return 0;
}

static const json_t *document_of(const struct deploy *d)
{
    return d->is_made ? d->made.document : json_object_get(d->snapshot, "document");
}

/* --build: the id of a recorded build, or a file with its `image`. */
static int load_build(struct deploy *d, struct kr_err *err)
{
    kr_auto_json json_t *build = NULL;
    const char *ref = d->request->build, *image, *flavor;

    if (ref == NULL)
        return 0;
    if (kr_path_exists(ref)) {
        if (kr_yaml_read_file(ref, MAX_BUILD_FILE, &build, err) < 0)
            return kr_wrap(err, "--build");
    } else if (kr_store_find(d->app->store, KR_BUILD, ref, NULL, &build, err) < 0) {
        (void)kr_wrap(err, "--build");
        return kr_hint(err, "it takes the id of a build (%s pipeline builds list) or a file",
                       d->app->prog);
    }
    image = kr_json_str(build, "image", NULL);
    if (image == NULL)
        return kr_fail(err, KR_E_INVALID, "--build %s names no image", ref);
    d->image = kr_strdup(image);
    flavor = kr_json_str(d->deployer, "flavor", "");
    if (kr_deployer_traits(flavor)->takes == KR_TAKES_FOLDER)
        kr_note(d->app, KR_NOTE_WARN, "the %s deployer runs the code itself: --build is not used",
                flavor);
    return 0;
}

static int find_existing(struct deploy *d, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL;
    const json_t *row;

    kr_json_set_str(scope, "name", d->name);
    if (kr_store_list(d->app->store, KR_DEPLOYMENT, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    row = json_array_get(json_object_get(page, "items"), 0);
    if (row == NULL)
        return 0;
    return kr_deployment_row(d->app, kr_json_str(row, "id", ""), &d->existing, err);
}

static int check_deployer(const struct deploy *d, struct kr_err *err)
{
    const char *had = kr_json_str(d->existing, "deployer_id", NULL);

    if (had == NULL || strcmp(had, kr_json_str(d->deployer, "id", "")) == 0 ||
        json_object_size(json_object_get(d->existing, "metadata")) == 0)
        return 0; /* the same one, or nothing was made by the other one yet */
    (void)kr_fail(err, KR_E_CONFLICT, "deployment '%s' belongs to the deployer '%s', not to '%s'",
                  d->name, kr_json_str(d->existing, "deployer", "?"),
                  kr_json_str(d->deployer, "name", "?"));
    return kr_hint(err,
                   "choose another --name, a --stack with that deployer, or delete it first: "
                   "%s deployment delete %s",
                   d->app->prog, d->name);
}

/* Whether the deployment stands and something about it would become different. */
static bool would_change(const struct deploy *d)
{
    const char *status = kr_json_str(d->existing, "status", "absent");
    kr_auto_json json_t *snapshot = NULL;
    const char *id = kr_json_str(d->existing, "snapshot_id", NULL);
    struct kr_err ignored = KR_ERR_INIT;

    if (strcmp(status, "absent") == 0 || kr_json_at(d->existing, "settings", "good", NULL) == NULL)
        return false; /* nothing stands there, or it has never come to be */
    if (id == NULL || kr_store_find(d->app->store, KR_SNAPSHOT, id, NULL, &snapshot, &ignored) < 0)
        return true;
    if (!d->is_made)
        return strcmp(id, kr_json_str(d->snapshot, "id", "")) != 0;
    return strcmp(kr_json_str(snapshot, "digest", ""), d->made.digest) != 0;
}

static int ask(const struct deploy *d, struct kr_err *err)
{
    bool mine = d->existing == NULL || kr_deployment_is_mine(d->existing);
    bool agreed;

    if (d->existing == NULL || d->request->dry_run)
        return 0;
    if (!mine && !d->request->overtake) {
        agreed = kr_confirm(d->app, "Deployment '%s' belongs to %s. Take it over?", d->name,
                            kr_json_str(d->existing, "user", "another user"));
    } else if (!d->request->update && !d->request->overtake && would_change(d)) {
        agreed = kr_confirm(d->app, "Deployment '%s' exists. Update it?", d->name);
    } else {
        return 0;
    }
    if (agreed)
        return 0;
    (void)kr_fail(err, KR_E_CANCELLED, "deployment '%s' was not changed", d->name);
    return kr_hint(err, "%s does it without asking", mine ? "--update" : "--overtake");
}

/* auth_key of the settings, else of the component; a generated one is kept; none removes it. */
static int choose_key(struct deploy *d, json_t **key, struct kr_err *err)
{
    const json_t *fixed = kr_json_at(document_of(d), "settings", "deployer", NULL);
    const json_t *config = json_object_get(d->deployer, "config");
    const json_t *had = json_object_get(d->existing, "auth_key");
    char made[AUTH_KEY_LENGTH + 1];

    *key = json_incref(d->is_made ? d->made.auth_key : json_object_get(fixed, "auth_key"));
    if (!json_is_string(*key) && !d->is_made) {
        json_decref(*key);
        *key = json_incref(json_object_get(config, "auth_key"));
    }
    if (json_is_string(*key))
        return 0;
    json_decref(*key);
    *key = json_null();
    if (kr_json_bool(fixed, "auth_key_set", false)) {
        if (json_is_string(had)) {
            *key = json_incref((json_t *)(uintptr_t)had);
            return 0;
        }
        (void)kr_fail(err, KR_E_INVALID,
                      "the snapshot was made with an auth_key in plain text, which "
                      "snapshots do not hold");
        return kr_hint(err, "write it as a reference ({{secret.key}}), or deploy the source");
    }
    if (!kr_json_bool(fixed, "generate_auth_key", false))
        return 0;
    if (json_is_string(had)) {
        *key = json_incref((json_t *)(uintptr_t)had);
        return 0;
    }
    kr_random_alnum(made, AUTH_KEY_LENGTH);
    *key = json_string(made);
    explicit_bzero(made, sizeof(made));
    return 0;
}

/* What `deployment diff` needs to compile the source the same way. */
static json_t *asked_for(const struct deploy *d)
{
    json_t *settings = json_object(), *request = json_object();
    const json_t *had = json_object_get(d->existing, "settings");
    kr_auto_free char *config =
        d->request->config_file != NULL ? realpath(d->request->config_file, NULL) : NULL;

    if (json_is_object(had))
        (void)json_object_update(settings, (json_t *)(uintptr_t)had);
    kr_json_set_str(request, "config_file", config);
    kr_json_set_str(request, "build_mode", d->request->build_mode);
    kr_json_set_bool(request, "prevent_build_reuse", d->request->prevent_build_reuse);
    if (d->allow != NULL)
        kr_json_set(request, "allow_secrets", json_incref(d->allow));
    kr_json_set(settings, "request", request);
    return settings;
}

static int make_fields(struct deploy *d, struct kr_err *err)
{
    json_t *key = NULL;

    d->fields = json_object();
    if (choose_key(d, &key, err) < 0)
        return -(int)err->code;
    kr_json_set(d->fields, "auth_key", key);
    if (d->is_made)
        kr_json_set(d->fields, "settings", asked_for(d));
    kr_json_set_str(d->fields, "name", d->name);
    kr_json_set_str(d->fields, "pipeline",
                    kr_json_str(json_object_get(document_of(d), "pipeline"), "name", NULL));
    kr_json_set_str(d->fields, "stack_id", kr_json_str(d->stack, "id", NULL));
    kr_json_set_str(d->fields, "deployer_id", kr_json_str(d->deployer, "id", NULL));
    kr_json_set_str(d->fields, "flavor", kr_json_str(d->deployer, "flavor", NULL));
    return 0;
}

static int choose_name(struct deploy *d, struct kr_err *err)
{
    const char *name = d->request->name;

    if (name == NULL)
        name = kr_json_str(json_object_get(document_of(d), "pipeline"), "name", NULL);
    d->name = kr_strdup(name);
    return kr_name_check("deployment name", d->name, err);
}

/* The files that --allow-secret names, as they are called below the source root. */
static int find_allowed(struct deploy *d, struct kr_err *err)
{
    const char *root =
        d->is_made ? d->made.source_root : kr_json_str(d->snapshot, "source_root", ".");

    if (d->request->allow_secrets == NULL)
        return 0;
    return kr_gate_allow(root, d->request->allow_secrets, &d->allow, err);
}

static int run(struct deploy *d, json_t **row, struct kr_err *err)
{
    const struct kr_deploy_request *r = d->request;
    struct kr_rollout rollout = {
        .verb = "deploy",
        .timeout_s = r->timeout_s,
        .dry_run = r->dry_run,
        .adopt = r->adopt,
        .rehearse = r->rehearse,
        .prevent_build_reuse = r->prevent_build_reuse,
    };

    if ((r->snapshot != NULL && find_snapshot(d, err) < 0) || choose_stack(d, err) < 0 ||
        (r->name != NULL && kr_name_check("deployment name", r->name, err) < 0) ||
        compile(d, err) < 0 || find_allowed(d, err) < 0 || choose_name(d, err) < 0 ||
        load_build(d, err) < 0)
        return -(int)err->code;
    if (!r->dry_run && kr_deployment_lock(d->app, d->name, &d->lock, err) < 0)
        return -(int)err->code;
    if (find_existing(d, err) < 0 || check_deployer(d, err) < 0 || ask(d, err) < 0 ||
        make_fields(d, err) < 0)
        return -(int)err->code;
    rollout.existing = d->existing;
    rollout.fields = d->fields;
    rollout.made = d->is_made ? &d->made : NULL;
    rollout.stack = d->stack;
    rollout.snapshot = d->snapshot;
    rollout.image = d->image;
    rollout.allow_secrets = d->allow;
    return kr_rollout(d->app, &rollout, row, err);
}

int kr_deploy(struct kr_app *app, const struct kr_deploy_request *request, json_t **deployment,
              struct kr_err *err)
{
    kr_auto(deploy_finish) struct deploy d = {.app = app, .request = request, .lock = -1};

    *deployment = NULL;
    if ((request->source == NULL) == (request->snapshot == NULL))
        return kr_fail(err, KR_E_USAGE, "either a source or a snapshot is deployed");
    kr_deployments_sweep(app);
    return run(&d, deployment, err);
}
