/* SPDX-License-Identifier: Apache-2.0 */
/* One worker process: start, frames in and out, the started mark, end. Policy is in pool.c. */
#ifndef KR_SERVE_WORKER_H
#define KR_SERVE_WORKER_H

#include "base/buf.h"
#include "base/redact.h"
#include "serve/call.h"
#include "serve/fdpass.h"
#include "http/loop.h"

#include <sys/types.h>

#define KR_WINDOW_MAX    32
#define KR_LIGHT_MAX     512 /* requests of a worker that hold no thread of it */
#define KR_TAIL_LINES    20
#define KR_TAIL_LINE_MAX 240

struct kr_pool;

enum kr_worker_state {
    KR_W_DOWN,     /* no process; respawn_at says when */
    KR_W_STARTING, /* process, not READY yet */
    KR_W_READY,
    KR_W_CONDEMNED, /* is replaced: gets no more work, what runs may end */
    KR_W_DRAINING,  /* told to finish */
    KR_W_DYING      /* SIGKILL sent or socket closed, not reaped yet */
};

enum kr_worker_role {
    KR_ROLE_SERVES,
    KR_ROLE_SPARE,   /* no process: the place of the next one */
    KR_ROLE_COMES,   /* has new code; serves when all of its kind are ready */
    KR_ROLE_GOES,    /* another serves in its stead; its place is spare when it has ended */
    KR_ROLE_TEMPLATE /* serves nothing: forks those that do */
};

/* A request in the worker. call is NULL when nobody waits for it any more. */
struct kr_slot {
    bool used, light;
    uint32_t id;
    struct kr_call *call;
    int64_t deadline_ms; /* of the answer; later: when to look at it again */
    int64_t limit_ms;    /* the operator's */
    bool abandoned;      /* it had started when the last that waited for it went */
};

struct kr_worker {
    struct kr_watch sock;    /* frames */
    struct kr_watch console; /* stdout and stderr */
    struct kr_timer kill_timer, spawn_timer;
    struct kr_pool *pool;
    int index;
    enum kr_worker_state state;
    enum kr_worker_role role;
    pid_t pid;
    int wake_fd;
    volatile uint32_t *mark;
    uint32_t last_id;
    struct kr_slot *slots; /* slot of an id: id & slot_mask */
    uint32_t slot_mask;
    uint32_t inflight, light;          /* light: those that hold no thread */
    uint32_t unstarted[KR_WINDOW_MAX]; /* ids in order, a ring */
    uint32_t unstarted_at, unstarted_n;
    uint32_t seen_mark;
    uint64_t answers, seen_answers; /* answers of this process */
    int64_t progress_us;            /* last time the mark or an answer moved */
    int64_t ping_us;                /* when the PING was sent that is not answered, 0: none */
    int64_t blocked_us;             /* since when the socket takes nothing, 0: it does */
    uint32_t abandoned;             /* slots that are */
    uint32_t threads;               /* requests at a time, as READY says */
    bool pings, frees;              /* what READY says that it can */
    bool promoted;                  /* since the last progress */
    uint32_t mean_us;               /* moving average of the run time */
    uint32_t edition;               /* of the arguments that it wants, 0: none */
    struct kr_buf out;
    struct {
        size_t at;
        int fd;
    } out_fds[KR_WINDOW_MAX + 4];
    size_t out_fd_n;
    struct kr_buf in;
    int in_fds[KR_FDS_MAX];
    size_t in_fd_n;
    struct kr_redactor redactor; /* of the console */
    struct kr_buf line;          /* its unfinished line */
    char tail[KR_TAIL_LINES][KR_TAIL_LINE_MAX];
    unsigned tail_at, tail_n;
    int64_t spawned_ms, ready_ms;
    unsigned failures;      /* ends in a row without having become useful */
    const char *killed_for; /* why the front killed it, NULL: it ended by itself */
    char last_error[512];
    uint64_t rss;
    bool forking;    /* asked for from the template, which has not said its pid yet */
    int64_t used_ms; /* when it last answered a request */
};

/* Starts the process. On failure the worker stays DOWN. */
int kr_worker_spawn(struct kr_worker *w, struct kr_err *err) KR_MUST_USE;

/* After the process was reaped: reads what it still sent, closes everything. */
void kr_worker_close(struct kr_worker *w);
void kr_worker_destroy(struct kr_worker *w);

void kr_worker_send_call(struct kr_worker *w, struct kr_call *call);
void kr_worker_send_control(struct kr_worker *w, uint8_t type, uint32_t id);
void kr_worker_send_flagged(struct kr_worker *w, uint8_t type, uint8_t flags, uint32_t id);
void kr_worker_send_part(struct kr_worker *w, uint32_t id, struct kr_view bytes, bool last);
void kr_worker_flush(struct kr_worker *w);
void kr_worker_promote(struct kr_worker *w, char why);
void kr_worker_kill(struct kr_worker *w, int signal_number);

/* Takes the mark into account. Returns how many requests it has that are not started. */
uint32_t kr_worker_unstarted(struct kr_worker *w);
bool kr_worker_started(const struct kr_worker *w, uint32_t id);

struct kr_slot *kr_worker_slot(struct kr_worker *w, uint32_t id);
void kr_worker_free_slot(struct kr_worker *w, struct kr_slot *slot);

/* Nobody waits for the request any more: the worker is told, and if it runs on, its place in the
 * worker is given to another as far as the worker can do that. */
void kr_worker_drop(struct kr_worker *w, struct kr_slot *slot);

/* How many requests it may run now: abandoned ones do not count, up to as many again. */
/* How many requests hold its threads, at least. */
uint32_t kr_worker_holds(const struct kr_worker *w);
uint32_t kr_worker_places(const struct kr_worker *w);

/* worker_process.c: descriptors, fork and exec. */
int kr_worker_fork(struct kr_worker *w, int *sock, int *console, struct kr_err *err) KR_MUST_USE;
int kr_worker_exec(struct kr_worker *w, int *sock, int *console, struct kr_err *err) KR_MUST_USE;

#endif
