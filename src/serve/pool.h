/* SPDX-License-Identifier: Apache-2.0 */
/* The workers and the queue before them: dispatch, deadlines, replacement, verdict. */
#ifndef KR_SERVE_POOL_H
#define KR_SERVE_POOL_H

#include "base/json.h"
#include "serve/worker.h"

struct kr_pool_config {
    char *const *argv; /* what to execute; the pool appends the protocol's arguments */
    char *const *env;
    const char *cwd;
    int64_t workers, threads;
    int64_t most;       /* processes, with isolate; .workers stay when there is nothing to do */
    bool isolate;       /* a process runs one request at a time, and costs no other when it ends */
    bool exec_only;     /* such processes are not forked from a template */
    int64_t idle_ms;    /* after which a process more than .workers ends */
    int64_t stall_ms;   /* without progress, and a worker is replaced */
    int64_t startup_ms; /* until a worker must be ready */
    uint64_t memory;    /* resident bytes at which a worker is killed */
    uint64_t machine;   /* bytes that all may have together; 0: not known */
    uint32_t queue_size;
    bool reload; /* kr_pool_reload() will be called: as many places again */
};

struct kr_pool_counters {
    uint64_t restarts, crashes, timeouts, memory_kills, rejected, redispatched, reloads;
};

struct kr_pool {
    struct kr_loop *loop;
    struct kr_pool_config cfg;
    struct kr_worker *workers;
    struct kr_worker *template; /* with isolate, unless processes start afresh */
    bool afresh;                /* the template cannot be forked */
    char afresh_why[200];
    int64_t slots;               /* of workers: twice cfg.workers with reload */
    struct kr_call *head, *tail; /* the queue */
    uint32_t queued;
    struct kr_timer tick, deadline, watch, memory_timer;
    char why[256]; /* of kr_pool_invocable() */
    struct kr_pool_counters count;
    bool was_ready; /* a worker has been ready once */
    bool draining;
    bool stopping; /* nothing is taken any more */
    int64_t drain_grace_ms;
    int64_t watched_ms; /* when the watchdog last looked */
    int64_t lost_us;    /* of the loop, then */
    bool reload_again;  /* the code changed while workers of former code were ending */
    uint32_t edition;   /* of the arguments of the worker that was ready last; on_ready sets it */
    void *owner;
    void (*on_ready)(struct kr_pool *pool, const json_t *ready); /* each time a worker is */
    void (*on_drained)(struct kr_pool *pool);                    /* all workers are gone */
    void (*on_crash_loop)(struct kr_pool *pool);
};

int kr_pool_init(struct kr_pool *pool, struct kr_loop *loop, const struct kr_pool_config *cfg,
                 struct kr_err *err) KR_MUST_USE;
void kr_pool_finish(struct kr_pool *pool); /* kills what is left */

/* Hands a call over. False: refused (*status, *detail say why); no callback comes then. */
bool kr_pool_submit(struct kr_pool *pool, struct kr_call *call, int *status, const char **detail);

/* Nobody waits for the call any more; no callback comes. */
void kr_pool_abandon(struct kr_pool *pool, struct kr_call *call);

void kr_pool_pause(struct kr_call *call, bool pause); /* a stream's reader is slow */

/* The next part of the body of a call with .more that is with a worker. */
void kr_pool_body(struct kr_call *call, struct kr_view bytes, bool last);
void kr_pool_leave(struct kr_call *call); /* .left: tells the worker, too */
void kr_pool_extend(struct kr_pool *pool, struct kr_call *call, int64_t deadline_ms);
void kr_pool_flush(struct kr_pool *pool);
void kr_pool_reap(struct kr_pool *pool);                    /* after SIGCHLD */
void kr_pool_drain(struct kr_pool *pool, int64_t grace_ms); /* then SIGKILL */
void kr_pool_give_up(struct kr_pool *pool); /* every call fails now, and those that come */

/* Whether a request that came now would be run. If not, *why says what stands in the way. */
bool kr_pool_invocable(struct kr_pool *pool, const char **why);

unsigned kr_pool_count(const struct kr_pool *pool, enum kr_worker_state state);
bool kr_pool_crash_loop(const struct kr_pool *pool);
const struct kr_worker *kr_pool_failed_worker(const struct kr_pool *pool);

/* pool_reload.c: the code has changed. _ready: a worker with new code is ready; true when all are
 * and serve now. _ended: a worker that does not serve is gone. */
void kr_pool_reload(struct kr_pool *pool);
bool kr_pool_reload_ready(struct kr_worker *w);
void kr_pool_reload_ended(struct kr_worker *w, const char *how);

void kr_pool_retire(struct kr_worker *w); /* finishes what it has, and ends */

/* pool_template.c: processes that are forked from one that has loaded the pipeline, as many as are
 * needed. _waits: there will be a template, but not yet. */
void kr_template_init(struct kr_pool *pool);
int kr_template_start(struct kr_pool *pool, struct kr_err *err) KR_MUST_USE;
bool kr_template_waits(const struct kr_worker *w);
bool kr_template_forks(const struct kr_worker *w);
void kr_template_frame(struct kr_worker *t, const struct kr_frame *frame);
void kr_template_ended(struct kr_worker *t, const char *how);
bool kr_template_drain(struct kr_pool *pool, int64_t grace_ms); /* false: it has ended */
void kr_pool_grow(struct kr_pool *pool);                        /* when requests wait */
void kr_pool_shrink(struct kr_pool *pool);                      /* now and then */
bool kr_pool_fits(const struct kr_pool *pool, const struct kr_worker *more);
int64_t kr_pool_backoff_ms(const struct kr_worker *w);
void kr_pool_verdict(struct kr_pool *pool); /* it is a crash loop: nobody need wait */
void kr_pool_all_gone(struct kr_pool *pool);

/* For worker.c: a frame has come; the socket has ended. */
void kr_pool_frame(struct kr_worker *w, const struct kr_frame *frame);
void kr_pool_lost(struct kr_worker *w);
void kr_pool_after_end(struct kr_worker *w, const char *how, bool clean); /* pool_end.c */
void kr_pool_dispatch(struct kr_pool *pool);
void kr_pool_requeue(struct kr_pool *pool, struct kr_call *call); /* to the front of the queue */
void kr_pool_unqueue(struct kr_pool *pool, struct kr_call *call);

/* pool_watch.c. A condemned worker gets no more work; what it runs may end within its deadlines,
 * what it has not started runs elsewhere. why: a constant. _settle: when it may be ended, after a
 * request of it has come to its end. */
void kr_pool_condemn(struct kr_worker *w, const char *why);
void kr_pool_settle(struct kr_worker *w);
void kr_pool_out_of_step(struct kr_worker *w, const char *what); /* ends it at once */
void kr_pool_watch(struct kr_pool *pool);                        /* sets the timers' callbacks */
void kr_pool_watch_worker(struct kr_worker *w);
void kr_pool_replace(struct kr_worker *w); /* starts another before this one has ended */
void kr_pool_watch_memory(struct kr_pool *pool);

#endif
