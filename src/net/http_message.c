/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives: heads, bodies, and how an exchange ends. */
#include "net/http_impl.h"

#include "base/view.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void kr_http_response_finish(struct kr_http_response *res)
{
    kr_buf_finish(&res->head);
    kr_buf_finish(&res->body);
    free(res->url);
    *res = (struct kr_http_response)KR_HTTP_RESPONSE_INIT;
}

/* Lines of res->head are "Name: value\0": each value can be handed out as it lies there. */
const char *kr_http_header_next(const struct kr_http_response *res, const char *name,
                                const char **from)
{
    size_t len = strlen(name);
    const char *at = *from != NULL ? *from + strlen(*from) + 1 : res->head.p;
    const char *end = res->head.p != NULL ? res->head.p + res->head.n : NULL;

    for (; at != NULL && at < end; at += strlen(at) + 1) {
        if (strncasecmp(at, name, len) == 0 && at[len] == ':') {
            *from = at;
            at += len + 1;
            return at + strspn(at, " \t");
        }
    }
    return NULL;
}

const char *kr_http_header(const struct kr_http_response *res, const char *name)
{
    const char *from = NULL;

    return kr_http_header_next(res, name, &from);
}

static int status_of(const char *line, size_t n)
{
    const char *space = memchr(line, ' ', n);
    uint64_t status;
    size_t digits = 0;

    if (space == NULL)
        return 0;
    space++;
    while (space + digits < line + n && space[digits] >= '0' && space[digits] <= '9')
        digits++;
    return kr_view_u64((struct kr_view){space, digits}, &status) && status >= 100 && status < 1000
               ? (int)status
               : 0;
}

void kr_http_take_header(struct kr_http_exchange *x, const char *line, size_t n)
{
    struct kr_http_response *res = x->res;

    if (n >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        kr_buf_reset(&res->head); /* 100 Continue, or an answer of the proxy, came before */
        res->status = status_of(line, n);
        return;
    }
    if (memchr(line, ':', n) == NULL || memchr(line, '\0', n) != NULL)
        return;
    kr_buf_add(&res->head, line, n);
    kr_buf_addc(&res->head, '\0');
}

void kr_http_lose(struct kr_http_exchange *x, enum kr_http_failure failure, enum kr_code code,
                  const char *why)
{
    if (x->done)
        return;
    x->done = true;
    x->res->failure = failure;
    if (x->err.code == KR_OK)
        (void)kr_fail(&x->err, code, "%s", why);
}

static int to_callback(struct kr_http_exchange *x, const void *bytes, size_t n)
{
    int rc;

    if (!x->begun && x->req->on_begin != NULL)
        x->req->on_begin(x->req->data, x->res);
    x->begun = true;
    rc = x->req->on_data(x->req->data, bytes, n, &x->err);
    if (rc > 0) {
        x->res->stopped = true;
        x->res->failure = KR_HTTP_ANSWERED;
        x->done = true;
        return -1;
    }
    if (rc < 0)
        kr_http_lose(x, KR_HTTP_HOPELESS, KR_E_REMOTE, "the answer was refused");
    return rc;
}

int kr_http_take_data(struct kr_http *http, struct kr_http_exchange *x, const void *bytes, size_t n)
{
    if (x->done)
        return -1;
    x->active_ms = kr_http_now(http);
    if (x->req->on_data != NULL && x->res->status >= 200 && x->res->status < 300)
        return to_callback(x, bytes, n);
    kr_buf_add(&x->res->body, bytes, n);
    if (kr_buf_check(&x->res->body, &x->err) < 0) {
        kr_http_lose(x, KR_HTTP_HOPELESS, KR_E_LIMIT, "");
        (void)kr_wrap(&x->err, "answer too long");
        return -1;
    }
    return 0;
}

void kr_http_note_sent(struct kr_http *http, struct kr_http_exchange *x, uint64_t n)
{
    if (n == x->sent)
        return;
    x->sent = n;
    x->active_ms = kr_http_now(http);
    if (x->req->on_sent != NULL && !x->done)
        x->req->on_sent(x->req->data, n, x->req->body.size);
}

bool kr_http_header_is_harmless(const char *line)
{
    static const char *const names[] = {"accept", "range", "if-none-match", "accept-encoding"};
    size_t len = strcspn(line, ":");

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if (strlen(names[i]) == len && strncasecmp(names[i], line, len) == 0)
            return true;
    }
    return false;
}
