/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: opens the port and lends it. Where no server has it, and none is on its way, those who
 * connect are told so. */
#include "serve/gate.h"

#include "base/alloc.h"
#include "base/log.h"
#include "serve/fdpass.h"
#include "serve/lines.h"
#include "http/listen.h"
#include "http/loop.h"
#include "serve/control.h"
#include "base/buf.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define ALONE_MS   10000 /* so long those who connect wait for a server to come back */
#define VISIT_MS   2000
#define SWEEP_MS   250
#define READ_MAX   65536u
#define SOCKET_ANY 0666 /* servers may run as another user; nobody else sees the folder */

enum { VISITORS_MAX = 256, VISITORS_AT_ONCE = 64 };

struct hold {
    struct kr_loop loop;
    struct kr_watch listener, control, signals;
    struct kr_timer timer;
    struct peer *peers, *current;
    struct visitor *visitors;
    unsigned visitor_count;
    int64_t alone_since; /* no server is connected; 0: one is */
    bool refusing;
};

struct peer {
    struct kr_watch watch;
    struct kr_later later;
    struct hold *hold;
    struct peer *next;
    char instance[65];
    struct kr_lines lines;
};

/* Somebody who is told that nobody is there. */
struct visitor {
    struct kr_watch watch;
    struct kr_later later;
    struct hold *hold;
    struct visitor *next;
    int64_t until;
    uint32_t got;
    bool answered;
};

/* -- those who connect while there is no server ------------------------------------------------ */

static void free_visitor(struct kr_later *later)
{
    free((char *)later - offsetof(struct visitor, later));
}

static void end_visit(struct visitor *v)
{
    struct visitor **link = &v->hold->visitors;

    while (*link != v)
        link = &(*link)->next;
    *link = v->next;
    v->hold->visitor_count--;
    kr_watch_close(&v->hold->loop, &v->watch);
    v->later.run = free_visitor;
    kr_loop_later(&v->hold->loop, &v->later);
}

/* Answered when something was said, and then read to its end: else the answer would be lost with
 * what was not read. */
static void on_visitor(struct kr_watch *watch, uint32_t events)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\n"
        "content-length: 70\r\nconnection: close\r\n\r\n"
        "{\"detail\":\"the deployment's container does not run\",\"retryable\":true}\n";
    struct visitor *v = (struct visitor *)watch;
    char text[4096];
    ssize_t n = read(watch->fd, text, sizeof(text));

    (void)events;
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0 && (v->got += (uint32_t)n) <= READ_MAX && v->answered)
        return;
    if (n <= 0 || v->answered ||
        send(watch->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
        shutdown(watch->fd, SHUT_WR) < 0) {
        end_visit(v);
        return;
    }
    v->answered = true;
}

static void on_listener(struct kr_watch *watch, uint32_t events)
{
    struct hold *hold = (struct hold *)((char *)watch - offsetof(struct hold, listener));
    struct kr_err err = KR_ERR_INIT;

    (void)events;
    for (int i = 0; i < VISITORS_AT_ONCE && hold->visitor_count < VISITORS_MAX; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct visitor *v;

        if (fd < 0)
            return;
        v = kr_calloc(1, sizeof(*v));
        *v = (struct visitor){.watch = {.fd = fd, .on_ready = on_visitor},
                              .hold = hold,
                              .next = hold->visitors,
                              .until = hold->loop.now_ms + VISIT_MS};
        hold->visitors = v;
        hold->visitor_count++;
        if (kr_watch_add(&hold->loop, &v->watch, EPOLLIN, &err) < 0)
            end_visit(v);
    }
}

/* -- the servers ------------------------------------------------------------------------------- */

static void set_refusing(struct hold *hold, bool refusing)
{
    if (hold->refusing != refusing)
        kr_log(
            refusing ? KR_LOG_WARN : KR_LOG_INFO, "gate", "%s",
            refusing ? "no server has come: those who connect are told so" : "a server has come");
    hold->refusing = refusing;
    kr_watch_set(&hold->loop, &hold->listener, refusing ? EPOLLIN : 0);
}

static void on_timer(struct kr_timer *timer)
{
    struct hold *hold = (struct hold *)((char *)timer - offsetof(struct hold, timer));
    int64_t now = hold->loop.now_ms;

    for (struct visitor *v = hold->visitors, *next; v != NULL; v = next) {
        next = v->next;
        if (now >= v->until)
            end_visit(v);
    }
    if (hold->alone_since != 0 && now - hold->alone_since >= ALONE_MS)
        set_refusing(hold, true);
    kr_timer_at(&hold->loop, timer, now + SWEEP_MS);
}

static void free_peer(struct kr_later *later)
{
    free((char *)later - offsetof(struct peer, later));
}

static void close_peer(struct peer *peer)
{
    struct hold *hold = peer->hold;
    struct peer **link = &hold->peers;

    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    if (hold->current == peer)
        hold->current = NULL;
    if (hold->peers == NULL)
        hold->alone_since = hold->loop.now_ms;
    kr_watch_close(&hold->loop, &peer->watch);
    peer->later.run = free_peer;
    kr_loop_later(&hold->loop, &peer->later);
}

static void send_line(const struct peer *peer, const char *line)
{
    (void)!send(peer->watch.fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* From here on this one answers; the one before finishes what it has begun. */
static void take(struct peer *peer, const char *instance)
{
    struct hold *hold = peer->hold;

    (void)snprintf(peer->instance, sizeof(peer->instance), "%s", instance);
    if (hold->current != NULL && hold->current != peer) {
        kr_log(KR_LOG_INFO, "gate", "%s takes over from %s", peer->instance,
               hold->current->instance);
        send_line(hold->current, "drain\n");
    }
    hold->current = peer;
}

static void command(struct peer *peer, const char *line)
{
    if (strcmp(line, "listener") == 0)
        kr_control_lend(peer->watch.fd, peer->hold->listener.fd);
    else if (strncmp(line, "taken ", 6) == 0)
        take(peer, line + 6);
    else
        send_line(peer, "{\"error\":\"unknown\"}\n");
}

static void on_peer(struct kr_watch *watch, uint32_t events)
{
    struct peer *peer = (struct peer *)watch;
    const char *line;

    (void)events;
    if (!kr_lines_read(&peer->lines, watch->fd)) {
        close_peer(peer);
        return;
    }
    while ((line = kr_lines_next(&peer->lines)) != NULL)
        command(peer, line);
}

static void on_control(struct kr_watch *watch, uint32_t events)
{
    struct hold *hold = (struct hold *)((char *)watch - offsetof(struct hold, control));
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct kr_err err = KR_ERR_INIT;
    struct peer *peer;

    (void)events;
    if (fd < 0)
        return;
    peer = kr_calloc(1, sizeof(*peer));
    *peer =
        (struct peer){.watch = {.fd = fd, .on_ready = on_peer}, .hold = hold, .next = hold->peers};
    hold->peers = peer;
    hold->alone_since = 0;
    set_refusing(hold, false);
    if (kr_watch_add(&hold->loop, &peer->watch, EPOLLIN, &err) < 0)
        close_peer(peer);
}

/* -- life -------------------------------------------------------------------------------------- */

static void on_signal(struct kr_watch *watch, uint32_t events)
{
    struct hold *hold = (struct hold *)((char *)watch - offsetof(struct hold, signals));

    (void)events;
    kr_loop_stop(&hold->loop);
}

static int watch_signals(struct hold *hold, struct kr_err *err)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    hold->signals = (struct kr_watch){.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC),
                                      .on_ready = on_signal};
    if (hold->signals.fd < 0)
        return kr_fail_errno(err, errno, "signals");
    return kr_watch_add(&hold->loop, &hold->signals, EPOLLIN, err);
}

static int open_all(struct hold *hold, const struct kr_options *options, struct kr_err *err)
{
    const char *host = options->host != NULL ? options->host : "127.0.0.1";
    int port = options->port > 0 ? (int)options->port : 8000;
    ino_t inode;

    if (kr_loop_init(&hold->loop, err) < 0)
        return -(int)err->code;
    hold->alone_since = hold->loop.now_ms;
    hold->listener =
        (struct kr_watch){.fd = kr_listen_open(host, port, err), .on_ready = on_listener};
    if (hold->listener.fd < 0 || kr_watch_add(&hold->loop, &hold->listener, 0, err) < 0)
        return -(int)err->code;
    hold->control = (struct kr_watch){.fd = kr_control_bind(options->hold, SOCKET_ANY, &inode, err),
                                      .on_ready = on_control};
    if (hold->control.fd < 0 || kr_watch_add(&hold->loop, &hold->control, EPOLLIN, err) < 0 ||
        watch_signals(hold, err) < 0)
        return -(int)err->code;
    hold->timer.on_time = on_timer;
    kr_timer_at(&hold->loop, &hold->timer, hold->loop.now_ms + SWEEP_MS);
    kr_log(KR_LOG_INFO, "gate", "holding %s port %d", host, port);
    return 0;
}

static void hold_finish(struct hold *hold)
{
    struct kr_watch *const own[] = {&hold->listener, &hold->control, &hold->signals};

    while (hold->visitors != NULL)
        end_visit(hold->visitors);
    while (hold->peers != NULL)
        close_peer(hold->peers);
    for (size_t i = 0; i < KR_ARRAY_LEN(own); i++)
        kr_watch_close(&hold->loop, own[i]);
    if (hold->loop.epfd > 0)
        kr_loop_finish(&hold->loop);
}

int kr_hold(const struct kr_options *options, struct kr_err *err)
{
    kr_auto(hold_finish) struct hold hold = {
        .listener = {.fd = -1}, .control = {.fd = -1}, .signals = {.fd = -1}};

    if (open_all(&hold, options, err) < 0 || kr_loop_run(&hold.loop, err) < 0)
        return -(int)err->code;
    return 0;
}
