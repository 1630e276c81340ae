/* SPDX-License-Identifier: Apache-2.0 */
/* Built from the parser's events, not from its document: a document is there only when all of it
 * was read, however deep, and does not say whether a tag was written. */
#include "base/yaml.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "base/yaml_scalar.h"

#include <string.h>
#include <yaml.h>

#define CORE_TAG "tag:yaml.org,2002:"

enum { MAX_DEPTH = 64, MAX_NODES = 200000 };

struct reader {
    yaml_parser_t parser;
    const char *what;
    struct kr_err *err;
    int nodes;       /* aliases count what they stand for, so an alias bomb ends here */
    json_t *anchors; /* name: [value, nodes] */
};

static void event_finish(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define auto_event kr_auto(event_finish)

static json_t *fail_at(struct reader *r, const yaml_mark_t *at, const char *text)
{
    (void)kr_fail(r->err, KR_E_INVALID, "%s: line %zu, column %zu: %s", r->what, at->line + 1,
                  at->column + 1, text);
    return NULL;
}

static bool next(struct reader *r, yaml_event_t *event)
{
    const yaml_mark_t *at = &r->parser.problem_mark;

    if (yaml_parser_parse(&r->parser, event) != 0)
        return true;
    *event = (yaml_event_t){0};
    (void)kr_fail(r->err, KR_E_INVALID, "%s is not valid YAML: line %zu, column %zu: %s", r->what,
                  at->line + 1, at->column + 1,
                  r->parser.problem != NULL ? r->parser.problem : "syntax error");
    return false;
}

static json_t *node(struct reader *r, const yaml_event_t *event, int depth);

/* -- tags -------------------------------------------------------------------------------------- */

static json_t *fail_tag(struct reader *r, const yaml_event_t *event, const char *tag)
{
    bool core = kr_starts_with(tag, CORE_TAG);
    kr_auto_free char *text =
        kr_asprintf("the tag %s%.100s is not understood here, or does not fit its value",
                    core ? "!!" : "", core ? tag + strlen(CORE_TAG) : tag);

    return fail_at(r, &event->start_mark, text);
}

/* "" for none, otherwise the name of a tag of the core schema, or the whole tag. */
static const char *tag_name(const yaml_char_t *tag)
{
    const char *text = (const char *)tag;

    if (text == NULL)
        return "";
    return kr_starts_with(text, CORE_TAG) ? text + strlen(CORE_TAG) : text;
}

static bool tag_fits(const char *name, const char *wanted)
{
    return name[0] == '\0' || strcmp(name, wanted) == 0;
}

/* -- scalars and aliases ----------------------------------------------------------------------- */

static json_t *scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    const char *tag = tag_name(event->data.scalar.tag), *problem = "not UTF-8";
    bool as_text = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || strcmp(tag, "!") == 0 ||
                   strcmp(tag, "str") == 0;
    kr_auto_json json_t *value = NULL;

    if (strlen(text) != event->data.scalar.length)
        return fail_at(r, &event->start_mark, "a NUL character in a string");
    if (tag[0] != '\0' && strcmp(tag, "!") != 0 && strcmp(tag, "str") != 0)
        as_text = false;
    value = as_text ? json_string(text) : kr_yaml_plain(text, &problem);
    if (value == NULL)
        return fail_at(r, &event->start_mark, problem);
    if (as_text || tag[0] == '\0' ||
        (strcmp(tag, "int") == 0 && (json_is_integer(value) || kr_json_wide(value) != NULL)) ||
        (strcmp(tag, "float") == 0 && json_is_real(value)) ||
        (strcmp(tag, "bool") == 0 && json_is_boolean(value)) ||
        (strcmp(tag, "null") == 0 && json_is_null(value)))
        return kr_steal(&value);
    if (strcmp(tag, "float") == 0 && json_is_integer(value))
        return json_real((double)json_integer_value(value));
    return fail_tag(r, event, (const char *)event->data.scalar.tag);
}

static json_t *alias(struct reader *r, const yaml_event_t *event)
{
    json_t *anchor = json_object_get(r->anchors, (const char *)event->data.alias.anchor);

    if (anchor == NULL)
        return fail_at(r, &event->start_mark, "an alias of nothing that stands before it");
    r->nodes += (int)json_integer_value(json_array_get(anchor, 1));
    if (r->nodes > MAX_NODES)
        return fail_at(r, &event->start_mark, "too many values");
    return json_deep_copy(json_array_get(anchor, 0));
}

static json_t *remember(struct reader *r, const yaml_char_t *name, int nodes_before, json_t *value)
{
    json_t *anchor;

    if (name == NULL || value == NULL)
        return value;
    anchor = json_array();
    (void)json_array_append_new(anchor, json_deep_copy(value));
    (void)json_array_append_new(anchor, json_integer(r->nodes - nodes_before));
    kr_json_set(r->anchors, (const char *)name, anchor);
    return value;
}

/* -- maps and lists ---------------------------------------------------------------------------- */

/* `<<: *base` and `<<: [*first, *second]`: what stands earlier wins. */
static bool merge(struct reader *r, const yaml_event_t *event, json_t *into, const json_t *value)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;

    for (size_t i = 0; i < n; i++) {
        json_t *map = json_is_array(value) ? json_array_get(value, i) : (json_t *)(uintptr_t)value;

        if (!json_is_object(map)) {
            (void)fail_at(r, &event->start_mark, "only maps can be merged with <<");
            return false;
        }
        (void)json_object_update_missing(into, map);
    }
    return true;
}

/* A key of the map, or false after the problem was said. */
static bool key_is_good(struct reader *r, const yaml_event_t *key, bool taken)
{
    const char *tag;

    if (key->type != YAML_SCALAR_EVENT ||
        strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
        return fail_at(r, &key->start_mark, "a key must be a plain word") != NULL;
    tag = tag_name(key->data.scalar.tag);
    if (!tag_fits(tag, "str") && strcmp(tag, "!") != 0)
        return fail_tag(r, key, (const char *)key->data.scalar.tag) != NULL;
    if (!kr_json_is_text((const char *)key->data.scalar.value))
        return fail_at(r, &key->start_mark, "not UTF-8") != NULL;
    return !taken || fail_at(r, &key->start_mark, "the key stands twice") != NULL;
}

static bool is_merge_key(const yaml_event_t *key)
{
    return key->type == YAML_SCALAR_EVENT && key->data.scalar.tag == NULL &&
           key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)key->data.scalar.value, "<<") == 0;
}

/* Reads the value of a key into the map, or into merged. */
static bool pair(struct reader *r, const yaml_event_t *key, json_t *map, json_t **merged, int depth)
{
    auto_event yaml_event_t event = {0};
    bool merges = is_merge_key(key);
    const char *name = key->type == YAML_SCALAR_EVENT ? (const char *)key->data.scalar.value : "";
    kr_auto_json json_t *value = NULL;

    if (!key_is_good(r, key, merges ? *merged != NULL : json_object_get(map, name) != NULL))
        return false;
    json_decref(remember(r, key->data.scalar.anchor, r->nodes, json_string(name)));
    if (!next(r, &event))
        return false;
    value = node(r, &event, depth + 1);
    if (value == NULL)
        return false;
    if (!merges) {
        kr_json_set(map, name, kr_steal(&value));
        return true;
    }
    *merged = json_object();
    return merge(r, &event, *merged, value);
}

static json_t *map(struct reader *r, const yaml_event_t *start, int depth)
{
    kr_auto_json json_t *out = json_object(), *merged = NULL;

    if (!tag_fits(tag_name(start->data.mapping_start.tag), "map"))
        return fail_tag(r, start, (const char *)start->data.mapping_start.tag);
    for (;;) {
        auto_event yaml_event_t key = {0};

        if (!next(r, &key))
            return NULL;
        if (key.type == YAML_MAPPING_END_EVENT)
            break;
        if (!pair(r, &key, out, &merged, depth))
            return NULL;
    }
    if (merged != NULL)
        (void)json_object_update_missing(out, merged);
    return kr_steal(&out);
}

static json_t *list(struct reader *r, const yaml_event_t *start, int depth)
{
    kr_auto_json json_t *out = json_array();

    if (!tag_fits(tag_name(start->data.sequence_start.tag), "seq"))
        return fail_tag(r, start, (const char *)start->data.sequence_start.tag);
    for (;;) {
        auto_event yaml_event_t event = {0};
        json_t *value;

        if (!next(r, &event))
            return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        value = node(r, &event, depth + 1);
        if (value == NULL)
            return NULL;
        (void)json_array_append_new(out, value);
    }
    return kr_steal(&out);
}

static json_t *node(struct reader *r, const yaml_event_t *event, int depth)
{
    int before = r->nodes;

    if (depth > MAX_DEPTH)
        return fail_at(r, &event->start_mark, "nested too deeply");
    if (++r->nodes > MAX_NODES)
        return fail_at(r, &event->start_mark, "too many values");
    if (event->type == YAML_ALIAS_EVENT)
        return alias(r, event);
    if (event->type == YAML_SCALAR_EVENT)
        return remember(r, event->data.scalar.anchor, before, scalar(r, event));
    if (event->type == YAML_MAPPING_START_EVENT)
        return remember(r, event->data.mapping_start.anchor, before, map(r, event, depth));
    return remember(r, event->data.sequence_start.anchor, before, list(r, event, depth));
}

/* -- documents --------------------------------------------------------------------------------- */

/* The one document of the stream. */
static json_t *document(struct reader *r)
{
    kr_auto_json json_t *value = NULL;

    for (;;) {
        auto_event yaml_event_t event = {0};

        if (!next(r, &event))
            return NULL;
        if (event.type == YAML_STREAM_END_EVENT)
            return value != NULL ? kr_steal(&value) : json_object();
        if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (event.type == YAML_DOCUMENT_START_EVENT && value == NULL)
            continue;
        if (value != NULL)
            return fail_at(r, &event.start_mark, "a second document begins, where one is expected");
        value = node(r, &event, 0);
        if (value == NULL)
            return NULL;
    }
}

/* JSON is YAML too, but libyaml does not take the pairs of escapes in which JSON has characters
 * beyond the first 65536. */
static bool is_json(const char *text, size_t n, const char *what, json_t **out)
{
    struct kr_err ignored = KR_ERR_INIT;
    size_t i = 0;

    while (i < n && strchr(" \t\r\n", text[i]) != NULL && text[i] != '\0')
        i++;
    return i < n && text[i] == '{' && kr_json_parse(text, n, what, out, &ignored) == 0;
}

int kr_yaml_parse(const char *text, size_t n, const char *what, json_t **out, struct kr_err *err)
{
    struct reader r = {.what = what, .err = err};

    if (is_json(text, n, what, out))
        return 0;
    if (yaml_parser_initialize(&r.parser) == 0)
        return kr_fail(err, KR_E_SYSTEM, "%s: no memory", what);
    r.anchors = json_object();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    *out = document(&r);
    json_decref(r.anchors);
    yaml_parser_delete(&r.parser);
    return *out != NULL ? 0 : -(int)KR_E_INVALID;
}

int kr_yaml_read_file(const char *path, size_t max, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(max);

    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    return kr_yaml_parse(kr_buf_str(&text), text.n, path, out, err);
}
