/* SPDX-License-Identifier: Apache-2.0 */
/* The explicit error object: last argument of every function that can fail, owned by the caller.
 *
 * Success leaves it untouched. A failing function fills it once with kr_fail() and returns the
 * negative code; callers add context with kr_wrap() on the way up and never overwrite it. No
 * allocation happens here, so errors can be reported when memory is gone. docs/errors.md has the
 * whole rule. Messages are one line, impersonal, without a full stop. */
#ifndef KR_BASE_ERR_H
#define KR_BASE_ERR_H

#include "base/attrs.h"

enum kr_code {
    KR_OK = 0,
    KR_E_USAGE,     /* the caller asked for something that makes no sense (exit status 2) */
    KR_E_NOT_FOUND, /* no such thing */
    KR_E_EXISTS,    /* a thing of that name exists */
    KR_E_CONFLICT,  /* the thing is in use, or changed under us */
    KR_E_INVALID,   /* a value, file or document is wrong */
    KR_E_AUTH,      /* credentials missing, refused or not sufficient */
    KR_E_PLAN,      /* the account's plan or quota does not allow it */
    KR_E_REMOTE,    /* the other side answered something unexpected */
    KR_E_NETWORK,   /* the other side could not be reached */
    KR_E_TIMEOUT,   /* it took too long */
    KR_E_LIMIT,     /* a bound of this program was passed */
    KR_E_SYSTEM,    /* the operating system refused (sys_errno) */
    KR_E_STATE,     /* the store is damaged, newer, locked or encrypted with another key */
    KR_E_CANCELLED, /* the user said no, or pressed Ctrl-C */
    KR_CODE_COUNT
};

struct kr_err {
    enum kr_code code;
    int sys_errno;   /* errno where the system refused, else 0 */
    int http_status; /* status of the answer that caused it, else 0 */
    char msg[2048];
    char hint[1024]; /* what to do next: a command or a setting; may be empty */
};

#define KR_ERR_INIT                                                                                \
    {                                                                                              \
        .code = KR_OK, .msg = "", .hint = ""                                                       \
    }

/* Fills a clear error and returns -code. A NULL err is allowed (best-effort callers). */
int kr_fail(struct kr_err *err, enum kr_code code, const char *fmt, ...) KR_PRINTF(3, 4);

/* As kr_fail(KR_E_SYSTEM) with ": <strerror(errno_value)>" appended. */
int kr_fail_errno(struct kr_err *err, int errno_value, const char *fmt, ...) KR_PRINTF(3, 4);

/* Puts "<context>: " before the message; returns -err->code. */
int kr_wrap(struct kr_err *err, const char *fmt, ...) KR_PRINTF(2, 3);

/* Says what to do next; the first hint stays (it is nearest to the cause). Returns -err->code. */
int kr_hint(struct kr_err *err, const char *fmt, ...) KR_PRINTF(2, 3);

/* Makes the error clear again, for callers that handled it. */
void kr_err_clear(struct kr_err *err);

/* Short lower-case name of a code ("not-found"), for logs and JSON. */
const char *kr_code_name(enum kr_code code);

#endif
