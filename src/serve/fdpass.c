/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/fdpass.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void attach(struct msghdr *msg, char *control, const int *fds, size_t n)
{
    struct cmsghdr *c;

    msg->msg_control = control;
    msg->msg_controllen = CMSG_SPACE(n * sizeof(int));
    c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
}

void kr_fdpass_attach(struct msghdr *msg, char control[KR_FDPASS_ONE], int fd)
{
    attach(msg, control, &fd, 1);
}

void kr_fdpass_attach_some(struct msghdr *msg, char control[KR_FDPASS_ROOM],
                           const int fds[KR_FDPASS_SOME])
{
    attach(msg, control, fds, KR_FDPASS_SOME);
}

static void take_fds(struct msghdr *msg, int *fds, size_t *fd_n)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (*fd_n < KR_FDS_MAX)
                fds[(*fd_n)++] = fd;
            else
                (void)close(fd);
        }
    }
}

ssize_t kr_fdpass_read(int sock, int flags, struct kr_buf *in, size_t size, int *fds, size_t *fd_n)
{
    char control[CMSG_SPACE(16 * sizeof(int))];
    struct iovec iov = {.iov_base = kr_buf_reserve(in, size), .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    ssize_t n;

    if (iov.iov_base == NULL) {
        errno = ENOMEM;
        return -1;
    }
    do
        n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return n;
    take_fds(&msg, fds, fd_n);
    if ((msg.msg_flags & MSG_CTRUNC) != 0 && *fd_n < KR_FDS_MAX)
        fds[(*fd_n)++] = -1;
    in->n += (size_t)n;
    return n;
}
