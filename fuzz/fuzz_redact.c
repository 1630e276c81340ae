/* SPDX-License-Identifier: Apache-2.0 */
/* Redaction: secrets one a line, an empty line, then a text; the first byte is the length of the
 * pieces. Whole and in pieces the text gives the same, every value is covered, and what is no part
 * of a value stays. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/plausible.h"
#include "base/redact.h"
#include "base/redact_forms.h"

enum { VALUES = 8, TEXT_MAX = 20000 };

struct covered {
    const char *text;
    size_t n;
    bool *at;
};

/* The slow way: every form in every place. */
static void cover(void *data, const char *form, size_t n)
{
    struct covered *c = data;
    size_t piece = n > KR_REDACT_BLOCK ? KR_REDACT_BLOCK : n;

    for (size_t from = 0; from + piece <= n; from += piece) {
        if (from + 2 * piece > n && from + piece < n)
            cover(data, form + n - piece, piece);
        for (size_t i = 0; i + piece <= c->n; i++) {
            if (memcmp(c->text + i, form + from, piece) == 0)
                memset(c->at + i, true, piece);
        }
    }
}

static void check_cover(char *const values[], size_t count, const char *text, size_t n,
                        const char *shown)
{
    struct covered c = {.text = text, .n = n, .at = kr_calloc(n + 1, sizeof(bool))};

    for (size_t i = 0; i < count; i++) {
        if (kr_plausible(values[i], strlen(values[i])) != KR_PLAUSIBLE_NO)
            kr_redact_forms(values[i], cover, &c);
    }
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(shown[i] == (c.at[i] ? '*' : text[i]));
    free(c.at);
}

static void check_pieces(const char *text, size_t n, size_t piece)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(TEXT_MAX + 1);
    kr_auto_free char *whole = kr_malloc(n + 1);
    struct kr_redactor r;

    memcpy(whole, text, n);
    kr_redact_cut(whole, n);
    kr_redactor_init(&r);
    for (size_t at = 0; at < n; at += piece) {
        kr_redactor_feed(&r, text + at, n - at < piece ? n - at : piece, &out);
        FUZZ_CHECK(r.held.n < KR_REDACT_BLOCK);
    }
    kr_redactor_end(&r, &out);
    kr_redactor_finish(&r);
    FUZZ_CHECK(out.n == n && memcmp(kr_buf_str(&out), whole, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    size_t piece = (size_t)(fuzz_byte(&in) % 61) + 1, count = 0;
    char *values[VALUES];
    kr_auto_free char *text = NULL, *shown = NULL;

    while (count < VALUES && in.n > 0 && in.p[0] != '\n') {
        char *value = fuzz_line(&in);

        for (char *p = value; *p != '\0'; p++)
            *p = *p == '|' ? '\n' : *p;
        kr_redact_add(value);
        values[count++] = value;
    }
    (void)fuzz_byte(&in);
    if (in.n <= TEXT_MAX) {
        text = kr_malloc(in.n + 1);
        shown = kr_malloc(in.n + 1);
        if (in.n > 0)
            memcpy(text, in.p, in.n);
        memcpy(shown, text, in.n);
        kr_redact(shown, in.n);
        check_cover(values, count, text, in.n, shown);
        check_pieces(text, in.n, piece);
    }
    kr_redact_clear();
    while (count > 0)
        free(values[--count]);
    return 0;
}
