/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick: an epoll loop that answers every request with the same 300 bytes. It knows as much
 * of HTTP as the benchmark needs: `bare [PORT]`; prints its port. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 4096
#define ROOM        16384

struct conn {
    size_t n;
    char in[ROOM];
};

static struct conn *conns[CONNECTIONS];
static char answer[1024];
static size_t answer_n;

static void make_answer(void)
{
    char body[301];

    memset(body, 'x', 300);
    memcpy(body, "{\"outputs\":\"", 12);
    memcpy(body + 298, "\"}", 2);
    body[300] = '\0';
    answer_n = (size_t)snprintf(answer, sizeof(answer),
                                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                                "content-length: 300\r\n\r\n%s",
                                body);
}

/* Length of the first whole request, 0 when it is not complete. */
static size_t request_length(const struct conn *c)
{
    const char *end = memmem(c->in, c->n, "\r\n\r\n", 4), *length;
    size_t head, body = 0;

    if (end == NULL)
        return 0;
    head = (size_t)(end - c->in) + 4;
    length = memmem(c->in, head, "Content-Length: ", 16);
    if (length != NULL)
        body = strtoul(length + 16, NULL, 10);
    return head + body <= c->n ? head + body : 0;
}

static void drop(int fd)
{
    free(conns[fd]);
    conns[fd] = NULL;
    (void)close(fd);
}

static void serve(int fd)
{
    struct conn *c = conns[fd];
    ssize_t n = read(fd, c->in + c->n, ROOM - c->n);
    size_t used;

    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(fd);
        return;
    }
    c->n += (size_t)n;
    while ((used = request_length(c)) > 0) {
        if (write(fd, answer, answer_n) != (ssize_t)answer_n) {
            drop(fd);
            return;
        }
        memmove(c->in, c->in + used, c->n - used);
        c->n -= used;
    }
}

static void take(int epfd, int listener)
{
    struct epoll_event ev = {.events = EPOLLIN};
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;

    if (fd < 0)
        return;
    if (fd >= CONNECTIONS) {
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conns[fd] = calloc(1, sizeof(struct conn));
    ev.data.fd = fd;
    (void)epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epfd = epoll_create1(0);
    struct epoll_event events[64], ev = {.events = EPOLLIN, .data = {.fd = listener}};

    if (argc > 1)
        address.sin_port = htons((uint16_t)atoi(argv[1]));
    make_answer();
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        return 1;
    printf("%d\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    (void)epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int n = epoll_wait(epfd, events, 64, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                take(epfd, listener);
            else
                serve(events[i].data.fd);
        }
    }
}
