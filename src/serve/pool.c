/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/pool.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/redact.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STUCK_US 2000 /* without progress: let another thread lead */
#define TICK_MS  1
#define OUT_HIGH (4u * 1024 * 1024) /* whose socket takes nothing gets no more */

/* -- the queue --------------------------------------------------------------------------------- */

void kr_pool_unqueue(struct kr_pool *pool, struct kr_call *call)
{
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        pool->head = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    else
        pool->tail = call->prev;
    call->prev = call->next = NULL;
    call->where = KR_CALL_IDLE;
    pool->queued--;
}

static void queue_append(struct kr_pool *pool, struct kr_call *call)
{
    call->prev = pool->tail;
    call->next = NULL;
    if (pool->tail != NULL)
        pool->tail->next = call;
    else
        pool->head = call;
    pool->tail = call;
    call->where = KR_CALL_QUEUED;
    call->worker = NULL;
    pool->queued++;
}

void kr_pool_requeue(struct kr_pool *pool, struct kr_call *call)
{
    call->next = pool->head;
    call->prev = NULL;
    if (pool->head != NULL)
        pool->head->prev = call;
    else
        pool->tail = call;
    pool->head = call;
    call->where = KR_CALL_QUEUED;
    call->worker = NULL;
    pool->queued++;
    pool->count.redispatched++;
    kr_timer_at(pool->loop, &pool->deadline, call->deadline_ms);
}

/* -- dispatch ---------------------------------------------------------------------------------- */

static uint32_t window_of(const struct kr_worker *w)
{
    if (w->pool->cfg.isolate && w->answers == 0)
        return 1; /* what stands behind a long one there could have a process of its own */
    if (w->mean_us <= 62)
        return KR_WINDOW_MAX;
    return w->mean_us >= 2000 ? 1 : 2000 / w->mean_us;
}

static bool has_room(struct kr_worker *w, const struct kr_call *call)
{
    uint32_t window = window_of(w);

    /* Where nothing runs beside a request, nothing waits behind one that may last. */
    if (w->pool->cfg.isolate && (call->light || w->light > 0) && w->inflight > 0)
        return false;
    return w->state == KR_W_READY && w->role == KR_ROLE_SERVES && kr_worker_unstarted(w) < window &&
           w->out.n < OUT_HIGH &&
           (call->light ? w->light < KR_LIGHT_MAX
                        : w->inflight - w->light < kr_worker_places(w) + window - 1);
}

static struct kr_worker *pick(struct kr_pool *pool, const struct kr_call *call)
{
    struct kr_worker *best = NULL;

    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (has_room(w, call) && (best == NULL || w->inflight < best->inflight))
            best = w;
    }
    return best;
}

void kr_pool_dispatch(struct kr_pool *pool)
{
    while (pool->head != NULL) {
        struct kr_call *call = pool->head;
        struct kr_worker *w = pick(pool, call);

        if (w == NULL || w->inflight > 0)
            kr_pool_grow(pool);
        if (w == NULL)
            break;
        kr_pool_unqueue(pool, call);
        kr_worker_send_call(w, call);
        if (pool->head == NULL)
            kr_pool_grow(pool);
    }
    kr_timer_at(pool->loop, &pool->tick, pool->loop->now_ms + TICK_MS);
}

static void on_tick(struct kr_timer *timer)
{
    struct kr_pool *pool = (struct kr_pool *)((char *)timer - offsetof(struct kr_pool, tick));
    bool again = false;

    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        if (w->state != KR_W_READY && w->state != KR_W_DRAINING)
            continue;
        if (kr_worker_unstarted(w) == 0)
            continue;
        again = true;
        if (!w->promoted && pool->loop->now_us - w->progress_us >= STUCK_US &&
            kr_worker_holds(w) < kr_worker_places(w))
            kr_worker_promote(w, 'p');
    }
    if (pool->head != NULL && kr_pool_count(pool, KR_W_READY) > 0)
        kr_pool_dispatch(pool);
    else if (again)
        kr_timer_at(pool->loop, &pool->tick, pool->loop->now_ms + TICK_MS);
}

bool kr_pool_submit(struct kr_pool *pool, struct kr_call *call, int *status, const char **detail)
{
    *status = 503;
    if (pool->stopping) {
        *detail = "The server is stopping";
        return false;
    }
    if (kr_pool_count(pool, KR_W_READY) == 0 && (kr_pool_crash_loop(pool) || !pool->was_ready)) {
        *detail = pool->was_ready || kr_pool_crash_loop(pool)
                      ? "The pipeline's workers keep failing, see /health"
                      : "The pipeline is starting";
        pool->count.rejected++;
        return false;
    }
    if (pool->queued >= pool->cfg.queue_size) {
        *detail = "Too many requests are waiting";
        pool->count.rejected++;
        return false;
    }
    queue_append(pool, call);
    kr_timer_at(pool->loop, &pool->deadline, call->deadline_ms);
    kr_timer_at(pool->loop, &pool->memory_timer, pool->loop->now_ms + 50);
    kr_pool_dispatch(pool);
    return true;
}

void kr_pool_abandon(struct kr_pool *pool, struct kr_call *call)
{
    if (call->where == KR_CALL_QUEUED) {
        kr_pool_unqueue(pool, call);
    } else if (call->where == KR_CALL_SENT) {
        struct kr_worker *w = call->worker;
        struct kr_slot *slot = kr_worker_slot(w, call->id);

        if (slot != NULL)
            kr_worker_drop(w, slot);
        call->where = KR_CALL_IDLE;
        call->worker = NULL;
        kr_pool_settle(w);
    }
}

void kr_pool_pause(struct kr_call *call, bool pause)
{
    if (call->where == KR_CALL_SENT)
        kr_worker_send_control(call->worker, pause ? KR_T_PAUSE : KR_T_RESUME, call->id);
}

void kr_pool_body(struct kr_call *call, struct kr_view bytes, bool last)
{
    if (call->where != KR_CALL_SENT)
        return;
    call->parted = true;
    kr_worker_send_part(call->worker, call->id, bytes, last);
}

void kr_pool_leave(struct kr_call *call)
{
    call->left = true;
    if (call->where == KR_CALL_SENT)
        kr_worker_send_flagged(call->worker, KR_T_CANCEL, KR_F_MORE, call->id);
}

void kr_pool_extend(struct kr_pool *pool, struct kr_call *call, int64_t deadline_ms)
{
    struct kr_slot *slot =
        call->where == KR_CALL_SENT ? kr_worker_slot(call->worker, call->id) : NULL;

    call->deadline_ms = deadline_ms;
    if (call->limit_ms < deadline_ms)
        call->limit_ms = deadline_ms;
    if (slot != NULL) {
        slot->deadline_ms = deadline_ms;
        slot->limit_ms = call->limit_ms;
    }
    kr_timer_at(pool->loop, &pool->deadline, deadline_ms);
}

void kr_pool_flush(struct kr_pool *pool)
{
    for (int64_t i = 0; i < pool->slots; i++) {
        if (pool->workers[i].out.n > 0)
            kr_worker_flush(&pool->workers[i]);
    }
}

/* -- frames ------------------------------------------------------------------------------------ */

static int take_in_fd(struct kr_worker *w)
{
    int fd;

    if (w->in_fd_n == 0)
        return -1;
    fd = w->in_fds[0];
    w->in_fd_n--;
    memmove(&w->in_fds[0], &w->in_fds[1], w->in_fd_n * sizeof(int));
    return fd;
}

/* What is announced has to be there: it becomes the length that the client is told. */
static bool holds(int fd, uint64_t size)
{
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && size <= (uint64_t)st.st_size;
}

static bool parse_answer(struct kr_worker *w, const struct kr_frame *f, struct kr_answer *a)
{
    struct kr_view rest = {.p = f->payload + 4, .n = f->size - 4};

    *a = (struct kr_answer){.status = f->status,
                            .run_ok = (f->flags & KR_F_RUN_OK) != 0,
                            .outputs = (f->flags & KR_F_OUTPUTS) != 0,
                            .cut = (f->flags & KR_F_CUT) != 0,
                            .fd = -1};
    if (f->size < 4)
        return false;
    a->run_us = kr_u32_get(f->payload);
    if ((f->flags & KR_F_FD) != 0) {
        a->fd = take_in_fd(w);
        if (rest.n != 8)
            return false;
        a->fd_size = kr_u64_get(rest.p);
        if (!holds(a->fd, a->fd_size))
            return false;
        if ((f->flags & KR_F_HEAD) !=
            0) /* a head inside of a memory file is read by the receiver */
            a->head = (struct kr_view){.p = "", .n = 0};
        return true;
    }
    if ((f->flags & KR_F_HEAD) != 0) {
        if (rest.n < 4 || kr_u32_get(rest.p) > rest.n - 4)
            return false;
        a->head = (struct kr_view){.p = rest.p + 4, .n = kr_u32_get(rest.p)};
        rest = (struct kr_view){.p = rest.p + 4 + a->head.n, .n = rest.n - 4 - a->head.n};
    }
    a->body = rest;
    return true;
}

/* What it could not take has not begun. */
static void refused_by_worker(struct kr_call *call, const struct kr_frame *f)
{
    bool taken = f->status != 503;
    char text[256];

    (void)snprintf(text, sizeof(text), "%.*s", (int)f->size - 4, f->payload + 4);
    call->ops->failure(call, taken ? 502 : 503, !taken && !call->parted, text);
}

static void on_response(struct kr_worker *w, const struct kr_frame *f)
{
    struct kr_slot *slot = kr_worker_slot(w, f->id);
    struct kr_call *call = slot != NULL ? slot->call : NULL;
    struct kr_answer answer;
    bool fine = parse_answer(w, f, &answer);

    if ((f->flags & KR_F_FAILED) != 0 && f->flags != KR_F_FAILED)
        fine = false;
    if (answer.outputs &&
        (answer.fd >= 0 || answer.head.p != NULL || (call != NULL && call->arguments.p == NULL)))
        fine = false; /* only the outputs of what was sent as arguments */
    if (slot == NULL || !fine) {
        if (answer.fd >= 0)
            (void)close(answer.fd);
        answer.fd = -1;
        kr_log(KR_LOG_ERROR, "worker", "worker %d: answer that fits no request", w->index);
        if (slot == NULL) {
            kr_pool_out_of_step(w, "an answer to a request that it does not have");
            return;
        }
    }
    if (call == NULL || call->kind != KR_K_STREAM)
        w->mean_us += (uint32_t)(((int64_t)answer.run_us - (int64_t)w->mean_us) / 8);
    w->failures = 0;
    w->used_ms = w->pool->loop->now_ms;
    kr_worker_free_slot(w, slot);
    if (call != NULL && fine && (f->flags & KR_F_FAILED) != 0)
        refused_by_worker(call, f);
    else if (call != NULL && fine)
        call->ops->answer(call, &answer);
    else if (call != NULL)
        call->ops->failure(call, 502, false, "The worker sent an answer that could not be read");
    else if (answer.fd >= 0)
        (void)close(answer.fd);
    kr_pool_settle(w);
    kr_pool_dispatch(w->pool);
}

/* It has not started the request, and will not: another may. */
static void on_returned(struct kr_worker *w, uint32_t id)
{
    struct kr_slot *slot = kr_worker_slot(w, id);
    struct kr_call *call = slot != NULL ? slot->call : NULL;

    if (slot == NULL || kr_worker_started(w, id)) {
        kr_pool_out_of_step(w, "it gives back a request that it does not have");
        return;
    }
    kr_worker_free_slot(w, slot);
    if (call != NULL && call->parted)
        call->ops->failure(call, 502, true, "The worker was replaced before it ran this request");
    else if (call != NULL)
        kr_pool_requeue(w->pool, call);
    kr_pool_settle(w);
    kr_pool_dispatch(w->pool);
}

static uint32_t threads_of(const struct kr_worker *w, const json_t *ready)
{
    int64_t asked = w->pool->cfg.threads, said = kr_json_int(ready, "threads", asked);

    return (uint32_t)(said > 0 && said < asked ? said : asked);
}

static void on_ready(struct kr_worker *w, const struct kr_frame *f)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *ready = NULL;

    if (w->state != KR_W_STARTING)
        return;
    if (kr_json_parse(f->payload, f->size, "READY", &ready, &err) < 0)
        kr_log(KR_LOG_ERROR, "worker", "worker %d: %s", w->index, err.msg);
    w->state = KR_W_READY;
    w->ready_ms = w->pool->loop->now_ms;
    w->progress_us = w->pool->loop->now_us;
    w->pings = kr_json_bool(ready, "pings", false);
    w->frees = kr_json_bool(ready, "frees", false);
    w->threads = threads_of(w, ready);
    w->last_error[0] = '\0';
    w->pool->was_ready = true;
    kr_log(KR_LOG_INFO, "worker", "worker %d (pid %d) is ready after %lld ms", w->index,
           (int)w->pid, (long long)(w->ready_ms - w->spawned_ms));
    if (w->role != KR_ROLE_SERVES && !(w->role == KR_ROLE_COMES && kr_pool_reload_ready(w)))
        return;
    if (w->pool->on_ready != NULL)
        w->pool->on_ready(w->pool, ready);
    w->edition = w->pool->edition;
    kr_pool_dispatch(w->pool);
}

static void on_fatal(struct kr_worker *w, const struct kr_frame *f)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *fatal = NULL;
    kr_auto_free char *text = NULL;

    if (kr_json_parse(f->payload, f->size, "FATAL", &fatal, &err) < 0)
        return;
    text = kr_asprintf("%s: %s", kr_json_str(fatal, "kind", "start"),
                       kr_json_str(fatal, "message", "start-up failed"));
    kr_redact(text, strlen(text)); /* before it is cut */
    (void)snprintf(w->last_error, sizeof(w->last_error), "%s", text);
}

/* Its further frames go nowhere, the worker ends it some time. */
static void refuse_stream(struct kr_worker *w, struct kr_slot *slot)
{
    struct kr_call *call = slot->call;

    kr_log(KR_LOG_ERROR, "worker", "worker %d: a stream that fits no request", w->index);
    kr_worker_drop(w, slot);
    call->ops->failure(call, 502, false, "The worker sent an answer that could not be read");
}

static void on_chunk(struct kr_worker *w, const struct kr_frame *f)
{
    struct kr_slot *slot = kr_worker_slot(w, f->id);
    struct kr_view rest = {.p = f->payload, .n = f->size};
    int status = f->status != 0 ? f->status : 200;

    if (slot == NULL || slot->call == NULL)
        return;
    if ((f->flags & KR_F_HEAD) != 0) {
        uint32_t n = rest.n >= 4 ? kr_u32_get(rest.p) : 0;

        if (rest.n < 4 || n > rest.n - 4 || slot->call->kind != KR_K_CUSTOM) {
            refuse_stream(w, slot);
            return;
        }
        slot->call->ops->begin(slot->call, (struct kr_view){.p = rest.p + 4, .n = n}, status);
        rest = (struct kr_view){.p = rest.p + 4 + n, .n = rest.n - 4 - n};
        if (rest.n == 0 || slot->call == NULL)
            return;
    }
    slot->call->ops->chunk(slot->call, rest, status);
}

static void on_taken(struct kr_worker *w, const struct kr_frame *f)
{
    struct kr_slot *slot = kr_worker_slot(w, f->id);

    if (f->size == 4 && slot != NULL && slot->call != NULL && slot->call->more)
        slot->call->ops->taken(slot->call, kr_u32_get(f->payload));
}

void kr_pool_frame(struct kr_worker *w, const struct kr_frame *f)
{
    if (w->role == KR_ROLE_TEMPLATE && f->type != KR_T_HELLO && f->type != KR_T_FATAL &&
        f->type != KR_T_PONG)
        kr_template_frame(w, f);
    else if (f->type == KR_T_RESPONSE) {
        on_response(w, f);
    } else if (f->type == KR_T_CHUNK) {
        on_chunk(w, f);
    } else if (f->type == KR_T_TAKEN) {
        on_taken(w, f);
    } else if (f->type == KR_T_RETURNED) {
        on_returned(w, f->id);
    } else if (f->type == KR_T_PONG) {
        w->ping_us = 0;
        w->progress_us = w->pool->loop->now_us;
    } else if (f->type == KR_T_READY) {
        on_ready(w, f);
    } else if (f->type == KR_T_FATAL) {
        on_fatal(w, f);
    } else if (f->type == KR_T_HELLO && f->status != KR_FRAME_VERSION) {
        (void)snprintf(w->last_error, sizeof(w->last_error),
                       "worker speaks protocol %u, this server %d", f->status, KR_FRAME_VERSION);
        kr_worker_kill(w, SIGKILL);
    }
}

/* -- start and questions ----------------------------------------------------------------------- */

static void on_spawn_timer(struct kr_timer *timer)
{
    struct kr_worker *w =
        (struct kr_worker *)((char *)timer - offsetof(struct kr_worker, spawn_timer));
    struct kr_err err = KR_ERR_INIT;

    if (w->state != KR_W_DOWN || w->pool->draining)
        return;
    if (kr_worker_spawn(w, &err) < 0) {
        (void)snprintf(w->last_error, sizeof(w->last_error), "%.500s", err.msg);
        kr_pool_after_end(w, err.msg, false);
    }
}

static void on_memory_timer(struct kr_timer *timer)
{
    kr_pool_watch_memory(
        (struct kr_pool *)((char *)timer - offsetof(struct kr_pool, memory_timer)));
}

int kr_pool_init(struct kr_pool *pool, struct kr_loop *loop, const struct kr_pool_config *cfg,
                 struct kr_err *err)
{
    *pool = (struct kr_pool){.loop = loop, .cfg = *cfg};
    pool->tick.on_time = on_tick;
    kr_pool_watch(pool);
    pool->memory_timer.on_time = on_memory_timer;
    pool->slots = (cfg->reload ? 3 : 2) * (cfg->isolate ? cfg->most : cfg->workers);
    pool->workers = kr_calloc((size_t)pool->slots, sizeof(struct kr_worker));
    for (int64_t i = 0; i < pool->slots; i++) {
        struct kr_worker *w = &pool->workers[i];

        w->pool = pool;
        w->index = (int)i;
        w->role = i < cfg->workers ? KR_ROLE_SERVES : KR_ROLE_SPARE;
        w->sock.fd = w->console.fd = w->wake_fd = -1;
        kr_pool_watch_worker(w);
        w->spawn_timer.on_time = on_spawn_timer;
    }
    kr_template_init(pool);
    kr_timer_at(loop, &pool->watch, loop->now_ms);
    if (kr_template_start(pool, err) < 0)
        return -(int)err->code;
    for (int64_t i = 0; i < cfg->workers; i++) {
        if (kr_worker_spawn(&pool->workers[i], err) < 0)
            return -(int)err->code;
    }
    return 0;
}

unsigned kr_pool_count(const struct kr_pool *pool, enum kr_worker_state state)
{
    unsigned n = 0;

    for (int64_t i = 0; i < pool->slots; i++)
        n += pool->workers[i].state == state;
    return n;
}
