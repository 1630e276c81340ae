/* SPDX-License-Identifier: Apache-2.0 */
/* The user's own Dockerfile: finding the last stage, with the lexical rules of Dockerfiles (parser
 * directives, comments between continued lines, here-documents). */
#include "pack/dockerfile.h"

#include "base/alloc.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define OWN_STAGE "kourou-parent"

struct scan {
    char escape;
    bool directives; /* still before the first line that is no directive */
    bool continued;
    struct kr_view until[8]; /* open here-documents, in order */
    bool strip[8];
    size_t open, closed;
    struct kr_view from; /* the last FROM instruction: its first line to its end */
};

static bool is_word(struct kr_view line, const char *word)
{
    size_t n = strlen(word);

    return line.n > n && strncasecmp(line.p, word, n) == 0 && isspace((unsigned char)line.p[n]);
}

/* `# escape=X` on the first lines. */
static void directive(struct scan *s, struct kr_view line)
{
    struct kr_view name;

    if (line.n == 0 || line.p[0] != '#' || memchr(line.p, '=', line.n) == NULL) {
        s->directives = false;
        return;
    }
    line.p++;
    line.n--;
    (void)kr_view_cut(&line, '=', &name);
    line = kr_view_trim(line);
    if (kr_view_eq_nocase(kr_view_trim(name), "escape") && line.n == 1)
        s->escape = line.p[0];
}

/* <<EOF, <<-EOF, <<"EOF" of RUN and COPY open here-documents. */
static void open_documents(struct scan *s, struct kr_view line)
{
    for (size_t i = 0; i + 2 < line.n && s->open < KR_ARRAY_LEN(s->until); i++) {
        size_t at = i + 2, end;
        bool strip;
        char quote = '\0';

        if (line.p[i] != '<' || line.p[i + 1] != '<' || (i > 0 && line.p[i - 1] == '<'))
            continue;
        strip = line.p[at] == '-';
        at += strip;
        if (at < line.n && (line.p[at] == '"' || line.p[at] == '\''))
            quote = line.p[at++];
        for (end = at; end < line.n && (isalnum((unsigned char)line.p[end]) || line.p[end] == '_');)
            end++;
        if (end == at || (quote != '\0' && (end == line.n || line.p[end] != quote)))
            continue;
        s->until[s->open] = (struct kr_view){line.p + at, end - at};
        s->strip[s->open++] = strip;
        i = end;
    }
}

static bool in_document(struct scan *s, struct kr_view line)
{
    if (s->closed == s->open)
        return false;
    while (s->strip[s->closed] && line.n > 0 && line.p[0] == '\t') {
        line.p++;
        line.n--;
    }
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == s->until[s->closed].n && memcmp(line.p, s->until[s->closed].p, line.n) == 0 &&
        ++s->closed == s->open)
        s->open = s->closed = 0;
    return true;
}

static void scan_line(struct scan *s, struct kr_view raw)
{
    struct kr_view line = kr_view_trim(raw);
    bool was_continued = s->continued;

    if (in_document(s, raw))
        return;
    if (s->directives)
        directive(s, line);
    if (line.n == 0 || line.p[0] == '#')
        return; /* comments and empty lines do not end a continued instruction */
    s->continued = line.p[line.n - 1] == s->escape;
    if (!was_continued && is_word(line, "FROM"))
        s->from = line;
    else if (was_continued && s->from.p != NULL && s->from.n == 0)
        s->from = line;
    if (is_word(line, "RUN") || is_word(line, "COPY") || is_word(line, "ADD") || was_continued)
        open_documents(s, line);
}

/* The name behind AS, or none. A FROM that is continued over lines is refused by the caller. */
static struct kr_view stage_name(struct kr_view from)
{
    struct kr_view rest = from, word, before = {"", 0};
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, ' ', &word);
        word = kr_view_trim(word);
        if (word.n == 0)
            continue;
        if (kr_view_eq_nocase(before, "AS"))
            return word;
        before = word;
    }
    return (struct kr_view){"", 0};
}

int kr_dockerfile_own(const char *text, const char *name, struct kr_buf *out, char **stage,
                      struct kr_err *err)
{
    struct scan s = {.escape = '\\', .directives = true};
    struct kr_view rest = kr_view_of(text), line, as;
    bool more = true;
    size_t head;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        scan_line(&s, line);
    }
    if (s.from.p == NULL)
        return kr_fail(err, KR_E_INVALID, "%s has no FROM instruction", name);
    if (s.open != s.closed)
        return kr_fail(err, KR_E_INVALID, "%s: a here-document has no end '" KR_VIEW_FMT "'", name,
                       KR_VIEW_ARG(s.until[s.closed]));
    if (s.from.p[s.from.n - 1] == s.escape)
        return kr_fail(err, KR_E_INVALID, "%s: the last FROM has to stand on one line", name);
    if (s.escape != '\\')
        return kr_fail(err, KR_E_INVALID, "%s: the escape directive is not supported", name);
    as = stage_name(s.from);
    head = (size_t)(s.from.p - text) + s.from.n;
    kr_buf_add(out, text, head);
    if (as.n == 0)
        kr_buf_adds(out, " AS " OWN_STAGE);
    kr_buf_adds(out, text + head);
    if (out->n > 0 && out->p[out->n - 1] != '\n')
        kr_buf_addc(out, '\n');
    *stage = as.n == 0 ? kr_strdup(OWN_STAGE) : kr_view_dup(as);
    return kr_buf_check(out, err);
}

/* The word behind FROM and its options. */
static struct kr_view image_of(struct kr_view from)
{
    size_t at = strlen("FROM"), end;

    for (;;) {
        while (at < from.n && isspace((unsigned char)from.p[at]))
            at++;
        for (end = at; end < from.n && !isspace((unsigned char)from.p[end]);)
            end++;
        if (end == at || from.p[at] != '-')
            return (struct kr_view){from.p + at, end - at};
        at = end;
    }
}

/* A FROM instruction: its image goes to bases, the name of its stage to stages. */
static void take_from(struct kr_view line, json_t *bases, json_t *stages)
{
    struct kr_view image = image_of(line), as = stage_name(line);
    kr_auto_free char *name = kr_view_dup(image), *stage = kr_view_dup(as);

    if (name[0] != '\0' && strpbrk(name, "$\\`") == NULL && kr_json_is_text(name) &&
        strcmp(name, "scratch") != 0 && json_object_get(stages, name) == NULL)
        (void)json_array_append_new(bases, json_string(name));
    if (as.n > 0 && kr_json_is_text(stage))
        kr_json_set_bool(stages, stage, true);
}

json_t *kr_dockerfile_bases(const char *text)
{
    struct scan s = {.escape = '\\', .directives = true};
    kr_auto_json json_t *stages = json_object();
    json_t *bases = json_array();
    struct kr_view rest = kr_view_of(text), line;
    bool more = true;

    while (more) {
        const char *before = s.from.p;

        more = kr_view_cut(&rest, '\n', &line);
        scan_line(&s, line);
        if (s.from.p != before && is_word(s.from, "FROM"))
            take_from(s.from, bases, stages);
    }
    return bases;
}
