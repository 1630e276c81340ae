/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sse.h"

#include "base/view.h"

#include <stdbool.h>
#include <string.h>

void kr_sse_init(struct kr_sse *sse, kr_sse_fn *on_event, void *data)
{
    *sse = (struct kr_sse){.on_event = on_event, .data = data};
    kr_buf_init(&sse->line, KR_SSE_MAX);
    kr_buf_init(&sse->text, KR_SSE_MAX);
    kr_buf_init(&sse->event, 256);
    kr_buf_init(&sse->id, 1024);
}

void kr_sse_finish(struct kr_sse *sse)
{
    kr_buf_finish(&sse->line);
    kr_buf_finish(&sse->text);
    kr_buf_finish(&sse->event);
    kr_buf_finish(&sse->id);
}

static int dispatch(struct kr_sse *sse, struct kr_err *err)
{
    struct kr_sse_event event = {
        .event = sse->event.n != 0 ? sse->event.p : "message",
        .data = kr_buf_str(&sse->text),
        .data_len = sse->text.n,
        .id = kr_buf_str(&sse->id),
    };
    int rc = 0;

    if (sse->has_data)
        rc = sse->on_event(sse->data, &event, err);
    kr_buf_reset(&sse->text);
    kr_buf_reset(&sse->event);
    sse->has_data = false;
    return rc;
}

static void field(struct kr_sse *sse, struct kr_view name, struct kr_view value)
{
    if (kr_view_eq(name, "data")) {
        if (sse->has_data)
            kr_buf_addc(&sse->text, '\n');
        kr_buf_add(&sse->text, value.p, value.n);
        sse->has_data = true;
    } else if (kr_view_eq(name, "event")) {
        kr_buf_reset(&sse->event);
        kr_buf_add(&sse->event, value.p, value.n);
    } else if (kr_view_eq(name, "id") && memchr(value.p, '\0', value.n) == NULL) {
        kr_buf_reset(&sse->id);
        kr_buf_add(&sse->id, value.p, value.n);
    }
}

static int end_of_line(struct kr_sse *sse, struct kr_err *err)
{
    struct kr_view value, name;
    int rc = 0;

    value = (struct kr_view){kr_buf_str(&sse->line), sse->line.n};
    if (value.n == 0) {
        rc = dispatch(sse, err);
    } else if (value.p[0] != ':') {
        (void)kr_view_cut(&value, ':', &name);
        if (value.n != 0 && value.p[0] == ' ')
            value = (struct kr_view){value.p + 1, value.n - 1};
        field(sse, name, value);
    }
    kr_buf_reset(&sse->line);
    return rc;
}

/* A byte order mark at the very start is not part of the first line. */
static bool is_mark(struct kr_sse *sse, unsigned char c)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf};

    if (sse->bom < 0)
        return false;
    if (c == mark[sse->bom]) {
        sse->bom = sse->bom == 2 ? -1 : sse->bom + 1;
        return true;
    }
    kr_buf_add(&sse->line, mark, (size_t)sse->bom);
    sse->bom = -1;
    return false;
}

int kr_sse_feed(struct kr_sse *sse, const void *bytes, size_t n, struct kr_err *err)
{
    const char *p = bytes, *end = p + n;
    int rc;

    while (p < end) {
        size_t run;

        if (is_mark(sse, (unsigned char)*p)) {
            p++;
            continue;
        }
        if (*p == '\n' && sse->after_cr) {
            sse->after_cr = false;
            p++;
            continue;
        }
        sse->after_cr = false;
        for (run = 0; p + run < end && p[run] != '\n' && p[run] != '\r'; run++)
            ;
        kr_buf_add(&sse->line, p, run);
        p += run;
        if (p < end) {
            sse->after_cr = *p == '\r';
            p++;
            rc = end_of_line(sse, err);
            if (rc < 0)
                return rc;
        }
        if (sse->line.failed || sse->text.failed || sse->event.failed || sse->id.failed)
            return kr_fail(err, KR_E_LIMIT, "an event of the stream is longer than %d bytes",
                           KR_SSE_MAX);
    }
    return 0;
}
