/* SPDX-License-Identifier: Apache-2.0 */
/* New code: as many new workers start beside those that serve. When all of them are ready they take
 * over and the former ones finish what they have; when one cannot start, nothing changes. */
#include "serve/pool.h"

#include "base/log.h"

#include <signal.h>
#include <string.h>

#define GRACE_MS 10000 /* for on_cleanup, after the last request */

static unsigned with_role(const struct kr_pool *pool, enum kr_worker_role role)
{
    unsigned n = 0;

    for (int64_t i = 0; i < pool->slots; i++)
        n += pool->workers[i].role == role;
    return n;
}

static void stop_coming(struct kr_pool *pool)
{
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->role != KR_ROLE_COMES)
            continue;
        w->role = w->pid > 0 ? KR_ROLE_GOES : KR_ROLE_SPARE;
        kr_worker_kill(w, SIGKILL);
    }
}

static void give_up(struct kr_pool *pool, const char *why)
{
    kr_log(KR_LOG_ERROR, "reload",
           "the changed code cannot start: %s; the workers go on with the "
           "code that they have",
           why);
    stop_coming(pool);
}

void kr_pool_reload(struct kr_pool *pool)
{
    struct kr_err err = KR_ERR_INIT;

    if (pool->draining)
        return;
    stop_coming(pool); /* they began to read what has changed again */
    pool->reload_again = with_role(pool, KR_ROLE_SPARE) < (unsigned)pool->cfg.workers;
    if (pool->reload_again)
        return; /* as soon as the former ones are gone */
    kr_log(KR_LOG_INFO, "reload", "the code has changed: new workers start");
    for (int64_t i = 0, n = 0; i < pool->slots && n < pool->cfg.workers; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->role != KR_ROLE_SPARE)
            continue;
        n++;
        w->role = KR_ROLE_COMES;
        w->failures = 0;
        w->last_error[0] = '\0';
        if (kr_worker_spawn(w, &err) < 0) {
            w->role = KR_ROLE_SPARE;
            give_up(pool, err.msg);
            return;
        }
    }
}

/* The worker gets no more requests, finishes those it has, and ends. */
void kr_pool_retire(struct kr_worker *w)
{
    int64_t last = w->pool->loop->now_ms;

    w->role = KR_ROLE_GOES;
    w->failures = 0;
    kr_timer_stop(&w->spawn_timer);
    if (w->state == KR_W_DOWN)
        w->role = KR_ROLE_SPARE;
    if (w->state == KR_W_STARTING)
        kr_worker_kill(w, SIGKILL);
    if (w->state != KR_W_READY)
        return;
    for (uint32_t i = 0; i <= w->slot_mask; i++) {
        if (w->slots[i].used && w->slots[i].deadline_ms > last)
            last = w->slots[i].deadline_ms;
    }
    w->state = KR_W_DRAINING;
    kr_worker_send_control(w, KR_T_DRAIN, 0);
    kr_worker_flush(w);
    kr_timer_at(w->pool->loop, &w->kill_timer, last + GRACE_MS);
}

bool kr_pool_reload_ready(struct kr_worker *came)
{
    struct kr_pool *pool = came->pool;

    for (int64_t i = 0; i < pool->slots; i++) {
        if (pool->workers[i].role == KR_ROLE_COMES && pool->workers[i].state != KR_W_READY)
            return false;
    }
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->role == KR_ROLE_SERVES)
            kr_pool_retire(w);
        else if (w->role == KR_ROLE_COMES)
            w->role = KR_ROLE_SERVES;
    }
    pool->count.reloads++;
    kr_log(KR_LOG_INFO, "reload", "the changed code serves now");
    return true;
}

void kr_pool_reload_ended(struct kr_worker *w, const char *how)
{
    struct kr_pool *pool = w->pool;

    if (w->role == KR_ROLE_COMES) {
        w->role = KR_ROLE_SPARE;
        give_up(pool, w->last_error[0] != '\0' ? w->last_error : how);
    }
    w->role = KR_ROLE_SPARE;
    if (pool->reload_again && with_role(pool, KR_ROLE_SPARE) >= (unsigned)pool->cfg.workers)
        kr_pool_reload(pool);
    kr_pool_dispatch(pool);
}
