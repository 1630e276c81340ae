/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of kourou-serve: one thread, epoll, a handful of timers. Callbacks may close any
 * watch, also one that has an event waiting: memory is given back through kr_loop_later(). */
#ifndef KR_HTTP_LOOP_H
#define KR_HTTP_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct epoll_event;

struct kr_watch {
    int fd; /* -1: not watched */
    uint32_t events;
    void (*on_ready)(struct kr_watch *watch, uint32_t events);
};

struct kr_timer {
    int64_t at_ms; /* 0: not armed */
    void (*on_time)(struct kr_timer *timer);
    struct kr_timer *next;
    bool listed;
};

struct kr_later {
    struct kr_later *next;
    void (*run)(struct kr_later *later);
};

struct kr_loop {
    int epfd;
    bool stopped;
    int64_t now_us; /* kr_loop_us(), taken once per round */
    int64_t now_ms;
    int64_t lost_us; /* for so long this process stood still */
    struct kr_timer *timers;
    struct kr_later *later;
    void (*after_round)(struct kr_loop *loop); /* batches are written here */
};

int kr_loop_init(struct kr_loop *loop, struct kr_err *err) KR_MUST_USE;
void kr_loop_finish(struct kr_loop *loop);

/* Runs until kr_loop_stop(). */
int kr_loop_run(struct kr_loop *loop, struct kr_err *err) KR_MUST_USE;
void kr_loop_stop(struct kr_loop *loop);

/* What a round does after its wait: callbacks of these events, timers that are due at now_ms,
 * after_round, and what was to be run later. */
void kr_loop_round(struct kr_loop *loop, const struct epoll_event *events, int n);

int kr_watch_add(struct kr_loop *loop, struct kr_watch *watch, uint32_t events,
                 struct kr_err *err) KR_MUST_USE;
void kr_watch_set(struct kr_loop *loop, struct kr_watch *watch, uint32_t events);
void kr_watch_close(struct kr_loop *loop, struct kr_watch *watch);  /* closes the descriptor */
void kr_watch_remove(struct kr_loop *loop, struct kr_watch *watch); /* leaves it open */

/* Arms for the earlier of what is armed and at_ms; disarm with kr_timer_stop(). */
void kr_timer_at(struct kr_loop *loop, struct kr_timer *timer, int64_t at_ms);
void kr_timer_stop(struct kr_timer *timer);
void kr_timer_forget(struct kr_loop *loop, struct kr_timer *timer); /* before its memory goes */

/* Runs when no event of this round can refer to the memory any more. */
void kr_loop_later(struct kr_loop *loop, struct kr_later *later);

int64_t kr_mono_us(void);

/* The time of the loop: monotonic, without the time in which this process did not run at all (it
 * was stopped, its container frozen, the machine asleep). Every deadline, pace and age is measured
 * with it: nobody is held to time in which nobody could do anything. */
int64_t kr_loop_us(const struct kr_loop *loop);

#endif
