/* SPDX-License-Identifier: Apache-2.0 */
#include "http/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_ROUND 256
#define WAIT_MAX_MS      1000 /* so that a wait that lasted longer is seen */
#define STILL_MS         1000 /* later than this after a wait should have ended: it did not run */

int64_t kr_mono_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t kr_loop_us(const struct kr_loop *loop)
{
    return kr_mono_us() - loop->lost_us;
}

/* wait_ms: how long the wait before it could last at most; negative: as long as it liked. */
static void take_time(struct kr_loop *loop, int wait_ms)
{
    int64_t now = kr_loop_us(loop), most = loop->now_us + (int64_t)wait_ms * 1000;

    if (wait_ms >= 0 && now > most + STILL_MS * 1000) {
        loop->lost_us += now - most;
        now = most;
    }
    loop->now_us = now;
    loop->now_ms = now / 1000;
}

int kr_loop_init(struct kr_loop *loop, struct kr_err *err)
{
    *loop = (struct kr_loop){.epfd = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epfd < 0)
        return kr_fail_errno(err, errno, "event loop");
    take_time(loop, -1);
    return 0;
}

static void run_later(struct kr_loop *loop)
{
    while (loop->later != NULL) {
        struct kr_later *later = loop->later;

        loop->later = later->next;
        later->run(later);
    }
}

void kr_loop_finish(struct kr_loop *loop)
{
    run_later(loop);
    if (loop->epfd >= 0)
        (void)close(loop->epfd);
    loop->epfd = -1;
}

void kr_loop_stop(struct kr_loop *loop)
{
    loop->stopped = true;
}

void kr_loop_later(struct kr_loop *loop, struct kr_later *later)
{
    later->next = loop->later;
    loop->later = later;
}

int kr_watch_add(struct kr_loop *loop, struct kr_watch *watch, uint32_t events, struct kr_err *err)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = watch}};

    watch->events = events;
    if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, watch->fd, &ev) < 0)
        return kr_fail_errno(err, errno, "watch descriptor %d", watch->fd);
    return 0;
}

void kr_watch_set(struct kr_loop *loop, struct kr_watch *watch, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = watch}};

    if (watch->fd < 0 || watch->events == events)
        return;
    watch->events = events;
    (void)epoll_ctl(loop->epfd, EPOLL_CTL_MOD, watch->fd, &ev);
}

void kr_watch_remove(struct kr_loop *loop, struct kr_watch *watch)
{
    if (watch->fd >= 0)
        (void)epoll_ctl(loop->epfd, EPOLL_CTL_DEL, watch->fd, NULL);
}

void kr_watch_close(struct kr_loop *loop, struct kr_watch *watch)
{
    if (watch->fd < 0)
        return;
    kr_watch_remove(loop, watch);
    (void)close(watch->fd);
    watch->fd = -1;
}

void kr_timer_at(struct kr_loop *loop, struct kr_timer *timer, int64_t at_ms)
{
    if (!timer->listed) {
        timer->listed = true;
        timer->next = loop->timers;
        loop->timers = timer;
    }
    if (timer->at_ms == 0 || at_ms < timer->at_ms)
        timer->at_ms = at_ms;
}

void kr_timer_stop(struct kr_timer *timer)
{
    timer->at_ms = 0;
}

void kr_timer_forget(struct kr_loop *loop, struct kr_timer *timer)
{
    struct kr_timer **link = &loop->timers;

    while (*link != NULL && *link != timer)
        link = &(*link)->next;
    if (*link != NULL)
        *link = timer->next;
    timer->listed = false;
    timer->at_ms = 0;
}

static int wait_ms(const struct kr_loop *loop)
{
    int64_t first = 0, left;

    for (const struct kr_timer *t = loop->timers; t != NULL; t = t->next) {
        if (t->at_ms != 0 && (first == 0 || t->at_ms < first))
            first = t->at_ms;
    }
    if (first == 0)
        return -1;
    left = first - loop->now_ms;
    return left <= 0 ? 0 : left > WAIT_MAX_MS ? WAIT_MAX_MS : (int)left;
}

/* A callback may forget or add timers, so the list is walked anew after each call. */
static void run_timers(struct kr_loop *loop)
{
    struct kr_timer *t = loop->timers;

    while (t != NULL) {
        if (t->at_ms != 0 && t->at_ms <= loop->now_ms) {
            t->at_ms = 0;
            t->on_time(t);
            t = loop->timers;
        } else {
            t = t->next;
        }
    }
}

void kr_loop_round(struct kr_loop *loop, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        struct kr_watch *watch = events[i].data.ptr;

        if (watch->fd >= 0)
            watch->on_ready(watch, events[i].events);
    }
    run_timers(loop);
    if (loop->after_round != NULL)
        loop->after_round(loop);
    run_later(loop);
}

int kr_loop_run(struct kr_loop *loop, struct kr_err *err)
{
    struct epoll_event events[EVENTS_PER_ROUND];

    take_time(loop, -1);
    while (!loop->stopped) {
        int wait = wait_ms(loop);
        int n = epoll_wait(loop->epfd, events, EVENTS_PER_ROUND, wait);

        if (n < 0 && errno != EINTR)
            return kr_fail_errno(err, errno, "wait for events");
        take_time(loop, wait);
        kr_loop_round(loop, events, n);
    }
    return 0;
}
