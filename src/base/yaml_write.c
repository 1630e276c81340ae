/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values as block YAML. */
#include "base/yaml.h"

#include "base/alloc.h"
#include "base/view.h"
#include "base/yaml_scalar.h"

#include <string.h>
#include <strings.h>

enum { LONG_KEY = 160 };

/* Code point at p and its length; text is UTF-8, as every JSON string. */
static unsigned code_point(const unsigned char *p, size_t *n)
{
    if (p[0] < 0x80) {
        *n = 1;
        return p[0];
    }
    *n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (*n == 2)
        return (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
    if (*n == 3)
        return (p[0] & 0xfU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
    return (p[0] & 7U) << 18 | (p[1] & 0x3fU) << 12 | (p[2] & 0x3fU) << 6 | (p[3] & 0x3fU);
}

/* What YAML does not allow as it is, or takes for a line end; and marks that turn the order of the
 * letters around, which nobody could see. */
static bool needs_escape(unsigned c)
{
    if (kr_is_direction_mark(c))
        return true;
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           c == 0xfffe || c == 0xffff;
}

static bool has_escapes(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n;

    for (; *p != '\0'; p += n) {
        if (needs_escape(code_point(p, &n)))
            return true;
    }
    return false;
}

static void write_quoted(const char *text, struct kr_buf *out)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n;

    kr_buf_addc(out, '"');
    for (; *p != '\0'; p += n) {
        unsigned c = code_point(p, &n);

        if (c == '"' || c == '\\')
            kr_buf_addf(out, "\\%c", (int)c);
        else if (c == '\n' || c == '\t')
            kr_buf_adds(out, c == '\n' ? "\\n" : "\\t");
        else if (needs_escape(c))
            kr_buf_addf(out, "\\u%04x", c);
        else
            kr_buf_add(out, p, n);
    }
    kr_buf_addc(out, '"');
}

/* What readers of YAML 1.1, of which there are many, take for something else: truth values, numbers
 * with underscores, dates. */
static bool is_more_in_old_yaml(const char *text)
{
    static const char *const words[] = {"yes", "no", "on", "off"};

    for (size_t i = 0; i < KR_ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return true;
    }
    if (text[strspn(text, "+-.0123456789_xXabcdefABCDEF")] == '\0' && strchr(text, '_') != NULL)
        return true;
    return strspn(text, "0123456789") == 4 && text[4] == '-' &&
           text[strspn(text, "0123456789-tTzZ")] == '\0';
}

static bool needs_quotes(const char *text)
{
    const char *problem;
    json_t *meant = kr_yaml_plain(text, &problem);
    bool other = meant == NULL || !json_is_string(meant) || is_more_in_old_yaml(text);

    json_decref(meant);
    if (other || strpbrk(text, ":#{}[],&*!|>'\"%@`\\") != NULL || has_escapes(text) ||
        kr_starts_with(text, "..."))
        return true;
    return strchr("-?= ", text[0]) != NULL || text[strlen(text) - 1] == ' ';
}

static void write_string(const char *text, struct kr_buf *out)
{
    if (needs_quotes(text))
        write_quoted(text, out);
    else
        kr_buf_adds(out, text);
}

static void write_value(const json_t *value, int indent, bool in_list, struct kr_buf *out);

static void pad(int indent, struct kr_buf *out)
{
    for (int i = 0; i < indent; i++)
        kr_buf_adds(out, "  ");
}

/* Keys of the short form end within 1024 characters. */
static void write_key(const char *key, int indent, struct kr_buf *out)
{
    bool is_long = strlen(key) > LONG_KEY;

    if (is_long)
        kr_buf_adds(out, "? ");
    write_string(key, out);
    if (is_long) {
        kr_buf_addc(out, '\n');
        pad(indent, out);
    }
    kr_buf_addc(out, ':');
}

static void write_inner(const json_t *value, int indent, struct kr_buf *out)
{
    if ((json_is_object(value) && json_object_size(value) > 0) ||
        (json_is_array(value) && json_array_size(value) > 0)) {
        kr_buf_addc(out, '\n');
        write_value(value, indent, false, out);
    } else {
        kr_buf_addc(out, ' ');
        write_value(value, indent, false, out);
    }
}

static void write_scalar(const json_t *value, struct kr_buf *out)
{
    kr_auto_free char *text = NULL;

    if (json_is_string(value) && kr_json_wide(value) == NULL) {
        write_string(json_string_value(value), out);
    } else {
        text = kr_json_canonical(value); /* {} and [] are the same in YAML */
        kr_buf_adds(out, text);
    }
    kr_buf_addc(out, '\n');
}

static void write_value(const json_t *value, int indent, bool in_list, struct kr_buf *out)
{
    const char *key;
    json_t *child;
    size_t i;

    if (json_is_object(value) && json_object_size(value) > 0) {
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
        {
            if (!in_list)
                pad(indent, out);
            in_list = false;
            write_key(key, indent, out);
            write_inner(child, indent + 1, out);
        }
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        json_array_foreach(value, i, child)
        {
            if (!in_list)
                pad(indent, out);
            in_list = false;
            kr_buf_adds(out, "- ");
            write_value(child, indent + 1, true, out);
        }
    } else {
        write_scalar(value, out);
    }
}

void kr_yaml_write(const json_t *value, struct kr_buf *out)
{
    write_value(value, 0, false, out);
}
