/* SPDX-License-Identifier: Apache-2.0 */
/* Looking through bytes, window by window. A window repeats the end of the one before, as much as
 * the longest form of a value takes, so that nothing is lost between two reads; what is found
 * twice for that reason counts once. */
#include "pack/search_impl.h"

#include "base/alloc.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

enum {
    CHUNK = 65536,
    BEFORE = 64,
    /* bytes before the repeated ones: what stands before a place */ ROUNDS =
        3,            /* escapes of escapes: JSON in a string of a program */
    WRAPPED_LINE = 40 /* base64 characters before and behind the end of a line that is left out */
};

struct found {
    uint64_t at;
    const char *what;
};

struct kr_scan {
    const struct kr_search *search;
    char *window;
    size_t n, repeat; /* bytes in the window; of them kept for the next one */
    char *other;      /* the window without escapes, or without ends of lines */
    uint32_t *origin; /* of each byte of `other`: its place in the window */
    uint64_t offset;  /* of the window in the file */
    uint64_t lines;   /* ends of lines before the window */
    bool first;
    struct found seen[KR_HITS_MAX];
    struct kr_hits hits;
};

struct kr_scan *kr_scan_create(const struct kr_search *search)
{
    struct kr_scan *scan = kr_calloc(1, sizeof(*scan));
    size_t longest = search->longest;

    for (size_t i = 0; i < search->pattern_count; i++)
        longest = search->patterns[i].n > longest ? search->patterns[i].n : longest;
    scan->search = search;
    scan->repeat = BEFORE + (longest > KR_LOOKALIKE_MAX ? longest : KR_LOOKALIKE_MAX);
    scan->window = kr_malloc(scan->repeat + CHUNK);
    kr_scan_begin(scan);
    return scan;
}

void kr_scan_destroy(struct kr_scan *scan)
{
    if (scan == NULL)
        return;
    free(scan->window);
    free(scan->other);
    free(scan->origin);
    free(scan);
}

void kr_scan_begin(struct kr_scan *scan)
{
    scan->n = 0;
    scan->offset = scan->lines = 0;
    scan->first = true;
    scan->hits.n = 0;
}

static uint64_t count_lines(const char *p, size_t n)
{
    uint64_t lines = 0;
    const char *end = p + n;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* A known value takes the place of a look-alike when there is no room. */
static void add_hit(struct kr_scan *scan, const char *what, size_t value, size_t at)
{
    struct found made = {scan->offset + at, what};
    uint64_t line = scan->lines + count_lines(scan->window, at) + 1;
    size_t to = scan->hits.n;

    for (size_t i = 0; i < scan->hits.n; i++) {
        if ((scan->seen[i].at == made.at || scan->hits.v[i].line == line) &&
            scan->seen[i].what == what && scan->hits.v[i].value == value)
            return;
    }
    for (size_t i = 0; to == KR_HITS_MAX && what == NULL && i < KR_HITS_MAX; i++)
        to = scan->hits.v[i].what != NULL ? i : to;
    if (to == KR_HITS_MAX)
        return;
    scan->seen[to] = made;
    scan->hits.v[to] = (struct kr_hit){what, line, value};
    scan->hits.n += to == scan->hits.n;
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'' || c == '`';
}

/* A weak value: between quotes, or all that stands behind "=" or ":". */
static bool is_alone(struct kr_around a, size_t n)
{
    const char *p = a.at, *behind = a.at + n;
    char next = behind < a.end ? *behind : '\n';

    if (p > a.begin && is_quote(p[-1]))
        return next == p[-1];
    if (strchr("\n\r ,;#&", next) == NULL && next != '\0')
        return false;
    while (p > a.begin && (p[-1] == ' ' || p[-1] == '\t'))
        p--;
    return p > a.begin && (p[-1] == '=' || (p[-1] == ':' && (p - 1 == a.begin || p[-2] != ':')));
}

static bool matches(const struct kr_search *s, const struct kr_anchor *anchor, struct kr_around a)
{
    const struct kr_pattern *pattern = &s->patterns[anchor->pattern];

    return (size_t)(a.end - a.at) >= pattern->n && memcmp(a.at, pattern->p, pattern->n) == 0 &&
           (pattern->kind != KR_PATTERN_WORD || is_alone(a, pattern->n));
}

/* What of the bytes is looked for. */
struct look {
    struct kr_around around;
    bool last;              /* nothing comes behind them */
    const uint32_t *origin; /* NULL: they are the window itself */
    bool coded_only;        /* with origin: only what is coded counts */
};

static void judge(struct kr_scan *scan, const struct look *look, const char *at)
{
    const struct kr_search *s = scan->search;
    const unsigned char *b = (const unsigned char *)at;
    uint32_t three = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16;
    uint32_t i = s->bucket[kr_search_hash(three) % KR_SEARCH_BUCKETS];
    size_t place = (size_t)(at - look->around.begin);
    struct kr_around a = {look->around.begin, at, look->around.end};

    for (; i != 0; i = s->anchors[i - 1].next) {
        const struct kr_anchor *anchor = &s->anchors[i - 1];

        if (anchor->three != three)
            continue;
        if (anchor->like == NULL) {
            if ((look->origin == NULL || !look->coded_only ||
                 s->patterns[anchor->pattern].kind == KR_PATTERN_CODED) &&
                matches(s, anchor, a))
                add_hit(scan, NULL, s->patterns[anchor->pattern].value,
                        look->origin != NULL ? look->origin[place] : place);
        } else if (look->origin == NULL && (look->last || a.end - at >= KR_LOOKALIKE_MAX) &&
                   kr_lookalike_is(anchor->like, a)) {
            add_hit(scan, anchor->like->what, 0, place);
        }
    }
}

static void look_through(struct kr_scan *scan, const struct look *look, size_t from)
{
    const uint64_t *filter = scan->search->filter;
    const char *p = look->around.begin + from, *end = look->around.end;
    uint32_t three = 0;

    if (end - p < 3)
        return;
    three = (uint32_t)(unsigned char)p[0] << 8 | (uint32_t)(unsigned char)p[1] << 16;
    for (p += 2; p < end; p++) {
        uint32_t hash;

        three = three >> 8 | (uint32_t)(unsigned char)*p << 16;
        hash = kr_search_hash(three);
        if ((filter[hash / 64] >> hash % 64 & 1) != 0)
            judge(scan, look, p - 2);
    }
}

/* -- other forms of the window ----------------------------------------------------------------- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of n hexadecimal digits, or -1. */
static int hex_number(const char *p, const char *end, int n)
{
    int value = 0;

    if (end - p < n)
        return -1;
    for (int i = 0; i < n; i++) {
        int digit = hex_of(p[i]);

        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* "&amp;" and the like; length of what stands at p, 0: nothing. */
static size_t entity(const char *p, const char *end, int *code)
{
    static const struct {
        const char *text;
        int code;
    } table[] = {{"&amp;", '&'},   {"&quot;", '"'}, {"&lt;", '<'},    {"&gt;", '>'},
                 {"&apos;", '\''}, {"&#39;", '\''}, {"&#x27;", '\''}, {"&#34;", '"'}};

    for (size_t i = 0; i < KR_ARRAY_LEN(table); i++) {
        size_t n = strlen(table[i].text);

        if ((size_t)(end - p) >= n && memcmp(p, table[i].text, n) == 0) {
            *code = table[i].code;
            return n;
        }
    }
    return 0;
}

/* Length of the escape at p and the character it stands for (one above 255 counts as two or three
 * bytes of UTF-8), 0: none. Ends of lines stay as they are: lines are counted by them. */
static size_t escape(const char *p, const char *end, int *code)
{
    size_t n = 0;

    if (*p == '%') {
        *code = hex_number(p + 1, end, 2);
        n = 3;
    } else if (*p == '&') {
        n = entity(p, end, code);
    } else if (end - p > 2 && p[1] == 'x') {
        *code = hex_number(p + 2, end, 2);
        n = 4;
    } else if (end - p > 2 && (p[1] == 'u' || p[1] == 'U')) {
        *code = hex_number(p + 2, end, 4);
        n = 6;
    } else if (end - p > 1 && p[1] != '\0' && strchr("\\\"'/$", p[1]) != NULL) {
        *code = (unsigned char)p[1];
        n = 2;
    }
    return n == 0 || *code < 0 || *code == '\n' || *code == '\r' ? 0 : n;
}

static void need_other(struct kr_scan *scan)
{
    if (scan->other != NULL)
        return;
    scan->other = kr_malloc(scan->repeat + CHUNK);
    scan->origin = kr_reallocarray(NULL, scan->repeat + CHUNK, sizeof(*scan->origin));
}

static void put(struct kr_scan *scan, size_t *n, int byte, size_t origin)
{
    scan->other[*n] = (char)(unsigned char)byte;
    scan->origin[(*n)++] = (uint32_t)origin;
}

/* The first *count bytes of `other` with every escape undone, in place: it gets no longer. False:
 * there are none. */
static bool undo_escapes(struct kr_scan *scan, size_t *count)
{
    const char *begin = scan->other, *end = begin + *count;
    size_t n = 0, undone = 0;

    for (const char *p = begin; p < end;) {
        size_t at = scan->origin[p - begin], taken;
        const char *from = p;
        int code = 0;
        taken = *p == '\\' || *p == '%' || *p == '&' ? escape(p, end, &code) : 0;
        undone += taken;
        p += taken == 0 ? 1 : taken;
        if (taken == 0) {
            put(scan, &n, (unsigned char)*from, at);
        } else if (code < 0x80 || taken < 6) {
            put(scan, &n, code, at);
        } else {
            if (code >= 0x800) {
                put(scan, &n, 0xe0 | code >> 12, at);
                put(scan, &n, 0x80 | (code >> 6 & 63), at);
            } else {
                put(scan, &n, 0xc0 | code >> 6, at);
            }
            put(scan, &n, 0x80 | (code & 63), at);
        }
    }
    *count = n;
    return undone > 0;
}

static bool is_base64(char c)
{
    return isalnum((unsigned char)c) != 0 || c == '+' || c == '/' || c == '-' || c == '_';
}

/* Whether base64 (or hexadecimal text) is broken at the end of line `p`. */
static bool is_wrapped(const char *begin, const char *p)
{
    const char *q = p;

    if (q > begin && q[-1] == '\r')
        q--;
    for (int i = 0; i < WRAPPED_LINE; i++) {
        if (q == begin || !is_base64(*--q))
            return false;
    }
    return true;
}

/* The window without the ends of such lines, and the blanks that the next one begins with. */
static size_t join_lines(struct kr_scan *scan)
{
    const char *begin = scan->window, *end = begin + scan->n, *p = begin, *at;
    size_t n = 0, joined = 0;

    while ((at = memchr(p, '\n', (size_t)(end - p))) != NULL && !is_wrapped(begin, at))
        p = at + 1;
    if (at == NULL)
        return 0;
    need_other(scan);
    for (p = begin; p < end; p++) {
        if (*p == '\n' && is_wrapped(begin, p)) {
            n -= n > 0 && scan->other[n - 1] == '\r';
            joined++;
            while (p + 1 < end && (p[1] == ' ' || p[1] == '\t'))
                p++;
            continue;
        }
        put(scan, &n, (unsigned char)*p, (size_t)(p - begin));
    }
    return joined > 0 ? n : 0;
}

/* The window without NUL bytes: text of two bytes for each character is text then. */
static void look_without_nuls(struct kr_scan *scan)
{
    struct look look = {.last = true};
    size_t n = 0;

    if (memchr(scan->window, '\0', scan->n) == NULL)
        return;
    need_other(scan);
    for (size_t i = 0; i < scan->n; i++) {
        if (scan->window[i] != '\0')
            put(scan, &n, (unsigned char)scan->window[i], i);
    }
    look.around = (struct kr_around){scan->other, scan->other, scan->other + n};
    look.origin = scan->origin;
    look_through(scan, &look, 0);
}

static void look_at_forms(struct kr_scan *scan)
{
    struct look look = {.last = true, .coded_only = true};
    size_t n = join_lines(scan);

    if (n > 0) {
        look.around = (struct kr_around){scan->other, scan->other, scan->other + n};
        look.origin = scan->origin;
        look_through(scan, &look, 0);
    }
    look_without_nuls(scan);
    if (memchr(scan->window, '\\', scan->n) == NULL && memchr(scan->window, '%', scan->n) == NULL &&
        memchr(scan->window, '&', scan->n) == NULL)
        return;
    need_other(scan);
    memcpy(scan->other, scan->window, scan->n);
    for (n = 0; n < scan->n; n++)
        scan->origin[n] = (uint32_t)n;
    for (int i = 0; i < ROUNDS && undo_escapes(scan, &n); i++) {
        look.around = (struct kr_around){scan->other, scan->other, scan->other + n};
        look.origin = scan->origin;
        look.coded_only = false;
        look_through(scan, &look, 0);
    }
}

static void look_at_window(struct kr_scan *scan, bool last)
{
    struct look look = {.around = {scan->window, scan->window, scan->window + scan->n},
                        .last = last};

    look_through(scan, &look, scan->first ? 0 : BEFORE);
    if (scan->search->longest > 0)
        look_at_forms(scan);
}

void kr_scan_feed(struct kr_scan *scan, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0) {
        size_t room = scan->repeat + CHUNK - scan->n, part = n < room ? n : room, gone;

        memcpy(scan->window + scan->n, p, part);
        scan->n += part;
        p += part;
        n -= part;
        if (part < room)
            return;
        look_at_window(scan, false);
        gone = scan->n - scan->repeat;
        scan->lines += count_lines(scan->window, gone);
        scan->offset += gone;
        memmove(scan->window, scan->window + gone, scan->repeat);
        scan->n = scan->repeat;
        scan->first = false;
    }
}

void kr_scan_end(struct kr_scan *scan, struct kr_hits *hits)
{
    look_at_window(scan, true);
    *hits = scan->hits;
}
