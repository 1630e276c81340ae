/* SPDX-License-Identifier: Apache-2.0 */
/* The deployer `docker`: the pipeline is served by a container of this machine's Docker engine. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "deployers/lifecycle.h"

#include <string.h>

static int docker_validate(const struct kr_deployer_env *env, const struct kr_deployment *what,
                           struct kr_err *err)
{
    kr_auto_words struct kr_words words = {0};
    kr_auto_docker struct kr_docker docker = {0};
    struct kr_local local = {.env = env, .what = what};

    if (kr_engine_options(json_object_get(what->settings, "run_args"), "run_args", &words, err) < 0)
        return -(int)err->code;
    if (kr_engine_check(NULL, err) < 0) {
        (void)kr_wrap(err, "the docker deployer");
        return kr_hint(err,
                       "start Docker, or choose a stack whose deployer is of the flavor local or "
                       "huggingface");
    }
    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    return docker.found != NULL && kr_docker_is(&docker, "running")
               ? 0
               : kr_local_check_port(&local, err);
}

static char *url_of(const struct kr_docker *docker)
{
    int port = kr_docker_port(docker);

    return strchr(docker->address, ':') != NULL
               ? kr_asprintf("http://[%s]:%d", docker->address, port)
               : kr_asprintf("http://%s:%d", docker->address, port);
}

static void judge_running(const struct kr_docker *docker, struct kr_deployment_status *status)
{
    switch (kr_docker_health(docker, kr_docker_port(docker), &status->detail)) {
    case KR_LOCAL_HEALTHY:
        status->state = KR_STATE_RUNNING;
        break;
    case KR_LOCAL_BROKEN:
        status->state = KR_STATE_ERROR;
        break;
    case KR_LOCAL_STARTING:
        status->state = KR_STATE_PENDING;
        break;
    case KR_LOCAL_SILENT:
        status->state = KR_STATE_PENDING;
        status->detail = kr_asprintf("the container runs but does not answer on port %d",
                                     kr_docker_port(docker));
        break;
    }
    status->url = url_of(docker);
    status->page_url = kr_endpoint_url(status->url, docker->what->snapshot, "", "");
}

static void judge_stopped(const struct kr_docker *docker, struct kr_deployment_status *status)
{
    const json_t *state = json_object_get(docker->found, "State");
    int64_t code = kr_json_int(state, "ExitCode", 0);

    status->state = KR_STATE_ABSENT;
    if (code == 0 || code == 143 || kr_json_bool(docker->what->metadata, "stopped", false))
        return;
    status->state = KR_STATE_ERROR;
    status->detail = kr_asprintf("the container %s (status %lld)%s; see %s deployment logs %s",
                                 kr_json_str(state, "Status", "ended"), (long long)code,
                                 kr_json_bool(state, "OOMKilled", false) ? ": out of memory" : "",
                                 docker->env->prog, docker->what->name);
}

static int docker_status(const struct kr_deployer_env *env, const struct kr_deployment *what,
                         struct kr_deployment_status *status, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};

    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    if (docker.found == NULL) {
        status->state = KR_STATE_ABSENT;
    } else if (kr_docker_is(&docker, "running")) {
        judge_running(&docker, status);
    } else if (kr_docker_is(&docker, "created") || kr_docker_is(&docker, "restarting")) {
        status->state = KR_STATE_PENDING;
    } else {
        judge_stopped(&docker, status);
    }
    return 0;
}

static bool is_as_wanted(const struct kr_docker *docker)
{
    const char *label = kr_docker_label(docker, KR_LABEL_FINGERPRINT);
    char wanted[KR_SHA256_HEX];

    kr_docker_fingerprint(docker->what, wanted);
    return label != NULL && strcmp(label, wanted) == 0 && kr_docker_is(docker, "running") &&
           kr_docker_health(docker, kr_docker_port(docker), NULL) == KR_LOCAL_HEALTHY;
}

static int docker_provision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                            int64_t timeout_ms, struct kr_deployment_status *status, bool *changed,
                            struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};
    json_t *metadata;

    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    if (!is_as_wanted(&docker)) {
        *changed = true;
        if (kr_docker_replace(&docker, timeout_ms, err) < 0)
            return -(int)err->code;
    }
    status->state = KR_STATE_RUNNING;
    status->url = url_of(&docker);
    status->page_url = kr_endpoint_url(status->url, what->snapshot, "", "");
    metadata = json_object();
    kr_json_set_str(metadata, "container", docker.name);
    kr_json_set_str(metadata, "image", kr_docker_image(what));
    kr_json_set_int(metadata, "port", kr_docker_port(&docker));
    status->metadata = metadata;
    return 0;
}

static int docker_plan(const struct kr_deployer_env *env, const struct kr_deployment *what,
                       json_t **plan, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};
    json_t *steps = json_array(), *step = json_object();
    kr_auto_free char *text = NULL;

    if (kr_docker_open(env, what, &docker, err) < 0) {
        json_decref(steps);
        json_decref(step);
        return -(int)err->code;
    }
    text = kr_asprintf("%s %s from image %s",
                       docker.found != NULL ? "replace container" : "run container", docker.name,
                       kr_docker_image(what) != NULL ? kr_docker_image(what) : "?");
    kr_json_set_str(step, "call", "docker run");
    kr_json_set_str(step, "text", text);
    (void)json_array_append_new(steps, step);
    if (is_as_wanted(&docker))
        (void)json_array_clear(steps);
    *plan = json_object();
    kr_json_set_bool(*plan, "unchanged", json_array_size(steps) == 0);
    kr_json_set(*plan, "files", json_array());
    kr_json_set(*plan, "steps", steps);
    return 0;
}

static int docker_logs(const struct kr_deployer_env *env, const struct kr_deployment *what,
                       const struct kr_log_request *request, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};
    kr_auto_call struct kr_engine_call call = {
        .env = env, .line = request->line, .data = request->data};

    if (request->build && request->image_shown)
        return 0;
    if (request->build)
        return kr_fail(err, KR_E_NOT_FOUND, "no log of an image build is kept for deployment '%s'",
                       what->name);
    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    if (docker.found == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "deployment '%s' has no container and so no log",
                      what->name);
        return kr_hint(err, "%s deployment provision %s", env->prog, what->name);
    }
    kr_words_add(&call.words, "logs");
    if (request->follow)
        kr_words_add(&call.words, "--follow");
    if (request->tail >= 0)
        kr_words_addf(&call.words, "--tail=%lld", (long long)request->tail);
    kr_words_add(&call.words, docker.name);
    if (kr_engine_run(&call, "log", NULL, err) == 0)
        return 0;
    if (err->code == KR_E_CANCELLED || kr_denv_cancelled(env)) { /* Ctrl-C ended the watching */
        kr_err_clear(err);
        return 0;
    }
    return -(int)err->code;
}

static int docker_deprovision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                              bool remove, int64_t timeout_ms, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};
    kr_auto_json json_t *metadata = NULL;

    (void)timeout_ms;
    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    kr_denv_step(env, "stop", "Stopping the container", 0, 0, false, false);
    if (kr_docker_remove(&docker, docker.next, err) < 0 ||
        kr_docker_remove(&docker, docker.old, err) < 0)
        return -(int)err->code;
    if (docker.found != NULL && kr_docker_is(&docker, "running") &&
        kr_docker_do(&docker, "stop", docker.name, NULL, err) < 0)
        return -(int)err->code;
    if (remove && kr_docker_remove(&docker, docker.name, err) < 0)
        return -(int)err->code;
    kr_denv_step(env, "stop", "Container stopped", 0, 0, false, true);
    metadata =
        what->metadata != NULL ? json_copy((json_t *)(uintptr_t)what->metadata) : json_object();
    kr_json_set_bool(metadata, "stopped", true);
    return kr_denv_save(env, metadata, err);
}

const struct kr_deployer kr_deployer_docker = {
    .flavor = "docker",
    .validate = docker_validate,
    .provision = docker_provision,
    .plan = docker_plan,
    .status = docker_status,
    .logs = docker_logs,
    .deprovision = docker_deprovision,
};
