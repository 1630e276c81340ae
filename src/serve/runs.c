/* SPDX-License-Identifier: Apache-2.0 */
/* GET /runs?page=&size=&status= */
#include "serve/handlers.h"
#include "http/conn.h"
#include "serve/record.h"

#include <string.h>

#define SIZE_MAX_PAGE 500

static bool parameter(struct kr_view query, const char *name, struct kr_view *out)
{
    struct kr_view rest = query, pair, key;
    bool more = query.n > 0;

    while (more) {
        more = kr_view_cut(&rest, '&', &pair);
        (void)kr_view_cut(&pair, '=', &key);
        if (kr_view_eq(key, name)) {
            *out = pair;
            return true;
        }
    }
    return false;
}

static void invalid(struct kr_conn *conn, const char *name, const char *message)
{
    kr_auto_json json_t *doc = NULL;
    kr_auto_free char *text = NULL;

    doc = json_pack("{s:[{s:s,s:[s,s],s:s}]}", "detail", "type", "value_error", "loc", "query",
                    name, "msg", message);
    text = kr_json_canonical(doc);
    kr_conn_reply_text(conn, 422, "application/json", text, strlen(text));
}

static bool number(struct kr_conn *conn, struct kr_view query, const char *name, int64_t most,
                   int64_t *out)
{
    struct kr_view value;
    char message[80];

    if (!parameter(query, name, &value))
        return true;
    if (kr_view_i64(value, out) && *out >= 1 && *out <= most)
        return true;
    (void)snprintf(message, sizeof(message), "Input should be an integer from 1 to %lld",
                   (long long)most);
    invalid(conn, name, message);
    return false;
}

void kr_handle_runs(struct kr_conn *conn)
{
    static const char *const states[] = {"completed", "failed", "timeout", "crashed", "abandoned"};
    struct kr_view query = kr_request_view(conn->in, conn->req.query), wanted;
    int64_t page = 1, size = 50;
    const char *status = NULL;

    if (!number(conn, query, "page", 1000000, &page) ||
        !number(conn, query, "size", SIZE_MAX_PAGE, &size))
        return;
    if (parameter(query, "status", &wanted)) {
        for (size_t i = 0; i < KR_ARRAY_LEN(states); i++)
            status = kr_view_eq(wanted, states[i]) ? states[i] : status;
        if (status == NULL) {
            invalid(conn, "status",
                    "Input should be completed, failed, timeout, crashed or abandoned");
            return;
        }
    }
    if (!kr_journal_query(conn, page, size, status))
        kr_conn_error(conn, 404, "Runs are not recorded");
}
