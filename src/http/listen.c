/* SPDX-License-Identifier: Apache-2.0 */
/* The listening socket: opened here or taken over, accepted from, closed when draining. */
#include "http/conn.h"

#include "base/log.h"
#include "base/path.h"
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG         1024
#define ACCEPT_AT_ONCE  64
#define ACCEPT_AGAIN_MS 250

static int parse_address(const char *host, int port, struct sockaddr_storage *out, socklen_t *n,
                         struct kr_err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *n = sizeof(*v4);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *n = sizeof(*v6);
        return 0;
    }
    return kr_fail(err, KR_E_USAGE, "--host=%s is not an address", host);
}

int kr_listen_open(const char *host, int port, struct kr_err *err)
{
    struct sockaddr_storage address;
    kr_auto_fd int fd = -1;
    socklen_t n = 0;
    int on = 1;

    if (parse_address(host, port, &address, &n, err) < 0)
        return -1;
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        (void)kr_fail_errno(err, errno, "listen on %s", host);
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, n) < 0 || listen(fd, BACKLOG) < 0) {
        (void)kr_fail_errno(err, errno, "listen on %s port %d", host, port);
        return -1;
    }
    return kr_steal_fd(&fd);
}

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t n = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &n) < 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* Goes on when a connection is closed, and looks again anyway: one may have become idle. */
static void accept_later(struct kr_front *front)
{
    front->accept_paused = true;
    kr_watch_set(&front->loop, &front->listener, 0);
    kr_timer_at(&front->loop, &front->sweep, front->loop.now_ms + ACCEPT_AGAIN_MS);
}

static void on_listener(struct kr_watch *watch, uint32_t events)
{
    struct kr_front *front =
        (struct kr_front *)((char *)watch - offsetof(struct kr_front, listener));
    int on = 1;

    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd;

        if (front->conn_count >= (uint32_t)front->cfg.max_connections &&
            !kr_room_for_connection(front)) {
            accept_later(front);
            return;
        }
        fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EMFILE && errno != ENFILE)
                return;
            if (kr_room_for_connection(front))
                continue;
            kr_log(KR_LOG_ERROR, "serve", "no descriptors left, accepting waits");
            accept_later(front);
            return;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        kr_conn_open(front, fd);
    }
}

void kr_front_accept_more(struct kr_front *front)
{
    if (!front->accept_paused || !front->listening)
        return;
    front->accept_paused = false;
    kr_watch_set(&front->loop, &front->listener, EPOLLIN);
}

static int write_port_file(const struct kr_front *front, struct kr_err *err)
{
    char text[16];
    int n;

    if (front->cfg.port_file == NULL)
        return 0;
    n = snprintf(text, sizeof(text), "%d\n", front->port);
    return kr_file_write_atomic(front->cfg.port_file, text, (size_t)n, 0644, err);
}

int kr_front_listen(struct kr_front *front, struct kr_err *err)
{
    if (front->listener.fd < 0)
        front->listener.fd = kr_listen_open(front->cfg.host, front->cfg.port, err);
    if (front->listener.fd < 0)
        return -(int)err->code;
    front->listener.on_ready = on_listener;
    front->port = port_of(front->listener.fd);
    front->listening = true;
    if (kr_watch_add(&front->loop, &front->listener, EPOLLIN, err) < 0 ||
        write_port_file(front, err) < 0)
        return -(int)err->code;
    kr_log(KR_LOG_INFO, "serve", "listening on %s port %d", front->cfg.host, front->port);
    return 0;
}
