/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: status, drain, and the hand-over of the listening socket to a new server.
 *
 * Commands are lines: "status", "drain", "takeover", "taken"; answers are JSON lines. "takeover" is
 * answered with the listening descriptor; the new server listens on it only when it is ready, then
 * says "taken" and the old one drains. */
#include "serve/control.h"

#include "base/alloc.h"
#include "base/log.h"
#include "serve/lines.h"
#include "serve/fdpass.h"
#include "serve/server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_S 10
#define ANSWER_MAX       128
#define GUARD_MS         2000

struct kr_peer {
    struct kr_watch watch;
    struct kr_later later;
    struct kr_control *control;
    struct kr_peer *next;
    struct kr_lines lines;
};

struct kr_control {
    struct kr_watch listener;
    struct kr_server *srv;
    struct kr_peer *peers;
    ino_t inode; /* of the socket file: a successor may have put another there */
    struct kr_timer guard;
    int old; /* to the server that we take over from, -1: none */
};

static struct kr_control *control_of(struct kr_server *srv)
{
    if (srv->control == NULL) {
        srv->control = kr_calloc(1, sizeof(*srv->control));
        srv->control->srv = srv;
        srv->control->listener.fd = srv->control->old = -1;
    }
    return srv->control;
}

static int address_of(const char *path, struct sockaddr_un *out, struct kr_err *err)
{
    size_t n = strlen(path);

    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (n >= sizeof(out->sun_path))
        return kr_fail(err, KR_E_LIMIT, "path of the control socket is longer than %zu bytes: %s",
                       sizeof(out->sun_path) - 1, path);
    memcpy(out->sun_path, path, n + 1);
    return 0;
}

/* -- commands ---------------------------------------------------------------------------------- */

static void free_peer(struct kr_later *later)
{
    free((char *)later - offsetof(struct kr_peer, later));
}

static void close_peer(struct kr_peer *peer)
{
    struct kr_peer **link = &peer->control->peers;

    while (*link != NULL && *link != peer)
        link = &(*link)->next;
    if (*link != NULL)
        *link = peer->next;
    kr_watch_close(&peer->control->srv->front.loop, &peer->watch);
    peer->later.run = free_peer;
    kr_loop_later(&peer->control->srv->front.loop, &peer->later);
}

void kr_control_lend(int to, int listener)
{
    static const char text[] = "{\"listener\":true}\n";
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof(text) - 1};
    char control[KR_FDPASS_ONE] = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    kr_fdpass_attach(&msg, control, listener);
    (void)sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_status(struct kr_peer *peer)
{
    struct kr_server *srv = peer->control->srv;
    char text[256];
    int n = snprintf(
        text, sizeof(text),
        "{\"pid\":%d,\"port\":%d,\"ready\":%u,\"draining\":%s,\"connections\":%u,\"queued\":%u}\n",
        (int)getpid(), srv->front.port, kr_pool_count(&srv->pool, KR_W_READY),
        srv->front.draining ? "true" : "false", srv->front.conn_count, srv->pool.queued);

    (void)send(peer->watch.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void command(struct kr_peer *peer, const char *line)
{
    struct kr_server *srv = peer->control->srv;

    if (strcmp(line, "status") == 0) {
        send_status(peer);
    } else if (strcmp(line, "takeover") == 0 && srv->front.listening) {
        kr_control_lend(peer->watch.fd, srv->front.listener.fd);
    } else if (strcmp(line, "drain") == 0 || strcmp(line, "taken") == 0) {
        (void)send(peer->watch.fd, "{\"draining\":true}\n", 18, MSG_NOSIGNAL | MSG_DONTWAIT);
        kr_server_drain(srv);
    } else {
        (void)send(peer->watch.fd, "{\"error\":\"not now, or unknown\"}\n", 32,
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void on_peer(struct kr_watch *watch, uint32_t events)
{
    struct kr_peer *peer = (struct kr_peer *)watch;
    const char *line;

    (void)events;
    if (!kr_lines_read(&peer->lines, watch->fd)) {
        close_peer(peer);
        return;
    }
    while ((line = kr_lines_next(&peer->lines)) != NULL)
        command(peer, line);
}

static void on_listener(struct kr_watch *watch, uint32_t events)
{
    struct kr_control *control = (struct kr_control *)watch;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct kr_err err = KR_ERR_INIT;
    struct kr_peer *peer;

    (void)events;
    if (fd < 0)
        return;
    peer = kr_calloc(1, sizeof(*peer));
    peer->watch = (struct kr_watch){.fd = fd, .on_ready = on_peer};
    peer->control = control;
    peer->next = control->peers;
    control->peers = peer;
    if (kr_watch_add(&control->srv->front.loop, &peer->watch, EPOLLIN, &err) < 0)
        close_peer(peer);
}

/* -- the socket -------------------------------------------------------------------------------- */

/* Whoever removed the socket's file, most likely with its whole folder, cannot reach this server
 * any more: it ends instead of staying behind for good. */
static void on_guard(struct kr_timer *timer)
{
    struct kr_control *control =
        (struct kr_control *)((char *)timer - offsetof(struct kr_control, guard));
    struct kr_server *srv = control->srv;
    struct stat st;

    if (control->listener.fd >= 0 && stat(srv->opt.control, &st) == 0 &&
        st.st_ino == control->inode) {
        kr_timer_at(&srv->front.loop, timer, srv->front.loop.now_ms + GUARD_MS);
        return;
    }
    if (!srv->front.draining)
        kr_log(KR_LOG_WARN, "serve", "the control socket %s is gone", srv->opt.control);
    kr_server_drain(srv);
}

static void watch_over(struct kr_control *control)
{
    struct kr_loop *loop = &control->srv->front.loop;

    control->guard.on_time = on_guard;
    kr_timer_at(loop, &control->guard, loop->now_ms + GUARD_MS);
}

int kr_control_bind(const char *path, mode_t mode, ino_t *inode, struct kr_err *err)
{
    kr_auto_free char *fresh = kr_asprintf("%s.%d", path, (int)getpid());
    kr_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    struct stat st;
    mode_t old;
    int bound;

    if (address_of(fresh, &address, err) < 0)
        return -1;
    (void)unlink(fresh);
    old = umask(~mode & 0777);
    bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
    (void)umask(old);
    if (bound < 0 || listen(fd, 16) < 0 || stat(fresh, &st) < 0 || rename(fresh, path) < 0) {
        (void)kr_fail_errno(err, errno, "control socket %s", path);
        return -1;
    }
    *inode = st.st_ino;
    return kr_steal_fd(&fd);
}

int kr_control_open(struct kr_server *srv, struct kr_err *err)
{
    struct kr_control *control = control_of(srv);
    int fd = kr_control_bind(srv->opt.control, 0600, &control->inode, err);

    if (fd < 0)
        return -(int)err->code;
    control->listener = (struct kr_watch){.fd = fd, .on_ready = on_listener};
    watch_over(control);
    return kr_watch_add(&srv->front.loop, &control->listener, EPOLLIN, err);
}

void kr_control_close(struct kr_server *srv)
{
    struct kr_control *control = srv->control;
    struct stat st;

    if (control == NULL)
        return;
    while (control->peers != NULL)
        close_peer(control->peers);
    kr_timer_forget(&srv->front.loop, &control->guard);
    if (control->listener.fd >= 0) {
        if (stat(srv->opt.control, &st) == 0 && st.st_ino == control->inode)
            (void)unlink(srv->opt.control);
        (void)close(control->listener.fd);
    }
    if (control->old >= 0)
        (void)close(control->old);
    free(control);
    srv->control = NULL;
}

/* -- taking over ------------------------------------------------------------------------------- */

int kr_control_connect(const char *path, struct kr_err *err)
{
    struct sockaddr_un address;
    kr_auto_fd int fd = -1;

    if (address_of(path, &address, err) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        (void)kr_fail_errno(err, errno, "connect to %s", path);
        return -1;
    }
    return kr_steal_fd(&fd);
}

bool kr_control_is_listener(int fd)
{
    socklen_t n = sizeof(int);
    int listens = 0;

    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && listens != 0;
}

/* The first line, as one that can be shown. */
static int not_handed_over(struct kr_buf *said, struct kr_err *err)
{
    char *text = said->p;
    const char *end = memchr(text, '\n', said->n);
    size_t n = end != NULL ? (size_t)(end - text) : said->n;

    for (size_t i = 0; i < n; i++)
        text[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
    return kr_fail(err, KR_E_CONFLICT, "the running server did not hand over its socket: %.*s",
                   (int)n, text);
}

int kr_control_receive(int sock, struct kr_err *err)
{
    kr_auto_buf struct kr_buf said = KR_BUF_INIT(ANSWER_MAX + 1);
    int fds[KR_FDS_MAX];
    size_t n = 0;
    ssize_t got = kr_fdpass_read(sock, 0, &said, ANSWER_MAX, fds, &n);

    if (got > 0 && n == 1 && kr_control_is_listener(fds[0]))
        return fds[0];
    if (got <= 0)
        (void)kr_fail_errno(err, got < 0 ? errno : ECONNRESET, "the running server did not answer");
    else
        (void)not_handed_over(&said, err);
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    return -1;
}

int kr_control_takeover(struct kr_server *srv, struct kr_err *err)
{
    struct kr_control *control = control_of(srv);
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int fd;

    control->old = kr_control_connect(srv->opt.takeover, err);
    if (control->old < 0)
        return kr_wrap(err, "take over from %s", srv->opt.takeover);
    (void)setsockopt(control->old, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (send(control->old, "takeover\n", 9, MSG_NOSIGNAL) != 9)
        return kr_fail_errno(err, errno, "take over from %s", srv->opt.takeover);
    fd = kr_control_receive(control->old, err);
    if (fd < 0)
        return kr_wrap(err, "take over from %s", srv->opt.takeover);
    srv->front.listener.fd = fd;
    return 0;
}

void kr_control_taken(struct kr_server *srv)
{
    struct kr_control *control = srv->control;
    struct kr_err err = KR_ERR_INIT;

    if (control == NULL || control->old < 0)
        return;
    if (srv->opt.control != NULL && kr_control_open(srv, &err) < 0) {
        kr_log(KR_LOG_ERROR, "serve", "%s", err.msg);
        watch_over(control);
    }
    (void)!send(control->old, "taken\n", 6, MSG_NOSIGNAL);
    (void)close(control->old);
    control->old = -1;
}
