/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that says anything at any time: requests, frames, console output, the started mark, the
 * end of the process and the passing of time in any order, one of them per byte. Every request that
 * was taken ends once, and no descriptor is left. */
#include "fuzz_worker.h"

#include "base/log.h"
#include "base/redact.h"

#include <sys/epoll.h>

enum { CALLS = 24, STEPS_MAX = 512 };

struct asked {
    struct kr_call call;
    bool waits;
};

static struct asked asked[CALLS];

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
    FUZZ_CHECK(!answer->outputs ||
               (call->arguments.p != NULL && answer->fd < 0 && answer->head.p == NULL));
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

static void on_begin(struct kr_call *call, struct kr_view head, int status)
{
    FUZZ_CHECK(((struct asked *)((char *)call - offsetof(struct asked, call)))->waits);
    FUZZ_CHECK(call->kind == KR_K_CUSTOM && head.n <= KR_FRAME_MAX && status != 0);
}

static void on_sent(struct kr_call *call)
{
    FUZZ_CHECK(call->more && !call->parted && call->where == KR_CALL_SENT);
}

static void on_taken(struct kr_call *call, uint32_t bytes)
{
    (void)bytes;
    FUZZ_CHECK(call->more && call->where == KR_CALL_SENT);
}

static void submit(struct kr_pool *pool, struct fuzz_input *in)
{
    static const struct kr_call_ops ops = {.answer = on_answer,
                                           .chunk = on_chunk,
                                           .begin = on_begin,
                                           .sent = on_sent,
                                           .taken = on_taken,
                                           .failure = on_failure};
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
                               .deadline_ms = pool->loop->now_ms + 10 + 4 * (kind / 4),
                               .limit_ms = pool->loop->now_ms + 10 + 8 * (kind / 4)};
    if ((kind & 64) != 0 && a->call.kind == KR_K_INVOKE) {
        a->call.arguments = (struct kr_view){.p = "()", .n = 2};
        a->call.edition = kind >> 7; /* workers want those of edition 0 */
    }
    a->call.more = (kind & 128) != 0 && a->call.kind == KR_K_CUSTOM;
    memset(a->call.run_id, '0', KR_RUN_ID_LEN);
    if (!kr_pool_submit(pool, &a->call, &status, &detail)) {
        FUZZ_CHECK(a->waits && status == 503 && detail != NULL);
        a->waits = false;
    }
}

static void hear(struct kr_worker *w)
{
    if (w->sock.fd >= 0)
        w->sock.on_ready(&w->sock, EPOLLIN);
    if (w->console.fd >= 0)
        w->console.on_ready(&w->console, EPOLLIN);
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
    } else if (a->call.more) { /* its body, and the end of it */
        kr_pool_body(&a->call, (struct kr_view){.p = "body", .n = 4}, which / CALLS % 3 == 1);
        kr_pool_extend(pool, &a->call, pool->loop->now_ms + which);
        if (which > 200)
            kr_pool_leave(&a->call);
    } else {
        kr_pool_pause(&a->call, which / CALLS % 3 == 1);
    }
}

static void step(struct kr_pool *pool, struct fuzz_input *in)
{
    uint8_t what = fuzz_byte(in);
    struct kr_worker *w = &pool->workers[what / 16 % FUZZ_WORKERS];
    const uint8_t *bytes;
    size_t n;

    switch (what % 9) {
    case 0:
        submit(pool, in);
        break;
    case 1:
    case 2:
        fuzz_say_frame(w, in, STDERR_FILENO);
        break;
    case 3:
        n = fuzz_take(in, &bytes);
        fuzz_say(w, bytes, n, -1);
        break;
    case 4:
        fuzz_print(w, in);
        break;
    case 5:
        if (w->mark != NULL)
            *w->mark = fuzz_byte(in);
        break;
    case 6:
        fuzz_time_passes(pool->loop, 5 * fuzz_byte(in));
        break;
    case 7:
        change(pool, in);
        break;
    default:
        if (w->state != KR_W_DOWN)
            kr_pool_after_end(w, "ended", false);
        break;
    }
    hear(w);
    kr_pool_flush(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *const argv[] = {NULL};
    struct fuzz_input in = {.p = data, .n = size};
    struct kr_pool_config config = {.argv = argv,
                                    .workers = FUZZ_WORKERS,
                                    .threads = 4,
                                    .stall_ms = 1000,
                                    .startup_ms = 5000,
                                    .queue_size = CALLS / 2};
    struct kr_loop loop;
    struct kr_pool pool;
    int fd = fuzz_next_fd();

    kr_log_setup(-1, KR_LOG_ERROR, false);
    memset(asked, 0, sizeof(asked));
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
    fuzz_close_ends();
    FUZZ_CHECK(fuzz_next_fd() == fd);
    return 0;
}
