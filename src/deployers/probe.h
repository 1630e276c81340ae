/* SPDX-License-Identifier: Apache-2.0 */
/* One GET to a server of this machine. Asking the local deployments of a list must cost
 * microseconds, so no HTTP library is loaded for it. */
#ifndef KR_DEPLOYERS_PROBE_H
#define KR_DEPLOYERS_PROBE_H

#include <stddef.h>
#include <stdint.h>

struct kr_probe {
    const char *address; /* IPv4 or IPv6 */
    int port;
    const char *path;  /* "/health" */
    int status;        /* 0: no answer */
    int sys_errno;     /* why not: ECONNREFUSED, ETIMEDOUT, ... */
    char instance[72]; /* the start that answered, as its header x-kourou-instance says; "" */
    size_t n;
    char body[16384]; /* its beginning, NUL-terminated */
};

/* Fills status, or sys_errno when there is no answer within timeout_ms. */
void kr_probe_get(struct kr_probe *probe, int64_t timeout_ms);

/* 0 when address:port takes a connection, else an errno. */
int kr_port_reach(const char *address, int port, int64_t timeout_ms);

/* 0 when something could listen on address:port now, else an errno (EADDRINUSE, EACCES, ...). */
int kr_port_try(const char *address, int port);

#endif
