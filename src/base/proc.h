/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes. Arguments never carry secrets: those go by environment or descriptor. */
#ifndef KR_BASE_PROC_H
#define KR_BASE_PROC_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct kr_proc_opts {
    const char *cwd;   /* NULL: ours */
    char *const *env;  /* NULL: ours; else the whole environment, NULL-terminated */
    const char *input; /* text for stdin, or NULL for /dev/null */
    size_t input_len;
    struct kr_buf *out;     /* stdout is collected here, or inherited stderr when NULL */
    struct kr_buf *err_out; /* stderr is collected here (the oldest bytes are dropped when full), or
                               inherited when NULL */
    int timeout_ms;         /* 0: none; after it SIGTERM, then SIGKILL */
    /* Called for each line of either stream as it comes (without newline, and without the values
     * that are registered for redaction); may be NULL. */
    void (*line)(const char *text, bool is_stderr, void *data);
    void *data;
    /* Asked often, also right after a signal: true ends the child (SIGTERM, then SIGKILL) and the
     * call with KR_E_CANCELLED; may be NULL. */
    bool (*cancelled)(void *data);
    void *cancel_data;
    /* Called once, when the child has started: work that can be done while it runs; may be NULL. */
    void (*meanwhile)(void);
};

/* Runs a program (looked up in $PATH) to its end. *status: exit status, or 128 + signal. Failing to
 * start, passing the timeout or being cancelled is an error; a non-zero status is not. */
int kr_proc_run(char *const argv[], const struct kr_proc_opts *opts, int *status,
                struct kr_err *err) KR_MUST_USE;

struct kr_spawn {
    char *const *argv;
    char *const *env; /* NULL: ours */
    const char *cwd;  /* NULL: ours */
    int fds[3];       /* stdin, stdout, stderr; -1: /dev/null */
    const int *keep;  /* further descriptors the child keeps under the same number */
    size_t keep_count;
    bool new_session;  /* setsid: survives our terminal */
    bool dies_with_us; /* killed when the thread that started it ends, however that happens */
};

/* Starts a child and returns at once. The caller reaps *pid (unless it detaches for good). An exec
 * that fails is reported here. */
int kr_proc_spawn(const struct kr_spawn *what, pid_t *pid, struct kr_err *err) KR_MUST_USE;

/* Environment builder: copies ours, then sets or removes (value NULL) one name. */
char **kr_env_copy(void) KR_MUST_USE;
void kr_env_set(char ***env, const char *name, const char *value);
void kr_env_free(char **env);

/* Start time of a process in clock ticks since boot (from /proc), 0 when there is none. A pid with
 * its start time names a process for good, a pid alone can be reused. */
unsigned long long kr_proc_start_time(pid_t pid);

#endif
