/* SPDX-License-Identifier: Apache-2.0 */
/* The pages: the built-in playground and API pages, or the files of dashboard_files_path. */
#include "serve/handlers.h"

#include "base/alloc.h"
#include "base/path.h"
#include "serve/pages.h"
#include "http/files.h"
#include "serve/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HTML      "text/html; charset=utf-8"
#define INFO_MARK "/*KOUROU_INFO*/null"
#define PAGE_MAX  (8u << 20)

/* JSON inside of a script element: "<" must not be able to close it. */
static void add_script_json(struct kr_buf *out, const json_t *doc)
{
    kr_auto_free char *text = kr_json_canonical(doc);

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '<' || *p == '>' || *p == '&')
            kr_buf_addf(out, "\\u%04x", (unsigned)*p);
        else
            kr_buf_addc(out, *p);
    }
}

static void reply_page(struct kr_conn *conn, const char *page, json_t *data)
{
    kr_auto_json json_t *owned = data;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(PAGE_MAX);
    const char *mark = strstr(page, INFO_MARK);

    if (mark == NULL) {
        kr_conn_reply_text(conn, 200, HTML, page, strlen(page));
        return;
    }
    kr_buf_add(&out, page, (size_t)(mark - page));
    add_script_json(&out, owned);
    kr_buf_adds(&out, mark + sizeof(INFO_MARK) - 1);
    kr_conn_reply_text(conn, 200, HTML, kr_buf_str(&out), out.n);
}

static json_t *docs_data(struct kr_server *srv, const char *style)
{
    return json_pack("{s:s,s:s,s:s}", "openapi_url", srv->cfg.openapi_path, "title", srv->cfg.title,
                     "style", style);
}

void kr_handle_docs(struct kr_conn *conn)
{
    reply_page(conn, kr_page_docs, docs_data(kr_server_of(conn), "try"));
}

void kr_handle_redoc(struct kr_conn *conn)
{
    reply_page(conn, kr_page_docs, docs_data(kr_server_of(conn), "read"));
}

void kr_handle_dashboard(struct kr_conn *conn)
{
    const struct kr_server *srv = kr_server_of(conn);

    if (srv->cfg.dashboard != NULL)
        kr_files_reply(conn, srv->cfg.dashboard, strlen(srv->cfg.root_prefix));
    else
        reply_page(conn, kr_page_playground, kr_info_json(kr_server_of(conn)));
}
