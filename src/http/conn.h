/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection, the request that it brings, and what it holds of the front's memory. */
#ifndef KR_HTTP_CONN_H
#define KR_HTTP_CONN_H

#include "base/buf.h"
#include "http/front.h"
#include "http/reply.h"
#include "http/request.h"

#include <sys/types.h>

#define KR_CONN_FIRST 4096 /* bytes of its first buffer; a small request needs no more */

#define KR_NO_ROOM "Too much is being sent to this server at the moment, try again"

/* How fast a body comes: so much in each interval, and the whole of it until then. */
struct kr_body_pace {
    int64_t until_ms;
    uint64_t counted; /* bytes at the beginning of the interval */
    uint64_t marked;  /* bytes when since_ms was moved last */
    int64_t rests_ms; /* since when nothing is awaited, or 0 */
};

enum kr_conn_state {
    KR_C_HEAD, /* idle, or a head is coming */
    KR_C_BODY,
    KR_C_WAIT,   /* the handler has the request */
    KR_C_STREAM, /* an event stream has begun */
    KR_C_SEND,   /* the rest of an answer */
    KR_C_LINGER, /* answered and shut down: input is read away for a moment */
    KR_C_CLOSED
};

struct kr_conn {
    struct kr_watch watch;
    struct kr_later later;
    struct kr_front *front;
    struct kr_conn *prev, *next;
    enum kr_conn_state state;
    bool keep_alive, no_body_out, chunked_out, eof, processing, paused, expect_sent;
    bool upload;          /* the body goes to the handler as it comes, and has not ended */
    bool streamed;        /* the handler was called before its end */
    bool discard;         /* the answer is there, the rest of the body is read away */
    bool cut;             /* the answer is not whole, and that has to be seen */
    uint64_t stream_left; /* bytes of a declared length, or KR_STREAM_OPEN */
    int64_t deadline_ms, arrived_us;
    int64_t since_ms; /* the client has done nothing worth waiting for since */
    struct kr_body_pace pace;
    uint64_t held; /* its part of what counts against the front's sum (room.c) */
    struct kr_request req;
    char *in;
    size_t in_n, in_cap, in_at;
    struct kr_span body;    /* of a body that lies in `in` */
    struct kr_buf body_buf; /* a body that came in chunks, or what has come of an upload */
    int body_fd;            /* a large body */
    struct kr_buf out;
    int file_fd; /* a body that is sent from a file */
    off_t file_at;
    uint64_t file_left, file_held; /* held: its size when it lies in memory */
    struct kr_route *route;
    char request_id[65];
    int status;
    uint64_t sent;
};

/* conn.c */
void kr_conn_open(struct kr_front *front, int fd);
void kr_conn_close(struct kr_conn *conn);
void kr_conn_cut(struct kr_conn *conn);    /* so that it does not look like the end of an answer */
void kr_conn_resume(struct kr_conn *conn); /* the answer was sent: next request, if there is one */
void kr_conn_deadline(struct kr_conn *conn, int64_t in_ms);
void kr_conn_sweep(struct kr_front *front);

/* body.c */
int kr_body_keep(struct kr_request *req, const char *bytes, size_t n); /* 0, or a status */
void kr_body_forget(struct kr_conn *conn);
void kr_body_begin(struct kr_conn *conn); /* its time runs from now */
void kr_body_moved(struct kr_conn *conn); /* more of it has come */
void kr_body_rest(struct kr_conn *conn);  /* nothing is awaited until it is resumed */
void kr_body_resume(struct kr_conn *conn);
struct kr_view kr_conn_body(const struct kr_conn *conn);
uint64_t kr_body_held(const struct kr_conn *conn); /* memory beside the connection's buffer */

/* upload.c: bodies that go to the handler while they come. The owner takes them from body_buf, and
 * says so. */
int kr_upload_keep(struct kr_conn *conn, const char *bytes, size_t n); /* as kr_body_keep */
void kr_upload_begin(struct kr_conn *conn); /* the body is not there with the head */
void kr_upload_arrived(struct kr_conn *conn);
void kr_upload_end(struct kr_conn *conn); /* all of it is there */
void kr_upload_fail(struct kr_conn *conn, int status, const char *detail);
bool kr_upload_waits(const struct kr_conn *conn); /* for the handler: nothing is read meanwhile */
/* For the owner: it has taken n bytes; it takes some now (a client that expects to hear of it is
 * told; false: there is none); the answer is there: what becomes of the rest. */
void kr_upload_took(struct kr_conn *conn, size_t n);
bool kr_upload_wanted(struct kr_conn *conn);
void kr_upload_stop(struct kr_conn *conn);

/* room.c */
bool kr_room_for_connection(struct kr_front *front); /* false: every connection is in use */
/* Counts anew what the connection holds. False: together it is too much, refuse this one. */
bool kr_room_take(struct kr_conn *conn);
uint64_t kr_room_limit(const struct kr_front *front); /* what all may hold now */
bool kr_room_is_short(const struct kr_front *front);  /* half of it is in use */
bool kr_room_for_answer(struct kr_conn *conn);        /* false: drop the answer */
void kr_room_forget(struct kr_conn *conn);
void kr_room_tidy(struct kr_front *front);

#endif
