/* SPDX-License-Identifier: Apache-2.0 */
/* What a running server answers to one that wants to take over. The first byte says how many
 * descriptors come with the answer (0 to 3), the next which of them are listening sockets (a bit
 * for each); the rest is the answer. */
#include "fuzz.h"

#include "serve/control.h"
#include "serve/fdpass.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    FUZZ_CHECK(fd >= 0 && listen(fd, 1) == 0);
    return fd;
}

static void send_answer(int to, struct fuzz_input *in)
{
    unsigned n = fuzz_byte(in) % (KR_FDPASS_SOME + 1), kinds = fuzz_byte(in);
    struct iovec iov = {.iov_base = (void *)(uintptr_t)in->p,
                        .iov_len = in->n < 4096 ? in->n : 4096};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    _Alignas(struct cmsghdr) char control[KR_FDPASS_ROOM] = {0};
    int fds[KR_FDPASS_SOME];

    for (unsigned i = 0; i < KR_FDPASS_SOME; i++)
        fds[i] = (kinds >> i & 1) != 0 ? listener() : fuzz_file("x", 1);
    if (n > 0) {
        kr_fdpass_attach_some(&msg, control, fds);
        ((struct cmsghdr *)(void *)control)->cmsg_len = CMSG_LEN(n * sizeof(int));
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
    }
    if (in->n > 0)
        FUZZ_CHECK(sendmsg(to, &msg, MSG_NOSIGNAL) == (ssize_t)iov.iov_len);
    for (unsigned i = 0; i < KR_FDPASS_SOME; i++)
        (void)close(fds[i]);
    FUZZ_CHECK(shutdown(to, SHUT_WR) == 0); /* else the answer that is none would be waited for */
}

static int lowest_free(void)
{
    int fd = dup(0);

    FUZZ_CHECK(fd >= 0 && close(fd) == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct kr_err err = KR_ERR_INIT;
    int before = lowest_free(), pair[2], got;

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    send_answer(pair[1], &in);
    got = kr_control_receive(pair[0], &err);
    FUZZ_CHECK(got >= 0 ? kr_control_is_listener(got) : err.msg[0] != '\0');
    for (const char *p = err.msg; *p != '\0'; p++)
        FUZZ_CHECK((unsigned char)*p >= ' ' && (unsigned char)*p != 0x7f);
    if (got >= 0)
        (void)close(got);
    (void)close(pair[0]);
    (void)close(pair[1]);
    FUZZ_CHECK(lowest_free() == before);
    return 0;
}
