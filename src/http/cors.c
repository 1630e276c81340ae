/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-origin requests: what the browser is told it may do. */
#include "http/conn.h"

#include <string.h>
#include <strings.h>

bool kr_cors_allows(const struct kr_cors *cors, struct kr_view origin)
{
    if (cors->any_origin)
        return true;
    for (size_t i = 0; i < json_array_size(cors->origins); i++) {
        const char *one = json_string_value(json_array_get(cors->origins, i));

        if (one != NULL && kr_view_eq(origin, one))
            return true;
    }
    return false;
}

void kr_cors_headers(const struct kr_conn *conn, struct kr_buf *out)
{
    const struct kr_cors *cors = &conn->front->cfg.cors;
    struct kr_view origin = kr_request_known(&conn->req, conn->in, KR_H_ORIGIN);

    if (!kr_cors_allows(cors, origin)) {
        kr_buf_adds(out, "vary: Origin\r\n");
        return;
    }
    if (cors->any_origin && !cors->credentials)
        kr_buf_adds(out, "access-control-allow-origin: *\r\n");
    else
        kr_buf_addf(out, "access-control-allow-origin: " KR_VIEW_FMT "\r\nvary: Origin\r\n",
                    KR_VIEW_ARG(origin));
    if (cors->credentials)
        kr_buf_adds(out, "access-control-allow-credentials: true\r\n");
    kr_buf_adds(out, "access-control-expose-headers: x-request-id\r\n");
}

bool kr_cors_is_preflight(const struct kr_conn *conn)
{
    return conn->front->cfg.cors.on && conn->req.parser.method == HTTP_OPTIONS &&
           conn->req.known[KR_H_ORIGIN] >= 0 && conn->req.known[KR_H_ACR_METHOD] >= 0;
}

static bool in_list(const char *list, struct kr_view word)
{
    struct kr_view rest = kr_view_of(list), head;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, ',', &head);
        head = kr_view_trim(head);
        if (head.n == word.n && word.n > 0 && strncasecmp(head.p, word.p, word.n) == 0)
            return true;
    }
    return false;
}

void kr_cors_preflight(struct kr_conn *conn)
{
    const struct kr_cors *cors = &conn->front->cfg.cors;
    struct kr_view method = kr_request_known(&conn->req, conn->in, KR_H_ACR_METHOD);
    struct kr_view headers = kr_request_known(&conn->req, conn->in, KR_H_ACR_HEADERS);
    struct kr_view origin = kr_request_known(&conn->req, conn->in, KR_H_ORIGIN);
    kr_auto_buf struct kr_buf extra = KR_BUF_INIT(KR_HTTP_HEAD_MAX * 2);
    struct kr_reply reply = {.status = 204, .fd = -1};

    if (!json_is_array(cors->origins) && !kr_origin_check(conn, true))
        return;
    if (!kr_cors_allows(cors, origin) || !in_list(cors->methods, method)) {
        kr_conn_reply_text(conn, 400, "text/plain; charset=utf-8",
                           "Disallowed CORS origin or method", 32);
        return;
    }
    kr_buf_addf(&extra, "access-control-allow-methods: %s\r\naccess-control-max-age: 600\r\n",
                cors->methods);
    if (headers.p != NULL && cors->any_header)
        kr_buf_addf(&extra, "access-control-allow-headers: " KR_VIEW_FMT "\r\n",
                    KR_VIEW_ARG(headers));
    else if (!cors->any_header)
        kr_buf_addf(&extra, "access-control-allow-headers: %s\r\n", cors->headers);
    reply.extra = (struct kr_view){.p = kr_buf_str(&extra), .n = extra.n};
    kr_conn_reply(conn, &reply);
}
