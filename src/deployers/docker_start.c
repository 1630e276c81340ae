/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "deployers/lifecycle.h"

#include <string.h>

enum { FIRST_MS = 20, MOST_MS = 500, ATTEMPTS = 5 };

const char *kr_docker_image(const struct kr_deployment *what)
{
    const json_t *docker = kr_json_at(what->snapshot, "settings", "docker", NULL);

    if (what->image != NULL)
        return what->image;
    return kr_json_bool(docker, "skip_build", false) ? kr_json_str(docker, "parent_image", NULL)
                                                     : NULL;
}

void kr_docker_fingerprint(const struct kr_deployment *what, char hex[KR_SHA256_HEX])
{
    const char *image = kr_docker_image(what);
    kr_auto_free char *all = NULL;
    char own[KR_SHA256_HEX];

    kr_deployment_fingerprint(what, own);
    all = kr_asprintf("%s %s", own, image != NULL ? image : "");
    kr_sha256_hex(all, strlen(all), hex);
}

/* -- starting ---------------------------------------------------------------------------------- */

struct starting {
    struct kr_docker *docker;
    const char *name;
    int port;
    char *detail; /* why the app is not ready */
};

/* Why a container that ran does not run any more. */
static int fail_ended(const json_t *state, struct kr_err *err)
{
    const char *said = kr_json_str(state, "Error", "");

    if (kr_json_bool(state, "OOMKilled", false))
        return kr_fail(err, KR_E_LIMIT, "the container ran out of memory");
    return kr_fail(
        err, KR_E_INVALID, "the container ended with status %lld while it was starting%s%s",
        (long long)kr_json_int(state, "ExitCode", -1), said[0] != '\0' ? ": " : "", said);
}

static int look(void *data, int64_t *next_ms, struct kr_err *err)
{
    struct starting *s = data;
    kr_auto_json json_t *found = NULL;
    const json_t *state;

    (void)next_ms;
    free(s->detail);
    s->detail = NULL;
    switch (kr_docker_health(s->docker, s->port, &s->detail)) {
    case KR_LOCAL_HEALTHY:
        return KR_WAIT_DONE;
    case KR_LOCAL_BROKEN:
        return kr_fail(err, KR_E_INVALID, "the pipeline cannot start: %.1500s",
                       s->detail != NULL ? s->detail : "its workers fail");
    case KR_LOCAL_STARTING:
        return KR_WAIT_MORE;
    case KR_LOCAL_SILENT:
        break;
    }
    if (kr_engine_inspect("container", s->name, &found, err) < 0)
        return -(int)err->code;
    state = json_object_get(found, "State");
    if (strcmp(kr_json_str(state, "Status", ""), "exited") == 0 ||
        strcmp(kr_json_str(state, "Status", ""), "dead") == 0)
        return fail_ended(state, err);
    return KR_WAIT_MORE;
}

int kr_docker_start(struct kr_docker *docker, const char *name, int port, int64_t timeout_ms,
                    struct kr_err *err)
{
    struct starting s = {.docker = docker, .name = name, .port = port};
    struct kr_wait wait = {.timeout_ms = timeout_ms,
                           .first_ms = FIRST_MS,
                           .most_ms = MOST_MS,
                           .what = "the container",
                           .why = &s.detail};
    int rc;

    if (kr_docker_do(docker, "start", name, NULL, err) < 0)
        return -(int)err->code;
    rc = kr_wait_for(docker->env, &wait, look, &s, err);
    free(s.detail);
    return rc;
}

/* -- replacing --------------------------------------------------------------------------------- */

/* The port it has, when that is what is wanted; else as the settings say. */
static int choose_port(const struct kr_docker *docker, int *port, struct kr_err *err)
{
    struct kr_local local = {.env = docker->env,
                             .what = docker->what,
                             .port = (int)kr_json_int(docker->what->metadata, "port", 0)};
    int had = kr_docker_port(docker), wish = (int)kr_json_int(docker->what->settings, "port", 0);
    kr_auto_free char *note = NULL;

    if (had != 0 && kr_docker_is(docker, "running") && (wish == 0 || wish == had)) {
        *port = had;
        return 0;
    }
    if (kr_local_choose_port(&local, port, &note, err) < 0)
        return -(int)err->code;
    if (note != NULL)
        kr_denv_note(docker->env, true, "%s", note);
    return 0;
}

/* What an update that was cut off left behind. */
static int reconcile(struct kr_docker *docker, struct kr_err *err)
{
    kr_auto_json json_t *old = NULL;

    if (kr_docker_remove(docker, docker->next, err) < 0)
        return -(int)err->code;
    if (kr_engine_inspect("container", docker->old, &old, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err);
        return 0;
    }
    if (docker->found != NULL && kr_docker_is(docker, "running"))
        return kr_docker_remove(docker, docker->old, err);
    if (kr_docker_remove(docker, docker->name, err) < 0 ||
        kr_docker_do(docker, "rename", docker->old, docker->name, err) < 0)
        return -(int)err->code;
    return kr_docker_look(docker, err);
}

/* The new container did not come up: what ran before runs again. */
static void take_back(struct kr_docker *docker, bool had, bool ran)
{
    struct kr_err ignored = KR_ERR_INIT;

    if (kr_docker_remove(docker, docker->name, &ignored) < 0 ||
        (had && kr_docker_do(docker, "rename", docker->old, docker->name, &ignored) < 0) ||
        (had && ran && kr_docker_do(docker, "start", docker->name, NULL, &ignored) < 0))
        kr_denv_note(docker->env, true, "%s", ignored.msg);
}

static int swap_in(struct kr_docker *docker, int port, int64_t timeout_ms, struct kr_err *err)
{
    bool had = docker->found != NULL, ran = had && kr_docker_is(docker, "running");

    if (ran && kr_docker_do(docker, "stop", docker->name, NULL, err) < 0)
        return -(int)err->code;
    if ((had && kr_docker_do(docker, "rename", docker->name, docker->old, err) < 0) ||
        kr_docker_do(docker, "rename", docker->next, docker->name, err) < 0)
        return -(int)err->code;
    if (kr_docker_start(docker, docker->name, port, timeout_ms, err) == 0)
        return had ? kr_docker_remove(docker, docker->old, err) : 0;
    if (err->code != KR_E_CANCELLED && err->code != KR_E_CONFLICT)
        kr_docker_show_end(docker, docker->name);
    if (had || err->code != KR_E_TIMEOUT)
        take_back(docker, had, ran);
    return -(int)err->code;
}

static int save(const struct kr_docker *docker, int port, struct kr_err *err)
{
    kr_auto_json json_t *metadata = json_object();

    kr_json_set_str(metadata, "container", docker->name);
    kr_json_set_str(metadata, "image", kr_docker_image(docker->what));
    kr_json_set_int(metadata, "port", port);
    return kr_denv_save(docker->env, metadata, err);
}

/* Somebody else may be quicker to take the port that was free just now: then another one is
 * taken. */
static int run_somewhere(struct kr_docker *docker, struct kr_docker_run *run, int64_t timeout_ms,
                         struct kr_err *err)
{
    const json_t *settings = docker->what->settings;
    bool others = kr_json_int(settings, "port", 0) == 0 ||
                  kr_json_bool(settings, "allocate_port_if_busy", true);

    for (int attempt = 1;; attempt++) {
        if (choose_port(docker, &run->port, err) < 0 || save(docker, run->port, err) < 0 ||
            kr_docker_create(docker, run, err) < 0)
            return -(int)err->code;
        if (swap_in(docker, run->port, timeout_ms, err) == 0)
            return 0;
        if (err->code != KR_E_CONFLICT || !others || attempt == ATTEMPTS)
            return -(int)err->code;
        kr_err_clear(err);
        if (kr_docker_look(docker, err) < 0)
            return -(int)err->code;
    }
}

/* -- the new one beside the running one -------------------------------------------------------- */

/* Whether two of them can run side by side: not when they would have to share what only one can
 * have. */
static bool can_try(const struct kr_docker *docker)
{
    static const char *const alone[] = {
        "gpus",         "device_requests", "devices", "device",        "volumes", "volume",
        "volumes_from", "mounts",          "mount",   "ports",         "publish", "ip",
        "mac_address",  "hostname",        "runtime", "network_alias", "links"};
    const json_t *run_args = json_object_get(docker->what->settings, "run_args");
    const json_t *resources = kr_json_at(docker->what->snapshot, "settings", "resources", NULL);

    for (size_t i = 0; i < KR_ARRAY_LEN(alone); i++) {
        if (json_object_get(run_args, alone[i]) != NULL)
            return false;
    }
    return docker->found != NULL && kr_docker_is(docker, "running") &&
           kr_json_int(resources, "gpu_count", 0) == 0 &&
           kr_docker_health(docker, kr_docker_port(docker), NULL) == KR_LOCAL_HEALTHY;
}

static int try_once(struct kr_docker *docker, struct kr_docker_run *run, int64_t timeout_ms,
                    struct kr_err *err)
{
    kr_auto_json json_t *settings = json_copy((json_t *)(uintptr_t)docker->what->settings);
    struct kr_deployment any = *docker->what;
    struct kr_local local = {.env = docker->env, .what = &any};
    kr_auto_free char *note = NULL;

    (void)json_object_del(settings, "port");
    any.settings = settings;
    if (kr_local_choose_port(&local, &run->port, &note, err) < 0 ||
        kr_docker_create(docker, run, err) < 0)
        return -(int)err->code;
    return kr_docker_start(docker, run->container, run->port, timeout_ms, err);
}

/* Starts what is to come on another port while the former one goes on answering: what cannot start
 * never takes its place. */
static int try_first(struct kr_docker *docker, struct kr_docker_run run, int64_t timeout_ms,
                     struct kr_err *err)
{
    struct kr_err ignored = KR_ERR_INIT;
    int rc;

    kr_denv_step(docker->env, "try", "Starting the new version beside the running one", 0, 0, false,
                 false);
    for (int attempt = 1;; attempt++) {
        rc = try_once(docker, &run, timeout_ms, err);
        if (rc == 0 || err->code != KR_E_CONFLICT || attempt == ATTEMPTS)
            break;
        kr_err_clear(err);
        if (kr_docker_remove(docker, run.container, err) < 0)
            return -(int)err->code;
    }
    if (rc < 0 && err->code != KR_E_CANCELLED && err->code != KR_E_CONFLICT)
        kr_docker_show_end(docker, run.container);
    if (kr_docker_remove(docker, run.container, rc == 0 ? err : &ignored) < 0 && rc == 0)
        return -(int)err->code;
    if (rc < 0)
        return kr_wrap(err, "the new version was not taken, and the former one goes on");
    kr_denv_step(docker->env, "try", "The new version starts", 0, 0, false, true);
    return 0;
}

int kr_docker_replace(struct kr_docker *docker, int64_t timeout_ms, struct kr_err *err)
{
    const struct kr_deployment *what = docker->what;
    int64_t until = kr_mono_ms() + timeout_ms, left;
    kr_auto_json json_t *secrets = kr_docker_secrets(what);
    char fingerprint[KR_SHA256_HEX], registry[256];
    struct kr_docker_run run = {.container = docker->next,
                                .image = kr_docker_image(what),
                                .inside = KR_DOCKER_PORT,
                                .copy_code = what->image == NULL,
                                .secrets = secrets,
                                .fingerprint = fingerprint};
    struct kr_login login;
    bool logged_in = kr_engine_login(what->stack, &login, registry);

    kr_docker_fingerprint(what, fingerprint);
    if (run.image == NULL)
        return kr_fail(err, KR_E_INVALID,
                       "there is no image to run: skip_build needs the docker setting "
                       "parent_image");
    kr_denv_step(docker->env, "start", "Starting the container", 0, 0, false, false);
    if (reconcile(docker, err) < 0 ||
        kr_engine_need_image(docker->env, run.image, logged_in ? &login : NULL, err) < 0 ||
        (can_try(docker) && try_first(docker, run, timeout_ms, err) < 0))
        return -(int)err->code;
    left = until - kr_mono_ms();
    if (run_somewhere(docker, &run, left > 1000 ? left : 1000, err) < 0)
        return -(int)err->code;
    kr_denv_step(docker->env, "start", "Container started", 0, 0, false, true);
    return kr_docker_look(docker, err);
}
