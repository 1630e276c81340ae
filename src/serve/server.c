/* SPDX-License-Identifier: Apache-2.0 */
/* Putting the parts together: signals, the workers' command, ready, drain, end. */
#include "serve/server.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "http/access_log.h"
#include "serve/answer.h"
#include "serve/client.h"
#include "serve/control.h"
#include "serve/gate.h"
#include "serve/handlers.h"
#include "serve/record.h"
#include "serve/reload.h"
#include "serve/routes.h"
#include "serve/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define PROCESS_IDLE_MS 60000 /* after which a process beyond the workers ends */
#define DRAIN_GRACE_MS  10000 /* for on_cleanup */
#define DRAIN_FORCED_MS 1000
#define DRAIN_SPACE_MS  25000 /* the Hub kills after half a minute */
#define DRAIN_ROOM_MS   5000  /* beyond the last deadline */
#define FAREWELL_MS     1000  /* for the last answers to go out */

/* -- the workers' command ---------------------------------------------------------------------- */

static char *find_beside(const char *const *candidates, size_t n, const char *file)
{
    kr_auto_free char *self = kr_path_of_self();

    for (size_t i = 0; i < n; i++) {
        kr_auto_free char *dir = kr_path_join(self != NULL ? self : ".", candidates[i]);
        kr_auto_free char *probe = kr_path_join(dir, file);

        if (kr_path_exists(probe))
            return kr_steal(&probe);
    }
    return NULL;
}

/* Workers run in the source root, so what names a file for them must not depend on ours. */
static char *absolute(const char *path)
{
    kr_auto_free char *cwd = getcwd(NULL, 0);

    return kr_path_join(cwd != NULL ? cwd : "/", path);
}

static int python_boot(struct kr_server *srv, char **boot, struct kr_err *err)
{
    static const char *const places[] = {"../python", "python", "/usr/share/kourou/python",
                                         "../share/kourou/python", "../../share/kourou/python"};

    if (srv->opt.python_path != NULL) {
        kr_auto_free char *folder = absolute(srv->opt.python_path);

        *boot = kr_path_join(folder, "kourou/_boot.py");
        if (kr_path_exists(*boot))
            return 0;
        return kr_fail(err, KR_E_NOT_FOUND, "--python-path=%s: no kourou package there",
                       srv->opt.python_path);
    }
    *boot = find_beside(places, KR_ARRAY_LEN(places), "kourou/_boot.py");
    if (*boot == NULL)
        return kr_fail(err, KR_E_NOT_FOUND,
                       "the kourou Python package was not found, "
                       "name its folder with --python-path");
    return 0;
}

static char *deployment_json(const struct kr_server *srv)
{
    kr_auto_json json_t *d = json_object();

    kr_json_set_str(d, "id", srv->opt.deployment_id);
    kr_json_set_str(d, "name", srv->opt.deployment_name);
    kr_json_set_str(d, "snapshot_id", srv->opt.snapshot_id);
    kr_json_set_str(d, "snapshot_name", srv->opt.snapshot_name);
    kr_json_set_bool(d, "auth_enabled", srv->opt.auth_key != NULL);
    return kr_json_canonical(d);
}

/* Libraries of numbers start a thread for each processor: in every process that is too many, and a
 * template that has them could not be forked. Who wants more says so. */
static void one_thread_each(struct kr_server *srv)
{
    static const char *const names[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                        "MKL_NUM_THREADS"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if (kr_env_get(names[i]) == NULL)
            kr_env_set(&srv->worker_env, names[i], "1");
    }
}

static int worker_command(struct kr_server *srv, struct kr_err *err)
{
    static const char *const native_places[] = {".", "../lib/kourou", "/usr/lib/kourou"};
    size_t n = 0;
    char *boot = NULL;
    char **argv = kr_calloc(16, sizeof(char *));

    srv->worker_argv = argv;
    srv->deployment_json = deployment_json(srv);
    if (srv->cfg.native) {
        argv[n] = find_beside(native_places, KR_ARRAY_LEN(native_places), "kourou-native");
        if (argv[n++] == NULL)
            return kr_fail(err, KR_E_NOT_FOUND, "kourou-native was not found beside kourou-serve");
    } else {
        if (python_boot(srv, &boot, err) < 0) {
            free(boot);
            return -(int)err->code;
        }
        argv[n++] = strchr(srv->opt.python, '/') != NULL ? absolute(srv->opt.python)
                                                         : kr_strdup(srv->opt.python);
        argv[n++] = boot;
        argv[n++] = kr_strdup("worker");
    }
    argv[n++] = kr_strdup("--snapshot");
    argv[n++] = absolute(srv->opt.snapshot);
    argv[n++] = kr_strdup("--root");
    argv[n++] = absolute(srv->opt.root);
    argv[n++] = kr_strdup("--deployment");
    argv[n++] = kr_strdup(srv->deployment_json);
    srv->worker_env = kr_env_copy();
    kr_env_set(&srv->worker_env, "PYTHONUNBUFFERED", "1");
    if (srv->opt.space && getenv("FORWARDED_ALLOW_IPS") == NULL) /* only its proxy reaches it */
        kr_env_set(&srv->worker_env, "FORWARDED_ALLOW_IPS", "*");
    if (srv->cfg.processes > 0)
        one_thread_each(srv);
    if (srv->opt.reload) /* nothing more is left in a folder that is worked in */
        kr_env_set(&srv->worker_env, "PYTHONDONTWRITEBYTECODE", "1");
    return 0;
}

/* -- life -------------------------------------------------------------------------------------- */

void kr_server_learn(struct kr_server *srv, const json_t *ready)
{
    kr_routes_custom(srv, ready);
    kr_openapi_forget(srv);
    kr_arguments_learn(&srv->arguments, ready);
    srv->pool.edition = srv->arguments.edition;
}

static void on_pool_ready(struct kr_pool *pool, const json_t *ready)
{
    struct kr_server *srv = pool->owner;
    struct kr_err err = KR_ERR_INIT;

    kr_server_learn(srv, ready);
    if (srv->gate != NULL) {
        kr_gate_ready(srv);
    } else if (!srv->front.listening &&
               !srv->front.draining) { /* a hand-over waits for the first ready worker */
        if (kr_front_listen(&srv->front, &err) < 0) {
            kr_log(KR_LOG_ERROR, "serve", "%s", err.msg);
            srv->exit_status = 1;
            kr_loop_stop(&srv->front.loop);
            return;
        }
        kr_control_taken(srv);
    }
}

static void on_pool_drained(struct kr_pool *pool)
{
    struct kr_server *srv = pool->owner;

    kr_loop_stop(&srv->front.loop);
}

/* A successor that cannot become ready leaves the old server in its place. */
static void on_pool_crash_loop(struct kr_pool *pool)
{
    struct kr_server *srv = pool->owner;

    if (srv->front.listening || srv->front.draining)
        return;
    kr_log(KR_LOG_ERROR, "serve", "not taking over: %s", kr_pool_failed_worker(pool)->last_error);
    srv->exit_status = 1;
    kr_loop_stop(&srv->front.loop);
}

void kr_server_check_drained(struct kr_server *srv)
{
    if (srv->front.draining && srv->front.conns == NULL && !srv->pool.draining)
        kr_pool_drain(&srv->pool, srv->drain_forced ? DRAIN_FORCED_MS : DRAIN_GRACE_MS);
}

/* How long what runs may go on: as long as its deadline allows, or as the operator says. */
static int64_t drain_ms(const struct kr_server *srv)
{
    if (srv->opt.drain_timeout_ms > 0)
        return srv->opt.drain_timeout_ms;
    return srv->opt.space ? DRAIN_SPACE_MS : srv->cfg.request_timeout_ms + DRAIN_ROOM_MS;
}

void kr_server_drain(struct kr_server *srv)
{
    if (srv->front.draining)
        return;
    kr_log(KR_LOG_INFO, "serve",
           "draining: %u connections, %u requests wait; for %.3g seconds at most",
           srv->front.conn_count, srv->pool.queued, (double)drain_ms(srv) / 1000.0);
    kr_front_drain(&srv->front);
    kr_timer_at(&srv->front.loop, &srv->drain_timer, srv->front.loop.now_ms + drain_ms(srv));
    kr_server_check_drained(srv);
}

/* Whoever still waits is told that there will be no answer of the pipeline. */
static void stop_waiting(struct kr_server *srv)
{
    kr_log(KR_LOG_WARN, "serve", "drain timeout: %u connections are closed", srv->front.conn_count);
    srv->drain_forced = true;
    kr_pool_give_up(&srv->pool);
    kr_timer_at(&srv->front.loop, &srv->drain_timer, srv->front.loop.now_ms + FAREWELL_MS);
}

static void on_drain_timer(struct kr_timer *timer)
{
    struct kr_server *srv =
        (struct kr_server *)((char *)timer - offsetof(struct kr_server, drain_timer));

    if (!srv->drain_forced) {
        stop_waiting(srv);
        return;
    }
    kr_front_close(&srv->front);
}

static void on_signal(struct kr_watch *watch, uint32_t events)
{
    struct kr_server *srv =
        (struct kr_server *)((char *)watch - offsetof(struct kr_server, signals));
    struct signalfd_siginfo info;

    (void)events;
    while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGCHLD)
            kr_pool_reap(&srv->pool);
        else if (!srv->front.draining)
            kr_server_drain(srv);
        else if (!srv->drain_forced) /* asked again: now */
            stop_waiting(srv);
    }
}

static int watch_signals(struct kr_server *srv, struct kr_err *err)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* also where another process is number 1 */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    srv->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    srv->signals.on_ready = on_signal;
    if (srv->signals.fd < 0)
        return kr_fail_errno(err, errno, "signals");
    return kr_watch_add(&srv->front.loop, &srv->signals, EPOLLIN, err);
}

static void after_round(struct kr_loop *loop)
{
    struct kr_server *srv =
        (struct kr_server *)((char *)loop - offsetof(struct kr_server, front.loop));

    kr_pool_flush(&srv->pool);
    kr_access_log_flush(&srv->front);
}

/* Before any thread and worker, so that it holds for all of them. */
static void confine(struct kr_server *srv)
{
    struct kr_sandbox sandbox = {false, false, false};
    char text[KR_SANDBOX_TEXT];

    if (!srv->opt.allow_privileges)
        kr_sandbox_enter(&sandbox);
    kr_log(KR_LOG_INFO, "serve", "confinement: %s", kr_sandbox_text(&sandbox, text));
}

static int start_pool(struct kr_server *srv, struct kr_err *err)
{
    struct kr_pool_config cfg = {.argv = srv->worker_argv,
                                 .env = srv->worker_env,
                                 .cwd = srv->opt.root, /* pipelines open files relative to it */
                                 .workers = srv->cfg.workers,
                                 .threads = srv->cfg.processes > 0 ? 1 : srv->cfg.threads,
                                 .most = srv->cfg.processes,
                                 .isolate = srv->cfg.processes > 0,
                                 .exec_only = srv->cfg.native,
                                 .idle_ms = PROCESS_IDLE_MS,
                                 .stall_ms = srv->cfg.stall_timeout_ms,
                                 .startup_ms = srv->cfg.startup_timeout_ms,
                                 .memory = srv->cfg.worker_memory,
                                 .machine = srv->cfg.machine_memory,
                                 .queue_size = (uint32_t)srv->opt.queue_size,
                                 .reload = srv->opt.reload && !srv->cfg.native};

    if (kr_pool_init(&srv->pool, &srv->front.loop, &cfg, err) < 0)
        return -(int)err->code;
    srv->pool.owner = srv;
    srv->pool.on_ready = on_pool_ready;
    srv->pool.on_drained = on_pool_drained;
    srv->pool.on_crash_loop = on_pool_crash_loop;
    if (!cfg.reload)
        return 0;
    return kr_reload_open(&srv->front.loop, &srv->pool, srv->opt.root, &srv->reload, err);
}

static void set_front(struct kr_server *srv)
{
    srv->front.ops = &kr_client_ops;
    srv->front.cfg =
        (struct kr_front_config){.host = srv->cfg.host,
                                 .port = (int)srv->cfg.port,
                                 .port_file = srv->opt.port_file,
                                 .public_url = srv->opt.public_url,
                                 .max_connections = srv->opt.max_connections,
                                 .header_timeout_ms = srv->opt.header_timeout_ms,
                                 .body_timeout_ms = srv->opt.body_timeout_ms,
                                 .idle_timeout_ms = srv->opt.idle_timeout_ms,
                                 .write_timeout_ms = srv->opt.write_timeout_ms,
                                 .max_body = srv->cfg.max_body,
                                 .inline_body = KR_FRAME_FD_THRESHOLD,
                                 .memory = srv->cfg.request_memory,
                                 .cors = srv->cfg.cors,
                                 .guarded = srv->cfg.guarded,
                                 .common = {.p = srv->cfg.common.p, .n = srv->cfg.common.n}};
}

int kr_server_open(struct kr_server *srv, struct kr_err *err)
{
    struct kr_log_config log;

    srv->front.listener.fd = srv->signals.fd = -1;
    if (kr_config_load(&srv->opt, &srv->cfg, err) < 0)
        return -(int)err->code;
    log = (struct kr_log_config){.level = srv->cfg.log_level,
                                 .file = srv->opt.log_file,
                                 .size_max = srv->opt.log_size,
                                 .files = srv->opt.log_files};
    set_front(srv);
    if (kr_log_open(&log, err) < 0 || kr_front_open(&srv->front, err) < 0)
        return -(int)err->code;
    srv->front.loop.after_round = after_round;
    srv->drain_timer.on_time = on_drain_timer;
    srv->started_ms = srv->front.loop.now_ms;
    kr_answer_init(srv);
    return 0;
}

int kr_server_start(struct kr_server *srv, struct kr_err *err)
{
    if (kr_server_open(srv, err) < 0)
        return -(int)err->code;
    confine(srv);
    if (worker_command(srv, err) < 0 || watch_signals(srv, err) < 0)
        return -(int)err->code;
    if (srv->opt.takeover != NULL && kr_control_takeover(srv, err) < 0)
        return -(int)err->code;
    if (start_pool(srv, err) < 0) /* they import while the rest is made */
        return -(int)err->code;
    kr_routes_init(srv);
    if (srv->opt.runs_kept > 0 && kr_journal_open(srv, err) < 0)
        return -(int)err->code;
    if (srv->opt.gate != NULL)
        kr_gate_open(srv);
    else if (srv->opt.takeover == NULL && kr_front_listen(&srv->front, err) < 0)
        return -(int)err->code;
    if (srv->opt.takeover == NULL && srv->opt.control != NULL && kr_control_open(srv, err) < 0)
        return -(int)err->code;
    return 0;
}

static void log_counts(const struct kr_server *srv)
{
    uint64_t answers = srv->front.count.other.count;

    for (const struct kr_route *r = srv->front.routes; r != NULL; r = r->next)
        answers += r->stats.count;
    if (srv->front.port > 0)
        kr_log(KR_LOG_INFO, "serve", "stopped: %llu connections, %llu answers",
               (unsigned long long)srv->front.count.connections, (unsigned long long)answers);
}

void kr_server_finish(struct kr_server *srv)
{
    kr_front_close(&srv->front);
    log_counts(srv);
    kr_control_close(srv);
    kr_gate_close(srv);
    kr_reload_close(srv->reload);
    kr_pool_finish(&srv->pool);
    kr_journal_close(srv);
    kr_routes_finish(srv);
    if (srv->signals.fd >= 0)
        (void)close(srv->signals.fd);
    kr_front_finish(&srv->front);
    kr_answer_finish(srv);
    kr_arguments_finish(&srv->arguments);
    kr_openapi_forget(srv);
    free(srv->deployment_json);
    for (size_t i = 0; srv->worker_argv != NULL && srv->worker_argv[i] != NULL; i++)
        free(srv->worker_argv[i]);
    free(srv->worker_argv);
    kr_env_free(srv->worker_env);
    kr_config_finish(&srv->cfg);
    kr_options_finish(&srv->opt);
    kr_log_close();
}
