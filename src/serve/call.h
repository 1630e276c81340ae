/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way through the pool: what goes to a worker and who hears of the result. */
#ifndef KR_SERVE_CALL_H
#define KR_SERVE_CALL_H

#include "base/view.h"
#include "serve/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_call;
struct kr_worker;

/* A worker's answer. Views live during the callback. */
struct kr_answer {
    int status;
    bool run_ok;
    bool outputs; /* the body is what the outputs are, not the whole answer */
    bool cut;     /* the stream that ends here is not whole */
    uint32_t run_us;
    struct kr_view head; /* header lines of a custom endpoint, .p NULL without */
    struct kr_view body;
    int fd; /* -1, or the body as a descriptor that the callback owns */
    uint64_t fd_size;
};

/* Exactly one of answer and failure ends a call that was submitted; chunks may come before. */
struct kr_call_ops {
    void (*answer)(struct kr_call *call, const struct kr_answer *answer);
    void (*chunk)(struct kr_call *call, struct kr_view bytes, int status);
    /* The head of an answer whose body comes in chunks; kind custom only. */
    void (*begin)(struct kr_call *call, struct kr_view head, int status);
    /* A call with .more: it has been given to a worker, which takes its body now; the worker has
     * used so many bytes of it (0: it waits for the first). */
    void (*sent)(struct kr_call *call);
    void (*taken)(struct kr_call *call, uint32_t bytes);
    /* retryable: the pipeline has not begun to run this request. */
    void (*failure)(struct kr_call *call, int status, bool retryable, const char *detail);
};

enum kr_call_where { KR_CALL_IDLE, KR_CALL_QUEUED, KR_CALL_SENT };

struct kr_call {
    struct kr_call *prev, *next; /* in the pool's queue */
    const struct kr_call_ops *ops;
    struct kr_worker *worker;
    enum kr_call_where where;
    enum kr_kind kind;
    uint32_t id;
    int64_t deadline_ms; /* when its answer comes too late */
    int64_t limit_ms;    /* the operator's: how long it may run; never before deadline_ms */
    char run_id[KR_RUN_ID_LEN + 1];
    struct kr_view head; /* kind custom: the head block */
    /* must stay until the call ends: a crashed worker's calls are sent again */
    struct kr_view body;
    int body_fd; /* -1, or the body as a descriptor (then .body is empty) */
    uint64_t body_size;
    /* the body in another form, .p NULL without; stays as the body does */
    struct kr_view arguments;
    uint32_t edition; /* of the arguments: for workers that said the same of them */
    bool more;        /* the body comes by kr_pool_body(), .body is empty */
    bool parted;      /* some of it was sent: the call cannot go to another worker */
    bool light;       /* it holds no thread of its worker */
    bool left;        /* the client sends nothing more, and has perhaps gone */
};

#endif
