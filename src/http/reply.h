/* SPDX-License-Identifier: Apache-2.0 */
/* Answering a request: whole bodies, files, event streams. */
#ifndef KR_HTTP_REPLY_H
#define KR_HTTP_REPLY_H

#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_conn;

struct kr_reply {
    int status;
    const char *type;     /* NULL: no content-type */
    struct kr_view extra; /* further header lines, each with CRLF */
    struct kr_view body;
    int fd; /* used when fd_size is not 0: the body, closed afterwards */
    uint64_t fd_at, fd_size;
    bool on_disk; /* the file does not lie in memory */
};
void kr_conn_reply(struct kr_conn *conn, const struct kr_reply *reply);
void kr_conn_reply_text(struct kr_conn *conn, int status, const char *type, const char *body,
                        size_t n);
void kr_conn_error(struct kr_conn *conn, int status, const char *detail);  /* {"detail":...} */
void kr_conn_refuse(struct kr_conn *conn, int status, const char *detail); /* and close */
#define KR_STREAM_OPEN UINT64_MAX

/* An answer that comes in pieces. extra: its header lines; length: of its body, -1 when nobody
 * knows. The end of one that was cut, or is shorter, ends the connection so that it is seen. */
void kr_conn_stream_begin(struct kr_conn *conn, int status, struct kr_view extra, int64_t length);
void kr_conn_stream_data(struct kr_conn *conn, const char *bytes, size_t n);
void kr_conn_stream_end(struct kr_conn *conn, bool cut);
bool kr_conn_flush(struct kr_conn *conn); /* false: closed */
void kr_conn_continue(struct kr_conn *conn);
const char *kr_reason_of(int status);
int kr_status_of(int said); /* what a worker says may be no status that can be sent at all */

#endif
