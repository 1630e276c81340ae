/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "deployers/lifecycle.h"

#include <string.h>

enum { FIRST_MS = 20, MOST_MS = 500, DRAIN_SHOWN_MS = 3000 };

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
    if (kr_engine_inspect("container", s->name, &found, err) < 0)
        return -(int)err->code;
    state = json_object_get(found, "State");
    if (strcmp(kr_json_str(state, "Status", ""), "exited") == 0 ||
        strcmp(kr_json_str(state, "Status", ""), "dead") == 0)
        return fail_ended(state, err);
    if (kr_container_label(found, KR_LABEL_INSTANCE) == NULL &&
        kr_docker_published(found, s->port, err) < 0)
        return -(int)err->code;
    switch (kr_docker_health(s->docker, found, s->port, &s->detail)) {
    case KR_LOCAL_HEALTHY:
        return KR_WAIT_DONE;
    case KR_LOCAL_BROKEN:
        return kr_fail(err, KR_E_INVALID, "the pipeline cannot start: %.1500s",
                       s->detail != NULL ? s->detail : "its workers fail");
    case KR_LOCAL_STARTING:
    case KR_LOCAL_SILENT:
        break;
    }
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

/* -- former containers ------------------------------------------------------------------------- */

static bool is_former(const struct kr_docker *docker, const char *name)
{
    size_t n = strlen(docker->name);

    return strncmp(name, docker->name, n) == 0 && strncmp(name + n, "-old", 4) == 0;
}

static const char *name_of(const json_t *container)
{
    const char *name = kr_json_str(container, "Name", "");

    return name + strspn(name, "/");
}

static bool is_over(const json_t *container)
{
    return !kr_container_is(container, "running") && !kr_container_is(container, "restarting");
}

/* Those that have finished their calls go, and what they said is kept. */
static int remove_former(const struct kr_docker *docker, bool *left, struct kr_err *err)
{
    kr_auto_json json_t *all = NULL;
    const json_t *item;
    size_t i;

    *left = false;
    if (kr_docker_all(docker, &all, err) < 0)
        return -(int)err->code;
    json_array_foreach(all, i, item)
    {
        if (!is_former(docker, name_of(item)))
            continue;
        if (!is_over(item)) {
            *left = true;
            continue;
        }
        kr_docker_keep_log(docker, name_of(item));
        if (kr_docker_remove(docker, name_of(item), err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* Gives them a moment; calls that take longer end by themselves, and the next command clears up. */
static int see_off(const struct kr_docker *docker, struct kr_err *err)
{
    int64_t until = kr_mono_ms() + DRAIN_SHOWN_MS;
    bool left = true;

    while (left) {
        if (remove_former(docker, &left, err) < 0)
            return -(int)err->code;
        if (left && (kr_mono_ms() >= until || kr_denv_cancelled(docker->env))) {
            kr_denv_note(docker->env, false,
                         "the former container finishes the calls that it has, and ends then");
            break;
        }
        if (left)
            kr_sleep_ms(100);
    }
    return 0;
}

static int set_aside(const struct kr_docker *docker, const char *name, struct kr_err *err)
{
    kr_auto_free char *to = NULL;
    char id[KR_UUID_SIZE];

    to = kr_asprintf("%s-old-%.8s", docker->name, kr_uuid4(id));
    return kr_docker_do(docker, "rename", name, to, err);
}

/* -- what a command that was cut off left behind ------------------------------------------------
 */

static const json_t *find_one(const json_t *all, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(all, i, item)
    {
        if (strcmp(name_of(item), name) == 0)
            return item;
    }
    return NULL;
}

/* The former container that is to come back: one that runs, else the youngest. */
static const json_t *find_former(const struct kr_docker *docker, const json_t *all)
{
    const json_t *item, *best = NULL;
    size_t i;

    json_array_foreach(all, i, item)
    {
        if (!is_former(docker, name_of(item)))
            continue;
        if (best == NULL || (is_over(best) && !is_over(item)) ||
            (is_over(best) == is_over(item) &&
             strcmp(kr_json_str(item, "Created", ""), kr_json_str(best, "Created", "")) > 0))
            best = item;
    }
    return best;
}

/* The new one answers already: then it only lacks its name. */
static int finish_next(struct kr_docker *docker, const json_t *next, struct kr_err *err)
{
    int port = kr_docker_port(docker);

    if (!kr_container_is(next, "running") || port == 0 ||
        kr_docker_health(docker, next, port, NULL) != KR_LOCAL_HEALTHY)
        return kr_docker_remove(docker, docker->next, err);
    if ((docker->found != NULL && set_aside(docker, docker->name, err) < 0) ||
        kr_docker_do(docker, "rename", docker->next, docker->name, err) < 0)
        return -(int)err->code;
    return kr_docker_look(docker, err);
}

int kr_docker_reconcile(struct kr_docker *docker, struct kr_err *err)
{
    kr_auto_json json_t *all = NULL;
    const json_t *next, *former;
    bool left;

    if (kr_docker_all(docker, &all, err) < 0)
        return -(int)err->code;
    next = find_one(all, docker->next);
    if (next != NULL && finish_next(docker, next, err) < 0)
        return -(int)err->code;
    former = find_former(docker, all);
    if (docker->found == NULL && former != NULL &&
        (kr_docker_do(docker, "rename", name_of(former), docker->name, err) < 0 ||
         kr_docker_look(docker, err) < 0))
        return -(int)err->code;
    return remove_former(docker, &left, err);
}

/* -- replacing --------------------------------------------------------------------------------- */

/* Whether two of them can run side by side: not when they would have to share what only one can
 * have. */
static bool must_be_alone(const struct kr_docker *docker)
{
    static const char *const alone[] = {"gpus",        "device_requests", "devices",       "device",
                                        "volumes",     "volume",          "volumes_from",  "mounts",
                                        "mount",       "ports",           "publish",       "ip",
                                        "mac_address", "runtime",         "network_alias", "links"};
    const json_t *run_args = json_object_get(docker->what->settings, "run_args");
    const json_t *resources = kr_json_at(docker->what->snapshot, "settings", "resources", NULL);

    for (size_t i = 0; i < KR_ARRAY_LEN(alone); i++) {
        if (json_object_get(run_args, alone[i]) != NULL)
            return true;
    }
    return kr_json_int(resources, "gpu_count", 0) > 0;
}

struct update {
    struct kr_docker *docker;
    const char *policy;
    bool had, ran; /* there is a former container; it ran */
    bool stopped;  /* it was stopped for the new one */
    bool gate_made;
};

/* What ran before is as it was. */
static void take_back(struct update *u)
{
    struct kr_docker *docker = u->docker;
    struct kr_err ignored = KR_ERR_INIT;

    if (kr_docker_remove(docker, docker->next, &ignored) < 0 ||
        (u->ran && kr_docker_set_restart(docker, docker->name, u->policy, &ignored) < 0) ||
        (u->stopped && kr_docker_do(docker, "start", docker->name, NULL, &ignored) < 0) ||
        (!u->had && u->gate_made && kr_docker_remove_gate(docker, &ignored) < 0))
        kr_denv_note(docker->env, true, "%s", ignored.msg);
}

/* The new one answers, and the former one ends by itself. */
static int take_place(struct update *u, struct kr_err *err)
{
    struct kr_docker *docker = u->docker;

    if ((u->had && set_aside(docker, docker->name, err) < 0) ||
        kr_docker_do(docker, "rename", docker->next, docker->name, err) < 0)
        return -(int)err->code;
    return kr_docker_set_restart(docker, docker->name, u->policy, err);
}

static int save(const struct kr_docker *docker, struct kr_err *err)
{
    kr_auto_json json_t *metadata = json_object();

    kr_json_set_str(metadata, "container", docker->name);
    kr_json_set_str(metadata, "gate", docker->gate);
    kr_json_set_str(metadata, "image", kr_docker_image(docker->what));
    kr_json_set_int(metadata, "port", kr_docker_port(docker));
    return kr_denv_save(docker->env, metadata, err);
}

/* Up to the point where both are there and the new one has not begun. The engine would start a
 * former one again that has ended for its successor. */
static int prepare(struct update *u, struct kr_docker_run *run, struct kr_err *err)
{
    struct kr_docker *docker = u->docker;

    if (u->ran && kr_docker_set_restart(docker, docker->name, "no", err) < 0)
        return -(int)err->code;
    if (u->ran && must_be_alone(docker)) {
        kr_denv_step(docker->env, "drain", "Waiting for the calls of the running version", 0, 0,
                     false, false);
        u->stopped = true;
        if (kr_docker_stop(docker, docker->name, err) < 0)
            return -(int)err->code;
    }
    if (kr_docker_need_gate(docker, &u->gate_made, err) < 0)
        return -(int)err->code;
    run->port = kr_docker_port(docker);
    return save(docker, err) < 0 ? -(int)err->code : kr_docker_create(docker, run, err);
}

/* Shows the last words of the new one, and says why in them, where there is a why. */
static void explain(const struct kr_docker *docker, struct kr_err *err)
{
    kr_auto_free char *cause = kr_docker_show_end(docker, docker->next);

    if (err->code != KR_E_INVALID || cause == NULL || strstr(err->msg, "cannot start") != NULL)
        return;
    kr_err_clear(err);
    (void)kr_fail(err, KR_E_INVALID, "the pipeline cannot start: %.1500s", cause);
}

static int update(struct update *u, struct kr_docker_run *run, int64_t timeout_ms,
                  struct kr_err *err)
{
    struct kr_docker *docker = u->docker;
    struct kr_err ignored = KR_ERR_INIT;
    int rc;

    if (u->ran && !must_be_alone(docker))
        kr_denv_step(docker->env, "try", "Starting the new version beside the running one", 0, 0,
                     false, false);
    rc = prepare(u, run, err);
    if (rc == 0)
        rc = kr_docker_start(docker, docker->next, run->port, timeout_ms, err);
    if (rc == 0)
        return take_place(u, err);
    if (err->code == KR_E_TIMEOUT && !u->had) { /* it goes on starting */
        if (take_place(u, &ignored) < 0)
            kr_denv_note(docker->env, true, "%s", ignored.msg);
        return rc;
    }
    if (err->code != KR_E_CANCELLED && err->code != KR_E_CONFLICT)
        explain(docker, err);
    take_back(u);
    return u->ran ? kr_wrap(err, "the new version was not taken, and the former one goes on") : rc;
}

int kr_docker_replace(struct kr_docker *docker, int64_t timeout_ms, struct kr_err *err)
{
    const struct kr_deployment *what = docker->what;
    kr_auto_json json_t *secrets = kr_docker_secrets(what);
    kr_auto_free char *policy = kr_docker_restart_policy(what);
    char fingerprint[KR_SHA256_HEX], registry[256], instance[KR_UUID_SIZE];
    struct kr_docker_run run = {.container = docker->next,
                                .image = kr_docker_image(what),
                                .inside = KR_DOCKER_PORT,
                                .instance = kr_uuid4(instance),
                                .copy_code = what->image == NULL,
                                .secrets = secrets,
                                .fingerprint = fingerprint};
    struct update u = {.docker = docker, .policy = policy};
    struct kr_login login;
    bool logged_in = kr_engine_login(what->stack, &login, registry);

    kr_docker_fingerprint(what, fingerprint);
    if (run.image == NULL)
        return kr_fail(err, KR_E_INVALID,
                       "there is no image to run: skip_build needs the docker setting "
                       "parent_image");
    kr_denv_step(docker->env, "start", "Starting the container", 0, 0, false, false);
    if (kr_engine_need_image(docker->env, run.image, logged_in ? &login : NULL, err) < 0)
        return -(int)err->code;
    u.had = docker->found != NULL;
    u.ran = u.had && kr_container_is(docker->found, "running");
    if (update(&u, &run, timeout_ms, err) < 0 || see_off(docker, err) < 0)
        return -(int)err->code;
    kr_denv_step(docker->env, "start", "Container started", 0, 0, false, true);
    return kr_docker_look(docker, err);
}
