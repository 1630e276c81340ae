/* SPDX-License-Identifier: Apache-2.0 */
#include "app/build.h"

#include "app/build_log.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "base/path.h"
#include "deployers/lifecycle.h"
#include "oci/build.h"
#include "oci/manifest.h"
#include "pack/bundle.h"
#include "pack/dockerignore.h"
#include "pack/gate.h"

#include <string.h>

enum { SPACE_PORT = 7860 };

void kr_build_finish(struct kr_build *build)
{
    kr_gate_close(build->gate);
    free(build->name);
    free(build->cache);
    json_decref(build->moved);
    *build = (struct kr_build){0};
}

static const json_t *docker_of(const struct kr_target *target)
{
    return kr_json_at(target->what.snapshot, "settings", "docker", NULL);
}

/* -- whether and how --------------------------------------------------------------------------- */

static int fail_no_registry(struct kr_app *app, const char *why, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, "%s needs a container registry in the stack", why);
    return kr_hint(err,
                   "%s container-registry register <name> --flavor=default --uri=docker.io/<user>, "
                   "then %s stack update -c <name>",
                   app->prog, app->prog);
}

static int wants_image(struct kr_app *app, const struct kr_target *target, bool registry,
                       bool *needed, struct kr_err *err)
{
    const char *mode = kr_json_str(target->settings, "build_mode", "auto");

    *needed = false;
    if (target->what.image != NULL || kr_json_bool(docker_of(target), "skip_build", false))
        return 0;
    if (kr_target_traits(target)->takes == KR_TAKES_IMAGE) {
        *needed = true;
    } else if (kr_target_traits(target)->takes == KR_TAKES_SOURCE) {
        *needed = strcmp(mode, "image") == 0 || (strcmp(mode, "auto") == 0 && registry);
        if (*needed && !registry)
            return fail_no_registry(app, "build mode 'image'", err);
    }
    return 0;
}

static int name_image(struct kr_build *b, const json_t *registry, struct kr_err *err)
{
    const json_t *config = json_object_get(registry, "config");
    const char *uri = kr_json_str(config, "uri", NULL);
    const char *repository = kr_json_str(b->docker, "target_repository",
                                         kr_json_str(config, "default_repository", "zenml"));
    const char *tag = kr_json_str(
        b->docker, "image_tag",
        kr_json_str(json_object_get(b->target->what.snapshot, "pipeline"), "name", "latest"));
    kr_auto_free char *safe = kr_ref_tag_of(tag);
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;

    b->name = uri != NULL ? kr_asprintf("%s/%s:%s", uri, repository, safe)
                          : kr_asprintf("%s:%s", repository, safe);
    if (kr_ref_parse(b->name, &ref, err) < 0)
        return kr_wrap(err, "name of the image");
    return 0;
}

/* Without an image builder in the stack: Docker when it is there, else none is needed. */
static int choose_builder(struct kr_build *b, struct kr_err *err)
{
    const json_t *row = json_object_get(b->target->stack, "image_builder");
    const char *cannot = kr_image_build_cannot(b->docker);
    struct kr_err ignored = KR_ERR_INIT;

    b->config = json_object_get(row, "config");
    b->builder = kr_json_str(row, "flavor", NULL);
    if (b->builder == NULL)
        b->builder = !b->push || cannot != NULL || kr_engine_check(NULL, &ignored) == 0
                         ? "local"
                         : "daemonless";
    if (strcmp(b->builder, "daemonless") != 0)
        return 0;
    if (!b->push)
        return fail_no_registry(b->app, "the image builder 'daemonless'", err);
    if (cannot == NULL)
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "the image builder 'daemonless' cannot do this: %s", cannot);
    return kr_hint(err,
                   "use one of flavor local: %s image-builder register <name> --flavor=local, then "
                   "%s stack update -i <name>",
                   b->app->prog, b->app->prog);
}

int kr_build_init(struct kr_app *app, struct kr_target *target, struct kr_build *out, bool *needed,
                  struct kr_err *err)
{
    json_t *registry = json_object_get(target->stack, "container_registry");

    *out = (struct kr_build){
        .app = app, .target = target, .push = registry != NULL, .docker = docker_of(target)};
    if (registry != NULL && kr_registry_login(app, registry, err) < 0)
        return -(int)err->code;
    if (wants_image(app, target, registry != NULL, needed, err) < 0)
        return -(int)err->code;
    if (!*needed)
        return 0;
    out->cache = kr_path_join(app->data_dir, "cache");
    out->launch = (struct kr_launch){
        .root = target->what.source_root,
        .cache_dir = out->cache,
        .runtime_dir = app->runtime_dir,
        .machine = target->what.machine,
        .python = target->what.python,
        .snapshot = target->what.snapshot,
        .mode = KR_LAUNCH_SOURCE,
        .app_port = (int)kr_json_int(target->settings, "app_port", SPACE_PORT),
        .variables = target->what.environment,
    };
    if (name_image(out, registry, err) < 0)
        return -(int)err->code;
    return choose_builder(out, err);
}

/* -- using an equal image again ---------------------------------------------------------------- */

/* The gate for an image, which others may be able to read. */
static int open_gate(struct kr_build *b, struct kr_err *err)
{
    struct kr_gate_policy policy = {
        .root = b->launch.root,
        .cache_dir = b->cache,
        .readers = kr_target_traits(b->target)->image_readers,
        .allow = b->target->what.allow_secrets,
    };

    if (kr_gate_open(&policy, &b->gate, err) < 0)
        return -(int)err->code;
    b->launch.gate = b->gate;
    return 0;
}

int kr_build_context(const struct kr_build *b, const char *root, struct kr_files *out,
                     json_t *warnings, struct kr_err *err)
{
    const char *name = kr_dockerignore_setting(b->docker, "parent_image_build_config");
    kr_auto_free char *path =
        name != NULL ? kr_path_join(b->launch.root, name) : kr_path_join(root, ".dockerignore");
    kr_auto_buf struct kr_buf text = KR_BUF_INIT((size_t)1 << 20);
    kr_auto_dockerignore struct kr_dockerignore *rules = NULL;
    struct kr_bundle what = {
        .root = root,
        .cache_dir = b->cache,
        .gate = b->gate,
        .context = true,
        .said_below = kr_json_str(b->docker, "build_context_root", "."),
    };

    if ((name != NULL || kr_path_exists(path)) && kr_file_read(path, &text, err) < 0)
        return kr_wrap(err, "docker setting dockerignore");
    rules = kr_dockerignore_parse(kr_buf_str(&text), text.n);
    what.leave_out = rules;
    if (kr_bundle_collect(&what, out, warnings, err) < 0)
        return kr_wrap(err, "build_context_root");
    return kr_gate_judge(b->gate, warnings, err);
}

/* Whether the image is still where it was. Not being able to find out counts as no. */
static bool still_there(const struct kr_build *b, const char *image)
{
    kr_auto_json json_t *found = NULL;
    struct kr_err ignored = KR_ERR_INIT;
    char digest[KR_DIGEST_SIZE];
    kr_auto_http struct kr_http *http = NULL;
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    struct kr_repo_auth auth;

    if (!b->push)
        return kr_engine_inspect("image", image, &found, &ignored) == 0;
    auth = kr_registry_auth(kr_json_at(b->target->stack, "container_registry", NULL));
    http = kr_http_open("kourou/" KR_VERSION);
    return kr_ref_parse(image, &ref, &ignored) == 0 &&
           kr_repo_open(http, &ref, &auth, false, NULL, &repo, &ignored) == 0 &&
           kr_manifest_head(repo, kr_ref_what(&ref), digest, &ignored) == 0;
}

static int find_equal(const struct kr_build *b, const char *key, char **image, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL;
    const json_t *item;
    size_t i;

    kr_json_set_str(scope, "digest", key);
    if (kr_store_list(b->app->store, KR_BUILD, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        const char *found = kr_json_str(item, "image", NULL);

        if (found == NULL || !still_there(b, found))
            continue;
        *image = kr_strdup(found);
        kr_build_log_use(b->app, b->target->what.id, kr_json_str(item, "id", ""));
        return 0;
    }
    return 0;
}

static int record(const struct kr_build *b, const char *key, const char *image, json_t **stored,
                  struct kr_err *err)
{
    kr_auto_json json_t *row = json_object();

    kr_json_set_str(row, "snapshot_id", b->target->what.snapshot_id);
    kr_json_set_str(row, "digest", key);
    kr_json_set_str(row, "image", image);
    kr_json_set_str(row, "kind", b->builder);
    return kr_store_insert(b->app->store, KR_BUILD, row, stored, err);
}

/* -- building ---------------------------------------------------------------------------------- */

/* Builds, and keeps what was said meanwhile. */
static int build_logged(struct kr_build *b, const char *key, char **image, struct kr_err *err)
{
    kr_auto_build_log struct kr_build_log log;
    kr_auto_json json_t *stored = NULL;
    kr_auto_free char *text = kr_asprintf("Building image %s (%s)", b->name, b->builder),
                      *error = NULL;
    int rc;

    kr_build_log_init(&log);
    b->target->build_log = &log;
    kr_denv_step(&b->target->env, "image", text, 0, 0, false, false);
    rc = strcmp(b->builder, "daemonless") == 0 ? kr_build_daemonless(b, image, err)
                                               : kr_build_local(b, image, err);
    free(text);
    text = rc == 0 ? kr_asprintf("Built image %s", *image) : NULL;
    if (rc == 0)
        kr_denv_step(&b->target->env, "image", text, 0, 0, false, true);
    b->target->build_log = NULL;
    if (rc == 0)
        rc = record(b, key, *image, &stored, err);
    else
        rc = kr_wrap(err, "build image %s", b->name);
    if (rc < 0) {
        error = kr_asprintf("ERROR: %s", err->msg);
        kr_build_log_line(&log, error);
    }
    kr_build_log_keep(b->app, &log, b->target->what.id, kr_json_str(stored, "id", NULL));
    return rc;
}

static int build(struct kr_build *b, char **image, struct kr_err *err)
{
    const struct kr_deployer_env *env = &b->target->env;
    bool again = b->target->what.prevent_build_reuse ||
                 kr_json_bool(b->docker, "prevent_build_reuse", false);
    char key[KR_SHA256_HEX];

    if (open_gate(b, err) < 0 || kr_build_key(b, key, err) < 0 ||
        (!again && find_equal(b, key, image, err) < 0))
        return -(int)err->code;
    if (*image != NULL) {
        kr_denv_note(env, false, "nothing that goes into the image has changed: using %s", *image);
        return 0;
    }
    return build_logged(b, key, image, err);
}

int kr_build_image(struct kr_app *app, struct kr_target *target, struct kr_err *err)
{
    kr_auto_build struct kr_build b = {0};
    char *image = NULL;
    bool needed = false;

    if (kr_build_init(app, target, &b, &needed, err) < 0)
        return -(int)err->code;
    if (needed) {
        if (build(&b, &image, err) < 0) {
            free(image);
            return -(int)err->code;
        }
        free(target->image);
        target->image = image;
        target->what.image = image;
    } else {
        kr_build_log_use(app, target->what.id, NULL);
    }
    if (target->what.image == NULL || kr_target_traits(target)->image_readers == NULL)
        return 0;
    return kr_registry_check_public(app, target, target->what.image, err);
}

int kr_build_plan(struct kr_app *app, struct kr_target *target, struct kr_err *err)
{
    kr_auto_build struct kr_build b = {0};
    bool needed = false;

    if (kr_build_init(app, target, &b, &needed, err) < 0)
        return -(int)err->code;
    if (needed) {
        free(target->image);
        target->image = kr_steal(&b.name);
        target->what.image = target->image;
    }
    return 0;
}
