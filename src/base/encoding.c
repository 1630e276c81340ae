/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encoding.h"

#include "base/json.h"
#include "base/view.h"

#include <string.h>

static const struct mark {
    const char *bytes;
    size_t n, width; /* of the mark, of a unit */
    bool big;
} marks[] = {
    {"\xef\xbb\xbf", 3, 1, false}, {"\xff\xfe\0\0", 4, 4, false}, /* before UTF-16, whose mark it
                                                                     begins with */
    {"\0\0\xfe\xff", 4, 4, true},  {"\xff\xfe", 2, 2, false},     {"\xfe\xff", 2, 2, true},
};

static const struct mark *mark_of(const struct kr_buf *text)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(marks); i++) {
        if (text->n >= marks[i].n && memcmp(text->p, marks[i].bytes, marks[i].n) == 0)
            return &marks[i];
    }
    return NULL;
}

static uint32_t unit_at(const char *p, const struct mark *mark)
{
    uint32_t value = 0;

    for (size_t i = 0; i < mark->width; i++)
        value = value << 8 | (unsigned char)p[mark->big ? i : mark->width - 1 - i];
    return value;
}

static void add_point(struct kr_buf *out, uint32_t c)
{
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};

    kr_buf_addc(out, (char)(first[more] | c >> (6 * more)));
    while (more-- > 0)
        kr_buf_addc(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

/* Two units of UTF-16 can make one character. false: this is no text. */
static bool widen(const struct kr_buf *text, const struct mark *mark, struct kr_buf *out)
{
    size_t i = mark->n;

    if ((text->n - i) % mark->width != 0)
        return false;
    for (; i < text->n; i += mark->width) {
        uint32_t c = unit_at(text->p + i, mark), low;

        if (mark->width == 2 && c >= 0xd800 && c < 0xdc00 && i + 4 <= text->n) {
            low = unit_at(text->p + i + 2, mark);
            if (low < 0xdc00 || low >= 0xe000)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
        add_point(out, c);
    }
    return true;
}

/* "coding: latin-1" or "coding=..." in a comment of the first two lines, as Python and pip read it.
 */
static bool says_latin_1(const struct kr_buf *text)
{
    static const char *const names[] = {"latin-1", "latin1", "iso-8859-1", "iso8859-1"};
    struct kr_view rest = {text->p, text->n}, line;
    bool more = true;

    for (int i = 0; i < 2 && more; i++) {
        const char *at;
        struct kr_view name;

        more = kr_view_cut(&rest, '\n', &line);
        line = kr_view_trim(line);
        at = line.n > 0 && line.p[0] == '#' ? memmem(line.p, line.n, "coding", 6) : NULL;
        if (at == NULL || at + 7 >= line.p + line.n || strchr(":=", at[6]) == NULL)
            continue;
        name = kr_view_trim((struct kr_view){at + 7, line.n - (size_t)(at + 7 - line.p)});
        for (size_t k = 0; k < name.n; k++) {
            if (strchr(" \t*;,", name.p[k]) != NULL)
                name.n = k;
        }
        for (size_t k = 0; k < KR_ARRAY_LEN(names); k++) {
            if (kr_view_eq_nocase(name, names[k]))
                return true;
        }
    }
    return false;
}

static void replace(struct kr_buf *text, struct kr_buf *by)
{
    struct kr_buf old = *text;

    *text = *by;
    *by = old;
}

int kr_text_decode(struct kr_buf *text, const char *what, struct kr_err *err)
{
    const struct mark *mark = mark_of(text);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(text->max);
    bool good = true;

    if (mark != NULL && mark->width == 1)
        kr_buf_drop(text, mark->n);
    else if (mark != NULL)
        good = widen(text, mark, &out);
    else if (says_latin_1(text))
        for (size_t i = 0; i < text->n; i++)
            add_point(&out, (unsigned char)text->p[i]);
    if (kr_buf_check(&out, err) < 0)
        return kr_wrap(err, "%s", what);
    if (out.n > 0 || (mark != NULL && mark->width > 1))
        replace(text, &out);
    if (good && memchr(kr_buf_str(text), '\0', text->n) == NULL &&
        kr_json_is_text(kr_buf_str(text)))
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "%s is not UTF-8 text", what);
    return kr_hint(err, "save it as UTF-8; UTF-16 is read when it begins with a byte order mark");
}
