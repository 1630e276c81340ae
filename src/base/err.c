/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/redact.h"
#include "base/view.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[] = {
    [KR_OK] = "ok",
    [KR_E_USAGE] = "usage",
    [KR_E_NOT_FOUND] = "not-found",
    [KR_E_EXISTS] = "exists",
    [KR_E_CONFLICT] = "conflict",
    [KR_E_INVALID] = "invalid",
    [KR_E_AUTH] = "auth",
    [KR_E_PLAN] = "plan",
    [KR_E_REMOTE] = "remote",
    [KR_E_NETWORK] = "network",
    [KR_E_TIMEOUT] = "timeout",
    [KR_E_LIMIT] = "limit",
    [KR_E_SYSTEM] = "system",
    [KR_E_STATE] = "state",
    [KR_E_CANCELLED] = "cancelled",
};
_Static_assert(KR_ARRAY_LEN(code_names) == KR_CODE_COUNT, "every code has a name");

/* "http://user:password@host" in whatever is said: nobody needs to read who logs in, and how. */
static void hide_logins(char *text)
{
    for (char *at = strstr(text, "://"); at != NULL; at = strstr(at, "://")) {
        bool http = (at >= text + 4 && memcmp(at - 4, "http", 4) == 0) ||
                    (at >= text + 5 && memcmp(at - 5, "https", 5) == 0);
        size_t n = strcspn(at += 3, "/?# \t'\"\\<>");
        char *end = memrchr(at, '@', n);

        /* The user of ssh://git@host is no secret, and image@sha256:... no login. */
        if (end != NULL && end > at + 2 && (http || memchr(at, ':', (size_t)(end - at)) != NULL)) {
            memmove(at + 3, end, strlen(end) + 1);
            memcpy(at, "***", 3);
        }
    }
}

/* Newlines would break the one-line promise; texts from outside may carry them, and secrets. What
 * does not fit may have been cut in the middle of one. */
KR_PRINTF(3, 0)
static void put(char *to, size_t size, const char *fmt, va_list args)
{
    int n = vsnprintf(to, size, fmt, args);

    if (n < 0 || (size_t)n >= size)
        kr_redact_cut(to, strlen(to));
    else
        kr_redact(to, (size_t)n);
    hide_logins(to);
    (void)kr_blank(to, "\n\r\t");
}

int kr_fail(struct kr_err *err, enum kr_code code, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return -(int)code;
    assert(err->code == KR_OK);
    err->code = code;
    va_start(args, fmt);
    put(err->msg, sizeof(err->msg), fmt, args);
    va_end(args);
    return -(int)code;
}

int kr_fail_errno(struct kr_err *err, int errno_value, const char *fmt, ...)
{
    char text[128];
    va_list args;
    size_t used;

    if (err == NULL)
        return -(int)KR_E_SYSTEM;
    assert(err->code == KR_OK);
    err->code = KR_E_SYSTEM;
    err->sys_errno = errno_value;
    va_start(args, fmt);
    put(err->msg, sizeof(err->msg), fmt, args);
    va_end(args);
    used = strlen(err->msg);
    (void)snprintf(err->msg + used, sizeof(err->msg) - used, ": %s",
                   strerror_r(errno_value, text, sizeof(text)));
    return -(int)KR_E_SYSTEM;
}

int kr_wrap(struct kr_err *err, const char *fmt, ...)
{
    char context[512];
    va_list args;
    size_t before, rest;

    if (err == NULL)
        return -(int)KR_E_INVALID;
    va_start(args, fmt);
    put(context, sizeof(context) - 2, fmt, args);
    va_end(args);
    before = strlen(context);
    memcpy(context + before, ": ", 3);
    before += 2;
    rest = strlen(err->msg);
    if (rest > sizeof(err->msg) - 1 - before)
        rest = sizeof(err->msg) - 1 - before;
    memmove(err->msg + before, err->msg, rest);
    memcpy(err->msg, context, before);
    err->msg[before + rest] = '\0';
    return -(int)err->code;
}

int kr_hint(struct kr_err *err, const char *fmt, ...)
{
    va_list args;

    if (err == NULL)
        return -(int)KR_E_INVALID;
    if (err->hint[0] == '\0') {
        va_start(args, fmt);
        put(err->hint, sizeof(err->hint), fmt, args);
        va_end(args);
    }
    return -(int)err->code;
}

void kr_err_clear(struct kr_err *err)
{
    err->code = KR_OK;
    err->sys_errno = 0;
    err->http_status = 0;
    err->msg[0] = '\0';
    err->hint[0] = '\0';
}

const char *kr_code_name(enum kr_code code)
{
    return (unsigned)code < KR_CODE_COUNT ? code_names[code] : "unknown";
}
