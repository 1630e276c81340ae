/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that outlive us, named by pid and start time: a pid alone can be reused. */
#ifndef KR_DEPLOYERS_PROCESS_H
#define KR_DEPLOYERS_PROCESS_H

#include "base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kr_process {
    pid_t pid;                /* 0: none */
    unsigned long long start; /* clock ticks since boot */
};

/* The process that has this pid now; pid 0 when there is none (a zombie is none). */
struct kr_process kr_process_now(pid_t pid);

/* Whether it still runs. A child of ours that ended is reaped. */
bool kr_process_alive(struct kr_process process);

/* SIGTERM. False: it still runs after ms, and is left alone. */
bool kr_process_ask_to_end(struct kr_process process, int64_t ms);

/* SIGTERM, again after grace_ms, and SIGKILL to it and its group a moment later. False: it could
 * not be ended. */
bool kr_process_stop(struct kr_process process, int64_t grace_ms);

/* Waits until it is gone; false when it is still there after ms. */
bool kr_process_wait_gone(struct kr_process process, int64_t ms);

/* Running processes whose program file is called `program` and whose arguments hold `option value`,
 * without those that are the child of another found one. Writes up to max of them and returns how
 * many. */
size_t kr_process_find(const char *program, const char *option, const char *value,
                       struct kr_process *found, size_t max);

/* Value behind option in the arguments of a process. Caller frees; NULL when there is none. */
char *kr_process_option(struct kr_process process, const char *option) KR_MUST_USE;

/* "pid 712 (python3)" of whoever listens on this TCP port of this machine, or NULL when it cannot
 * be seen. Caller frees. */
char *kr_process_of_port(int port) KR_MUST_USE;

#endif
