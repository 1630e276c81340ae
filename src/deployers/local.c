/* SPDX-License-Identifier: Apache-2.0 */
/* The deployer `local`: the pipeline is served on this machine. */
#include "deployers/local.h"

#include "base/alloc.h"
#include "base/path.h"
#include "deployers/deployer_impl.h"

#include <string.h>

enum { PROBE_MS = 1000, GRACE_MS = 10000 };

static char *url_of(const struct kr_local_server *server)
{
    const char *address = kr_local_reachable(server->address);

    return strchr(address, ':') != NULL ? kr_asprintf("http://[%s]:%d", address, server->port)
                                        : kr_asprintf("http://%s:%d", address, server->port);
}

static int local_validate(const struct kr_deployer_env *env, const struct kr_deployment *what,
                          struct kr_err *err)
{
    kr_auto_free char *program = kr_local_program(env);
    kr_auto_local struct kr_local local = {0};

    if (program == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "%s not found in %s", KR_LOCAL_PROGRAM,
                      env->runtime_dir);
        return kr_hint(err, "build or install it, or name its folder in KOUROU_RUNTIME_DIR");
    }
    if (!kr_path_is_dir(what->source_root)) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "the folder of the code is gone: %s", what->source_root);
        return kr_hint(err,
                       "deploy again from where the code is now: %s pipeline deploy --name %s "
                       "<source>",
                       env->prog, what->name);
    }
    kr_local_open(env, what, &local);
    return kr_local_check_port(&local, err);
}

/* What a server that is not known to be healthy amounts to. */
static void judge(const struct kr_local *local, const struct kr_local_server *server,
                  struct kr_deployment_status *status)
{
    switch (kr_local_look(local, server, PROBE_MS, &status->detail)) {
    case KR_LOCAL_HEALTHY:
        status->state = KR_STATE_RUNNING;
        break;
    case KR_LOCAL_STARTING:
        status->state = KR_STATE_PENDING;
        break;
    case KR_LOCAL_BROKEN:
        status->state = KR_STATE_ERROR;
        break;
    case KR_LOCAL_SILENT:
        status->state = KR_STATE_PENDING;
        status->detail = kr_asprintf("the server (pid %d) runs but does not answer on port %d",
                                     (int)server->process.pid, server->port);
        break;
    }
    status->url = url_of(server);
    status->page_url = kr_endpoint_url(status->url, local->what->snapshot, "", "");
}

static void explain_absence(const struct kr_local *local, struct kr_deployment_status *status)
{
    const struct kr_deployment *what = local->what;
    char boot[KR_UUID_SIZE];

    status->state = KR_STATE_ABSENT;
    if (local->live.generation == 0 || local->stopped)
        return;
    kr_local_boot_id(boot);
    if (strcmp(boot, local->boot) != 0) {
        status->detail = kr_asprintf("ended with the restart of the machine; bring it back: "
                                     "%s deployment provision %s",
                                     local->env->prog, what->name);
        return;
    }
    status->state = KR_STATE_ERROR;
    status->detail = kr_asprintf("the server (pid %d) has ended; see %s deployment logs %s",
                                 (int)local->live.process.pid, local->env->prog, what->name);
}

/* The server that there is, or NULL. */
static const struct kr_local_server *current(struct kr_local *local)
{
    struct kr_process found[8];

    if (local->live.generation != 0 && kr_process_alive(local->live.process))
        return &local->live;
    /* A deploy is at work, or was cut off. */
    if (local->next.generation == 0 ||
        kr_process_find(KR_LOCAL_PROGRAM, "--deployment-id", local->what->id, found,
                        KR_ARRAY_LEN(found)) == 0)
        return NULL;
    local->next.process = found[0];
    return &local->next;
}

static int local_status(const struct kr_deployer_env *env, const struct kr_deployment *what,
                        struct kr_deployment_status *status, struct kr_err *err)
{
    kr_auto_local struct kr_local local = {0};
    const struct kr_local_server *server;

    (void)err;
    kr_local_open(env, what, &local);
    server = current(&local);
    if (server != NULL)
        judge(&local, server, status);
    else
        explain_absence(&local, status);
    return 0;
}

static int fill_running(const struct kr_local *local, struct kr_deployment_status *status)
{
    status->state = KR_STATE_RUNNING;
    status->url = url_of(&local->live);
    status->page_url = kr_endpoint_url(status->url, local->what->snapshot, "", "");
    status->metadata = kr_local_metadata(local);
    return 0;
}

static int stay(struct kr_local *local, struct kr_deployment_status *status, struct kr_err *err)
{
    kr_denv_note(local->env, false, "running at %s; Ctrl-C stops it", status->url);
    kr_local_log_watch(local);
    if (kr_local_stop_all(local, GRACE_MS, err) < 0)
        return -(int)err->code;
    local->stopped = true;
    kr_deployment_status_finish(status);
    status->state = KR_STATE_ABSENT;
    status->metadata = kr_local_metadata(local);
    return kr_local_save(local, err);
}

/* The server of an earlier call has what is wanted, or will have it in a moment. */
static bool is_as_wanted(struct kr_local *local)
{
    char wanted[KR_SHA256_HEX];

    kr_deployment_fingerprint(local->what, wanted);
    return local->live.generation != 0 && kr_process_alive(local->live.process) &&
           strcmp(local->live.fingerprint, wanted) == 0 &&
           kr_local_look(local, &local->live, PROBE_MS, NULL) == KR_LOCAL_HEALTHY;
}

static int local_provision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                           int64_t timeout_ms, struct kr_deployment_status *status, bool *changed,
                           struct kr_err *err)
{
    kr_auto_local struct kr_local local = {0};

    kr_local_open(env, what, &local);
    if (kr_local_reconcile(&local, err) < 0)
        return -(int)err->code;
    if (is_as_wanted(&local)) {
        if (kr_local_save(&local, err) < 0)
            return -(int)err->code;
        return fill_running(&local, status);
    }
    *changed = true;
    if (kr_process_alive(local.live.process) &&
        kr_local_look(&local, &local.live, PROBE_MS, NULL) == KR_LOCAL_SILENT)
        (void)kr_process_stop(local.live.process, PROBE_MS); /* it cannot hand over its socket */
    kr_denv_step(env, "start", "Starting the server", 0, 0, false, false);
    if (kr_local_start(&local, timeout_ms, err) < 0)
        return -(int)err->code;
    kr_denv_step(env, "start", "Server started", 0, 0, false, true);
    (void)fill_running(&local, status);
    return kr_json_bool(what->settings, "blocking", false) ? stay(&local, status, err) : 0;
}

static int local_plan(const struct kr_deployer_env *env, const struct kr_deployment *what,
                      json_t **plan, struct kr_err *err)
{
    kr_auto_local struct kr_local local = {0};
    kr_auto_free char *note = NULL;
    json_t *steps = json_array(), *step;
    bool running;
    int port = 0;

    kr_local_open(env, what, &local);
    if (kr_local_choose_port(&local, &port, &note, err) < 0) {
        json_decref(steps);
        return -(int)err->code;
    }
    running = local.live.generation != 0 && kr_process_alive(local.live.process);
    if (!is_as_wanted(&local)) {
        kr_auto_free char *text = kr_asprintf(
            "%s on %s port %d, code in %s",
            running ? "start a new server that takes over from the running one" : "start a server",
            kr_json_str(what->settings, "address", "127.0.0.1"), port, what->source_root);

        step = json_object();
        kr_json_set_str(step, "call", "start");
        kr_json_set_str(step, "text", text);
        (void)json_array_append_new(steps, step);
    }
    *plan = json_object();
    kr_json_set_bool(*plan, "unchanged", json_array_size(steps) == 0);
    kr_json_set(*plan, "files", json_array());
    kr_json_set(*plan, "steps", steps);
    return 0;
}

static int local_deprovision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                             bool remove, int64_t timeout_ms, struct kr_err *err)
{
    kr_auto_local struct kr_local local = {0};
    int64_t grace = timeout_ms < GRACE_MS ? timeout_ms : GRACE_MS;

    kr_local_open(env, what, &local);
    kr_denv_step(env, "stop", "Stopping the server", 0, 0, false, false);
    if (kr_local_stop_all(&local, grace, err) < 0)
        return -(int)err->code;
    /* Without a snapshot a server that a cut-off deploy is about to execute cannot start; one that
     * had read it already is found now. */
    kr_local_tidy(&local, true);
    if (kr_local_stop_all(&local, grace, err) < 0)
        return -(int)err->code;
    if (remove && kr_remove_tree(local.dir, err) < 0)
        return -(int)err->code;
    kr_denv_step(env, "stop", "Server stopped", 0, 0, false, true);
    local.next = (struct kr_local_server){0};
    local.stopped = true;
    return kr_local_save(&local, err);
}

/* The port of a server that ended may belong to somebody else by now, who must not get our calls
 * and key. */
static int local_headers(const struct kr_deployer_env *env, const struct kr_deployment *what,
                         json_t **headers, struct kr_err *err)
{
    kr_auto_local struct kr_local local = {0};
    kr_auto_free char *bearer = NULL;

    kr_local_open(env, what, &local);
    if (current(&local) == NULL) {
        (void)kr_fail(err, KR_E_NETWORK, "deployment '%s' does not run", what->name);
        return kr_hint(err, "%s deployment provision %s", env->prog, what->name);
    }
    *headers = json_object();
    if (what->auth_key != NULL) {
        bearer = kr_asprintf("Bearer %s", what->auth_key);
        kr_json_set_str(*headers, "Authorization", bearer);
    }
    return 0;
}

const struct kr_deployer kr_deployer_local = {
    .flavor = "local",
    .former = KR_FORMER_UNLESS_SLOW,
    .traits = {.takes = KR_TAKES_FOLDER},
    .validate = local_validate,
    .provision = local_provision,
    .plan = local_plan,
    .status = local_status,
    .logs = kr_local_logs,
    .deprovision = local_deprovision,
    .headers = local_headers,
    .sweep = kr_local_sweep,
};
