/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/gate.h"

#include "base/alloc.h"
#include "base/log.h"
#include "serve/fdpass.h"
#include "serve/control.h"
#include "serve/server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define AGAIN_MS 200

enum { LINE_MAX = 256 };

struct kr_gate {
    struct kr_watch watch; /* to the gate; -1: not connected */
    struct kr_timer again;
    struct kr_server *srv;
    struct kr_buf in;
    bool waiting; /* it was said that we wait */
};

static void ask_later(struct kr_gate *gate)
{
    kr_timer_at(&gate->srv->front.loop, &gate->again, gate->srv->front.loop.now_ms + AGAIN_MS);
}

/* The gate has gone, and its socket with it: whoever connects now reaches nobody until it is back.
 * A server that drains wants it no more. */
static void lose(struct kr_gate *gate)
{
    struct kr_server *srv = gate->srv;

    kr_watch_close(&srv->front.loop, &gate->watch);
    kr_buf_reset(&gate->in);
    if (srv->front.draining)
        return;
    if (srv->front.listening)
        kr_log(KR_LOG_WARN, "serve", "the gate has gone: waiting for it");
    if (srv->front.listener.fd >= 0 && srv->front.listening)
        kr_watch_close(&srv->front.loop, &srv->front.listener);
    else if (srv->front.listener.fd >= 0)
        (void)close(srv->front.listener.fd);
    srv->front.listener.fd = -1;
    srv->front.listening = false;
    ask_later(gate);
}

void kr_gate_ready(struct kr_server *srv)
{
    struct kr_gate *gate = srv->gate;
    struct kr_err err = KR_ERR_INIT;
    char text[128];
    int n;

    if (srv->front.listening || srv->front.draining || srv->front.listener.fd < 0 ||
        kr_pool_count(&srv->pool, KR_W_READY) == 0)
        return;
    if (kr_front_listen(&srv->front, &err) < 0) {
        kr_log(KR_LOG_ERROR, "serve", "%s", err.msg);
        srv->exit_status = 1;
        kr_loop_stop(&srv->front.loop);
        return;
    }
    n = snprintf(text, sizeof(text), "taken %.64s\n",
                 srv->opt.instance != NULL ? srv->opt.instance : "");
    (void)!send(gate->watch.fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void take_line(struct kr_gate *gate, const char *line)
{
    if (strcmp(line, "drain") == 0)
        kr_server_drain(gate->srv);
}

static void take_lines(struct kr_gate *gate)
{
    char *end;

    while (gate->in.n > 0 && (end = memchr(gate->in.p, '\n', gate->in.n)) != NULL) {
        *end = '\0';
        take_line(gate, gate->in.p);
        kr_buf_drop(&gate->in, (size_t)(end - gate->in.p) + 1);
    }
}

static void on_gate(struct kr_watch *watch, uint32_t events)
{
    struct kr_gate *gate = (struct kr_gate *)watch;
    struct kr_server *srv = gate->srv;
    int fds[KR_FDS_MAX];
    size_t n = 0;
    ssize_t got = kr_fdpass_read(watch->fd, MSG_DONTWAIT, &gate->in, LINE_MAX, fds, &n);

    (void)events;
    for (size_t i = 0; i < n; i++) {
        if (srv->front.listener.fd < 0 && !srv->front.draining && kr_control_is_listener(fds[i]))
            srv->front.listener.fd = fds[i];
        else if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        lose(gate);
        return;
    }
    take_lines(gate);
    kr_gate_ready(srv);
}

static void ask(struct kr_gate *gate)
{
    struct kr_server *srv = gate->srv;
    struct kr_err err = KR_ERR_INIT;
    int fd = kr_control_connect(srv->opt.gate, &err);

    if (fd < 0 || send(fd, "listener\n", 9, MSG_NOSIGNAL) != 9) {
        if (fd >= 0)
            (void)close(fd);
        if (!gate->waiting)
            kr_log(KR_LOG_INFO, "serve", "waiting for the gate %s", srv->opt.gate);
        gate->waiting = true;
        ask_later(gate);
        return;
    }
    gate->waiting = false;
    gate->watch = (struct kr_watch){.fd = fd, .on_ready = on_gate};
    if (kr_watch_add(&srv->front.loop, &gate->watch, EPOLLIN, &err) < 0) {
        kr_log(KR_LOG_ERROR, "serve", "%s", err.msg);
        lose(gate);
    }
}

static void on_again(struct kr_timer *timer)
{
    struct kr_gate *gate = (struct kr_gate *)((char *)timer - offsetof(struct kr_gate, again));

    if (gate->watch.fd < 0 && !gate->srv->front.draining)
        ask(gate);
}

void kr_gate_open(struct kr_server *srv)
{
    struct kr_gate *gate = kr_calloc(1, sizeof(*gate));

    gate->srv = srv;
    gate->watch.fd = -1;
    gate->again.on_time = on_again;
    kr_buf_init(&gate->in, (size_t)4 * LINE_MAX);
    srv->gate = gate;
    ask(gate);
}

void kr_gate_close(struct kr_server *srv)
{
    struct kr_gate *gate = srv->gate;

    if (gate == NULL)
        return;
    kr_timer_forget(&srv->front.loop, &gate->again);
    if (gate->watch.fd >= 0)
        kr_watch_close(&srv->front.loop, &gate->watch);
    kr_buf_finish(&gate->in);
    free(gate);
    srv->gate = NULL;
}
