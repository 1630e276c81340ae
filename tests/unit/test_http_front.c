/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server with an owner that has nothing to do with pipelines: two routes, one of which
 * takes its body as it comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/conn.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct visit {
    struct kr_conn conn;
    size_t taken; /* bytes of its body */
};

static struct {
    struct kr_front front;
    int opened, reset, abandoned, freed, closed, left;
    bool locked; /* routes with .auth are refused */
} site;

static void opened(struct kr_conn *conn)
{
    (void)conn;
    site.opened++;
}

static void reset(struct kr_conn *conn)
{
    ((struct visit *)conn)->taken = 0;
    site.reset++;
}

static void abandoned(struct kr_conn *conn)
{
    (void)conn;
    site.abandoned++;
}

static void freed(struct kr_conn *conn)
{
    (void)conn;
    site.freed++;
}

static void closed(struct kr_front *front)
{
    assert_ptr_equal(front, &site.front);
    site.closed++;
}

static bool allowed(struct kr_conn *conn)
{
    if (!site.locked || !conn->route->auth)
        return true;
    kr_conn_error(conn, 401, "no");
    return false;
}

static void left(struct kr_conn *conn)
{
    (void)conn;
    site.left++;
}

static void moved(struct kr_conn *conn)
{
    (void)conn;
}

static void paused(struct kr_conn *conn, bool is_paused)
{
    (void)conn;
    (void)is_paused;
}

static uint64_t held(const struct kr_conn *conn)
{
    (void)conn;
    return 0;
}

static bool is_expected(const struct kr_conn *conn)
{
    (void)conn;
    return false;
}

static void answer_taken(struct kr_conn *conn)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%zu", ((struct visit *)conn)->taken);

    kr_conn_reply_text(conn, 200, "text/plain", text, (size_t)n);
}

static void uploaded(struct kr_conn *conn)
{
    ((struct visit *)conn)->taken += conn->body_buf.n;
    kr_upload_took(conn, conn->body_buf.n);
    if (!conn->upload)
        answer_taken(conn);
}

static void hello(struct kr_conn *conn)
{
    kr_conn_reply_text(conn, 200, "text/plain", "hello", 5);
}

/* Called when the head is there; the body follows by uploaded(), unless it came with the head. */
static void take(struct kr_conn *conn)
{
    if (conn->streamed)
        return;
    ((struct visit *)conn)->taken = conn->body_buf.n;
    answer_taken(conn);
}

static const struct kr_front_ops ops = {.conn_size = sizeof(struct visit),
                                        .opened = opened,
                                        .reset = reset,
                                        .abandoned = abandoned,
                                        .freed = freed,
                                        .closed = closed,
                                        .allowed = allowed,
                                        .left = left,
                                        .moved = moved,
                                        .paused = paused,
                                        .uploaded = uploaded,
                                        .held = held,
                                        .is_expected = is_expected};

static struct kr_route routes[] = {
    {.path = (char *)(uintptr_t) "/hello",
     .path_n = 6,
     .methods = KR_M_GET,
     .handler = hello,
     .next = &routes[1]},
    {.path = (char *)(uintptr_t) "/take",
     .path_n = 5,
     .methods = KR_M_POST,
     .handler = take,
     .auth = true,
     .takes_body = true,
     .any_type = true,
     .uploads = true},
};

static int open_site(void **state)
{
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    memset(&site, 0, sizeof(site));
    site.front.ops = &ops;
    site.front.listener.fd = -1;
    site.front.routes = routes;
    site.front.cfg = (struct kr_front_config){.max_connections = 10,
                                              .header_timeout_ms = 1000,
                                              .body_timeout_ms = 1000,
                                              .idle_timeout_ms = 1000,
                                              .write_timeout_ms = 1000,
                                              .max_body = 1u << 20,
                                              .inline_body = 1u << 16,
                                              .memory = 32u << 20};
    return kr_front_open(&site.front, &err);
}

static int close_site(void **state)
{
    (void)state;
    kr_front_close(&site.front);
    kr_front_finish(&site.front);
    assert_int_equal(site.freed, site.opened);
    assert_int_equal(site.closed, site.opened);
    return 0;
}

static void turn(void)
{
    struct epoll_event events[8];
    int n;

    while ((n = epoll_wait(site.front.loop.epfd, events, 8, 0)) > 0)
        kr_loop_round(&site.front.loop, events, n);
    kr_loop_round(&site.front.loop, events, 0);
}

static int come(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    kr_conn_open(&site.front, pair[1]);
    return pair[0];
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn();
}

/* What was answered since the last time. */
static const char *heard(int fd)
{
    static char text[8192];
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void test_routes(void **state)
{
    int fd = come();
    const char *text;

    (void)state;
    say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /other HTTP/1.1\r\nHost: a\r\n\r\n"
            "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    text = heard(fd);
    assert_non_null(strstr(text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(text, "\r\n\r\nhello"));
    assert_non_null(strstr(text, "HTTP/1.1 404 Not Found\r\n"));
    assert_non_null(strstr(text, "HTTP/1.1 405 Method Not Allowed\r\n"));
    assert_non_null(strstr(text, "allow: GET, HEAD\r\n"));
    assert_int_equal(site.front.count.connections, 1);
    assert_int_equal(routes[0].stats.count, 1);
    (void)close(fd);
    turn();
    assert_int_equal(site.closed, 1);
}

static void test_body_as_it_comes(void **state)
{
    int fd = come();

    (void)state;
    say(fd, "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab");
    assert_string_equal(heard(fd), "");
    say(fd, "cd");
    say(fd, "ef");
    assert_non_null(strstr(heard(fd), "\r\n\r\n6"));
    say(fd, "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    assert_non_null(strstr(heard(fd), "\r\n\r\n3"));
    assert_int_equal(site.reset, 2);
    (void)close(fd);
}

static void test_owner_refuses_before_the_body(void **state)
{
    int fd = come();
    const char *text;

    (void)state;
    site.locked = true;
    say(fd, "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n");
    text = heard(fd);
    assert_non_null(strstr(text, "HTTP/1.1 401 Unauthorized\r\n"));
    assert_non_null(strstr(text, "connection: close\r\n"));
    (void)close(fd);
}

static void test_drain_ends_idle_connections(void **state)
{
    int fd = come();
    char byte;

    (void)state;
    turn();
    kr_front_drain(&site.front);
    site.front.loop.now_ms += 2000;
    kr_conn_sweep(&site.front);
    turn();
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    assert_int_equal(site.closed, 1);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_routes, open_site, close_site),
        cmocka_unit_test_setup_teardown(test_body_as_it_comes, open_site, close_site),
        cmocka_unit_test_setup_teardown(test_owner_refuses_before_the_body, open_site, close_site),
        cmocka_unit_test_setup_teardown(test_drain_ends_idle_connections, open_site, close_site),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
