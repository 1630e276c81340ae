/* SPDX-License-Identifier: Apache-2.0 */
/* The whole front between clients, workers and the control socket, all of which say anything at any
 * time, one step per byte. Clients that send whole requests get nothing but whole answers, and
 * nothing is left when the server has ended. The first byte holds the options. */
#include "fuzz_folder.h"
#include "fuzz_worker.h"

#include "base/log.h"
#include "base/redact.h"
#include "serve/control.h"
#include "serve/routes.h"
#include "serve/server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/un.h>

enum { CLIENTS = 4, STEPS_MAX = 256, ROUNDS = 3, EVENTS = 16, GOT_MAX = 1 << 22 };

static const char snapshot[] =
    "{\"format\":1,\"pipeline\":{\"name\":\"churn\",\"source\":\"a.b\"},\"steps\":[{\"name\":\"s\"}"
    "],"
    "\"streams\":true,\"input_schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
    "\"integer\"}}},\"settings\":{\"deployment\":{\"max_body_size\":4096,\"cors\":{"
    "\"allow_origins\":[\"https://a.example\"],\"allow_credentials\":true}}}}";

static const char *const requests[] = {
    "POST /invoke HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
    "2\r\n\r\n{}",
    "POST /invoke/stream HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
    "2\r\n\r\n{}",
    "POST /invoke/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    "GET /health HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n",
    "GET /runs?page=1&size=5&status=failed HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /own/x?y=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer key\r\n\r\n",
    "OPTIONS /invoke HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n"
    "Access-Control-Request-Method: POST\r\n\r\n",
    "GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /own/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "GET /info HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
};

/* Pieces of requests whose bodies go to the worker while they come. */
static const char *const pieces[] = {
    "POST /own/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "POST /own/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n",
    "POST /own/x HTTP/1.0\r\nContent-Length: 4000\r\n\r\n",
    "4\r\nbody\r\n",
    "0\r\n\r\n",
    "bodybody",
};

struct client {
    int fd;
    bool whole; /* has sent whole requests only */
    struct kr_buf got;
};

struct scene {
    struct kr_server srv;
    struct client clients[CLIENTS];
    int control; /* a client of the control socket, or -1 */
};

/* -- what clients get -------------------------------------------------------------------------- */

/* The length of one answer at the front of the bytes, 0 when it is cut, or stops. */
static size_t answer_length(const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4), *length, *chunked;
    size_t head, said, body = 0;
    kr_auto_free char *text = NULL;
    int status;

    FUZZ_CHECK(n < 13 || (memcmp(p, "HTTP/1.1 ", 9) == 0 && p[12] == ' '));
    if (end == NULL)
        return 0;
    head = (size_t)(end - p) + 4;
    text = kr_strndup(p, head);
    FUZZ_CHECK(strlen(text) == head && head >= 13);
    status = (int)strtol(text + 9, NULL, 10);
    FUZZ_CHECK(status >= 100 && status <= 599);
    length = strstr(text, "\r\ncontent-length: ");
    chunked = strstr(text, "\r\ntransfer-encoding: chunked\r\n");
    if (status < 200 || status == 204 || status == 304)
        return head;
    FUZZ_CHECK((length != NULL) + (chunked != NULL) <= 1);
    if (length != NULL) {
        said = strtoul(length + 18, NULL, 10);
        FUZZ_CHECK(said < (size_t)1 << 40);
        return said <= n - head ? head + said : 0;
    }
    if (chunked == NULL)
        return n; /* until the connection ends */
    for (;;) {
        const char *line = p + head + body, *stop = memmem(line, n - head - body, "\r\n", 2);
        size_t size;

        if (stop == NULL)
            return 0;
        size = strtoul(line, NULL, 16);
        body += (size_t)(stop - line) + 2 + size + 2;
        if (head + body > n)
            return 0;
        FUZZ_CHECK(memcmp(p + head + body - 2, "\r\n", 2) == 0);
        if (size == 0)
            return head + body;
    }
}

static void receive(struct client *c)
{
    char bytes[16384];
    ssize_t n;

    while (c->fd >= 0 && (n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        kr_buf_add(&c->got, bytes, (size_t)n);
}

static void hang_up(struct client *c)
{
    size_t at = 0, n;

    receive(c);
    while (c->whole && at < c->got.n && (n = answer_length(c->got.p + at, c->got.n - at)) > 0)
        at += n;
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
    kr_buf_finish(&c->got);
}

/* -- the server -------------------------------------------------------------------------------- */

static void on_ready(struct kr_pool *pool, const json_t *ready)
{
    kr_server_learn(pool->owner, ready);
}

static void start(struct kr_server *srv, uint8_t bits)
{
    char path[64], option[96], control[96];
    kr_auto_fd int fd = fuzz_file(snapshot, sizeof(snapshot) - 1);
    char level[] = "--log-level=error", *argv[] = {option, option, control, level, NULL};
    struct kr_pool_config config = {.workers = FUZZ_WORKERS, .threads = 4, .queue_size = 6};

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)snprintf(option, sizeof(option), "--snapshot=%s", path);
    (void)snprintf(control, sizeof(control), "--control=%s/control", fuzz_folder());
    FUZZ_CHECK(kr_options_parse(4, argv, &srv->opt, fuzz_err()) == 0);
    if ((bits & 1) != 0)
        srv->opt.auth_key = kr_strdup("key");
    FUZZ_CHECK(kr_server_open(srv, fuzz_err()) == 0);
    kr_log_setup(-1, KR_LOG_OFF, false);
    srv->front.loop.now_us = 10000000;
    srv->front.loop.now_ms = srv->front.loop.now_us / 1000;
    FUZZ_CHECK(kr_pool_init(&srv->pool, &srv->front.loop, &config, fuzz_err()) == 0);
    srv->pool.owner = srv;
    srv->pool.on_ready = on_ready;
    kr_routes_init(srv);
    srv->front.listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    srv->front.listening = true;
    if ((bits & 2) != 0)
        FUZZ_CHECK(kr_control_open(srv, fuzz_err()) == 0);
}

/* A few rounds of the loop; nobody waits. */
static void turn(struct kr_loop *loop)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(loop->epfd, events, EVENTS, 0);

        kr_loop_round(loop, events, n);
        if (n <= 0)
            break;
    }
}

/* -- steps ------------------------------------------------------------------------------------- */

static void come(struct scene *s, struct client *c)
{
    int pair[2];

    hang_up(c);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    *c = (struct client){.fd = pair[0], .whole = true};
    kr_buf_init(&c->got, GOT_MAX);
    kr_conn_open(&s->srv.front, pair[1]);
}

static void send_to(int fd, const void *bytes, size_t n)
{
    if (fd >= 0 && n != 0)
        (void)!send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void control(struct scene *s, struct fuzz_input *in)
{
    static const char *const commands[] = {"status\n", "takeover\n", "drain\n", "taken\n"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint8_t which = fuzz_byte(in);
    const uint8_t *bytes;
    size_t n;

    if (s->srv.control == NULL)
        return;
    if (s->control < 0) {
        s->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", fuzz_folder());
        (void)connect(s->control, (struct sockaddr *)&address, sizeof(address));
    }
    if (which < 2 * KR_ARRAY_LEN(commands)) {
        which /= 2;
        send_to(s->control, commands[which], strlen(commands[which]));
    } else if (which < 250) {
        n = fuzz_take(in, &bytes);
        send_to(s->control, bytes, n);
    } else {
        (void)close(s->control);
        s->control = -1;
    }
}

static void client_step(struct scene *s, struct client *c, struct fuzz_input *in, unsigned what)
{
    const uint8_t *bytes;
    const char *request;
    uint8_t which;
    size_t n;

    if (c->fd < 0)
        come(s, c);
    switch (what) {
    case 0:
    case 1:
        which = fuzz_byte(in);
        if (which >= 228) {
            request = pieces[which % KR_ARRAY_LEN(pieces)];
            c->whole = false;
        } else {
            request = requests[which % KR_ARRAY_LEN(requests)];
        }
        send_to(c->fd, request, strlen(request));
        break;
    case 2:
        n = fuzz_take(in, &bytes);
        c->whole = false;
        send_to(c->fd, bytes, n);
        break;
    case 3:
        receive(c);
        break;
    case 4:
        (void)shutdown(c->fd, SHUT_WR);
        break;
    default:
        hang_up(c);
        break;
    }
}

static void worker_step(struct kr_worker *w, struct fuzz_input *in, unsigned what, int fd)
{
    switch (what) {
    case 0:
    case 1:
    case 2:
        fuzz_say_frame(w, in, fd);
        break;
    case 3:
        fuzz_print(w, in);
        break;
    case 4:
        if (w->mark != NULL)
            *w->mark = fuzz_byte(in);
        break;
    default:
        if (w->state != KR_W_DOWN)
            kr_pool_after_end(w, "ended", false);
        break;
    }
}

static void step(struct scene *s, struct fuzz_input *in, int fd)
{
    uint8_t what = fuzz_byte(in);
    unsigned kind = what % 14, who = what / 14;

    if (kind < 6)
        client_step(s, &s->clients[who % CLIENTS], in, kind);
    else if (kind < 12)
        worker_step(&s->srv.pool.workers[who % FUZZ_WORKERS], in, kind - 6, fd);
    else if (kind == 12)
        fuzz_time_passes(&s->srv.front.loop, 100 * fuzz_byte(in));
    else
        control(s, in);
    turn(&s->srv.front.loop);
}

static void finish(struct scene *s)
{
    for (size_t i = 0; i < CLIENTS; i++)
        hang_up(&s->clients[i]);
    if (s->control >= 0)
        (void)close(s->control);
    kr_server_finish(&s->srv);
    kr_log_setup(-1, KR_LOG_OFF, false);
    fuzz_close_ends();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    static bool prepared;
    uint8_t bits = fuzz_byte(&in);
    struct scene *s;
    int fd, before;

    if (!prepared)
        FUZZ_CHECK(fuzz_folder() != NULL && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    prepared = true;
    before = fuzz_next_fd();
    fd = fuzz_file("\2\0\0\0x:body", 10);
    s = kr_calloc(1, sizeof(*s));
    s->control = -1;
    for (size_t i = 0; i < CLIENTS; i++)
        s->clients[i].fd = -1;
    start(&s->srv, bits);
    for (int i = 0; i < STEPS_MAX && in.n != 0; i++)
        step(s, &in, fd);
    finish(s);
    free(s);
    (void)close(fd);
    FUZZ_CHECK(fuzz_next_fd() == before);
    kr_redact_clear();
    return 0;
}
