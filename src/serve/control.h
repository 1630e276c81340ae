/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: status, drain, and the hand-over of the listening socket. */
#ifndef KR_SERVE_CONTROL_H
#define KR_SERVE_CONTROL_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct kr_server;

int kr_control_open(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_control_close(struct kr_server *srv);
int kr_control_takeover(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_control_taken(struct kr_server *srv); /* we are ready: the old server may drain */

/* For the gate, too. Descriptors are the caller's; -1: *err says why there is none. */
int kr_control_connect(const char *path, struct kr_err *err) KR_MUST_USE;
/* A listening control socket, bound under another name and renamed, so that the path always leads
 * to one that listens. */
int kr_control_bind(const char *path, mode_t mode, ino_t *inode, struct kr_err *err) KR_MUST_USE;
void kr_control_lend(int to, int listener); /* sends the listening descriptor */
/* What was lent: the one descriptor that comes with the next message. */
int kr_control_receive(int sock, struct kr_err *err) KR_MUST_USE;
bool kr_control_is_listener(int fd); /* connections can be accepted from it */

#endif
