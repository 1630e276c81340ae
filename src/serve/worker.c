/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/worker.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/redact.h"
#include "serve/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE    (256u * 1024)
#define OUT_MAX      (64u * 1024 * 1024)
#define IN_MAX       (KR_FRAME_MAX + READ_SIZE + 64)
#define LINE_MAX_IN  4096
#define CONSOLE_READ 2048
#define FREED_MAX    64 /* requests that run on in a worker and hold none of its places */

/* -- slots and the mark ------------------------------------------------------------------------ */

struct kr_slot *kr_worker_slot(struct kr_worker *w, uint32_t id)
{
    struct kr_slot *slot = &w->slots[id & w->slot_mask];

    return slot->used && slot->id == id ? slot : NULL;
}

void kr_worker_free_slot(struct kr_worker *w, struct kr_slot *slot)
{
    if (slot->call != NULL) {
        slot->call->where = KR_CALL_IDLE;
        slot->call->worker = NULL;
    }
    w->abandoned -= slot->abandoned;
    slot->used = slot->abandoned = false;
    slot->call = NULL;
    w->inflight--;
    w->light -= slot->light;
}

void kr_worker_drop(struct kr_worker *w, struct kr_slot *slot)
{
    bool started = kr_worker_started(w, slot->id);
    uint32_t places = kr_worker_places(w);

    if (slot->call != NULL) {
        slot->call->where = KR_CALL_IDLE;
        slot->call->worker = NULL;
        kr_worker_send_control(w, KR_T_CANCEL, slot->id);
    }
    slot->call = NULL;
    if (!started || slot->abandoned || slot->light)
        return;
    slot->abandoned = true;
    w->abandoned++;
    if (kr_worker_places(w) == places)
        return;
    kr_worker_flush(w); /* whoever leads next is to read of it before anything else */
    kr_worker_promote(w, 'a');
}

uint32_t kr_worker_holds(const struct kr_worker *w)
{
    uint32_t heavy = w->inflight - w->light;

    return heavy > w->unstarted_n ? heavy - w->unstarted_n : 0;
}

uint32_t kr_worker_places(const struct kr_worker *w)
{
    uint32_t most = w->threads < FREED_MAX ? w->threads : FREED_MAX;

    if (!w->frees || w->threads == 1) /* whoever asked for one at a time gets that */
        return w->threads;
    return w->threads + (w->abandoned < most ? w->abandoned : most);
}

static bool not_after(uint32_t a, uint32_t b)
{
    return (int32_t)(b - a) >= 0;
}

bool kr_worker_started(const struct kr_worker *w, uint32_t id)
{
    uint32_t mark = *w->mark;

    return mark != 0 && not_after(id, mark);
}

static void pop_unstarted(struct kr_worker *w, uint32_t upto)
{
    while (w->unstarted_n > 0 && not_after(w->unstarted[w->unstarted_at % KR_WINDOW_MAX], upto)) {
        w->unstarted_at++;
        w->unstarted_n--;
    }
}

uint32_t kr_worker_unstarted(struct kr_worker *w)
{
    uint32_t mark = *w->mark;

    if (mark != w->seen_mark || w->answers != w->seen_answers) {
        w->seen_mark = mark;
        w->seen_answers = w->answers;
        w->progress_us = w->pool->loop->now_us;
        w->promoted = false;
        pop_unstarted(w, mark);
    }
    return w->unstarted_n;
}

/* -- sending ----------------------------------------------------------------------------------- */

static struct kr_slot *new_slot(struct kr_worker *w)
{
    struct kr_slot *slot;

    do {
        w->last_id++;
        slot = &w->slots[w->last_id & w->slot_mask];
    } while (slot->used || w->last_id == 0);
    slot->used = true;
    slot->abandoned = false;
    slot->id = w->last_id;
    w->inflight++;
    return slot;
}

static bool attach_fd(struct kr_worker *w, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0 || w->out_fd_n == KR_ARRAY_LEN(w->out_fds)) {
        kr_log(KR_LOG_ERROR, "worker", "worker %d: descriptor could not be sent", w->index);
        if (copy >= 0)
            (void)close(copy);
        return false;
    }
    w->out_fds[w->out_fd_n].at = w->out.n;
    w->out_fds[w->out_fd_n++].fd = copy;
    return true;
}

static bool put_request(struct kr_worker *w, struct kr_call *call)
{
    struct kr_slot *slot;
    int64_t left = call->deadline_ms - w->pool->loop->now_ms;
    bool by_fd = call->body_fd >= 0;
    bool arguments = call->arguments.p != NULL && call->edition == w->edition;
    struct kr_view bytes = arguments ? call->arguments : call->body;
    size_t body = by_fd ? 8 : bytes.n + (call->head.p != NULL ? call->head.n + 4 : 0);
    char lead[KR_FRAME_REQUEST_LEAD], size[8];

    if (by_fd && !attach_fd(w, call->body_fd)) { /* a frame without it would shift all others */
        call->ops->failure(call, 503, true, "The server has no descriptor left for this request");
        return false;
    }
    slot = new_slot(w);
    slot->call = call;
    slot->light = call->light;
    w->light += slot->light;
    slot->deadline_ms = call->deadline_ms;
    slot->limit_ms = call->limit_ms;
    call->id = slot->id;
    call->worker = w;
    call->where = KR_CALL_SENT;
    if (w->unstarted_n == 0)
        w->progress_us = w->pool->loop->now_us;
    w->unstarted[(w->unstarted_at + w->unstarted_n++) % KR_WINDOW_MAX] = slot->id;
    kr_frame_put(&w->out, KR_T_REQUEST,
                 (uint8_t)((by_fd ? KR_F_FD : 0) | (call->more ? KR_F_MORE : 0)),
                 arguments ? KR_K_ARGUMENTS : (uint16_t)call->kind, slot->id,
                 (uint32_t)(sizeof(lead) + body));
    kr_u32_put(lead, left < 1 ? 1 : left > INT32_MAX ? INT32_MAX : (uint32_t)left);
    memcpy(lead + 4, call->run_id, KR_RUN_ID_LEN);
    kr_buf_add(&w->out, lead, sizeof(lead));
    if (by_fd) {
        kr_u64_put(size, call->body_size);
        kr_buf_add(&w->out, size, 8);
        return true;
    }
    if (call->head.p != NULL) {
        kr_u32_put(size, (uint32_t)call->head.n);
        kr_buf_add(&w->out, size, 4);
        kr_buf_add(&w->out, call->head.p, call->head.n);
    }
    kr_buf_add(&w->out, bytes.p, bytes.n);
    return true;
}

void kr_worker_send_call(struct kr_worker *w, struct kr_call *call)
{
    if (!put_request(w, call))
        return;
    if (call->left)
        kr_worker_send_flagged(w, KR_T_CANCEL, KR_F_MORE, call->id);
    if (call->more)
        call->ops->sent(call);
}

void kr_worker_send_control(struct kr_worker *w, uint8_t type, uint32_t id)
{
    kr_worker_send_flagged(w, type, 0, id);
}

void kr_worker_send_flagged(struct kr_worker *w, uint8_t type, uint8_t flags, uint32_t id)
{
    kr_frame_put(&w->out, type, flags, 0, id, 0);
}

void kr_worker_send_part(struct kr_worker *w, uint32_t id, struct kr_view bytes, bool last)
{
    kr_frame_put(&w->out, KR_T_BODY, last ? 0 : KR_F_MORE, 0, id, (uint32_t)bytes.n);
    kr_buf_add(&w->out, bytes.p, bytes.n);
}

/* One send up to the next descriptor, or of one byte with it. Returns what sendmsg returns. */
static ssize_t send_part(struct kr_worker *w, size_t at)
{
    size_t end = w->out.n;
    struct iovec iov = {.iov_base = w->out.p + at};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    char control[KR_FDPASS_ONE] = {0};

    if (w->out_fd_n > 0 && w->out_fds[0].at == at) {
        kr_fdpass_attach(&msg, control, w->out_fds[0].fd);
        end = w->out_fd_n > 1 ? w->out_fds[1].at : end;
    } else if (w->out_fd_n > 0) {
        end = w->out_fds[0].at;
    }
    iov.iov_len = end - at;
    return sendmsg(w->sock.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void forget_first_fd(struct kr_worker *w)
{
    (void)close(w->out_fds[0].fd);
    w->out_fd_n--;
    memmove(&w->out_fds[0], &w->out_fds[1], w->out_fd_n * sizeof(w->out_fds[0]));
}

void kr_worker_flush(struct kr_worker *w)
{
    bool refused = false;
    size_t at = 0;

    if (w->out.failed) { /* part of a frame is missing: what follows would be read wrongly */
        kr_pool_out_of_step(w, "more waits for it than it may");
        return;
    }
    while (w->sock.fd >= 0 && at < w->out.n) {
        ssize_t n = send_part(w, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) { /* full: EPOLLOUT comes; broken: the reader sees the end */
            refused = errno == ETOOMANYREFS || errno == ENOMEM || errno == ENOBUFS;
            break;
        }
        if (w->out_fd_n > 0 && w->out_fds[0].at == at && n > 0)
            forget_first_fd(w);
        at += (size_t)n;
    }
    if (at == w->out.n) {
        kr_buf_reset(&w->out);
        w->blocked_us = 0;
    } else {
        if (at > 0 || w->blocked_us == 0)
            w->blocked_us = w->pool->loop->now_us;
        kr_buf_drop(&w->out, at);
        for (size_t i = 0; i < w->out_fd_n; i++)
            w->out_fds[i].at -= at;
    }
    /* What the system does not take now is tried again with the next round: EPOLLOUT would come at
     * once, for ever. */
    kr_watch_set(w->pool->loop, &w->sock, w->out.n > 0 && !refused ? EPOLLIN | EPOLLOUT : EPOLLIN);
    if (refused)
        kr_timer_at(w->pool->loop, &w->pool->tick, w->pool->loop->now_ms + 1);
}

void kr_worker_promote(struct kr_worker *w, char why)
{
    w->promoted = true;
    if (w->wake_fd >= 0)
        (void)!write(w->wake_fd, &why, 1);
}

void kr_worker_kill(struct kr_worker *w, int signal_number)
{
    if (w->pid <= 0)
        return;
    if (signal_number == SIGKILL)
        (void)kill(-w->pid, SIGKILL); /* and what it started */
    (void)kill(w->pid, signal_number);
}

/* -- receiving --------------------------------------------------------------------------------- */

/* Returns bytes read, 0 when there are none now, -1 at the end. */
static ssize_t receive(struct kr_worker *w)
{
    ssize_t n = kr_fdpass_read(w->sock.fd, MSG_DONTWAIT, &w->in, READ_SIZE, w->in_fds, &w->in_fd_n);

    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    return n == 0 ? -1 : n;
}

static bool handle_frames(struct kr_worker *w)
{
    size_t at = 0, need;

    for (;;) {
        struct kr_frame frame;
        long n = kr_frame_take(w->in.p + at, w->in.n - at, &frame, &need);

        if (n < 0)
            return false;
        if (n == 0)
            break;
        if (frame.type == KR_T_RESPONSE) {
            w->answers++;
            pop_unstarted(w, frame.id);
        }
        kr_pool_frame(w, &frame);
        if (w->sock.fd < 0) { /* out of step: what follows means nothing */
            kr_buf_reset(&w->in);
            return true;
        }
        at += (size_t)n;
    }
    if (at == w->in.n)
        kr_buf_reset(&w->in);
    else
        kr_buf_drop(&w->in, at);
    return true;
}

static void on_socket(struct kr_watch *watch, uint32_t events)
{
    struct kr_worker *w = (struct kr_worker *)watch;
    ssize_t n;

    if ((events & EPOLLOUT) != 0)
        kr_worker_flush(w);
    n = receive(w);
    if (n > 0 && w->pool->head != NULL) { /* it goes on with what waits while its answers go out */
        kr_pool_dispatch(w->pool);
        kr_worker_flush(w);
    }
    if (n > 0 && !handle_frames(w)) {
        kr_pool_out_of_step(w, "an invalid frame");
        return;
    }
    if (n < 0)
        kr_pool_lost(w);
}

/* -- console ----------------------------------------------------------------------------------- */

static void console_line(struct kr_worker *w, const char *text, size_t n)
{
    char *to = w->tail[w->tail_at];

    if (n == 0)
        return;
    (void)snprintf(to, KR_TAIL_LINE_MAX, "%.*s", (int)n, text);
    w->tail_at = (w->tail_at + 1) % KR_TAIL_LINES;
    if (w->tail_n < KR_TAIL_LINES)
        w->tail_n++;
    kr_log(KR_LOG_INFO, "worker", "[%d] %.*s", w->index, (int)n, text);
}

static void console_text(struct kr_worker *w, const struct kr_buf *said)
{
    struct kr_view rest = {.p = kr_buf_str(said), .n = said->n}, head;

    while (kr_view_cut(&rest, '\n', &head)) {
        kr_buf_add(&w->line, head.p, head.n);
        console_line(w, kr_buf_str(&w->line), w->line.n);
        kr_buf_reset(&w->line);
    }
    kr_buf_add(&w->line, head.p, head.n);
    if (w->line.failed || w->line.n > LINE_MAX_IN / 2) {
        console_line(w, kr_buf_str(&w->line), w->line.n);
        kr_buf_reset(&w->line);
    }
}

/* Secrets go before the text is cut into lines: they may be longer than one. */
static void console_bytes(struct kr_worker *w, const char *bytes, size_t n)
{
    kr_auto_buf struct kr_buf said = KR_BUF_INIT(CONSOLE_READ + KR_REDACT_BLOCK);

    kr_redactor_feed(&w->redactor, bytes, n, &said);
    console_text(w, &said);
}

static void console_end(struct kr_worker *w)
{
    kr_auto_buf struct kr_buf said = KR_BUF_INIT(KR_REDACT_BLOCK);

    kr_redactor_end(&w->redactor, &said);
    console_text(w, &said);
    if (w->line.n > 0)
        console_line(w, kr_buf_str(&w->line), w->line.n);
    kr_buf_reset(&w->line);
}

static void on_console(struct kr_watch *watch, uint32_t events)
{
    struct kr_worker *w = (struct kr_worker *)((char *)watch - offsetof(struct kr_worker, console));
    char bytes[CONSOLE_READ];
    ssize_t n;

    (void)events;
    n = read(watch->fd, bytes, sizeof(bytes));
    if (n > 0)
        console_bytes(w, bytes, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        kr_watch_close(w->pool->loop, watch);
}

/* -- life -------------------------------------------------------------------------------------- */

static void reset(struct kr_worker *w)
{
    w->last_id = w->inflight = w->light = w->unstarted_at = w->unstarted_n = w->seen_mark = 0;
    w->answers = w->seen_answers = 0;
    w->progress_us = w->ping_us = w->blocked_us = 0;
    w->abandoned = 0;
    w->pings = w->frees = w->forking = false;
    w->mean_us = w->edition = 0;
    w->promoted = false;
    w->killed_for = NULL;
    w->rss = 0;
    w->ready_ms = 0;
    w->tail_at = w->tail_n = 0;
    memset(w->slots, 0, (w->slot_mask + 1) * sizeof(struct kr_slot));
    if (w->mark != NULL)
        (void)munmap((void *)(uintptr_t)w->mark, 4096);
    w->mark = NULL;
}

int kr_worker_spawn(struct kr_worker *w, struct kr_err *err)
{
    uint32_t slots = 64;
    int sock, console;

    while (slots < 2 * (uint32_t)w->pool->cfg.threads + 2 * KR_WINDOW_MAX + KR_LIGHT_MAX)
        slots *= 2;
    if (w->slots == NULL) {
        w->slots = kr_calloc(slots, sizeof(struct kr_slot));
        w->slot_mask = slots - 1;
        kr_buf_init(&w->out, OUT_MAX);
        kr_buf_init(&w->in, IN_MAX);
        kr_buf_init(&w->line, LINE_MAX_IN);
        kr_redactor_init(&w->redactor);
    }
    if (kr_template_waits(w)) /* it starts as soon as it can be forked */
        return 0;
    reset(w);
    if ((kr_template_forks(w) ? kr_worker_fork(w, &sock, &console, err)
                              : kr_worker_exec(w, &sock, &console, err)) < 0)
        return -(int)err->code;
    w->spawned_ms = w->used_ms = w->pool->loop->now_ms;
    w->state = KR_W_STARTING;
    w->sock = (struct kr_watch){.fd = sock, .on_ready = on_socket};
    w->console = (struct kr_watch){.fd = console, .on_ready = on_console};
    if (kr_watch_add(w->pool->loop, &w->sock, EPOLLIN, err) < 0 ||
        kr_watch_add(w->pool->loop, &w->console, EPOLLIN, err) < 0)
        return -(int)err->code;
    return 0;
}

void kr_worker_close(struct kr_worker *w)
{
    char bytes[CONSOLE_READ];
    ssize_t n;

    while (w->sock.fd >= 0 && receive(w) > 0)
        (void)handle_frames(w);
    while (w->console.fd >= 0 && (n = read(w->console.fd, bytes, sizeof(bytes))) > 0)
        console_bytes(w, bytes, (size_t)n);
    kr_watch_close(w->pool->loop, &w->sock);
    kr_watch_close(w->pool->loop, &w->console);
    if (w->wake_fd >= 0)
        (void)close(w->wake_fd);
    w->wake_fd = -1;
    while (w->out_fd_n > 0)
        forget_first_fd(w);
    for (size_t i = 0; i < w->in_fd_n; i++)
        (void)close(w->in_fds[i]);
    w->in_fd_n = 0;
    kr_buf_reset(&w->out);
    kr_buf_reset(&w->in);
    console_end(w);
}

void kr_worker_destroy(struct kr_worker *w)
{
    if (w->mark != NULL)
        (void)munmap((void *)(uintptr_t)w->mark, 4096);
    w->mark = NULL;
    kr_buf_finish(&w->out);
    kr_buf_finish(&w->in);
    kr_buf_finish(&w->line);
    kr_redactor_finish(&w->redactor);
    free(w->slots);
    w->slots = NULL;
}
