/* SPDX-License-Identifier: Apache-2.0 */
/* Workers without processes: the target holds their ends of the sockets and says what they say. It
 * takes the place of kr_worker_exec (--wrap in meson.build). */
#ifndef KR_FUZZ_FUZZ_WORKER_H
#define KR_FUZZ_FUZZ_WORKER_H

#include "fuzz.h"

#include "serve/pool.h"

#include <fcntl.h>
#include <stdio.h>

enum { FUZZ_WORKERS = 2, FUZZ_ENDS = 8 /* some for workers that replace others */ };

static struct {
    bool open;
    int sock, console;
} fuzz_ends[FUZZ_ENDS];

static inline void fuzz_close_end(size_t i)
{
    FUZZ_CHECK(i < FUZZ_ENDS);
    if (!fuzz_ends[i].open)
        return;
    (void)close(fuzz_ends[i].sock);
    (void)close(fuzz_ends[i].console);
    fuzz_ends[i].open = false;
}

static inline void fuzz_close_ends(void)
{
    for (size_t i = 0; i < FUZZ_ENDS; i++)
        fuzz_close_end(i);
}

int __wrap_kr_worker_exec(struct kr_worker *w, int *sock, int *console, struct kr_err *err);

int __wrap_kr_worker_exec(struct kr_worker *w, int *sock, int *console, struct kr_err *err)
{
    int pair[2], out[2];

    (void)err;
    fuzz_close_end((size_t)w->index);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    FUZZ_CHECK(pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0);
    w->mark = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FUZZ_CHECK(w->mark != MAP_FAILED);
    *sock = pair[0];
    *console = out[0];
    fuzz_ends[w->index].open = true;
    fuzz_ends[w->index].sock = pair[1];
    fuzz_ends[w->index].console = out[1];
    return 0;
}

/* Bytes of a worker, with a descriptor or -1. */
static inline void fuzz_say(const struct kr_worker *w, const void *bytes, size_t n, int fd)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    char control[KR_FDPASS_ONE] = {0};

    if (w->sock.fd < 0 || n == 0)
        return;
    if (fd >= 0)
        kr_fdpass_attach(&msg, control, fd);
    (void)!sendmsg(fuzz_ends[w->index].sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A length, and so many bytes. */
static inline size_t fuzz_take(struct fuzz_input *in, const uint8_t **bytes)
{
    size_t n = fuzz_byte(in);

    n = n < in->n ? n : in->n;
    *bytes = in->p;
    in->p += n;
    in->n -= n;
    return n;
}

/* A frame: type, flags, status, id, length and payload. fd goes along when the flags say so. */
static inline void fuzz_say_frame(const struct kr_worker *w, struct fuzz_input *in, int fd)
{
    static const uint8_t types[] = {KR_T_HELLO, KR_T_READY, KR_T_FATAL, KR_T_RESPONSE, KR_T_CHUNK};
    uint8_t type = fuzz_byte(in), flags = fuzz_byte(in), status = fuzz_byte(in);
    uint32_t id = fuzz_byte(in);
    kr_auto_buf struct kr_buf all = KR_BUF_INIT(4096);
    const uint8_t *bytes;
    size_t n = fuzz_take(in, &bytes);

    if (type >= 250)
        type = (uint8_t)(KR_T_RETURNED + type % 4); /* PONG, SPAWNED, REFUSED */
    else if (type >= 240)
        type = KR_T_TAKEN;
    else if (type < 240)
        type = types[type % sizeof(types)];
    kr_frame_put(&all, type,
                 (uint8_t)((flags & 7) | ((flags & 32) != 0 ? KR_F_OUTPUTS : 0) |
                           ((flags & 64) != 0 ? KR_F_CUT : 0)),
                 (uint16_t)(status + (flags & 16) * 16), id, (uint32_t)n);
    kr_buf_add(&all, bytes, n);
    fuzz_say(w, all.p, all.n, (flags & 9) == 1 ? fd : -1);
}

static inline void fuzz_print(const struct kr_worker *w, struct fuzz_input *in)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(in, &bytes);

    if (w->console.fd >= 0 && n != 0)
        (void)!write(fuzz_ends[w->index].console, bytes, n);
}

static inline void fuzz_time_passes(struct kr_loop *loop, int64_t ms)
{
    loop->now_us += ms * 1000;
    loop->now_ms = loop->now_us / 1000;
    kr_loop_round(loop, NULL, 0);
}

/* The descriptor that would be opened next: the same again when none is left. */
static inline int fuzz_next_fd(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    (void)close(fd);
    return fd;
}

#endif
