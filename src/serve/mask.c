/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/mask.h"

#include "base/redact.h"
#include "serve/frame.h"
#include "serve/value.h"

#include <string.h>
#include <sys/mman.h>

enum how { NOTHING, WHOLE, ITEMS };

struct kr_view kr_mask_text(struct kr_view text, struct kr_buf *copy)
{
    kr_buf_init(copy, text.n + 1);
    kr_buf_add(copy, text.p, text.n);
    if (copy->n > 0)
        kr_redact(copy->p, copy->n);
    return (struct kr_view){.p = kr_buf_str(copy), .n = copy->n};
}

static bool has(struct kr_view text, const char *word)
{
    return text.n > 0 && memmem(text.p, text.n, word, strlen(word)) != NULL;
}

/* What an item of a batch says of its failure, in a text that may be changed. */
static void mask_item(char *text, const char *start, struct kr_view item)
{
    struct kr_view key, value;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true;

    kr_reader_init(&r, item);
    if (!kr_open(&r, '{'))
        return;
    while (kr_next_member(&r, &first, &key, &kind, &value)) {
        if (kind != KR_V_NULL && (kr_view_eq(key, "\"error\"") || kr_view_eq(key, "\"detail\"")))
            kr_redact(text + (value.p - start), value.n);
    }
}

static void mask_items(char *text, size_t n)
{
    const struct kr_view all = {.p = text, .n = n};
    enum kr_value_kind kind;
    struct kr_view item;
    struct kr_reader r;
    bool first = true;

    kr_reader_init(&r, all);
    if (!kr_open(&r, '[')) {
        kr_redact(text, n);
        return;
    }
    while (kr_next_item(&r, &first, &kind, &item)) {
        if (kind == KR_V_OBJECT && has(item, "false"))
            mask_item(text, text, item);
    }
}

static enum how how_of(bool batch, const struct kr_answer *a)
{
    bool own = a->head.p != NULL; /* of an endpoint, or through middleware */

    if (a->status >= 500 || (!own && !a->run_ok))
        return WHOLE;
    return batch ? ITEMS : NOTHING;
}

static void mask(enum how how, char *text, size_t n)
{
    if (how == WHOLE)
        kr_redact(text, n);
    else
        mask_items(text, n);
}

bool kr_mask_answer(bool batch, struct kr_answer *a, struct kr_buf *copy)
{
    enum how how = how_of(batch, a);
    size_t at = 0;
    char *page;

    if (how == NOTHING)
        return true;
    if (a->fd < 0) {
        if (how == ITEMS && !has(a->body, "false")) /* none has failed */
            return true;
        kr_buf_init(copy, a->body.n + 1);
        kr_buf_add(copy, a->body.p, a->body.n);
        if (copy->n > 0)
            mask(how, copy->p, copy->n);
        a->body = (struct kr_view){.p = kr_buf_str(copy), .n = copy->n};
        return true;
    }
    if (a->fd_size == 0)
        return true;
    page = mmap(NULL, (size_t)a->fd_size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
    if (page == MAP_FAILED)
        return false;
    if (how == ITEMS && a->head.p != NULL && a->fd_size >= 4)
        at = 4 + (size_t)kr_u32_get(page); /* behind the head */
    if (at < a->fd_size)
        mask(how, page + at, (size_t)a->fd_size - at);
    (void)munmap(page, (size_t)a->fd_size);
    return true;
}

struct kr_view kr_mask_event(struct kr_view bytes, struct kr_buf *copy)
{
    static const char error[] = "event: error\n", finished[] = "event: run_finished\n";
    bool tells = bytes.n > sizeof(error) && memcmp(bytes.p, error, sizeof(error) - 1) == 0;

    tells = tells ||
            (bytes.n > sizeof(finished) && memcmp(bytes.p, finished, sizeof(finished) - 1) == 0 &&
             (has(bytes, "\"success\":false") || has(bytes, "\"success\": false")));
    return tells ? kr_mask_text(bytes, copy) : bytes;
}
