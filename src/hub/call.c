/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the Hub: headers, warnings, JSON, and doubt about lost answers. */
#include "hub/hub_impl.h"

#include "base/alloc.h"
#include "base/id.h"
#include "base/view.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>

enum { LOST_TRIES = 4 };

void kr_hub_request(struct kr_hub *hub, const struct kr_hub_call *call, const char *url,
                    struct kr_http_request *req)
{
    bool home = kr_url_same_origin(url, hub->endpoint);

    *req = (struct kr_http_request){
        .method = call->method,
        .url = url,
        .authorization = home && !call->no_token ? hub->authorization : NULL,
        .body = call->body,
        .repeat = call->repeat,
        .idle_ms = call->idle_ms,
        .max_body = call->max_body,
        .on_sent = call->on_sent,
        .data = call->data};
}

/* Each topic of X-HF-Warning is shown once. */
static void show_warnings(struct kr_hub *hub, const struct kr_http_response *res)
{
    const char *from = NULL, *text;

    while ((text = kr_http_header_next(res, "x-hf-warning", &from)) != NULL) {
        struct kr_view rest = kr_view_of(text), topic;
        kr_auto_free char *key = NULL;

        if (!kr_view_cut(&rest, ';', &topic))
            rest = topic;
        key = kr_view_dup(kr_view_trim(topic));
        for (char *c = key; *c != '\0'; c++) /* headers are bytes, keys have to be UTF-8 */
            *c = (unsigned char)*c >= 0x80 ? '?' : *c;
        if (json_object_get(hub->warned, key) != NULL)
            continue;
        kr_json_set_bool(hub->warned, key, true);
        rest = kr_view_trim(rest);
        kr_hub_note(hub, true, "the Hub says: " KR_VIEW_FMT, KR_VIEW_ARG(rest));
    }
}

int kr_hub_send(struct kr_hub *hub, const struct kr_hub_call *call, struct kr_http_response *res,
                struct kr_err *err)
{
    kr_auto_free char *url = kr_hub_url(hub, call->path), *text = NULL;
    char trace[KR_UUID_SIZE], trace_line[64], type_line[128], accept_line[128];
    const char *headers[4];
    struct kr_http_request req;
    size_t n = 0;

    if (hub->offline) {
        (void)kr_fail(err, KR_E_NETWORK, "%s: HF_HUB_OFFLINE is set", call->doing);
        return kr_hint(err, "unset HF_HUB_OFFLINE to use the Hub");
    }
    kr_hub_request(hub, call, url, &req);
    (void)snprintf(trace_line, sizeof(trace_line), "X-Amzn-Trace-Id: %s", kr_uuid4(trace));
    headers[n++] = trace_line;
    if (call->json != NULL) {
        text = kr_json_canonical(call->json);
        req.body = (struct kr_http_body){KR_BODY_BYTES, text, -1, 0, strlen(text)};
    }
    if (req.body.kind != KR_BODY_NONE) {
        (void)snprintf(type_line, sizeof(type_line), "Content-Type: %s",
                       call->type != NULL ? call->type : "application/json");
        headers[n++] = type_line;
    }
    if (call->accept != NULL) {
        (void)snprintf(accept_line, sizeof(accept_line), "Accept: %s", call->accept);
        headers[n++] = accept_line;
    }
    headers[n] = NULL;
    req.headers = headers;
    if (kr_http_call(hub->http, &req, res, err) < 0)
        return kr_wrap(err, "%s", call->doing);
    show_warnings(hub, res);
    return 0;
}

int kr_hub_parse(const struct kr_hub_call *call, const struct kr_http_response *res, json_t **out,
                 struct kr_err *err)
{
    struct kr_err why = KR_ERR_INIT;
    kr_auto_json json_t *body = NULL;
    struct kr_view start = {kr_buf_str(&res->body), res->body.n < 200 ? res->body.n : 200};
    const char *id = kr_hub_request_id(res);
    int rc = 0;

    if (kr_json_parse(kr_buf_str(&res->body), res->body.n, "the answer", &body, &why) < 0)
        rc = kr_fail(err, KR_E_REMOTE, "%s: %s, it begins: " KR_VIEW_FMT, call->doing, why.msg,
                     KR_VIEW_ARG(start));
    else if (!json_is_object(body) && !json_is_array(body))
        rc =
            kr_fail(err, KR_E_REMOTE, "%s: the answer is %s", call->doing, kr_json_type_name(body));
    if (rc < 0) {
        if (err != NULL)
            err->http_status = res->status;
        return kr_hint(err, "try again%s%s",
                       id != NULL ? "; if it stays, report the request id " : "",
                       id != NULL ? id : "");
    }
    *out = kr_steal(&body);
    return 0;
}

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

int kr_hub_json(struct kr_hub *hub, const struct kr_hub_call *call, json_t **out,
                struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;

    if (kr_hub_send(hub, call, &res, err) < 0)
        return -(int)err->code;
    if (!is_success(res.status))
        return kr_hub_problem(hub, call, &res, err);
    return out != NULL ? kr_hub_parse(call, &res, out, err) : 0;
}

int kr_hub_once(struct kr_hub *hub, const struct kr_hub_call *call, kr_hub_landed *landed,
                void *data, struct kr_http_response *res, bool *was_lost, struct kr_err *err)
{
    struct kr_hub_call once = *call;
    struct kr_err first = KR_ERR_INIT;

    once.repeat = KR_REPEAT_UNSENT;
    *was_lost = false;
    for (int tried = 1;; tried++) {
        int rc = kr_hub_send(hub, &once, res, &first), took;

        if (rc == 0 && res->status < 500 && res->status != 408)
            return 0;
        if (rc < 0 && res->failure != KR_HTTP_LOST) {
            if (err != NULL)
                *err = first;
            return rc;
        }
        took = landed(hub, data, err);
        if (took < 0)
            return kr_wrap(err, "%s: no answer came, and looking whether it worked failed",
                           call->doing);
        *was_lost = took == 1;
        if (took == 1 || (tried == LOST_TRIES && rc == 0))
            return 0;
        if (tried == LOST_TRIES) {
            if (err != NULL)
                *err = first;
            return rc;
        }
        kr_err_clear(&first);
        if (kr_http_sleep(hub->http, 1000LL << (tried - 1), err) < 0)
            return -(int)err->code;
    }
}
