/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/local.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { LOOK_MS = 1000, FIRST_MS = 5, MOST_MS = 200, ATTEMPTS = 5, MAX_ARGV = 48 };

char *kr_local_program(const struct kr_deployer_env *env)
{
    kr_auto_free char *path = kr_path_join(env->runtime_dir, KR_LOCAL_PROGRAM);

    return kr_path_find_program(path);
}

/* What the app sees: our environment, the computed one, the secrets, the key; nothing that
 * configures Kourou itself. */
static char **make_environment(const struct kr_deployment *what)
{
    static const char *const ours[] = {"KOUROU_ENCRYPTION_KEY", "KOUROU_AUTH_KEY",
                                       "KOUROU_AUTH_KEY_FILE", KR_SECRET_NAMES};
    char **env = kr_env_copy();
    const json_t *const maps[] = {what->environment, what->secrets};
    kr_auto_free char *names = kr_secret_names(what->secrets);
    const char *name;
    json_t *value;

    for (size_t i = 0; env[i] != NULL;) {
        kr_auto_free char *key = kr_strndup(env[i], strcspn(env[i], "="));

        if (kr_starts_with(key, "KOUROU_SERVE_"))
            kr_env_set(&env, key, NULL);
        else
            i++;
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(ours); i++)
        kr_env_set(&env, ours[i], NULL);
    for (size_t i = 0; i < KR_ARRAY_LEN(maps); i++) {
        json_object_foreach((json_t *)(uintptr_t)maps[i], name, value)
            kr_env_set(&env, name, json_string_value(value));
    }
    if (names != NULL)
        kr_env_set(&env, KR_SECRET_NAMES, names);
    if (what->auth_key != NULL)
        kr_env_set(&env, "KOUROU_AUTH_KEY", what->auth_key);
    return env;
}

struct arguments {
    char *v[MAX_ARGV];
    size_t n;
};

static void arguments_finish(struct arguments *args)
{
    for (size_t i = 0; i < args->n; i++)
        free(args->v[i]);
}

static void add(struct arguments *args, const char *option, const char *value)
{
    if (value == NULL || args->n + 3 > MAX_ARGV)
        return;
    args->v[args->n++] = kr_strdup(option);
    args->v[args->n++] = kr_strdup(value);
    args->v[args->n] = NULL;
}

/* The sockets are named relative to the working folder: a path to a unix socket has at most 107
 * bytes, and a data folder may lie deep. */
static void make_arguments(const struct kr_local *local, const char *program, bool takeover,
                           struct arguments *args)
{
    const struct kr_deployment *what = local->what;
    const struct kr_local_server *next = &local->next;
    kr_auto_free char *snapshot = kr_local_file(local, "snapshot", next->generation, ".json");
    kr_auto_free char *port_file = kr_local_file(local, "port", next->generation, "");
    kr_auto_free char *data = kr_path_join(local->dir, "data");
    kr_auto_free char *log = kr_path_join(local->dir, "server.log");
    kr_auto_free char *code = kr_local_file(local, "code", next->generation, "");
    char control[32], old[32], port[16];

    (void)snprintf(control, sizeof(control), "ctl.%lld", (long long)next->generation);
    (void)snprintf(old, sizeof(old), "ctl.%lld", (long long)local->live.generation);
    (void)snprintf(port, sizeof(port), "%d", next->port);
    args->v[args->n++] = kr_strdup(program);
    add(args, "--snapshot", snapshot);
    add(args, "--root", kr_path_is_dir(code) ? code : what->source_root);
    add(args, "--host", next->address);
    add(args, "--port", port);
    add(args, "--python", what->python);
    add(args, "--data-dir", data);
    add(args, "--log-file", log);
    add(args, "--deployment-id", what->id);
    add(args, "--deployment-name", what->name);
    add(args, "--snapshot-id", what->snapshot_id);
    add(args, "--snapshot-name", what->snapshot_name);
    add(args, "--control", control);
    add(args, "--takeover", takeover ? old : NULL);
    add(args, "--port-file", port_file);
    if (kr_json_bool(what->settings, "auto_reload", false)) {
        args->v[args->n++] = kr_strdup("--reload");
        args->v[args->n] = NULL;
    }
}

static int write_snapshot(const struct kr_local *local, struct kr_err *err)
{
    kr_auto_free char *path = kr_local_file(local, "snapshot", local->next.generation, ".json");
    kr_auto_free char *text = kr_json_canonical(local->what->snapshot);
    kr_auto_free char *data = kr_path_join(local->dir, "data");

    if (kr_mkdir_p(data, 0700, err) < 0)
        return -(int)err->code;
    return kr_file_write_atomic(path, text, strlen(text), 0600, err);
}

/* What was deployed is served, whatever becomes of the folder that is worked in, unless that is
 * what is wanted. */
static int place_code(const struct kr_local *local, struct kr_err *err)
{
    kr_auto_free char *folder = kr_local_file(local, "code", local->next.generation, "");
    bool placed;

    if (kr_json_bool(local->what->settings, "auto_reload", false))
        return 0;
    if (kr_denv_place(local->env, folder, &placed, err) < 0)
        return -(int)err->code;
    return placed ? 0 : kr_remove_tree(folder, err);
}

static int spawn(struct kr_local *local, bool takeover, struct kr_err *err)
{
    kr_auto_free char *program = kr_local_program(local->env);
    kr_auto_free char *log = kr_path_join(local->dir, "server.log");
    kr_auto_fd int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    kr_auto(arguments_finish) struct arguments args = {.n = 0};
    struct kr_spawn what = {.cwd = local->dir, .fds = {-1, fd, fd}, .new_session = true};
    char **env;
    pid_t pid = 0;
    int rc;

    if (fd < 0)
        return kr_fail_errno(err, errno, "%s", log);
    if (program == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "%s not found in %s", KR_LOCAL_PROGRAM,
                       local->env->runtime_dir);
    make_arguments(local, program, takeover, &args);
    env = make_environment(local->what);
    what.argv = args.v;
    what.env = env;
    rc = kr_proc_spawn(&what, &pid, err);
    kr_env_free(env);
    if (rc < 0)
        return rc;
    local->next.process = kr_process_now(pid);
    return 0;
}

struct starting {
    struct kr_local *local;
    bool takeover;
    char *port_file;
    char *detail; /* what a server said that cannot start its workers */
};

static int look(void *data, int64_t *next_ms, struct kr_err *err)
{
    struct starting *s = data;

    (void)next_ms;
    if (!kr_process_alive(s->local->next.process))
        return kr_fail(err, KR_E_INVALID, "the server ended while it was starting");
    if (!kr_path_exists(s->port_file))
        return KR_WAIT_MORE;
    free(s->detail);
    s->detail = NULL;
    switch (kr_local_look(s->local, &s->local->next, LOOK_MS, &s->detail)) {
    case KR_LOCAL_HEALTHY:
        return KR_WAIT_DONE;
    case KR_LOCAL_BROKEN:
        return kr_fail(err, KR_E_INVALID, "the pipeline cannot start: %.1500s",
                       s->detail != NULL ? s->detail : "its workers fail");
    case KR_LOCAL_SILENT:
    case KR_LOCAL_STARTING:
        break;
    }
    return KR_WAIT_MORE;
}

/* Says why in the words of the server, where it had any. */
static void explain(const struct kr_local *local, int64_t log_from, struct kr_err *err)
{
    kr_auto_free char *cause = kr_local_log_show(local, log_from);
    const char *prefix = "not taking over: ";
    const char *text = cause;

    if (err->code != KR_E_INVALID || text == NULL || strstr(err->msg, "cannot start") != NULL)
        return;
    if (kr_starts_with(text, prefix))
        text += strlen(prefix);
    kr_err_clear(err);
    (void)kr_fail(err, KR_E_INVALID, "the pipeline cannot start: %.1500s", text);
}

/* Ends a start that failed. The live server, if there is one, is not touched. */
static int give_up(struct kr_local *local, int64_t log_from, struct kr_err *err)
{
    struct kr_err ignored = KR_ERR_INIT;

    if (err->code != KR_E_CANCELLED)
        explain(local, log_from, err);
    if (err->code == KR_E_TIMEOUT)
        return kr_hint(err,
                       "it goes on starting: see `%s deployment logs %s`, or give more time "
                       "with --timeout",
                       local->env->prog, local->what->name);
    (void)kr_process_stop(local->next.process, 2000);
    local->next = (struct kr_local_server){0};
    kr_local_tidy(local, false);
    if (kr_local_save(local, &ignored) < 0)
        kr_denv_note(local->env, true, "%s", ignored.msg);
    return -(int)err->code;
}

/* One start on one port. *again: somebody else was quicker to take the port. */
static int attempt(struct kr_local *local, bool takeover, int64_t timeout_ms, bool *again,
                   struct kr_err *err)
{
    kr_auto_free char *port_file = kr_local_file(local, "port", local->next.generation, "");
    struct starting s = {.local = local, .takeover = takeover, .port_file = port_file};
    struct kr_wait wait = {.timeout_ms = timeout_ms,
                           .first_ms = FIRST_MS,
                           .most_ms = MOST_MS,
                           .what = "the server",
                           .why = &s.detail};
    int64_t log_from = kr_local_log_end(local);
    int rc;

    *again = false;
    if (write_snapshot(local, err) < 0 || place_code(local, err) < 0 ||
        kr_local_save(local, err) < 0)
        return -(int)err->code;
    if (spawn(local, takeover, err) < 0)
        return give_up(local, log_from, err);
    if (kr_local_save(local, err) < 0) {
        (void)kr_process_stop(local->next.process, 2000);
        return -(int)err->code;
    }
    rc = kr_wait_for(local->env, &wait, look, &s, err);
    free(s.detail);
    if (rc == 0)
        return 0;
    *again = err->code == KR_E_INVALID && !takeover && !kr_path_exists(port_file) &&
             kr_local_port_lost(local);
    return give_up(local, log_from, err);
}

static void begin(struct kr_local *local, int port)
{
    struct kr_local_server *next = &local->next;

    *next = (struct kr_local_server){.generation = ++local->generation, .port = port};
    (void)snprintf(next->address, sizeof(next->address), "%s",
                   kr_json_str(local->what->settings, "address", "127.0.0.1"));
    kr_deployment_fingerprint(local->what, next->fingerprint);
}

/* The next server is the live one from here on. */
static int promote(struct kr_local *local, bool takeover, struct kr_err *err)
{
    struct kr_process old = local->live.process;

    local->live = local->next;
    local->next = (struct kr_local_server){0};
    local->port = local->live.port;
    local->stopped = false;
    kr_local_boot_id(local->boot);
    if (kr_local_save(local, err) < 0)
        return -(int)err->code;
    if (!takeover && old.pid != 0 && !kr_process_ask_to_end(old, 10000))
        kr_denv_note(local->env, false, "the former server (pid %d) finishes what it runs",
                     (int)old.pid);
    kr_local_tidy(local, false);
    return 0;
}

int kr_local_start(struct kr_local *local, int64_t timeout_ms, struct kr_err *err)
{
    int64_t end = kr_mono_ms() + timeout_ms;
    bool again = true;

    if (kr_mkdir_p(local->dir, 0700, err) < 0 || kr_local_sign(local, err) < 0)
        return -(int)err->code;
    for (int i = 0; again && i < ATTEMPTS; i++) {
        kr_auto_free char *note = NULL;
        bool takeover;
        int port;

        kr_err_clear(err);
        if (kr_local_choose_port(local, &port, &note, err) < 0)
            return -(int)err->code;
        if (note != NULL)
            kr_denv_note(local->env, true, "%s", note);
        begin(local, port);
        takeover = local->live.generation != 0 && kr_process_alive(local->live.process) &&
                   local->live.port == port &&
                   strcmp(local->live.address, local->next.address) == 0;
        if (attempt(local, takeover, end - kr_mono_ms(), &again, err) == 0)
            return promote(local, takeover, err);
    }
    return -(int)err->code;
}
