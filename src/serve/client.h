/* SPDX-License-Identifier: Apache-2.0 */
/* A connection with what the pipeline's server keeps for its request: the call to a worker, and a
 * question to the journal. */
#ifndef KR_SERVE_CLIENT_H
#define KR_SERVE_CLIENT_H

#include "http/conn.h"
#include "serve/call.h"

struct kr_client {
    struct kr_conn conn; /* first: the front makes both */
    struct kr_call call;
    struct kr_buf head; /* head block of a custom call; arguments of an invocation and
                         * what its answer says of them */
    size_t tail_at;     /* where those begin in it */
    uint32_t credit;    /* bytes of an upload that the worker takes now */
    bool ended;         /* the worker has all of it */
    char ends[160];     /* who speaks with whom, for the worker; empty: not asked yet */
    char *run_name;     /* NULL: not known (run_name.h) */
    uint64_t ticket;    /* of a question to the journal */
};

extern const struct kr_front_ops kr_client_ops;

static inline struct kr_client *kr_client_of(const struct kr_conn *conn)
{
    return (struct kr_client *)(uintptr_t)conn;
}

static inline struct kr_client *kr_client_of_call(struct kr_call *call)
{
    return (struct kr_client *)((char *)call - offsetof(struct kr_client, call));
}

/* upload.c: bodies that go to the worker while they come. */
#define KR_UPLOAD_WINDOW (64u * 1024) /* sent and not used */
void kr_upload_forward(struct kr_client *client);
void kr_upload_taken(struct kr_client *client, uint32_t bytes);
void kr_upload_watch(struct kr_client *client); /* the call's time, after something happened */

#endif
