/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KR_HTTP_LISTEN_H
#define KR_HTTP_LISTEN_H

#include "base/err.h"

/* A listening socket, the caller's; -1: *err says why there is none. */
int kr_listen_open(const char *host, int port, struct kr_err *err) KR_MUST_USE;

#endif
