/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that end: what becomes of their requests, replacement with back-off, verdict, drain. */
#include "serve/pool.h"

#include "base/alloc.h"
#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOP_FAILURES  5
#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 10000
#define USEFUL_MS      1000 /* a worker that was ready for this long was not a failure */
#define MEMORY_BUSY_MS 50
#define MEMORY_IDLE_MS 2000

int64_t kr_pool_backoff_ms(const struct kr_worker *w)
{
    int64_t wait = BACKOFF_MS;

    if (w->failures <= 1)
        return 0;
    for (unsigned i = 2; i < w->failures && wait < BACKOFF_MAX_MS; i++)
        wait *= 2;
    return wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS;
}

bool kr_pool_crash_loop(const struct kr_pool *pool)
{
    if (pool->template != NULL && pool->template->failures >= LOOP_FAILURES)
        return true;
    for (int64_t i = 0; i < pool->slots; i++) {
        if (pool->workers[i].role == KR_ROLE_SERVES && pool->workers[i].failures < LOOP_FAILURES)
            return false;
    }
    return true;
}

const struct kr_worker *kr_pool_failed_worker(const struct kr_pool *pool)
{
    if (pool->template != NULL && pool->template->failures > 0)
        return pool->template;
    for (int64_t i = 0; i < pool->slots; i++) {
        if (pool->workers[i].role == KR_ROLE_SERVES && pool->workers[i].failures > 0)
            return &pool->workers[i];
    }
    return NULL;
}

static int by_id_descending(const void *a, const void *b)
{
    uint32_t x = (*(const struct kr_slot *const *)a)->id,
             y = (*(const struct kr_slot *const *)b)->id;

    return (int32_t)(y - x) < 0 ? -1 : x != y;
}

/* Started requests are lost, the others go back to the front of the queue in their order.
 * Returns whether a request was running. */
static bool settle_requests(struct kr_worker *w, const char *how)
{
    kr_auto_free struct kr_slot **used = kr_calloc((size_t)w->inflight + 1, sizeof(void *));
    size_t n = 0;
    bool ran = false;
    char detail[256];

    (void)snprintf(detail, sizeof(detail), "The worker %s while it ran this request", how);
    for (uint32_t i = 0; i <= w->slot_mask && n < w->inflight; i++) {
        if (w->slots[i].used)
            used[n++] = &w->slots[i];
    }
    qsort(used, n, sizeof(used[0]), by_id_descending);
    for (size_t i = 0; i < n; i++) {
        struct kr_call *call = used[i]->call;
        bool started = kr_worker_started(w, used[i]->id);

        ran = ran || started;
        kr_worker_free_slot(w, used[i]);
        if (call == NULL)
            continue;
        if (started)
            call->ops->failure(call, 502, false, detail);
        else if (call->parted)
            call->ops->failure(call, 502, true,
                               "The worker ended before it ran this request, whose body was on its "
                               "way to it");
        else
            kr_pool_requeue(w->pool, call);
    }
    return ran;
}

static void fail_queue(struct kr_pool *pool)
{
    while (pool->head != NULL) {
        struct kr_call *call = pool->head;

        kr_pool_unqueue(pool, call);
        call->ops->failure(call, 503, true, "The pipeline's workers keep failing, see /health");
    }
}

void kr_pool_verdict(struct kr_pool *pool)
{
    fail_queue(pool);
    if (pool->on_crash_loop != NULL)
        pool->on_crash_loop(pool);
}

void kr_pool_all_gone(struct kr_pool *pool)
{
    if (kr_pool_count(pool, KR_W_DOWN) == (unsigned)pool->slots &&
        !kr_template_drain(pool, pool->drain_grace_ms) && pool->on_drained != NULL)
        pool->on_drained(pool);
}

/* how: "ended with exit status 1" and the like. clean: it was told to go. */
void kr_pool_after_end(struct kr_worker *w, const char *how, bool clean)
{
    struct kr_pool *pool = w->pool;
    bool was_ready = w->ready_ms != 0, ran;
    int64_t now = pool->loop->now_ms;

    kr_worker_close(w);
    kr_timer_stop(&w->kill_timer);
    w->pid = 0;
    w->state = KR_W_DOWN;
    ran = settle_requests(w, how);
    if (pool->draining || (clean && w->role == KR_ROLE_SERVES)) {
        kr_pool_all_gone(pool);
        return;
    }
    if (w->role != KR_ROLE_SERVES) {
        kr_pool_reload_ended(w, how);
        return;
    }
    pool->count.restarts++;
    pool->count.crashes += w->killed_for == NULL;
    if (!was_ready || (!ran && w->killed_for == NULL && now - w->ready_ms < USEFUL_MS))
        w->failures++;
    if (w->last_error[0] == '\0')
        (void)snprintf(w->last_error, sizeof(w->last_error), "the worker %s", how);
    kr_log(KR_LOG_ERROR, "worker", "worker %d %s; %u failed starts in a row; next start in %lld ms",
           w->index, how, w->failures, (long long)kr_pool_backoff_ms(w));
    if (kr_pool_crash_loop(pool))
        kr_pool_verdict(pool);
    kr_timer_at(pool->loop, &w->spawn_timer, now + kr_pool_backoff_ms(w));
    kr_pool_dispatch(pool);
}

static const char *describe_end(const struct kr_worker *w, int status, char *text, size_t size)
{
    if (w->killed_for != NULL)
        (void)snprintf(text, size, "was stopped (%s)", w->killed_for);
    else if (WIFSIGNALED(status))
        (void)snprintf(text, size, "was killed by signal %d%s", WTERMSIG(status),
                       WTERMSIG(status) == SIGKILL ? " (out of memory?)" : "");
    else
        (void)snprintf(text, size, "ended with exit status %d", WEXITSTATUS(status));
    return text;
}

static struct kr_worker *worker_of(struct kr_pool *pool, pid_t pid)
{
    if (pool->template != NULL && pool->template->pid == pid)
        return pool->template;
    for (int64_t i = 0; i < pool->slots; i++) {
        if (pool->workers[i].pid == pid)
            return &pool->workers[i];
    }
    return NULL;
}

/* As process 1, or as the reaper that it makes itself, the front gets what steps leave behind. */
void kr_pool_reap(struct kr_pool *pool)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct kr_worker *w = worker_of(pool, pid);
        char how[192];

        if (w == NULL)
            continue;
        (void)kill(-w->pid, SIGKILL); /* children that it left behind */
        if (w == pool->template) {
            kr_template_ended(w, describe_end(w, status, how, sizeof(how)));
            continue;
        }
        kr_pool_after_end(
            w, describe_end(w, status, how, sizeof(how)),
            w->state == KR_W_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Another process beside one that still runs doubles what they hold: not where that is not to be
 * had, nor on a GPU, whose memory cannot be seen from here. */
static bool both_fit(const struct kr_pool *pool, const struct kr_worker *w)
{
    return kr_pool_fits(pool, w) && (pool->cfg.isolate || access("/dev/nvidiactl", F_OK) != 0);
}

void kr_pool_replace(struct kr_worker *w)
{
    struct kr_pool *pool = w->pool;
    struct kr_worker *next = NULL;

    for (int64_t i = 0; i < pool->slots && next == NULL; i++)
        next = pool->workers[i].role == KR_ROLE_SPARE ? &pool->workers[i] : NULL;
    if (next == NULL || !both_fit(pool, w))
        return; /* its own place is filled again when it has ended */
    pool->count.restarts++;
    w->role = KR_ROLE_GOES;
    next->role = KR_ROLE_SERVES;
    next->failures = 0;
    next->last_error[0] = '\0';
    kr_timer_at(pool->loop, &next->spawn_timer, pool->loop->now_ms);
}

void kr_pool_lost(struct kr_worker *w)
{
    kr_watch_close(w->pool->loop, &w->sock);
    if (w->state != KR_W_DRAINING)
        w->state = KR_W_DYING;
    /* It may be ending by itself: the exit status is worth a moment. */
    kr_timer_at(w->pool->loop, &w->kill_timer, w->pool->loop->now_ms + 200);
}

void kr_pool_drain(struct kr_pool *pool, int64_t grace_ms)
{
    if (pool->draining)
        return;
    pool->draining = true;
    pool->drain_grace_ms = grace_ms;
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->state == KR_W_READY) {
            w->state = KR_W_DRAINING;
            kr_worker_send_control(w, KR_T_DRAIN, 0);
            kr_worker_flush(w);
            kr_timer_at(pool->loop, &w->kill_timer, pool->loop->now_ms + grace_ms);
        } else if (w->state == KR_W_STARTING) {
            kr_worker_kill(w, SIGKILL);
        }
    }
    kr_pool_all_gone(pool);
}

static void give_up_running(struct kr_worker *w)
{
    for (uint32_t i = 0; w->inflight > 0 && i <= w->slot_mask; i++) {
        struct kr_slot *slot = &w->slots[i];
        struct kr_call *call = slot->used ? slot->call : NULL;
        bool started = call != NULL && kr_worker_started(w, slot->id);

        if (call == NULL)
            continue;
        kr_worker_drop(w, slot);
        call->ops->failure(
            call, 503, !started,
            started ? "The server stopped while it ran this request" : "The server is stopping");
    }
    kr_pool_settle(w);
}

void kr_pool_give_up(struct kr_pool *pool)
{
    pool->stopping = true;
    while (pool->head != NULL) {
        struct kr_call *call = pool->head;

        kr_pool_unqueue(pool, call);
        call->ops->failure(call, 503, true, "The server is stopping");
    }
    for (int64_t i = 0; i < pool->slots; i++)
        give_up_running(&pool->workers[i]);
}

static void finish_worker(struct kr_worker *w)
{
    if (w->pid > 0) {
        kr_worker_kill(w, SIGKILL);
        (void)waitpid(w->pid, NULL, 0);
    }
    kr_worker_close(w);
    kr_timer_forget(w->pool->loop, &w->kill_timer);
    kr_timer_forget(w->pool->loop, &w->spawn_timer);
    kr_worker_destroy(w);
}

void kr_pool_finish(struct kr_pool *pool)
{
    for (int64_t i = 0; pool->workers != NULL && i < pool->slots; i++) {
        finish_worker(&pool->workers[i]);
    }
    if (pool->template != NULL)
        finish_worker(pool->template);
    free(pool->template);
    pool->template = NULL;
    free(pool->workers);
    pool->workers = NULL;
}

/* -- memory ------------------------------------------------------------------------------------ */

static uint64_t resident(pid_t pid)
{
    char path[32], text[128];
    kr_auto_fd int fd = -1;
    ssize_t n;
    struct kr_view rest, head;
    uint64_t pages = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    if (n <= 0)
        return 0;
    rest = (struct kr_view){.p = text, .n = (size_t)n};
    (void)kr_view_cut(&rest, ' ', &head);
    (void)kr_view_cut(&rest, ' ', &head);
    (void)kr_view_u64(head, &pages);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void kr_pool_watch_memory(struct kr_pool *pool)
{
    bool busy = false;

    if (pool->template != NULL && pool->template->pid > 0)
        pool->template->rss = resident(pool->template->pid);
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->pid <= 0)
            continue;
        w->rss = resident(w->pid);
        busy = busy || w->inflight > 0 || w->state == KR_W_STARTING;
        if (pool->cfg.memory == 0 || w->rss <= pool->cfg.memory || w->killed_for != NULL)
            continue;
        kr_log(KR_LOG_WARN, "worker", "worker %d (pid %d) uses %llu MiB, more than its limit",
               w->index, (int)w->pid, (unsigned long long)(w->rss >> 20));
        w->killed_for = "memory limit passed";
        pool->count.memory_kills++;
        kr_worker_kill(w, SIGKILL);
        w->state = KR_W_DYING;
    }
    kr_timer_at(pool->loop, &pool->memory_timer,
                pool->loop->now_ms + (busy ? MEMORY_BUSY_MS : MEMORY_IDLE_MS));
}
