/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"

#include <math.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 64, MAX_NODES = 200000, LONG_KEY = 160 };

struct reader {
    yaml_document_t doc;
    const char *what;
    struct kr_err *err;
    int nodes; /* counts visits, so an alias bomb ends here */
};

static json_t *convert(struct reader *r, int index, int depth);

static json_t *fail_at(struct reader *r, const yaml_node_t *node, const char *text)
{
    (void)kr_fail(r->err, KR_E_INVALID, "%s: line %zu, column %zu: %s", r->what,
                  node->start_mark.line + 1, node->start_mark.column + 1, text);
    return NULL;
}

static bool any_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static json_t *number(const char *text)
{
    int64_t i;
    double d;

    if (kr_view_i64(kr_view_of(text[0] == '+' ? text + 1 : text), &i))
        return json_integer(i);
    if (strpbrk(text, "0123456789") != NULL && text[strspn(text, "+-.0123456789eE")] == '\0' &&
        strpbrk(text, ".eE") != NULL && kr_parse_double(text, &d))
        return json_real(d);
    return NULL;
}

/* What a plain (unquoted) scalar means under the core schema. */
static json_t *plain(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    json_t *value;

    if (any_of(text, nulls))
        return json_null();
    if (any_of(text, yes))
        return json_true();
    if (any_of(text, no))
        return json_false();
    value = number(text);
    return value != NULL ? value : json_string(text);
}

static json_t *convert_scalar(struct reader *r, const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    json_t *value;

    if (strlen(text) != node->data.scalar.length)
        return fail_at(r, node, "a NUL character in a string");
    value = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(text) : json_string(text);
    return value != NULL ? value : fail_at(r, node, "not UTF-8");
}

static json_t *convert_map(struct reader *r, const yaml_node_t *node, int depth)
{
    kr_auto_json json_t *map = json_object();
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&r->doc, pair->key);
        const char *name;
        json_t *value;

        if (key->type != YAML_SCALAR_NODE)
            return fail_at(r, key, "a key must be a plain word");
        name = (const char *)key->data.scalar.value;
        if (json_object_get(map, name) != NULL)
            return fail_at(r, key, "the key stands twice");
        value = convert(r, pair->value, depth + 1);
        if (value == NULL)
            return NULL;
        if (kr_json_put(map, name, value, "YAML", NULL) < 0)
            return fail_at(r, key, "not UTF-8");
    }
    return kr_steal(&map);
}

static json_t *convert_list(struct reader *r, const yaml_node_t *node, int depth)
{
    kr_auto_json json_t *list = json_array();
    const yaml_node_item_t *item = node->data.sequence.items.start;

    for (; item < node->data.sequence.items.top; item++) {
        json_t *value = convert(r, *item, depth + 1);

        if (value == NULL)
            return NULL;
        (void)json_array_append_new(list, value);
    }
    return kr_steal(&list);
}

static json_t *convert(struct reader *r, int index, int depth)
{
    const yaml_node_t *node = yaml_document_get_node(&r->doc, index);

    if (depth > MAX_DEPTH)
        return fail_at(r, node, "nested too deeply");
    if (++r->nodes > MAX_NODES)
        return fail_at(r, node, "too many values");
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return convert_scalar(r, node);
    case YAML_MAPPING_NODE:
        return convert_map(r, node, depth);
    case YAML_SEQUENCE_NODE:
        return convert_list(r, node, depth);
    case YAML_NO_NODE:
        break;
    }
    return fail_at(r, node, "an unknown kind of value");
}

int kr_yaml_parse(const char *text, size_t n, const char *what, json_t **out, struct kr_err *err)
{
    struct reader r = {.what = what, .err = err};
    yaml_parser_t parser;
    const yaml_node_t *root;

    if (yaml_parser_initialize(&parser) == 0)
        return kr_fail(err, KR_E_SYSTEM, "%s: no memory", what);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (yaml_parser_load(&parser, &r.doc) == 0) {
        (void)kr_fail(err, KR_E_INVALID, "%s is not valid YAML: line %zu, column %zu: %s", what,
                      parser.problem_mark.line + 1, parser.problem_mark.column + 1,
                      parser.problem != NULL ? parser.problem : "syntax error");
        yaml_parser_delete(&parser);
        return -(int)KR_E_INVALID;
    }
    root = yaml_document_get_root_node(&r.doc);
    *out = root != NULL ? convert(&r, 1, 0) : json_object();
    yaml_document_delete(&r.doc);
    yaml_parser_delete(&parser);
    return *out != NULL ? 0 : -(int)KR_E_INVALID;
}

int kr_yaml_read_file(const char *path, size_t max, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(max);

    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    return kr_yaml_parse(kr_buf_str(&text), text.n, path, out, err);
}

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

/* What YAML does not allow as it is, or takes for a line end. */
static bool needs_escape(unsigned c)
{
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

static bool needs_quotes(const char *text)
{
    json_t *meant = plain(text);
    bool other = meant == NULL || !json_is_string(meant);

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

    if (json_is_string(value)) {
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
