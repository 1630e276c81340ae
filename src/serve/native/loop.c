/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of the protocol in C (docs/worker-protocol.md). One thread leads: it reads
 * frames and runs requests. While it runs one it offers the leadership; a thread that was woken by
 * the front takes it. */
#include "serve/native/native.h"

#include "base/alloc.h"
#include "serve/fdpass.h"
#include "serve/frame.h"
#include "http/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE   (256u * 1024)
#define PENDING_MAX 64
#define HOLD_US     200
#define STREAMS_MAX 64
#define OUT_MAX     (64u << 20)
#define EVENT_MAX   ((1u << 30) + 4096) /* an answer, and what stands around it */

#define NOT_SENT  "The worker has no descriptor or no memory left to send this answer"
#define NOT_TAKEN "The worker has no descriptor or no memory left to take this request"
#define TOO_LARGE "The answer is larger than 1 GiB"

enum { STREAM_GOES, STREAM_PAUSED, STREAM_CANCELLED };

struct pending {
    uint32_t id;
    uint16_t kind;
    enum { RUN, DROPPED, RECALLED, LOST } how; /* LOST: its body */
    char run_id[KR_RUN_ID_LEN + 1];
    char *body; /* owned; mapped when fd bodies */
    size_t n;
    bool mapped;
};

struct loop {
    struct kr_native *native;
    struct kr_native_options opt;
    volatile uint32_t *mark;
    struct kr_buf in; /* the leader's */
    struct pending pending[PENDING_MAX];
    unsigned at, n;
    int fds[KR_FDS_MAX];
    size_t fd_n;
    atomic_uint streams[STREAMS_MAX]; /* ids of running streams, 0: free */
    atomic_int stream_state[STREAMS_MAX];
    bool draining, ended;
    atomic_int offer; /* 1: the leader runs a request and may be replaced */
    atomic_int away;  /* threads that run a request and do not lead any more */
    atomic_bool done;
    pthread_mutex_t out_lock;
    struct kr_buf out;
    int64_t out_since;
    pthread_t *threads;
};

/* -- children ---------------------------------------------------------------------------------- */

static int shared_fds[3] = {-1, -1, -1};
static pid_t worker_pid;

/* What is the worker's alone is closed in a child that a step forks, and in programs that steps
 * start. */
static void in_child(void)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(shared_fds); i++)
        (void)close(shared_fds[i]);
}

void kr_native_is_worker(const struct kr_native_options *options)
{
    shared_fds[0] = options->fd;
    shared_fds[1] = options->wake_r;
    shared_fds[2] = options->wake_w;
    for (size_t i = 0; i < KR_ARRAY_LEN(shared_fds); i++)
        (void)fcntl(shared_fds[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(options->mark, F_SETFD, FD_CLOEXEC);
    worker_pid = getpid();
    (void)pthread_atfork(NULL, NULL, in_child);
}

bool kr_native_in_child(void)
{
    return worker_pid != 0 && getpid() != worker_pid;
}

void kr_native_end_child(void)
{
    if (!kr_native_in_child())
        return;
    (void)fflush(NULL);
    _exit(0);
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* the front has gone: the next read says so */
        p += done;
        n -= (size_t)done;
    }
}

void kr_native_send(int fd, uint8_t type, uint8_t flags, uint16_t status, uint32_t id,
                    const char *payload, size_t n)
{
    kr_auto_buf struct kr_buf frame = KR_BUF_INIT(KR_FRAME_MAX + 64);

    kr_frame_put(&frame, type, flags, status, id, (uint32_t)n);
    kr_buf_add(&frame, payload, n);
    write_all(fd, frame.p, frame.n);
}

/* -- answers ----------------------------------------------------------------------------------- */

static void flush(struct loop *l)
{
    (void)pthread_mutex_lock(&l->out_lock);
    if (l->out.n > 0)
        write_all(l->opt.fd, l->out.p, l->out.n);
    kr_buf_reset(&l->out);
    (void)pthread_mutex_unlock(&l->out_lock);
}

/* False: nothing was sent, because there is no descriptor or no memory for it. */
static bool send_by_fd(struct loop *l, uint32_t id, int status, uint8_t flags, uint32_t us,
                       const struct kr_buf *body)
{
    kr_auto_fd int fd = memfd_create("kourou-body", MFD_CLOEXEC);
    char bytes[KR_FRAME_HEADER + 12], control[KR_FDPASS_ONE] = {0};
    kr_auto_buf struct kr_buf frame = KR_BUF_INIT(64);
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    for (size_t at = 0; at < body->n;) {
        ssize_t n = write(fd, body->p + at, body->n - at);

        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    kr_frame_put(&frame, KR_T_RESPONSE, (uint8_t)(flags | KR_F_FD), (uint16_t)status, id, 12);
    memcpy(bytes, frame.p, KR_FRAME_HEADER);
    kr_u32_put(bytes + KR_FRAME_HEADER, us);
    kr_u64_put(bytes + KR_FRAME_HEADER + 4, body->n);
    kr_fdpass_attach(&msg, control, fd);
    (void)pthread_mutex_lock(&l->out_lock);
    if (l->out.n > 0)
        write_all(l->opt.fd, l->out.p, l->out.n);
    kr_buf_reset(&l->out);
    do
        sent = sendmsg(l->opt.fd, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent > 0 && (size_t)sent < sizeof(bytes))
        write_all(l->opt.fd, bytes + sent, sizeof(bytes) - (size_t)sent);
    (void)pthread_mutex_unlock(&l->out_lock);
    return sent >= 0 || errno == EPIPE || errno == ECONNRESET; /* the front has gone */
}

static void put_answer(struct loop *l, uint32_t id, int status, uint8_t flags, uint32_t us,
                       struct kr_view body)
{
    char lead[4];

    kr_u32_put(lead, us);
    (void)pthread_mutex_lock(&l->out_lock);
    if (l->out.n + body.n > OUT_MAX - KR_FRAME_HEADER - sizeof(lead)) { /* not taken yet */
        write_all(l->opt.fd, l->out.p, l->out.n);
        kr_buf_reset(&l->out);
    }
    if (l->out.n == 0)
        l->out_since = kr_mono_us();
    kr_frame_put(&l->out, KR_T_RESPONSE, flags, (uint16_t)status, id,
                 (uint32_t)(body.n + sizeof(lead)));
    kr_buf_add(&l->out, lead, sizeof(lead));
    kr_buf_add(&l->out, body.p, body.n);
    (void)pthread_mutex_unlock(&l->out_lock);
}

static void answer(struct loop *l, uint32_t id, int status, bool ok, int64_t took_us,
                   const struct kr_buf *body)
{
    uint32_t us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    uint8_t flags = ok ? KR_F_RUN_OK : 0;

    if (body->failed) /* what there is of it is no JSON */
        put_answer(l, id, 502, KR_F_FAILED, us, kr_view_of(TOO_LARGE));
    else if (body->n > KR_FRAME_FD_THRESHOLD && send_by_fd(l, id, status, flags, us, body))
        return;
    else if (body->n > KR_FRAME_MAX - 4)
        put_answer(l, id, 502, KR_F_FAILED, us, kr_view_of(NOT_SENT));
    else
        put_answer(l, id, status, flags, us, (struct kr_view){.p = body->p, .n = body->n});
}

/* -- streams ----------------------------------------------------------------------------------- */

struct stream {
    struct loop *l;
    uint32_t id;
    int slot; /* in l->streams, -1: none was free */
};

/* The leader hears of PAUSE, RESUME and CANCEL while another thread runs the stream. */
static bool tell_stream(struct loop *l, uint32_t id, int state)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        if (atomic_load(&l->streams[i]) == id) {
            atomic_store(&l->stream_state[i], state);
            return true;
        }
    }
    return false;
}

static int enter_stream(struct loop *l, uint32_t id)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        unsigned none = 0;

        if (atomic_compare_exchange_strong(&l->streams[i], &none, id)) {
            atomic_store(&l->stream_state[i], STREAM_GOES);
            return i;
        }
    }
    return -1;
}

/* Waits while the reader is slow. False: it has gone. */
static bool may_send(const struct stream *s)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int state = s->slot < 0 ? STREAM_GOES : atomic_load(&s->l->stream_state[s->slot]);

    while (state == STREAM_PAUSED && !s->l->ended) {
        (void)nanosleep(&pause, NULL);
        state = atomic_load(&s->l->stream_state[s->slot]);
    }
    return state != STREAM_CANCELLED && !s->l->ended;
}

static bool send_event(void *data, const char *event, const char *json, size_t n)
{
    struct stream *s = data;
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(EVENT_MAX);

    kr_buf_addf(&text, "event: %s\ndata: ", event);
    kr_buf_add(&text, json, n);
    kr_buf_add(&text, "\n\n", 2);
    if (text.failed || kr_native_in_child() || !may_send(s))
        return false;
    for (size_t at = 0, some; at < text.n; at += some) {
        some = text.n - at < KR_FRAME_MAX ? text.n - at : KR_FRAME_MAX;
        (void)pthread_mutex_lock(&s->l->out_lock);
        kr_native_send(s->l->opt.fd, KR_T_CHUNK, 0, 200, s->id, text.p + at, some);
        (void)pthread_mutex_unlock(&s->l->out_lock);
    }
    return !s->l->ended;
}

static int stream(struct loop *l, struct kr_work *work, const struct pending *p, bool *ok)
{
    struct stream s = {.l = l, .id = p->id, .slot = enter_stream(l, p->id)};
    char started[64 + KR_RUN_ID_LEN];
    int n = snprintf(started, sizeof(started), "{\"run_id\":\"%s\"}", p->run_id), status;

    work->emit = send_event;
    work->emit_data = &s;
    (void)send_event(&s, "run_started", started, (size_t)n);
    status = kr_native_invoke(work, (struct kr_view){.p = p->body, .n = p->n}, p->run_id, ok);
    work->emit = NULL;
    if (!work->answer.failed)
        (void)send_event(&s, "run_finished", work->answer.p, work->answer.n);
    if (s.slot >= 0)
        atomic_store(&l->streams[s.slot], 0);
    if (!work->answer.failed)
        kr_buf_reset(&work->answer);
    return status == 422 ? 422 : 200;
}

/* -- requests ---------------------------------------------------------------------------------- */

static void free_pending(struct pending *p)
{
    if (p->mapped && p->body != NULL)
        (void)munmap(p->body, p->n);
    else
        free(p->body);
    p->body = NULL;
}

/* It is answered in its turn, but not run. */
static void mark_pending(struct loop *l, uint32_t id, bool recalled)
{
    for (unsigned i = 0; i < l->n; i++) {
        struct pending *p = &l->pending[(l->at + i) % PENDING_MAX];

        if (p->id == id && p->how != LOST)
            p->how = recalled ? RECALLED : DROPPED;
    }
}

static void skip(struct loop *l, struct kr_work *work, struct pending *p)
{
    if (p->how == LOST) {
        put_answer(l, p->id, 503, KR_F_FAILED, 0, kr_view_of(NOT_TAKEN));
    } else if (p->how == RECALLED) {
        (void)pthread_mutex_lock(&l->out_lock);
        kr_native_send(l->opt.fd, KR_T_RETURNED, 0, 0, p->id, "", 0);
        (void)pthread_mutex_unlock(&l->out_lock);
    } else {
        kr_buf_reset(&work->answer);
        answer(l, p->id, 499, false, 0, &work->answer);
    }
    free_pending(p);
}

static void run_one(struct loop *l, struct kr_work *work, struct pending *p)
{
    struct kr_view body = {.p = p->body, .n = p->n};
    int64_t began = kr_mono_us();
    bool ok = false;
    int status;

    if (p->kind == KR_K_INVOKE) {
        status = kr_native_invoke(work, body, p->run_id, &ok);
    } else if (p->kind == KR_K_BATCH) {
        status = kr_native_batch(work, body, p->run_id, &ok);
    } else if (p->kind == KR_K_STREAM) {
        status = stream(l, work, p, &ok);
    } else {
        kr_buf_reset(&work->answer);
        kr_buf_adds(&work->answer, "{\"detail\":\"native pipelines have no custom endpoints\"}");
        status = 501;
    }
    answer(l, p->id, status, ok, kr_mono_us() - began, &work->answer);
    free_pending(p);
}

static bool take_body(struct loop *l, const struct kr_frame *f, struct pending *p)
{
    struct kr_view body = {.p = f->payload + KR_FRAME_REQUEST_LEAD,
                           .n = f->size - KR_FRAME_REQUEST_LEAD};

    p->mapped = (f->flags & KR_F_FD) != 0;
    if (!p->mapped) {
        p->n = body.n;
        p->body = kr_malloc(body.n + 1);
        memcpy(p->body, body.p, body.n);
        return true;
    }
    if (l->fd_n == 0 || body.n != 8)
        return false;
    p->n = (size_t)kr_u64_get(body.p);
    p->body = mmap(NULL, p->n, PROT_READ, MAP_PRIVATE, l->fds[0], 0);
    if (l->fds[0] >= 0)
        (void)close(l->fds[0]);
    l->fd_n--;
    memmove(l->fds, l->fds + 1, l->fd_n * sizeof(int));
    if (p->body == MAP_FAILED) {
        p->body = NULL;
        p->how = LOST;
    }
    return true;
}

static bool handle(struct loop *l, const struct kr_frame *f)
{
    struct pending *p;

    if (f->type == KR_T_DRAIN)
        l->draining = true;
    if (f->type == KR_T_PAUSE || f->type == KR_T_RESUME)
        (void)tell_stream(l, f->id, f->type == KR_T_PAUSE ? STREAM_PAUSED : STREAM_GOES);
    else if (f->type == KR_T_CANCEL && tell_stream(l, f->id, STREAM_CANCELLED))
        return true;
    else if (f->type == KR_T_CANCEL || f->type == KR_T_RECALL)
        mark_pending(l, f->id, f->type == KR_T_RECALL);
    if (f->type == KR_T_PING) {
        (void)pthread_mutex_lock(&l->out_lock);
        kr_native_send(l->opt.fd, KR_T_PONG, 0, 0, f->id, "", 0);
        (void)pthread_mutex_unlock(&l->out_lock);
    }
    if (f->type != KR_T_REQUEST)
        return true;
    if (f->size < KR_FRAME_REQUEST_LEAD || l->n == PENDING_MAX)
        return false;
    p = &l->pending[(l->at + l->n) % PENDING_MAX];
    p->id = f->id;
    p->kind = f->status;
    p->how = RUN;
    memcpy(p->run_id, f->payload + 4, KR_RUN_ID_LEN);
    p->run_id[KR_RUN_ID_LEN] = '\0';
    if (!take_body(l, f, p))
        return false;
    l->n++;
    return true;
}

static bool parse(struct loop *l)
{
    size_t at = 0, need;
    struct kr_frame f;
    long n;

    while ((n = kr_frame_take(l->in.p + at, l->in.n - at, &f, &need)) > 0) {
        if (!handle(l, &f))
            return false;
        at += (size_t)n;
    }
    kr_buf_drop(&l->in, at);
    return n == 0;
}

/* Waits for bytes. False: the front has gone or sends nonsense. */
static bool read_frames(struct loop *l)
{
    return kr_fdpass_read(l->opt.fd, 0, &l->in, READ_SIZE, l->fds, &l->fd_n) > 0 && parse(l);
}

/* -- leadership -------------------------------------------------------------------------------- */

/* Leads until drained (true) or replaced (false). */
static bool lead(struct loop *l, struct kr_work *work)
{
    for (;;) {
        struct pending p;

        if (l->n == 0) {
            flush(l);
            if (l->draining)
                return true;
            if (!read_frames(l))
                l->draining = l->ended = true;
            continue;
        }
        p = l->pending[l->at % PENDING_MAX];
        l->at++;
        l->n--;
        if (p.how != RUN) {
            skip(l, work, &p);
            continue;
        }
        *l->mark = p.id;
        if (l->out.n > 0 && kr_mono_us() - l->out_since > HOLD_US)
            flush(l);
        atomic_store(&l->offer, 1);
        if (p.kind == KR_K_STREAM && l->opt.threads > 1) /* it takes long: another thread leads */
            (void)!write(l->opt.wake_w, "s", 1);
        run_one(l, work, &p);
        if (atomic_exchange(&l->offer, 0) == 0) { /* somebody else leads by now */
            flush(l);
            atomic_fetch_sub(&l->away, 1);
            return false;
        }
    }
}

static void finish(struct loop *l)
{
    while (atomic_load(&l->away) > 0) {
        struct timespec pause = {.tv_nsec = 1000000};

        (void)nanosleep(&pause, NULL);
    }
    atomic_store(&l->done, true);
    for (int i = 0; i < l->opt.threads; i++)
        (void)!write(l->opt.wake_w, "q", 1);
}

static void *stand_by(void *data)
{
    struct loop *l = data;
    struct kr_work *work = kr_calloc(1, sizeof(*work));
    int expected;
    char byte;

    kr_work_init(work, l->native);
    while (read(l->opt.wake_r, &byte, 1) == 1 && !atomic_load(&l->done)) {
        expected = 1;
        if (!atomic_compare_exchange_strong(&l->offer, &expected, 0))
            continue;
        atomic_fetch_add(&l->away, 1);
        if (lead(l, work)) {
            finish(l);
            break;
        }
    }
    kr_work_finish(work);
    free(work);
    return NULL;
}

static void run_threads(struct loop *l, struct kr_work *work)
{
    int more = l->opt.threads - 1, started = 0;

    l->threads = kr_calloc((size_t)(more > 0 ? more : 1), sizeof(pthread_t));
    while (started < more && pthread_create(&l->threads[started], NULL, stand_by, l) == 0)
        started++;
    if (lead(l, work)) {
        finish(l);
    } else {
        kr_work_finish(work);
        (void)stand_by(l);
        kr_work_init(work, l->native);
    }
    for (int i = 0; i < started; i++)
        (void)pthread_join(l->threads[i], NULL);
    free(l->threads);
}

int kr_native_loop(struct kr_native *native, const struct kr_native_options *options)
{
    struct loop *l = kr_calloc(1, sizeof(*l));
    struct kr_work *work = kr_calloc(1, sizeof(*work));
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, options->mark, 0);

    if (page == MAP_FAILED)
        abort();
    l->native = native;
    l->opt = *options;
    l->mark = page;
    kr_buf_init(&l->in, KR_FRAME_MAX + 2 * READ_SIZE);
    kr_buf_init(&l->out, OUT_MAX);
    (void)pthread_mutex_init(&l->out_lock, NULL);
    kr_work_init(work, native);
    run_threads(l, work);
    kr_work_finish(work);
    (void)pthread_mutex_destroy(&l->out_lock);
    kr_buf_finish(&l->in);
    kr_buf_finish(&l->out);
    (void)munmap(page, 4096);
    free(work);
    free(l);
    return 0;
}
