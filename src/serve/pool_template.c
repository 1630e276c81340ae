/* SPDX-License-Identifier: Apache-2.0 */
/* isolation: process. A template loads the pipeline and never runs it; the processes that run
 * requests, one at a time each, are forked from it, and are the front's own children. How many
 * there are follows what waits. */
#include "serve/pool.h"

#include "base/alloc.h"
#include "base/log.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STARTING_MAX  4
#define AHEAD_RSS_MAX (512ull << 20) /* of a larger template no process is kept ahead */
#define GRACE_MS      10000          /* for on_cleanup of a template that is given up */

bool kr_template_forks(const struct kr_worker *w)
{
    return w->pool->template != NULL && w->role != KR_ROLE_TEMPLATE && !w->pool->afresh;
}

bool kr_template_waits(const struct kr_worker *w)
{
    return kr_template_forks(w) && w->pool->template->state != KR_W_READY;
}

/* -- its life ---------------------------------------------------------------------------------- */

static void on_spawn_timer(struct kr_timer *timer)
{
    struct kr_worker *t =
        (struct kr_worker *)((char *)timer - offsetof(struct kr_worker, spawn_timer));
    struct kr_err err = KR_ERR_INIT;

    if (t->state != KR_W_DOWN || t->pool->draining || t->pool->afresh)
        return;
    if (kr_worker_spawn(t, &err) < 0)
        kr_template_ended(t, err.msg);
}

void kr_template_init(struct kr_pool *pool)
{
    struct kr_worker *t;

    pool->afresh = pool->cfg.exec_only;
    if (!pool->cfg.isolate || pool->cfg.exec_only)
        return;
    t = pool->template = kr_calloc(1, sizeof(*t));
    t->pool = pool;
    t->index = -1;
    t->role = KR_ROLE_TEMPLATE;
    t->sock.fd = t->console.fd = t->wake_fd = -1;
    t->spawn_timer.on_time = on_spawn_timer;
    kr_pool_watch_worker(t);
}

int kr_template_start(struct kr_pool *pool, struct kr_err *err)
{
    return pool->template == NULL ? 0 : kr_worker_spawn(pool->template, err);
}

static void start_all(struct kr_pool *pool)
{
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->role == KR_ROLE_SERVES && w->state == KR_W_DOWN && w->spawn_timer.at_ms == 0)
            kr_timer_at(pool->loop, &w->spawn_timer, pool->loop->now_ms);
    }
}

static void on_ready(struct kr_worker *t)
{
    t->state = KR_W_READY;
    t->ready_ms = t->pool->loop->now_ms;
    t->progress_us = t->pool->loop->now_us;
    t->pings = true;
    t->threads = 1;
    t->failures = 0;
    t->last_error[0] = '\0';
    kr_log(KR_LOG_INFO, "worker", "the template (pid %d) is ready after %lld ms", (int)t->pid,
           (long long)(t->ready_ms - t->spawned_ms));
    start_all(t->pool);
}

/* What was asked for does not come. */
static void lose_forks(struct kr_pool *pool, const char *how)
{
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (!w->forking)
            continue;
        w->forking = false;
        kr_pool_after_end(w, how, false);
    }
}

void kr_template_ended(struct kr_worker *t, const char *how)
{
    struct kr_pool *pool = t->pool;
    int64_t wait;

    kr_worker_close(t);
    kr_timer_stop(&t->kill_timer);
    t->pid = 0;
    t->state = KR_W_DOWN;
    if (pool->draining) {
        kr_pool_all_gone(pool);
        return;
    }
    if (pool->afresh)
        return;
    t->failures++;
    if (t->last_error[0] == '\0')
        (void)snprintf(t->last_error, sizeof(t->last_error), "the template %s", how);
    wait = kr_pool_backoff_ms(t);
    kr_log(KR_LOG_ERROR, "worker", "the template %s; next start in %lld ms", how, (long long)wait);
    kr_timer_at(pool->loop, &t->spawn_timer, pool->loop->now_ms + wait);
    lose_forks(pool, "could not be forked: the template ended");
    if (kr_pool_crash_loop(pool))
        kr_pool_verdict(pool);
}

bool kr_template_drain(struct kr_pool *pool, int64_t grace_ms)
{
    struct kr_worker *t = pool->template;

    if (t == NULL || t->state == KR_W_DOWN)
        return false;
    if (t->state == KR_W_STARTING)
        kr_worker_kill(t, SIGKILL);
    if (t->state != KR_W_READY)
        return true;
    t->state = KR_W_DRAINING;
    kr_worker_send_control(t, KR_T_DRAIN, 0);
    kr_worker_flush(t);
    kr_timer_at(pool->loop, &t->kill_timer, pool->loop->now_ms + grace_ms);
    return true;
}

/* -- what it says ------------------------------------------------------------------------------ */

static struct kr_worker *place_of(const struct kr_pool *pool, uint32_t id)
{
    struct kr_worker *w = id < (uint64_t)pool->slots ? &pool->workers[id] : NULL;

    return w != NULL && w->forking ? w : NULL;
}

static void on_spawned(struct kr_pool *pool, const struct kr_frame *f)
{
    struct kr_worker *w = place_of(pool, f->id);
    pid_t pid = f->size == 4 ? (pid_t)kr_u32_get(f->payload) : 0;
    int status;

    if (pid <= 1 || w == NULL) {
        kr_pool_out_of_step(pool->template, "it forked what it was not asked for");
        return;
    }
    w->forking = false;
    if (waitpid(pid, &status, WNOHANG) != 0) { /* ended already, or never ours */
        kr_pool_after_end(w, "ended as soon as it was forked", false);
        return;
    }
    w->pid = pid;
    if (w->state == KR_W_DYING || pool->draining)
        kr_worker_kill(w, SIGKILL);
}

static void on_refused(struct kr_pool *pool, const struct kr_frame *f)
{
    if (pool->afresh)
        return;
    pool->afresh = true;
    (void)snprintf(pool->afresh_why, sizeof(pool->afresh_why), "%.*s", (int)f->size, f->payload);
    kr_log(KR_LOG_WARN, "worker",
           "processes cannot be forked and start afresh, which takes longer: %s", pool->afresh_why);
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (!w->forking)
            continue;
        w->forking = false;
        kr_worker_close(w);
        w->state = KR_W_DOWN;
    }
    start_all(pool);
    (void)kr_template_drain(pool, GRACE_MS);
}

void kr_template_frame(struct kr_worker *t, const struct kr_frame *f)
{
    if (f->type == KR_T_READY && t->state == KR_W_STARTING)
        on_ready(t);
    else if (f->type == KR_T_SPAWNED)
        on_spawned(t->pool, f);
    else if (f->type == KR_T_REFUSED)
        on_refused(t->pool, f);
    else
        kr_pool_out_of_step(t, "a template that answers requests");
}

/* -- how many ---------------------------------------------------------------------------------- */

bool kr_pool_fits(const struct kr_pool *pool, const struct kr_worker *more)
{
    uint64_t shared = pool->template != NULL ? pool->template->rss : 0;
    uint64_t sum = shared;

    if (pool->cfg.machine == 0)
        return true;
    for (int64_t i = 0; i < pool->slots; i++) {
        const struct kr_worker *w = &pool->workers[i];
        uint64_t own = w->rss > shared ? w->rss - shared : 0;

        sum += w->pid > 0 ? own : 0;
        if (w == more || (more == NULL && i == 0))
            sum += own;
    }
    return sum <= pool->cfg.machine;
}

static void add_one(struct kr_pool *pool)
{
    struct kr_worker *next = NULL;

    for (int64_t i = 0; i < pool->slots && next == NULL; i++)
        next = pool->workers[i].role == KR_ROLE_SPARE ? &pool->workers[i] : NULL;
    if (next == NULL || !kr_pool_fits(pool, NULL))
        return;
    next->role = KR_ROLE_SERVES;
    next->failures = 0;
    next->last_error[0] = '\0';
    kr_timer_at(pool->loop, &next->spawn_timer, pool->loop->now_ms);
}

void kr_pool_grow(struct kr_pool *pool)
{
    bool ahead = !pool->afresh && pool->template != NULL && pool->template->rss < AHEAD_RSS_MAX;
    int64_t serving = 0, coming = 0, idle = 0;

    if (!pool->cfg.isolate || pool->draining || !pool->was_ready)
        return;
    for (int64_t i = 0; i < pool->slots; i++) {
        const struct kr_worker *w = &pool->workers[i];

        if (w->role != KR_ROLE_SERVES)
            continue;
        serving++;
        coming += w->state != KR_W_READY;
        idle += w->state == KR_W_READY && w->inflight == 0;
    }
    if (serving >= pool->cfg.most || coming >= STARTING_MAX)
        return;
    if (pool->queued > (uint64_t)coming || (idle == 0 && coming == 0 && ahead))
        add_one(pool);
}

void kr_pool_shrink(struct kr_pool *pool)
{
    int64_t serving = 0, now = pool->loop->now_ms;
    struct kr_worker *oldest = NULL;

    if (!pool->cfg.isolate || pool->draining)
        return;
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        serving += w->role == KR_ROLE_SERVES;
        if (w->role != KR_ROLE_SERVES || w->state != KR_W_READY || w->inflight > 0 ||
            now - w->used_ms < pool->cfg.idle_ms)
            continue;
        if (oldest == NULL || w->used_ms < oldest->used_ms)
            oldest = w;
    }
    if (oldest != NULL && serving > pool->cfg.workers)
        kr_pool_retire(oldest);
}
