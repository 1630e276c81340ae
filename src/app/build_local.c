/* SPDX-License-Identifier: Apache-2.0 */
/* The image builder `local`: the Docker engine builds the launched tree. */
#include "app/build.h"
#include "app/needs.h"

#include "base/alloc.h"
#include "base/path.h"
#include "deployers/lifecycle.h"
#include "oci/ref.h"
#include "oci/tree.h"
#include "pack/dockerignore.h"
#include "pack/machine.h"
#include "pack/gate.h"
#include "pack/requirements.h"

#include <string.h>

#define TEXT_MAX ((size_t)1 << 20)

/* A build in its temporary folder: context/ and secrets/. */
struct local {
    const struct kr_build *b;
    char *dir;
    bool buildkit;
    json_t *snapshot; /* with the user's own Dockerfile replaced by the image it gave, or NULL */
};

static void local_finish(struct local *l)
{
    if (l->dir != NULL)
        (void)!kr_remove_tree(l->dir, NULL);
    free(l->dir);
    json_decref(l->snapshot);
}

static int need_engine(struct local *l, struct kr_err *err)
{
    const char *prog = l->b->app->prog;

    if (kr_engine_check(&l->buildkit, err) == 0)
        return 0;
    (void)kr_wrap(err, "the image builder 'local' needs Docker");
    if (!l->b->push)
        return kr_hint(
            err,
            "start Docker; or use the image builder 'daemonless', which needs none but a "
            "container registry: %s image-builder register daemonless --flavor=daemonless, "
            "then %s stack update -i daemonless -c <registry>",
            prog, prog);
    return kr_hint(err,
                   "start Docker, or build without it: %s image-builder register daemonless "
                   "--flavor=daemonless, then %s stack update -i daemonless",
                   prog, prog);
}

/* The Dockerfile's options of one of the two builds, by the newer or the older spelling. */
static int add_options(const struct local *l, const char *key, struct kr_words *words,
                       struct kr_err *err)
{
    return kr_engine_options(kr_engine_build_options(l->b->docker, key), "build_options", words,
                             err);
}

static int run(const struct local *l, struct kr_engine_call *call, const char *what,
               struct kr_err *err)
{
    call->env = &l->b->target->env;
    call->source = "build";
    call->buildkit = l->buildkit;
    return kr_engine_run(call, what, NULL, err);
}

/* An ignore file for the user's own context. BuildKit looks for one beside the Dockerfile, so a
 * copy of both is made. */
static int place_dockerignore(const struct local *l, char **path, struct kr_err *err)
{
    const char *name = kr_dockerignore_setting(l->b->docker, "parent_image_build_config");
    kr_auto_free char *from = NULL, *copy = kr_path_join(l->dir, "parent.Dockerfile");
    kr_auto_free char *beside = kr_path_join(l->dir, "parent.Dockerfile.dockerignore");
    kr_auto_buf struct kr_buf file = KR_BUF_INIT(TEXT_MAX), rules = KR_BUF_INIT(TEXT_MAX);

    if (name == NULL)
        return 0;
    if (!l->buildkit) {
        (void)kr_fail(
            err, KR_E_INVALID,
            "parent_image_build_config: dockerignore '%s' cannot be applied, because this "
            "docker has no BuildKit",
            name);
        return kr_hint(
            err,
            "install the buildx plugin of Docker, or call the file .dockerignore and put it into "
            "build_context_root");
    }
    from = kr_path_join(l->b->launch.root, name);
    if (kr_file_read(from, &rules, err) < 0)
        return kr_wrap(err, "docker setting dockerignore");
    if (kr_file_read(*path, &file, err) < 0 ||
        kr_file_write_atomic(copy, kr_buf_str(&file), file.n, 0600, err) < 0 ||
        kr_file_write_atomic(beside, kr_buf_str(&rules), rules.n, 0600, err) < 0)
        return -(int)err->code;
    free(*path);
    *path = kr_steal(&copy);
    return 0;
}

/* A copy of what of the user's own context may be sent, in place of the folder itself. */
static int stage_context(const struct local *l, char **context, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_json json_t *warnings = json_array();
    kr_auto_free char *copy = kr_path_join(l->dir, "parent");
    const json_t *item;
    size_t i;

    if (kr_build_context(l->b, *context, &files, warnings, err) < 0 ||
        kr_gate_hold_all(l->b->gate, &files, err) < 0 || kr_mkdir_p(copy, 0700, err) < 0 ||
        kr_tree_write(copy, &files, err) < 0)
        return -(int)err->code;
    json_array_foreach(warnings, i, item)
        kr_denv_note(&l->b->target->env, true, "%s", json_string_value(item));
    free(*context);
    *context = kr_steal(&copy);
    return 0;
}

/* An engine that cannot pull builds on what it has, and says why. */
static int pull_moved(const struct local *l, struct kr_err *err)
{
    const json_t *name;
    size_t i;

    json_array_foreach(l->b->moved, i, name)
    {
        kr_auto_call struct kr_engine_call call = {.timeout_ms = 0};
        struct kr_err why = KR_ERR_INIT;

        kr_words_add(&call.words, "pull");
        kr_words_add(&call.words, json_string_value(name));
        if (run(l, &call, "docker pull", &why) == 0)
            continue;
        if (why.code == KR_E_CANCELLED) {
            *err = why;
            return -(int)err->code;
        }
        kr_denv_note(&l->b->target->env, true, "%s is another image now, but %s",
                     json_string_value(name), why.msg);
    }
    return 0;
}

/* The user's own Dockerfile with a context of its own is built first; its image is what is built
 * on. */
static int build_parent(struct local *l, struct kr_err *err)
{
    const char *file = kr_json_str(l->b->docker, "dockerfile", NULL);
    const char *folder = kr_json_str(l->b->docker, "build_context_root", NULL);
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 0};
    kr_auto_free char *path = NULL, *context = NULL, *tag = NULL;
    char hex[KR_SHA256_HEX];
    json_t *docker;

    if (folder == NULL &&
        json_object_size(json_object_get(l->b->docker, "parent_image_build_config")) > 0)
        kr_denv_note(&l->b->target->env, true,
                     "parent_image_build_config has no effect without dockerfile and "
                     "build_context_root: there is one build then, with build_config");
    if (file == NULL || folder == NULL)
        return 0;
    path = kr_path_join(l->b->launch.root, file);
    if (place_dockerignore(l, &path, err) < 0)
        return -(int)err->code;
    context = kr_path_join(l->b->launch.root, folder);
    kr_sha256_hex(context, strlen(context), hex);
    if (stage_context(l, &context, err) < 0)
        return -(int)err->code;
    tag = kr_asprintf("kourou-parent:%.16s", hex);
    kr_words_add(&call.words, "build");
    kr_words_addf(&call.words, "--file=%s", path);
    kr_words_addf(&call.words, "--tag=%s", tag);
    if (l->buildkit)
        kr_words_add(&call.words, "--progress=plain");
    if (add_options(l, "parent_image_build_config", &call.words, err) < 0)
        return -(int)err->code;
    kr_words_add(&call.words, context);
    if (run(l, &call, "docker build of the docker setting dockerfile", err) < 0)
        return -(int)err->code;
    l->snapshot = json_deep_copy(l->b->launch.snapshot);
    docker = kr_json_at(l->snapshot, "settings", "docker", NULL);
    kr_json_set_str(docker, "parent_image", tag);
    (void)json_object_del(docker, "dockerfile");
    (void)json_object_del(docker, "build_context_root");
    return 0;
}

static int write_context(const struct local *l, const char *context, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_json json_t *warnings = json_array();
    struct kr_launch in = l->b->launch;
    const json_t *item;
    size_t i;

    if (l->snapshot != NULL)
        in.snapshot = l->snapshot;
    if (kr_launch_files(&in, &files, warnings, err) < 0 ||
        kr_gate_hold_all(l->b->gate, &files, err) < 0)
        return -(int)err->code;
    json_array_foreach(warnings, i, item)
        kr_denv_note(&l->b->target->env, true, "%s", json_string_value(item));
    if (kr_mkdir_p(context, 0700, err) < 0)
        return -(int)err->code;
    return kr_tree_write(context, &files, err);
}

/* ${NAME} in requirements: variables as build arguments, secrets as files that are mounted for one
 * step. */
static int add_variables(const struct local *l, struct kr_words *words, struct kr_err *err)
{
    struct kr_requirements_in wanted = {l->b->launch.root, l->b->docker, l->b->launch.snapshot,
                                        l->b->launch.python};
    kr_auto_requirements struct kr_requirements reqs = {0};
    kr_auto_json json_t *warnings = json_array();
    const json_t *item;
    size_t i;

    if (kr_requirements_collect(&wanted, &reqs, warnings, err) < 0)
        return -(int)err->code;
    json_array_foreach(reqs.variables, i, item)
    {
        const char *name = json_string_value(item), *value;
        kr_auto_free char *file = kr_asprintf("%s/%s", l->dir, name);
        bool secret;

        if (kr_needs_variable(l->b->target, name, &value, &secret, err) < 0)
            return -(int)err->code;
        if (!secret) {
            kr_words_addf(words, "--build-arg=%s=%s", name, value);
            continue;
        }
        if (!l->buildkit) {
            (void)kr_fail(err, KR_E_INVALID,
                          "the requirements use the secret ${%s}, and this docker has no BuildKit",
                          name);
            return kr_hint(err, "install the buildx plugin of Docker");
        }
        if (kr_file_write_atomic(file, value, strlen(value), 0600, err) < 0)
            return -(int)err->code;
        kr_words_addf(words, "--secret=id=%s,src=%s", name, file);
    }
    return 0;
}

/* What is pushed is linux/amd64, whatever the engine has. */
static int add_platform(const struct local *l, struct kr_words *words, struct kr_err *err)
{
    char machine[16];

    if (!l->b->push)
        return 0;
    if (kr_engine_machine(machine, err) < 0)
        return -(int)err->code;
    if (strcmp(machine, KR_MACHINE_DEFAULT) != 0)
        kr_words_add(words, "--platform=linux/" KR_MACHINE_DEFAULT);
    return 0;
}

static int build_image(const struct local *l, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 0};
    kr_auto_free char *context = kr_path_join(l->dir, "context");

    kr_words_add(&call.words, "build");
    kr_words_addf(&call.words, "--tag=%s", l->b->name);
    kr_words_addf(&call.words, "--iidfile=%s/image", l->dir);
    if (l->buildkit)
        kr_words_add(&call.words, "--progress=plain");
    if (l->b->target->what.prevent_build_reuse)
        kr_words_add(&call.words, "--no-cache");
    if (add_platform(l, &call.words, err) < 0 || add_variables(l, &call.words, err) < 0 ||
        add_options(l, "build_config", &call.words, err) < 0 || write_context(l, context, err) < 0)
        return -(int)err->code;
    kr_words_add(&call.words, context);
    return run(l, &call, "docker build", err);
}

struct pushing {
    const struct kr_deployer_env *env;
    char digest[KR_DIGEST_SIZE];
};

/* "latest: digest: sha256:... size: 1570" */
static void on_push_line(void *data, const char *line)
{
    struct pushing *p = data;
    const char *at = strstr(line, "digest: sha256:");

    if (at != NULL) {
        char digest[KR_DIGEST_SIZE];

        (void)snprintf(digest, sizeof(digest), "%.71s", at + 8);
        if (kr_digest_valid(digest))
            memcpy(p->digest, digest, sizeof(digest));
    }
    kr_denv_log_line(p->env, "push", line);
}

static int push(const struct local *l, char **image, struct kr_err *err)
{
    const struct kr_build *b = l->b;
    struct pushing p = {.env = &b->target->env, .digest = ""};
    kr_auto_call struct kr_engine_call call = {
        .env = &l->b->target->env, .line = on_push_line, .data = &p};
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    struct kr_login login;
    char registry[256];

    if (kr_engine_login(b->target->stack, &login, registry))
        call.login = &login;
    kr_words_add(&call.words, "push");
    kr_words_add(&call.words, b->name);
    kr_denv_step(p.env, "push", "Pushing the image", 0, 0, false, false);
    if (kr_engine_run(&call, "docker push", NULL, err) < 0) {
        if (err->code == KR_E_AUTH)
            (void)kr_hint(err,
                          "log in with `docker login %s`, or give the registry an "
                          "authentication_secret with the keys username and password",
                          registry);
        if (strstr(err->msg, "x509:") != NULL)
            (void)kr_hint(
                err,
                "the Docker engine pushes, and ca_file is not for it: put the authority's "
                "certificate to /etc/docker/certs.d/%s/ca.crt on the engine's machine, or use an "
                "image builder of flavor daemonless",
                registry);
        return -(int)err->code;
    }
    kr_denv_step(p.env, "push", "Pushed the image", 0, 0, false, true);
    if (kr_ref_parse(b->name, &ref, err) < 0)
        return -(int)err->code;
    if (p.digest[0] == '\0')
        return kr_fail(err, KR_E_REMOTE, "docker push did not say the digest of %s", b->name);
    *image = kr_ref_with_digest(&ref, p.digest);
    return 0;
}

int kr_build_local(const struct kr_build *b, char **image, struct kr_err *err)
{
    kr_auto(local_finish) struct local l = {.b = b};
    kr_auto_buf struct kr_buf id = KR_BUF_INIT(4096);
    kr_auto_free char *file = NULL;

    if (need_engine(&l, err) < 0 || kr_tree_temp(b->cache, &l.dir, err) < 0 ||
        pull_moved(&l, err) < 0 || build_parent(&l, err) < 0 || build_image(&l, err) < 0)
        return -(int)err->code;
    if (b->push)
        return push(&l, image, err);
    file = kr_path_join(l.dir, "image");
    if (kr_file_read(file, &id, err) < 0)
        return -(int)err->code;
    *image = kr_strndup(kr_buf_str(&id), strcspn(kr_buf_str(&id), "\n"));
    return 0;
}
