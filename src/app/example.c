/* SPDX-License-Identifier: Apache-2.0 */
#include "app/example.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "deployers/lifecycle.h"

#include <string.h>

enum { EXAMPLE_MAX = 1 << 16, VALUE_MAX = 200, LIST_MAX = 8 };

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

static json_t *stand_in(const json_t *schema);

static json_t *list_of(const json_t *schema)
{
    int64_t n = kr_json_int(schema, "minItems", 0);
    json_t *list = json_array();

    for (int64_t i = 0; i < n && i < LIST_MAX; i++)
        (void)json_array_append_new(list, stand_in(json_object_get(schema, "items")));
    return list;
}

/* A value that stands for a parameter without default. */
static json_t *stand_in(const json_t *schema)
{
    const char *type = kr_json_str(schema, "type", "");
    const json_t *first = json_array_get(json_object_get(schema, "examples"), 0);

    if (first == NULL)
        first = json_array_get(json_object_get(schema, "enum"), 0);
    if (first != NULL)
        return json_incref((json_t *)(uintptr_t)first);
    if (strcmp(type, "integer") == 0)
        return json_integer(1);
    if (strcmp(type, "number") == 0)
        return json_real(1.5);
    if (strcmp(type, "boolean") == 0)
        return json_true();
    if (strcmp(type, "array") == 0)
        return list_of(schema);
    if (strcmp(type, "object") == 0)
        return json_object();
    return json_string("<value>");
}

static json_t *parameters_of(const json_t *document)
{
    json_t *out = json_object(), *schema;
    const char *name;

    json_object_foreach(kr_json_at(document, "input_schema", "properties", NULL), name, schema)
    {
        json_t *value = json_object_get(schema, "default");

        kr_json_set(out, name, value != NULL ? json_incref(value) : stand_in(schema));
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
        kr_auto_free char *text = json_is_string(value) ? kr_strdup(json_string_value(value))
                                                        : kr_json_canonical(value);
        kr_auto_free char *option = NULL;

        if (strlen(text) > VALUE_MAX)
            continue;
        option = kr_asprintf("--%s=%s", key, text);
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
