/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/probe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t make_address(const char *text, int port, union address *out)
{
    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return sizeof(out->v4);
    }
    if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        return sizeof(out->v6);
    }
    return 0;
}

int kr_port_try(const char *address, int port)
{
    union address to;
    socklen_t n = make_address(address, port, &to);
    int yes = 1;
    kr_auto_fd int fd = n != 0 ? socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

    if (fd < 0)
        return n != 0 ? errno : EINVAL;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, &to.any, n) < 0 || listen(fd, 1) < 0)
        return errno;
    return 0;
}

/* Waits for the events; false with errno ETIMEDOUT when the time is over. */
static bool wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = deadline - kr_mono_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0)
            return true;
        if (n == 0) {
            errno = ETIMEDOUT;
            return false;
        }
        if (errno != EINTR)
            return false;
    }
}

static bool connect_to(int fd, const union address *to, socklen_t n, int64_t deadline)
{
    int problem = 0;
    socklen_t size = sizeof(problem);

    if (connect(fd, &to->any, n) == 0)
        return true;
    if (errno != EINPROGRESS || !wait_for(fd, POLLOUT, deadline))
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0)
        return false;
    errno = problem;
    return problem == 0;
}

int kr_port_reach(const char *address, int port, int64_t timeout_ms)
{
    union address to;
    socklen_t n = make_address(address, port, &to);
    kr_auto_fd int fd =
        n != 0 ? socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0)
        return n != 0 ? errno : EINVAL;
    return connect_to(fd, &to, n, kr_mono_ms() + timeout_ms) ? 0 : errno;
}

/* Reads until the end, or until the buffer is full. */
static bool read_answer(int fd, char *text, size_t size, size_t *n, int64_t deadline)
{
    *n = 0;
    while (*n < size) {
        ssize_t got = recv(fd, text + *n, size - *n, 0);

        if (got == 0)
            return true;
        if (got > 0)
            *n += (size_t)got;
        else if (errno != EAGAIN && errno != EINTR)
            return *n > 0;
        else if (!wait_for(fd, POLLIN, deadline))
            return false;
    }
    return true;
}

/* kourou-serve writes names of headers in small letters. */
static void take_instance(struct kr_probe *probe, const char *head, size_t n)
{
    static const char name[] = "\r\nx-kourou-instance: ";
    const char *at = memmem(head, n, name, sizeof(name) - 1);
    const char *end = at != NULL ? memmem(at + 2, n - (size_t)(at + 2 - head), "\r\n", 2) : NULL;
    size_t size;

    if (end == NULL)
        return;
    at += sizeof(name) - 1;
    size = (size_t)(end - at) < sizeof(probe->instance) ? (size_t)(end - at) : 0;
    memcpy(probe->instance, at, size);
    probe->instance[size] = '\0';
}

static void take_answer(struct kr_probe *probe, const char *text, size_t n)
{
    static const char mark[] = "HTTP/1.";
    const char *body = memmem(text, n, "\r\n\r\n", 4);
    uint64_t status;

    if (n < 12 || memcmp(text, mark, sizeof(mark) - 1) != 0 ||
        !kr_view_u64((struct kr_view){text + 9, 3}, &status)) {
        probe->sys_errno = EPROTO;
        return;
    }
    probe->status = (int)status;
    if (body == NULL)
        return;
    take_instance(probe, text, (size_t)(body - text) + 2);
    body += 4;
    probe->n = n - (size_t)(body - text);
    if (probe->n >= sizeof(probe->body))
        probe->n = sizeof(probe->body) - 1;
    memcpy(probe->body, body, probe->n);
    probe->body[probe->n] = '\0';
}

void kr_probe_get(struct kr_probe *probe, int64_t timeout_ms)
{
    int64_t deadline = kr_mono_ms() + timeout_ms;
    union address to;
    socklen_t size = make_address(probe->address, probe->port, &to);
    char text[sizeof(probe->body) + 4096];
    size_t n = 0;
    int asked;
    kr_auto_fd int fd =
        size != 0 ? socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    probe->status = probe->sys_errno = 0;
    probe->instance[0] = '\0';
    probe->n = 0;
    probe->body[0] = '\0';
    errno = size != 0 ? errno : EINVAL;
    if (fd < 0 || !connect_to(fd, &to, size, deadline)) {
        probe->sys_errno = errno;
        return;
    }
    asked =
        snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kourou\r\nConnection: close\r\n\r\n",
                 probe->path, probe->address);
    if (asked < 0 || (size_t)asked >= sizeof(text) ||
        send(fd, text, (size_t)asked, MSG_NOSIGNAL) != asked ||
        !read_answer(fd, text, sizeof(text), &n, deadline)) {
        probe->sys_errno = errno != 0 ? errno : EIO;
        return;
    }
    take_answer(probe, text, n);
}
