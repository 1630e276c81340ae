/* SPDX-License-Identifier: Apache-2.0 */
/* The deployer `docker`: the pipeline is served by a container of this machine's Docker engine. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "deployers/engine.h"
#include "deployers/lifecycle.h"

#include <string.h>

/* Who can call it: only programs of the engine's machine, unless that was asked for, with a key. */
static int check_exposure(const struct kr_docker *docker, struct kr_err *err)
{
    const struct kr_deployment *what = docker->what;
    bool exposed = kr_json_bool(what->settings, "expose", false);

    if (docker->far && !exposed) {
        (void)kr_fail(err, KR_E_INVALID,
                      "the Docker engine is on another machine (%s), which the app could only be "
                      "called from when its port is open to that machine's network",
                      docker->address);
        return kr_hint(err, "set `expose` of the deployer and an auth_key to allow that, or choose "
                            "an engine of this machine (DOCKER_HOST, docker context)");
    }
    if (exposed && what->auth_key == NULL) {
        (void)kr_fail(
            err, KR_E_INVALID,
            "`expose` opens the app to everybody who reaches the engine's machine, and it "
            "has no auth_key");
        return kr_hint(err, "set auth_key or generate_auth_key of the deployer");
    }
    return 0;
}

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
    if (kr_docker_open(env, what, &docker, err) < 0 || check_exposure(&docker, err) < 0)
        return -(int)err->code;
    if (docker.foreign != NULL) {
        (void)kr_fail(
            err, KR_E_CONFLICT,
            "container %s is not of deployment '%s', and has the name that one of it needs",
            docker.foreign, what->name);
        return kr_hint(err, "rename or remove it: docker rename %s <other name>", docker.foreign);
    }
    return docker.gate_found != NULL && kr_container_is(docker.gate_found, "running")
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
    struct kr_err problem = KR_ERR_INIT;
    int port = kr_docker_port(docker);

    if (docker->gate_found == NULL || !kr_container_is(docker->gate_found, "running")) {
        status->state = KR_STATE_ERROR;
        status->detail = kr_asprintf("container %s, which holds the port, does not run; "
                                     "%s deployment provision %s",
                                     docker->gate, docker->env->prog, docker->what->name);
        return;
    }
    status->url = url_of(docker);
    status->page_url = kr_endpoint_url(status->url, docker->what->snapshot, "", "");
    if (kr_docker_published(docker->gate_found, port, &problem) < 0) {
        status->state = KR_STATE_ERROR;
        status->detail = kr_strdup(problem.msg);
        return;
    }
    switch (kr_docker_health(docker, docker->found, port, &status->detail)) {
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
        if (status->detail == NULL)
            status->detail = kr_asprintf("the container runs but does not answer on port %d", port);
        break;
    }
}

static void judge_stopped(const struct kr_docker *docker, struct kr_deployment_status *status)
{
    const json_t *state = json_object_get(docker->found, "State");
    int64_t code = kr_json_int(state, "ExitCode", 0);
    const char *prog = docker->env->prog, *name = docker->what->name;

    status->state = KR_STATE_ABSENT;
    if (kr_json_bool(docker->what->metadata, "stopped", false))
        return;
    if (code == 0 || code == 143) {
        status->detail =
            kr_asprintf("the container was stopped, or the engine was (%.19s); bring it back: "
                        "%s deployment provision %s",
                        kr_json_str(state, "FinishedAt", "?"), prog, name);
        return;
    }
    status->state = KR_STATE_ERROR;
    status->detail =
        kr_asprintf("the container %s (status %lld)%s; see %s deployment logs %s",
                    kr_json_str(state, "Status", "ended"), (long long)code,
                    kr_json_bool(state, "OOMKilled", false) ? ": out of memory" : "", prog, name);
}

static int docker_status(const struct kr_deployer_env *env, const struct kr_deployment *what,
                         struct kr_deployment_status *status, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};

    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    if (docker.found == NULL) {
        status->state = KR_STATE_ABSENT;
        if (!kr_json_bool(what->metadata, "stopped", false) && json_object_size(what->metadata) > 0)
            status->detail =
                kr_asprintf("the engine has no container %s (any more); bring it back: "
                            "%s deployment provision %s",
                            docker.name, env->prog, what->name);
    } else if (kr_container_is(docker.found, "running")) {
        judge_running(&docker, status);
    } else if (kr_container_is(docker.found, "created")) {
        status->state = KR_STATE_PENDING;
    } else {
        judge_stopped(&docker, status);
    }
    return 0;
}

static bool is_as_wanted(const struct kr_docker *docker)
{
    const char *label = kr_container_label(docker->found, KR_LABEL_FINGERPRINT);
    struct kr_err ignored = KR_ERR_INIT;
    char wanted[KR_SHA256_HEX];

    kr_docker_fingerprint(docker->what, wanted);
    return label != NULL && strcmp(label, wanted) == 0 &&
           kr_docker_identify(docker, &ignored) == 0 &&
           kr_docker_health(docker, docker->found, kr_docker_port(docker), NULL) ==
               KR_LOCAL_HEALTHY;
}

/* A command that was cut off in an update may have left another one. */
static int keep_restart_policy(const struct kr_docker *docker, struct kr_err *err)
{
    kr_auto_free char *policy = kr_docker_restart_policy(docker->what);
    const char *is =
        kr_json_str(kr_json_at(docker->found, "HostConfig", "RestartPolicy", NULL), "Name", "no");

    return strncmp(policy, is[0] != '\0' ? is : "no", strcspn(policy, ":")) == 0
               ? 0
               : kr_docker_set_restart(docker, docker->name, policy, err);
}

static int docker_provision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                            int64_t timeout_ms, struct kr_deployment_status *status, bool *changed,
                            struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};
    json_t *metadata;

    if (kr_docker_open(env, what, &docker, err) < 0 || kr_docker_reconcile(&docker, err) < 0)
        return -(int)err->code;
    if (!is_as_wanted(&docker)) {
        *changed = true;
        if (kr_docker_replace(&docker, timeout_ms, err) < 0)
            return -(int)err->code;
    } else if (keep_restart_policy(&docker, err) < 0) {
        return -(int)err->code;
    }
    status->state = KR_STATE_RUNNING;
    status->url = url_of(&docker);
    status->page_url = kr_endpoint_url(status->url, what->snapshot, "", "");
    metadata = json_object();
    kr_json_set_str(metadata, "container", docker.name);
    kr_json_set_str(metadata, "gate", docker.gate);
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

/* Everything of the deployment but the container `keep`. */
static int remove_others(struct kr_docker *docker, const char *keep, struct kr_err *err)
{
    kr_auto_json json_t *all = NULL;
    const json_t *item;
    size_t i;

    if (kr_docker_all(docker, &all, err) < 0)
        return -(int)err->code;
    json_array_foreach(all, i, item)
    {
        const char *name = kr_json_str(item, "Name", "");

        name += strspn(name, "/");
        if (keep != NULL && strcmp(name, keep) == 0)
            continue;
        if (kr_container_is(item, "running") && kr_docker_stop(docker, name, err) < 0)
            return -(int)err->code;
        if (kr_docker_remove(docker, name, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* The image that was built for it, unless something else uses it: the engine says no then. One that
 * has a name in a registry, or is somebody's parent image, stays. */
static void remove_image(const struct kr_docker *docker, const char *image)
{
    struct kr_err ignored = KR_ERR_INIT;

    if (image != NULL && strncmp(image, "sha256:", 7) == 0)
        (void)!kr_docker_do(docker, "rmi", image, NULL, &ignored);
}

static int take_down(struct kr_docker *docker, bool remove, struct kr_err *err)
{
    if (remove_others(docker, remove ? NULL : docker->name, err) < 0)
        return -(int)err->code;
    if (remove) {
        remove_image(docker, kr_json_str(docker->what->metadata, "image", NULL));
        kr_docker_forget_log(docker);
        return kr_docker_remove_gate(docker, err);
    }
    if (docker->found != NULL && (kr_docker_set_restart(docker, docker->name, "no", err) < 0 ||
                                  kr_docker_stop(docker, docker->name, err) < 0))
        return -(int)err->code;
    return docker->gate_found != NULL ? kr_docker_stop(docker, docker->gate, err) : 0;
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
    if (take_down(&docker, remove, err) < 0)
        return -(int)err->code;
    kr_denv_step(env, "stop", "Container stopped", 0, 0, false, true);
    metadata =
        what->metadata != NULL ? json_copy((json_t *)(uintptr_t)what->metadata) : json_object();
    kr_json_set_bool(metadata, "stopped", true);
    return kr_denv_save(env, metadata, err);
}

/* The port of a container that ended may belong to somebody else by now, who must not get our calls
 * and key. */
static int docker_headers(const struct kr_deployer_env *env, const struct kr_deployment *what,
                          json_t **headers, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};
    kr_auto_free char *bearer = NULL;

    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    if (kr_docker_identify(&docker, err) < 0)
        return kr_hint(err, "%s deployment provision %s", env->prog, what->name);
    *headers = json_object();
    if (what->auth_key != NULL) {
        bearer = kr_asprintf("Bearer %s", what->auth_key);
        kr_json_set_str(*headers, "Authorization", bearer);
    }
    return 0;
}

const struct kr_deployer kr_deployer_docker = {
    .flavor = "docker",
    .former = KR_FORMER_KEPT,
    .traits = {.takes = KR_TAKES_IMAGE, .machine = kr_engine_machine},
    .validate = docker_validate,
    .provision = docker_provision,
    .plan = docker_plan,
    .status = docker_status,
    .logs = kr_docker_logs,
    .deprovision = docker_deprovision,
    .headers = docker_headers,
};
