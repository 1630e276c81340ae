/* SPDX-License-Identifier: Apache-2.0 */
/* The log of the process (base/log.h) as lines or JSON, in a file that is rotated, and in it one
 * record for each request. */
#ifndef KR_HTTP_ACCESS_LOG_H
#define KR_HTTP_ACCESS_LOG_H

#include "base/err.h"

#include <stdint.h>

struct kr_conn;
struct kr_front;

struct kr_log_config {
    const char *level; /* debug, info, warning, error */
    const char *file;  /* NULL: standard error */
    int64_t size_max, files;
};

int kr_log_open(const struct kr_log_config *config, struct kr_err *err) KR_MUST_USE;
void kr_log_close(void);

void kr_access_log(struct kr_conn *conn, int64_t us);
void kr_access_log_flush(struct kr_front *front); /* after each round of the loop */

#endif
