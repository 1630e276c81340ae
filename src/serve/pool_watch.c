/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of requests, and the one rule by which workers are replaced: who makes no progress with
 * what it was sent, by a bound, and runs nothing that somebody may still wait for. */
#include "serve/pool.h"

#include "base/log.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define GRACE_TERM_MS 500 /* between SIGTERM and SIGKILL */
#define RECHECK_MS    1000
#define LOOK_MIN_MS   20
#define LOOK_MAX_MS   1000

/* -- questions --------------------------------------------------------------------------------- */

/* How many requests it runs whose answers are waited for; only those that hold threads, or all. */
static uint32_t awaited(const struct kr_worker *w, bool all)
{
    uint32_t n = 0;

    for (uint32_t i = 0; w->inflight > 0 && i <= w->slot_mask; i++) {
        const struct kr_slot *slot = &w->slots[i];

        n += slot->used && (all || !slot->light) && slot->call != NULL &&
             kr_worker_started(w, slot->id);
    }
    return n;
}

static bool long_ago(const struct kr_worker *w, int64_t since_us)
{
    int64_t since = since_us > w->progress_us ? since_us : w->progress_us;

    return w->pool->loop->now_us - since >= w->pool->cfg.stall_ms * 1000;
}

/* It could have taken what it was sent, and has not. All of its places in use is no reason. */
static bool stalled(const struct kr_worker *w)
{
    if (w->state != KR_W_READY || awaited(w, false) >= w->threads)
        return false;
    return (w->unstarted_n > 0 && long_ago(w, 0)) || (w->ping_us != 0 && long_ago(w, w->ping_us)) ||
           (w->blocked_us != 0 && long_ago(w, w->blocked_us));
}

/* Requests that nobody waits for hold more of it than it can spare, and others wait. */
static bool crowded(const struct kr_worker *w)
{
    uint32_t places = kr_worker_places(w);

    return w->state == KR_W_READY && w->abandoned > places - w->threads &&
           kr_worker_holds(w) >= places && (w->unstarted_n > 0 || w->pool->head != NULL) &&
           long_ago(w, 0);
}

bool kr_pool_invocable(struct kr_pool *pool, const char **why)
{
    bool ready = false;

    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        (void)(w->mark != NULL && kr_worker_unstarted(w) > 0);
        if (w->state != KR_W_READY || w->role != KR_ROLE_SERVES)
            continue;
        if (!stalled(w))
            return true;
        ready = true;
    }
    *why = "no worker is ready";
    if (!ready)
        return false;
    (void)snprintf(pool->why, sizeof(pool->why),
                   "no worker takes requests: for %.3g seconds none has begun what it was sent, "
                   "something holds its interpreter or its process",
                   (double)pool->cfg.stall_ms / 1000.0);
    *why = pool->why;
    return false;
}

/* -- replacement ------------------------------------------------------------------------------- */

static void on_kill_timer(struct kr_timer *timer)
{
    struct kr_worker *w =
        (struct kr_worker *)((char *)timer - offsetof(struct kr_worker, kill_timer));

    if (w->state == KR_W_CONDEMNED) {
        kr_worker_kill(w, SIGTERM);
        w->state = KR_W_DYING;
        kr_timer_at(w->pool->loop, timer, w->pool->loop->now_ms + GRACE_TERM_MS);
    } else if (w->state == KR_W_DYING || w->state == KR_W_DRAINING) {
        kr_worker_kill(w, SIGKILL);
    }
}

void kr_pool_settle(struct kr_worker *w)
{
    int64_t last = w->pool->loop->now_ms;

    if (w->state != KR_W_CONDEMNED)
        return;
    for (uint32_t i = 0; i <= w->slot_mask; i++) {
        const struct kr_slot *slot = &w->slots[i];

        if (slot->used && slot->call != NULL && slot->deadline_ms > last &&
            kr_worker_started(w, slot->id))
            last = slot->deadline_ms;
    }
    kr_timer_stop(&w->kill_timer);
    kr_timer_at(w->pool->loop, &w->kill_timer, last);
}

/* Asks for what it has not started: it answers as soon as a thread of it leads. */
static void recall(struct kr_worker *w)
{
    for (uint32_t i = 0; w->pings && i <= w->slot_mask; i++) {
        uint32_t id = w->last_id - w->slot_mask + i; /* in order */
        const struct kr_slot *slot = kr_worker_slot(w, id);

        if (slot != NULL && !kr_worker_started(w, id))
            kr_worker_send_control(w, KR_T_RECALL, id);
    }
    kr_worker_flush(w);
    if (w->frees)
        kr_worker_promote(w, 'a');
}

void kr_pool_condemn(struct kr_worker *w, const char *why)
{
    bool serves = w->state == KR_W_READY && w->role == KR_ROLE_SERVES && !w->pool->draining;

    if (w->state != KR_W_READY && w->state != KR_W_DRAINING)
        return;
    w->state = KR_W_CONDEMNED;
    w->killed_for = why;
    kr_log(KR_LOG_WARN, "worker", "worker %d (pid %d): %s, it is replaced", w->index, (int)w->pid,
           why);
    recall(w);
    kr_pool_settle(w);
    if (serves)
        kr_pool_replace(w);
}

void kr_pool_out_of_step(struct kr_worker *w, const char *what)
{
    if (w->state == KR_W_DYING || w->pid <= 0)
        return;
    kr_log(KR_LOG_ERROR, "worker", "worker %d (pid %d) is out of step: %s", w->index, (int)w->pid,
           what);
    w->killed_for = "its channel was out of step";
    kr_watch_close(w->pool->loop, &w->sock);
    w->state = KR_W_DYING;
    kr_worker_kill(w, SIGKILL);
}

/* -- deadlines --------------------------------------------------------------------------------- */

/* Returns when to look at the slot again. */
static int64_t expire_slot(struct kr_worker *w, struct kr_slot *slot)
{
    struct kr_pool *pool = w->pool;
    struct kr_call *call = slot->call;
    bool started = kr_worker_started(w, slot->id);
    bool overrun = started && slot->limit_ms <= pool->loop->now_ms;
    int64_t next = pool->loop->now_ms + RECHECK_MS;

    if (slot->limit_ms > pool->loop->now_ms && slot->limit_ms < next)
        next = slot->limit_ms;
    slot->deadline_ms = next;
    kr_worker_drop(w, slot);
    if (call != NULL) {
        pool->count.timeouts++;
        call->ops->failure(call, 504, !started,
                           started ? "The pipeline did not finish within the request's timeout"
                                   : "The request's timeout passed before the pipeline could run");
    }
    if (!overrun && started && pool->cfg.isolate)
        kr_pool_condemn(w, "a request's timeout passed");
    if (overrun)
        kr_pool_condemn(w, "a request ran longer than the server's request timeout");
    kr_pool_settle(w);
    return next;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || b < a ? b : a;
}

static int64_t expire_queue(struct kr_pool *pool)
{
    struct kr_call *call = pool->head;
    int64_t next = 0;

    while (call != NULL) {
        struct kr_call *following = call->next;

        if (call->deadline_ms <= pool->loop->now_ms) {
            kr_pool_unqueue(pool, call);
            pool->count.timeouts++;
            call->ops->failure(call, 504, true,
                               "The request's timeout passed before a worker was free");
        } else {
            next = earlier(next, call->deadline_ms);
        }
        call = following;
    }
    return next;
}

static void on_deadline(struct kr_timer *timer)
{
    struct kr_pool *pool = (struct kr_pool *)((char *)timer - offsetof(struct kr_pool, deadline));
    int64_t next = expire_queue(pool);

    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        for (uint32_t k = 0; w->inflight > 0 && k <= w->slot_mask; k++) {
            struct kr_slot *slot = &w->slots[k];

            if (slot->used && slot->deadline_ms <= pool->loop->now_ms)
                next = earlier(next, expire_slot(w, slot));
            else if (slot->used)
                next = earlier(next, slot->deadline_ms);
        }
    }
    if (next != 0)
        kr_timer_at(pool->loop, timer, next);
}

/* -- the watchdog ------------------------------------------------------------------------------ */

static void look_at_start(struct kr_worker *w)
{
    const struct kr_pool *pool = w->pool;

    if (pool->cfg.startup_ms <= 0 || pool->loop->now_ms - w->spawned_ms < pool->cfg.startup_ms)
        return;
    (void)snprintf(w->last_error, sizeof(w->last_error),
                   "the worker was not ready within %.3g seconds (startup_timeout)",
                   (double)pool->cfg.startup_ms / 1000.0);
    if (w->forking) { /* its template hangs */
        kr_worker_kill(pool->template, SIGKILL);
        return;
    }
    w->killed_for = "not ready within its start-up time";
    w->state = KR_W_DYING;
    kr_worker_kill(w, SIGKILL);
}

/* One that has nothing to do is asked now and then whether it lives. */
static void ping(struct kr_worker *w)
{
    int64_t now = w->pool->loop->now_us;

    if (!w->pings || w->inflight > 0 || w->ping_us != 0 ||
        now - w->progress_us < w->pool->cfg.stall_ms * 500)
        return;
    w->ping_us = now;
    kr_worker_send_control(w, KR_T_PING, 0);
    kr_worker_flush(w);
}

static void look(struct kr_worker *w)
{
    if (w->state == KR_W_STARTING)
        look_at_start(w);
    if (w->state != KR_W_READY)
        return;
    (void)kr_worker_unstarted(w);
    ping(w);
    if (stalled(w) && awaited(w, true) == 0)
        kr_pool_condemn(w, "it has not begun what it was sent");
    else if (crowded(w))
        kr_pool_condemn(w, "requests that nobody waits for hold all of its threads");
}

/* The front itself stood still (a frozen container, a machine without time): its workers may need a
 * moment more to go on than it did. */
static void forgive(struct kr_pool *pool)
{
    for (int64_t i = 0; i < pool->slots; i++)
        pool->workers[i].progress_us = pool->loop->now_us;
    if (pool->template != NULL)
        pool->template->progress_us = pool->loop->now_us;
}

static void on_watch(struct kr_timer *timer)
{
    struct kr_pool *pool = (struct kr_pool *)((char *)timer - offsetof(struct kr_pool, watch));
    int64_t every = pool->cfg.stall_ms / 8;

    every = every < LOOK_MIN_MS ? LOOK_MIN_MS : every > LOOK_MAX_MS ? LOOK_MAX_MS : every;
    if (pool->lost_us != pool->loop->lost_us ||
        (pool->watched_ms != 0 && pool->loop->now_ms - pool->watched_ms > 3 * every))
        forgive(pool);
    pool->watched_ms = pool->loop->now_ms;
    pool->lost_us = pool->loop->lost_us;
    for (int64_t i = 0; i < pool->slots; i++)
        look(&pool->workers[i]);
    if (pool->template != NULL)
        look(pool->template);
    kr_pool_shrink(pool);
    kr_timer_at(pool->loop, timer, pool->loop->now_ms + every);
}

void kr_pool_watch(struct kr_pool *pool)
{
    pool->deadline.on_time = on_deadline;
    pool->watch.on_time = on_watch;
}

void kr_pool_watch_worker(struct kr_worker *w)
{
    w->kill_timer.on_time = on_kill_timer;
}
