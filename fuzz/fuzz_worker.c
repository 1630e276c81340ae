/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that says anything at any time: requests, frames, console output, the started mark, the
 * end of the process and the passing of time in any order, one of them per byte. Every request that
 * was taken ends once, and no descriptor is left. */
#include "fuzz.h"

#include "base/log.h"
#include "base/redact.h"
#include "serve/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { CALLS = 24, WORKERS = 2, STEPS_MAX = 512 };

struct asked {
    struct kr_call call;
    bool waits;
};

static struct asked asked[CALLS];
/* The worker's ends. */
static struct {
    int sock, console;
} ends[WORKERS];

static void close_ends(size_t i)
{
    if (ends[i].sock >= 0)
        (void)close(ends[i].sock);
    if (ends[i].console >= 0)
        (void)close(ends[i].console);
    ends[i].sock = ends[i].console = -1;
}

int __wrap_kr_worker_exec(struct kr_worker *w, int *sock, int *console, struct kr_err *err);

int __wrap_kr_worker_exec(struct kr_worker *w, int *sock, int *console, struct kr_err *err)
{
    int pair[2], out[2];

    (void)err;
    close_ends((size_t)w->index);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    FUZZ_CHECK(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    w->mark = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(w->mark != MAP_FAILED);
    *sock = pair[0];
    *console = out[0];
    ends[w->index].sock = pair[1];
    ends[w->index].console = out[1];
    return 0;
}

static void end_call(struct kr_call *call)
{
    struct asked *a = (struct asked *)((char *)call - offsetof(struct asked, call));

    FUZZ_CHECK(a->waits && call->where == KR_CALL_IDLE);
    a->waits = false;
}

static void on_answer(struct kr_call *call, const struct kr_answer *answer)
{
    end_call(call);
    if (answer->fd >= 0)
        (void)close(answer->fd);
    FUZZ_CHECK(answer->fd >= 0 || answer->body.n <= KR_FRAME_MAX);
}

static void on_failure(struct kr_call *call, int status, bool retryable, const char *detail)
{
    (void)retryable;
    end_call(call);
    FUZZ_CHECK(status >= 500 && status < 600 && detail != NULL);
}

static void on_chunk(struct kr_call *call, struct kr_view bytes, int status)
{
    FUZZ_CHECK(((struct asked *)((char *)call - offsetof(struct asked, call)))->waits);
    FUZZ_CHECK(status != 0 && bytes.n <= KR_FRAME_MAX);
}

static void submit(struct kr_pool *pool, struct fuzz_input *in)
{
    static const struct kr_call_ops ops = {on_answer, on_chunk, on_failure};
    uint8_t kind = fuzz_byte(in);
    struct asked *a = NULL;
    const char *detail;
    int status;

    for (size_t i = 0; i < CALLS && a == NULL; i++)
        a = asked[i].waits ? NULL : &asked[i];
    if (a == NULL)
        return;
    *a = (struct asked){.waits = true};
    a->call = (struct kr_call){.ops = &ops,
                               .kind = kind % KR_KIND_COUNT,
                               .body = {.p = "{}", .n = 2},
                               .body_fd = -1,
                               .deadline_ms = pool->loop->now_ms + 10 + 4 * (kind / 4)};
    memset(a->call.run_id, '0', KR_RUN_ID_LEN);
    if (!kr_pool_submit(pool, &a->call, &status, &detail)) {
        FUZZ_CHECK(a->waits && status == 503 && detail != NULL);
        a->waits = false;
    }
}

static void say(struct kr_worker *w, const void *bytes, size_t n, int fd)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    char control[CMSG_SPACE(sizeof(int))] = {0};

    if (w->sock.fd < 0 || n == 0)
        return;
    if (fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = control;
        msg.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    if (sendmsg(ends[w->index].sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
        w->sock.on_ready(&w->sock, EPOLLIN);
}

static size_t take(struct fuzz_input *in, const uint8_t **bytes)
{
    size_t n = fuzz_byte(in);

    n = n < in->n ? n : in->n;
    *bytes = in->p;
    in->p += n;
    in->n -= n;
    return n;
}

static void frame(struct kr_worker *w, struct fuzz_input *in)
{
    static const uint8_t types[] = {KR_T_HELLO, KR_T_READY, KR_T_FATAL, KR_T_RESPONSE, KR_T_CHUNK};
    uint8_t type = fuzz_byte(in), flags = fuzz_byte(in), status = fuzz_byte(in);
    uint32_t id = fuzz_byte(in);
    kr_auto_buf struct kr_buf all = KR_BUF_INIT(4096);
    const uint8_t *bytes;
    size_t n = take(in, &bytes);

    kr_frame_put(&all, type < 250 ? types[type % sizeof(types)] : type, flags & 7, status, id,
                 (uint32_t)n);
    kr_buf_add(&all, bytes, n);
    say(w, all.p, all.n, (flags & 9) == 1 ? STDERR_FILENO : -1);
}

static void console(struct kr_worker *w, struct fuzz_input *in)
{
    const uint8_t *bytes;
    size_t n = take(in, &bytes);

    if (w->console.fd < 0 || n == 0)
        return;
    (void)!write(ends[w->index].console, bytes, n);
    w->console.on_ready(&w->console, EPOLLIN);
}

static void pass_time(struct kr_loop *loop, uint8_t ticks)
{
    struct kr_timer *t;

    loop->now_us += ticks * INT64_C(5000);
    loop->now_ms = loop->now_us / 1000;
    for (t = loop->timers; t != NULL;) {
        if (t->at_ms != 0 && t->at_ms <= loop->now_ms) {
            t->at_ms = 0;
            t->on_time(t);
            t = loop->timers;
        } else {
            t = t->next;
        }
    }
}

static void change(struct kr_pool *pool, struct fuzz_input *in)
{
    uint8_t which = fuzz_byte(in);
    struct asked *a = &asked[which % CALLS];

    if (!a->waits)
        return;
    if (which / CALLS % 3 == 0) {
        kr_pool_abandon(pool, &a->call);
        FUZZ_CHECK(a->call.where == KR_CALL_IDLE);
        a->waits = false;
    } else {
        kr_pool_pause(&a->call, which / CALLS % 3 == 1);
    }
}

static void step(struct kr_pool *pool, struct fuzz_input *in)
{
    uint8_t what = fuzz_byte(in);
    struct kr_worker *w = &pool->workers[what / 16 % WORKERS];
    const uint8_t *bytes;
    size_t n;

    switch (what % 9) {
    case 0:
        submit(pool, in);
        break;
    case 1:
    case 2:
        frame(w, in);
        break;
    case 3:
        n = take(in, &bytes);
        say(w, bytes, n, -1);
        break;
    case 4:
        console(w, in);
        break;
    case 5:
        if (w->mark != NULL)
            *w->mark = fuzz_byte(in);
        break;
    case 6:
        pass_time(pool->loop, fuzz_byte(in));
        break;
    case 7:
        change(pool, in);
        break;
    default:
        if (w->state != KR_W_DOWN)
            kr_pool_after_end(w, "ended", false);
        break;
    }
    kr_pool_flush(pool);
}

static int next_fd(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *const argv[] = {NULL};
    struct fuzz_input in = {.p = data, .n = size};
    struct kr_pool_config config = {
        .argv = argv, .workers = WORKERS, .threads = 4, .queue_size = CALLS / 2};
    struct kr_loop loop;
    struct kr_pool pool;
    int fd = next_fd();

    kr_log_setup(-1, KR_LOG_ERROR, false);
    memset(asked, 0, sizeof(asked));
    for (size_t i = 0; i < WORKERS; i++)
        ends[i].sock = ends[i].console = -1;
    FUZZ_CHECK(kr_loop_init(&loop, fuzz_err()) == 0);
    loop.now_us = 10000000;
    loop.now_ms = loop.now_us / 1000;
    FUZZ_CHECK(kr_pool_init(&pool, &loop, &config, fuzz_err()) == 0);
    for (int i = 0; i < STEPS_MAX && in.n != 0; i++)
        step(&pool, &in);
    for (size_t i = 0; i < CALLS; i++) {
        if (asked[i].waits)
            kr_pool_abandon(&pool, &asked[i].call);
    }
    FUZZ_CHECK(pool.queued == 0 && pool.head == NULL);
    kr_pool_finish(&pool);
    kr_loop_finish(&loop);
    for (size_t i = 0; i < WORKERS; i++)
        close_ends(i);
    FUZZ_CHECK(next_fd() == fd);
    return 0;
}
