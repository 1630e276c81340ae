/* SPDX-License-Identifier: Apache-2.0 */
/* What is read here is TOML as the specification has it, but no more of it than one key needs:
 * native pipelines have no Python that could read the file, and no TOML library is packaged where
 * this program is built. */
#include "pack/project_file.h"

#include "base/path.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 16)
#define KEY      "allow-secrets"

struct reader {
    const char *p, *end;
    int line;
};

/* Blanks and comments; ends of lines too when the value goes on behind them. */
static void skip(struct reader *r, bool lines)
{
    for (; r->p < r->end; r->p++) {
        if (*r->p == '#') {
            while (r->p + 1 < r->end && r->p[1] != '\n')
                r->p++;
        } else if (*r->p == '\n' && lines) {
            r->line++;
        } else if (*r->p != ' ' && *r->p != '\t' && *r->p != '\r') {
            return;
        }
    }
}

static int fail(const struct reader *r, const char *what, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, KR_PROJECT_FILE ":%d: %s", r->line, what);
    return kr_hint(err, "the file has one key: " KEY " = [\"path/of/file.py\"]");
}

/* The character that an escape of a basic string stands for; 0: none that a path needs. */
static char unescaped(char c)
{
    return c == '"' || c == '\\' ? c : c == 't' ? '\t' : '\0';
}

static int read_string(struct reader *r, json_t *list, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(FILE_MAX);
    char quote = *r->p++;
    json_t *value;

    while (r->p < r->end && *r->p != quote && *r->p != '\n') {
        char c = *r->p++;

        if (c == '\\' && quote == '"') {
            c = r->p < r->end ? unescaped(*r->p++) : '\0';
            if (c == '\0')
                return fail(r, "an escape that is not known", err);
        }
        if ((unsigned char)c < 0x20 && c != '\t')
            return fail(r, "a control character in a string", err);
        kr_buf_addc(&text, c);
    }
    if (r->p == r->end || *r->p != quote)
        return fail(r, "a string without its end", err);
    r->p++;
    value = json_stringn(kr_buf_str(&text), text.n);
    if (value == NULL || text.n == 0) {
        json_decref(value);
        return fail(r, text.n == 0 ? "an empty name of a file" : "a string that is not UTF-8", err);
    }
    (void)json_array_append_new(list, value);
    return 0;
}

static int read_array(struct reader *r, json_t *list, struct kr_err *err)
{
    if (r->p == r->end || *r->p != '[')
        return fail(r, KEY " takes an array of strings", err);
    r->p++;
    for (;;) {
        skip(r, true);
        if (r->p < r->end && *r->p == ']')
            break;
        if (r->p == r->end || (*r->p != '"' && *r->p != '\''))
            return fail(r, KEY " takes an array of strings", err);
        if (read_string(r, list, err) < 0)
            return -(int)err->code;
        skip(r, true);
        if (r->p < r->end && *r->p == ',')
            r->p++;
        else if (r->p == r->end || *r->p != ']')
            return fail(r, "',' or ']' is missing", err);
    }
    r->p++;
    skip(r, false);
    return r->p < r->end && *r->p != '\n' ? fail(r, "something behind the value", err) : 0;
}

static int read_key(struct reader *r, json_t *list, bool *seen, struct kr_err *err)
{
    const char *start = r->p;
    struct kr_view key;
    char quote = *r->p == '"' || *r->p == '\'' ? *r->p : '\0';

    while (r->p < r->end && *r->p != '=' && *r->p != '\n' && *r->p != '#')
        r->p++;
    key = kr_view_trim((struct kr_view){start, (size_t)(r->p - start)});
    if (quote != '\0' && key.n > 1 && key.p[key.n - 1] == quote)
        key = (struct kr_view){key.p + 1, key.n - 2};
    if (!kr_view_eq(key, KEY)) {
        (void)kr_fail(err, KR_E_INVALID, KR_PROJECT_FILE ":%d: no key '" KR_VIEW_FMT "'", r->line,
                      (int)(key.n < 100 ? key.n : 100), key.p);
        return kr_hint(err, "the file has one key: " KEY " = [\"path/of/file.py\"]");
    }
    if (*seen)
        return fail(r, "the key is there twice", err);
    *seen = true;
    if (r->p == r->end || *r->p != '=')
        return fail(r, "'=' is missing", err);
    r->p++;
    skip(r, false);
    return read_array(r, list, err);
}

int kr_project_file_parse(const char *text, size_t n, json_t **allow, struct kr_err *err)
{
    struct reader r = {text, text + n, 1};
    kr_auto_json json_t *list = json_array();
    bool seen = false;

    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r.p += 3;
    for (skip(&r, true); r.p < r.end; skip(&r, true)) {
        if (read_key(&r, list, &seen, err) < 0)
            return -(int)err->code;
    }
    *allow = kr_steal(&list);
    return 0;
}

int kr_project_file_read(const char *root, json_t **allow, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(root, KR_PROJECT_FILE);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(FILE_MAX);

    if (!kr_path_exists(path)) {
        *allow = json_array();
        return 0;
    }
    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    return kr_project_file_parse(kr_buf_str(&text), text.n, allow, err);
}
