/* SPDX-License-Identifier: Apache-2.0 */
#include "app/example.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "deployers/lifecycle.h"

#include <string.h>

enum { EXAMPLE_MAX = 1 << 16, VALUE_MAX = 200, LIST_MAX = 256, DEPTH_MAX = 8 };

/* In single quotes for a shell, when it needs them. */
static void add_quoted(struct kr_buf *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_-.,:/@%+=";

    if (text[0] != '\0' && text[strspn(text, plain)] == '\0') {
        kr_buf_adds(out, text);
        return;
    }
    kr_buf_addc(out, '\'');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            kr_buf_adds(out, "'\\''");
        else
            kr_buf_addc(out, *p);
    }
    kr_buf_addc(out, '\'');
}

struct schemas {
    const json_t *defs; /* "$defs" of the whole schema */
};

static json_t *stand_in(const struct schemas *s, const json_t *schema, int depth);

/* As many items as there must be, and more than one so that it reads as a list. Schemas can nest
 * without end: below DEPTH_MAX lists and objects are empty. */
static json_t *list_of(const struct schemas *s, const json_t *schema, int depth)
{
    const json_t *prefix = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    int64_t least = kr_json_int(schema, "minItems", 0),
            most = kr_json_int(schema, "maxItems", LIST_MAX);
    int64_t n = least > 2 ? least : 2;
    json_t *list = json_array(), *one;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)prefix, i, one)(void)
        json_array_append_new(list, stand_in(s, one, depth + 1));
    if (prefix != NULL || depth >= DEPTH_MAX)
        return list;
    n = n < most ? n : most;
    if (kr_json_bool(schema, "uniqueItems", false) && n > least && n > 1)
        n = least > 1 ? least : 1;
    for (int64_t k = 0; k < n && k < LIST_MAX; k++)
        (void)json_array_append_new(list, stand_in(s, items, depth + 1));
    return list;
}

static json_t *object_of(const struct schemas *s, const json_t *schema, int depth)
{
    json_t *object = json_object(), *one;
    const json_t *item, *more = json_object_get(schema, "additionalProperties");
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, item)
    {
        const char *name = json_string_value(item);

        one = name != NULL ? kr_json_at(schema, "properties", name, NULL) : NULL;
        if (one != NULL && depth < DEPTH_MAX)
            kr_json_set(object, name, stand_in(s, one, depth + 1));
    }
    if (json_object_size(object) == 0 && json_is_object(more) && depth < DEPTH_MAX)
        kr_json_set(object, "key", stand_in(s, more, depth + 1));
    return object;
}

/* The schema behind "$ref", and the first alternative that is not null. */
static const json_t *plain_schema(const struct schemas *s, const json_t *schema)
{
    static const char *const several[] = {"anyOf", "oneOf", "allOf"};

    for (int step = 0; step < DEPTH_MAX; step++) {
        const char *ref = kr_json_str(schema, "$ref", NULL);
        const char *name = ref != NULL ? strrchr(ref, '/') : NULL;
        const json_t *next = name != NULL ? json_object_get(s->defs, name + 1) : NULL, *one;
        size_t i;

        for (size_t k = 0; next == NULL && k < KR_ARRAY_LEN(several); k++) {
            json_array_foreach(json_object_get(schema, several[k]), i, one)
            {
                if (next == NULL && strcmp(kr_json_str(one, "type", ""), "null") != 0)
                    next = one;
            }
        }
        if (next == NULL)
            break;
        schema = next;
    }
    return schema;
}

static json_t *number_of(const json_t *schema, bool whole)
{
    const json_t *least = json_object_get(schema, "minimum"),
                 *most = json_object_get(schema, "maximum");
    const json_t *above = json_object_get(schema, "exclusiveMinimum");
    double value = whole ? 1 : 1.5;

    if (json_is_number(least) && json_number_value(least) > value)
        value = json_number_value(least);
    if (json_is_number(above) && json_number_value(above) >= value)
        value = json_number_value(above) + 1;
    if (json_is_number(most) && json_number_value(most) < value)
        value = json_number_value(most);
    return whole ? json_integer((json_int_t)value) : json_real(value);
}

/* A value that stands for a parameter without default. */
static json_t *stand_in(const struct schemas *s, const json_t *given, int depth)
{
    const json_t *schema = plain_schema(s, given);
    const char *type = kr_json_str(schema, "type", "");
    const json_t *first = json_array_get(json_object_get(given, "examples"), 0);

    if (first == NULL)
        first = json_array_get(json_object_get(schema, "examples"), 0);
    if (first == NULL)
        first = json_object_get(schema, "const");
    if (first == NULL)
        first = json_array_get(json_object_get(schema, "enum"), 0);
    if (first != NULL)
        return json_incref((json_t *)(uintptr_t)first);
    if (strcmp(type, "integer") == 0)
        return number_of(schema, true);
    if (strcmp(type, "number") == 0)
        return number_of(schema, false);
    if (strcmp(type, "boolean") == 0)
        return json_true();
    if (strcmp(type, "array") == 0)
        return list_of(s, schema, depth);
    if (strcmp(type, "object") == 0)
        return object_of(s, schema, depth);
    if (strcmp(kr_json_str(schema, "format", ""), "date-time") == 0)
        return json_string("2026-01-31T12:00:00Z");
    if (strcmp(kr_json_str(schema, "format", ""), "date") == 0)
        return json_string("2026-01-31");
    return json_string("<value>");
}

static json_t *parameters_of(const json_t *document)
{
    struct schemas s = {kr_json_at(document, "input_schema", "$defs", NULL)};
    json_t *out = json_object(), *schema;
    const char *name;

    json_object_foreach(kr_json_at(document, "input_schema", "properties", NULL), name, schema)
    {
        json_t *value = json_object_get(schema, "default");

        kr_json_set(out, name, value != NULL ? json_incref(value) : stand_in(&s, schema, 0));
    }
    return out;
}

static char *invoke_line(struct kr_app *app, const char *name, const json_t *parameters)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(EXAMPLE_MAX);
    const char *key;
    json_t *value;

    kr_buf_addf(&out, "%s deployment invoke ", app->prog);
    add_quoted(&out, name);
    json_object_foreach((json_t *)(uintptr_t)parameters, key, value)
    {
        kr_auto_free char *text =
            json_is_string(value) ? kr_strdup(json_string_value(value)) : kr_json_canonical(value);
        kr_auto_free char *option = NULL;

        option = strlen(text) > VALUE_MAX ? kr_asprintf("--%s=@%s.json", key, key)
                                          : kr_asprintf("--%s=%s", key, text);
        kr_buf_addc(&out, ' ');
        add_quoted(&out, option);
    }
    return kr_buf_steal(&out);
}

/* The value of a header with what is secret in it replaced. */
static char *shown(const char *value, const char *key, bool show_secret)
{
    const char *at = key != NULL ? strstr(value, key) : NULL;

    if (at != NULL)
        return show_secret ? kr_strdup(value)
                           : kr_asprintf("%.*s<auth key>", (int)(at - value), value);
    return kr_strdup(strncmp(value, "Bearer ", 7) == 0 ? "Bearer <Hub token>" : "<token>");
}

static char *curl_line(const json_t *row, const struct kr_target *target, const json_t *headers,
                       const json_t *parameters, bool show_secret)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(EXAMPLE_MAX);
    kr_auto_free char *url = kr_endpoint_url(kr_json_str(row, "url", ""), target->what.snapshot,
                                             "invoke_url_path", "/invoke");
    kr_auto_json json_t *body = json_object();
    kr_auto_free char *text = NULL;
    const char *name;
    json_t *value;

    kr_json_set(body, "parameters", json_incref((json_t *)(uintptr_t)parameters));
    text = kr_json_canonical(body);
    kr_buf_adds(&out, "curl -X POST ");
    add_quoted(&out, url);
    kr_buf_adds(&out, " \\\n  -H 'Content-Type: application/json'");
    json_object_foreach((json_t *)(uintptr_t)headers, name, value)
    {
        kr_auto_free char *what = shown(json_string_value(value), target->auth_key, show_secret);
        kr_auto_free char *line = kr_asprintf("%s: %s", name, what);

        kr_buf_adds(&out, " \\\n  -H ");
        add_quoted(&out, line);
    }
    kr_buf_adds(&out, " \\\n  -d ");
    add_quoted(&out, strlen(text) <= EXAMPLE_MAX / 4 ? text : "{\"parameters\":{}}");
    return kr_buf_steal(&out);
}

void kr_example_add(struct kr_app *app, json_t *row, const struct kr_target *target,
                    const json_t *headers, bool show_secret)
{
    kr_auto_json json_t *parameters = parameters_of(target->what.snapshot);
    kr_auto_free char *invoke = invoke_line(app, kr_json_str(row, "name", ""), parameters);
    kr_auto_free char *curl = curl_line(row, target, headers, parameters, show_secret);

    kr_json_set_str(row, "invoke_example", invoke);
    kr_json_set_str(row, "curl_example", curl);
}
