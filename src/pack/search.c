/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/search_impl.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/digest.h"
#include "base/plausible.h"
#include "base/view.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    VALUE_MAX = 8192, /* of a longer value the beginning counts */
    LINE_MIN = 32,
    /* of a value of several lines, those that long count by themselves */ ESCAPED =
        8,     /* bytes that one byte may take: \\\u0041 */
    TABLE = 1, /* edition of what is looked for besides values */
};

static void add_anchor(struct kr_search *s, const char *three, const struct kr_lookalike *like,
                       size_t pattern)
{
    const unsigned char *b = (const unsigned char *)three;
    struct kr_anchor made = {.like = like, .pattern = (uint32_t)pattern};
    uint32_t hash;

    made.three = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16;
    hash = kr_search_hash(made.three);
    made.next = s->bucket[hash % KR_SEARCH_BUCKETS];
    if ((s->anchor_count & (s->anchor_count - 1)) == 0)
        s->anchors = kr_reallocarray(s->anchors, s->anchor_count == 0 ? 1 : s->anchor_count * 2,
                                     sizeof(*s->anchors));
    s->anchors[s->anchor_count++] = made;
    s->bucket[hash % KR_SEARCH_BUCKETS] = (uint32_t)s->anchor_count;
    s->filter[hash / 64] |= UINT64_C(1) << hash % 64;
}

struct kr_search *kr_search_create(void)
{
    struct kr_search *s = kr_calloc(1, sizeof(*s));
    size_t n;
    const struct kr_lookalike *rows = kr_lookalikes(&n);

    for (size_t i = 0; i < n; i++)
        add_anchor(s, rows[i].anchor, &rows[i], 0);
    return s;
}

static void wipe(char *p, size_t n)
{
    if (p != NULL)
        explicit_bzero(p, n);
    free(p);
}

void kr_search_destroy(struct kr_search *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->pattern_count; i++)
        wipe(s->patterns[i].p, s->patterns[i].n);
    for (size_t i = 0; i < s->value_count; i++)
        wipe(s->values[i], strlen(s->values[i]));
    free(s->patterns);
    free(s->values);
    free(s->anchors);
    free(s);
}

static void add_pattern(struct kr_search *s, const char *p, size_t n, enum kr_pattern_kind kind)
{
    if (n < 6)
        return;
    for (size_t i = 0; i < s->pattern_count; i++) {
        if (s->patterns[i].n == n && memcmp(s->patterns[i].p, p, n) == 0)
            return;
    }
    if ((s->pattern_count & (s->pattern_count - 1)) == 0)
        s->patterns = kr_reallocarray(s->patterns, s->pattern_count == 0 ? 1 : s->pattern_count * 2,
                                      sizeof(*s->patterns));
    s->patterns[s->pattern_count] =
        (struct kr_pattern){kr_strndup(p, n), n, kind, s->value_count - 1};
    add_anchor(s, p, NULL, s->pattern_count++);
}

/* The characters of base64 that depend on the value alone when it begins `shift` bytes behind a
 * multiple of three. */
static void add_base64(struct kr_search *s, const char *value, size_t n, size_t shift)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT((size_t)4 * VALUE_MAX);
    kr_auto_free char *shifted = kr_calloc(1, n + shift + 1);
    size_t start = (shift * 8 + 5) / 6, end = (shift + n) * 8 / 6;

    memcpy(shifted + shift, value, n);
    kr_base64_add(&text, shifted, n + shift);
    if (text.failed || end <= start)
        return;
    add_pattern(s, text.p + start, end - start, KR_PATTERN_CODED);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '+')
            text.p[i] = '-';
        else if (text.p[i] == '/')
            text.p[i] = '_';
    }
    add_pattern(s, text.p + start, end - start, KR_PATTERN_CODED);
    explicit_bzero(text.p, text.n);
    explicit_bzero(shifted, n + shift);
}

static void add_hex(struct kr_search *s, const char *value, size_t n, const char *digits)
{
    kr_auto_free char *text = kr_malloc(2 * n + 1);

    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[(unsigned char)value[i] >> 4];
        text[2 * i + 1] = digits[(unsigned char)value[i] & 15];
    }
    add_pattern(s, text, 2 * n, KR_PATTERN_CODED);
    explicit_bzero(text, 2 * n);
}

/* Ends of lines as two characters: the scan undoes every other escape, but takes these as they
 * are, because lines are counted by them. */
static void add_escaped_lines(struct kr_search *s, const char *value, size_t n)
{
    static const char *const forms[][2] = {{"\\n", "\\r"}, {"%0A", "%0D"}, {"%0a", "%0d"}};

    for (size_t k = 0; k < KR_ARRAY_LEN(forms); k++) {
        kr_auto_buf struct kr_buf text = KR_BUF_INIT((size_t)4 * VALUE_MAX);

        for (size_t i = 0; i < n; i++) {
            if (value[i] == '\n' || value[i] == '\r')
                kr_buf_adds(&text, forms[k][value[i] == '\r']);
            else
                kr_buf_addc(&text, value[i]);
        }
        add_pattern(s, kr_buf_str(&text), text.n, KR_PATTERN_RAW);
        if (text.p != NULL)
            explicit_bzero(text.p, text.n);
    }
}

static void add_forms(struct kr_search *s, const char *value, size_t n)
{
    add_pattern(s, value, n, KR_PATTERN_RAW);
    for (size_t shift = 0; shift < 3; shift++)
        add_base64(s, value, n, shift);
    add_hex(s, value, n, "0123456789abcdef");
    add_hex(s, value, n, "0123456789ABCDEF");
}

/* A line of a key in text: letters and digits of base64, and none of a language. */
static bool is_key_line(struct kr_view line)
{
    bool digit = false, upper = false, lower = false;

    if (line.n < LINE_MIN)
        return false;
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];

        digit |= isdigit(c) != 0;
        upper |= isupper(c) != 0;
        lower |= islower(c) != 0;
        if (!isalnum(c) && (c == '\0' || strchr("+/=-_.", c) == NULL))
            return false;
    }
    return digit && upper && lower;
}

static void add_lines(struct kr_search *s, const char *value, size_t n)
{
    struct kr_view rest = {value, n}, line;
    bool more = true;

    add_escaped_lines(s, value, n);
    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        line = kr_view_trim(line);
        if (is_key_line(line))
            add_forms(s, line.p, line.n);
    }
}

void kr_search_add(struct kr_search *s, const char *value, size_t n)
{
    enum kr_plausible verdict = kr_plausible(value, n);

    if (verdict == KR_PLAUSIBLE_NO)
        return;
    n = n < VALUE_MAX ? n : VALUE_MAX;
    if ((s->value_count & (s->value_count - 1)) == 0)
        s->values = kr_reallocarray(s->values, s->value_count == 0 ? 1 : s->value_count * 2,
                                    sizeof(*s->values));
    s->values[s->value_count++] = kr_strndup(value, n);
    if (verdict == KR_PLAUSIBLE_WEAK) {
        add_pattern(s, value, n, KR_PATTERN_WORD);
        return;
    }
    if (n * ESCAPED > s->longest)
        s->longest = n * ESCAPED;
    add_forms(s, value, n);
    if (memchr(value, '\n', n) != NULL)
        add_lines(s, value, n);
}

/* The sum of the digests does not depend on the order. */
void kr_search_key(const struct kr_search *s, const char *nonce, char key[KR_SEARCH_KEY])
{
    unsigned char sum[KR_SHA256_HEX] = {0};
    kr_auto_free char *all = NULL;
    char hex[KR_SHA256_HEX];

    for (size_t i = 0; i < s->value_count; i++) {
        kr_auto_free char *one = kr_asprintf("%s %s", nonce, s->values[i]);

        kr_sha256_hex(one, strlen(one), hex);
        explicit_bzero(one, strlen(one));
        for (size_t k = 0; k < KR_SHA256_HEX - 1; k++)
            sum[k] = (unsigned char)(sum[k] + (unsigned char)hex[k]);
    }
    for (size_t k = 0; k < KR_SHA256_HEX - 1; k++)
        hex[k] = "0123456789abcdef"[sum[k] & 15];
    all = kr_asprintf("%d %s %.64s", TABLE, nonce, hex);
    kr_sha256_hex(all, strlen(all), hex);
    (void)snprintf(key, KR_SEARCH_KEY, "%.16s", hex);
}
