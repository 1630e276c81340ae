/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and open descriptors over Unix sockets. */
#ifndef KR_SERVE_FDPASS_H
#define KR_SERVE_FDPASS_H

#include "base/buf.h"

#include <sys/socket.h>
#include <sys/types.h>

#define KR_FDS_MAX    64 /* that wait for the frames they belong to */
#define KR_FDPASS_ONE CMSG_SPACE(sizeof(int))

/* Lets a message take a descriptor along. `control` is zeroed, and lives until it is sent. */
void kr_fdpass_attach(struct msghdr *msg, char control[KR_FDPASS_ONE], int fd);

#define KR_FDPASS_SOME 3
#define KR_FDPASS_ROOM CMSG_SPACE(KR_FDPASS_SOME * sizeof(int))
void kr_fdpass_attach_some(struct msghdr *msg, char control[KR_FDPASS_ROOM],
                           const int fds[KR_FDPASS_SOME]);

/* One recvmsg with these flags: up to `size` bytes behind those of `in`, and the descriptors that
 * come with them behind the *fd_n of `fds`, which has room for KR_FDS_MAX; the caller owns them.
 * Those without room are closed. -1 stands for one that was sent and could not be taken (no
 * descriptor is left here), so that those behind it keep their places. Returns what recvmsg
 * returns, never an error EINTR; -1 with ENOMEM when `in` has no room. */
ssize_t kr_fdpass_read(int sock, int flags, struct kr_buf *in, size_t size, int *fds, size_t *fd_n);

#endif
