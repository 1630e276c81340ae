/* SPDX-License-Identifier: Apache-2.0 */
#include "core/setting.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/view.h"
#include "core/name.h"
#include "core/secret_ref.h"

#include <string.h>
#include <strings.h>

enum { SHOWN_VALUE = 80, MAX_ROWS = 128 };

const struct kr_setting *kr_setting_find(const struct kr_settings_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0)
            return &table->rows[i];
    }
    return NULL;
}

const char *kr_setting_type_name(enum kr_setting_type type)
{
    static const char *const names[] = {
        [KR_SET_STRING] = "string", [KR_SET_INT] = "integer",   [KR_SET_NUMBER] = "number",
        [KR_SET_BOOL] = "boolean",  [KR_SET_CHOICE] = "choice", [KR_SET_LIST] = "list",
        [KR_SET_MAP] = "map",       [KR_SET_OBJECT] = "object", [KR_SET_ANY] = "any",
    };

    return names[type];
}

static json_t *filled_default(const struct kr_settings_table *inner)
{
    json_t *values = json_object();

    for (size_t i = 0; i < inner->count; i++) {
        if (!inner->rows[i].given_only)
            kr_json_set(values, inner->rows[i].name, kr_setting_default(&inner->rows[i]));
    }
    return values;
}

json_t *kr_setting_default(const struct kr_setting *row)
{
    struct kr_err err = KR_ERR_INIT;
    json_t *value = NULL;

    if (row->filled)
        return filled_default(row->inner);
    if (row->dflt == NULL)
        return json_null();
    if (kr_json_parse(row->dflt, strlen(row->dflt), row->name, &value, &err) < 0)
        abort(); /* a default in our own table that is not JSON: the table's test finds it */
    return value;
}

json_t *kr_settings_defaults(const struct kr_settings_table *table)
{
    json_t *values = json_object();

    for (size_t i = 0; i < table->count; i++)
        kr_json_set(values, table->rows[i].name, kr_setting_default(&table->rows[i]));
    return values;
}

json_t *kr_settings_public(const struct kr_settings_table *table, const json_t *values)
{
    json_t *copy = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        const struct kr_setting *row = kr_setting_find(table, key);

        if (row == NULL || !row->sensitive)
            kr_json_set(copy, key, json_deep_copy(value));
    }
    return copy;
}

/* "an integer from 1 to 65535": what a row takes. */
static void describe(const struct kr_setting *row, struct kr_buf *out)
{
    static const char *const names[] = {
        [KR_SET_STRING] = "a string",      [KR_SET_INT] = "an integer",
        [KR_SET_NUMBER] = "a number",      [KR_SET_BOOL] = "true or false",
        [KR_SET_CHOICE] = "one of ",       [KR_SET_LIST] = "a list of strings",
        [KR_SET_MAP] = "a map of strings", [KR_SET_OBJECT] = "a map",
        [KR_SET_ANY] = "another value",
    };

    kr_buf_adds(out, names[row->type]);
    if (row->type == KR_SET_INT && row->max > row->min) {
        if (row->max == INT64_MAX)
            kr_buf_addf(out, " of at least %lld", (long long)row->min);
        else
            kr_buf_addf(out, " from %lld to %lld", (long long)row->min, (long long)row->max);
    }
    if (row->positive)
        kr_buf_adds(out, " above 0");
    if (row->type == KR_SET_CHOICE) {
        for (size_t i = 0; row->choices[i] != NULL; i++)
            kr_buf_addf(out, "%s%s", i == 0 ? "" : ", ", row->choices[i]);
    }
}

static int wrong_value(const struct kr_settings_table *table, const struct kr_setting *row,
                       const json_t *value, const char *where, struct kr_err *err)
{
    kr_auto_buf struct kr_buf takes = KR_BUF_INIT(1000);
    kr_auto_free char *shown = kr_json_canonical(value);

    describe(row, &takes);
    if (row->sensitive)
        return kr_fail(err, KR_E_INVALID, "%s: '%s' in %s is %s, expected %s", where, row->name,
                       table->title, kr_json_type_name(value), kr_buf_str(&takes));
    return kr_fail(err, KR_E_INVALID, "%s: '%s' in %s is %.*s, expected %s", where, row->name,
                   table->title, SHOWN_VALUE, shown, kr_buf_str(&takes));
}

static int unknown_key(const struct kr_settings_table *table, const char *key, const char *where,
                       struct kr_err *err)
{
    kr_auto_buf struct kr_buf known = KR_BUF_INIT(900);
    const char *names[MAX_ROWS], *near;
    size_t n = table->count < MAX_ROWS ? table->count : MAX_ROWS;

    for (size_t i = 0; i < n; i++) {
        names[i] = table->rows[i].name;
        kr_buf_addf(&known, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    near = kr_name_nearest(key, names, n);
    if (near != NULL)
        (void)kr_fail(err, KR_E_INVALID, "%s: unknown key '%s' in %s; did you mean '%s'?", where,
                      key, table->title, near);
    else
        (void)kr_fail(err, KR_E_INVALID, "%s: unknown key '%s' in %s", where, key, table->title);
    if (n == 0)
        return kr_hint(err, "%s take no keys", table->title);
    return kr_hint(err, "known keys: %s", kr_buf_str(&known));
}

static json_t *bool_of_text(const char *text)
{
    int truth = kr_parse_bool(text);

    return truth < 0 ? NULL : json_boolean(truth);
}

/* JSON text whose value has the first character's type; NULL when it is something else. */
static json_t *json_of_text(const char *text, const char *openers)
{
    json_t *value = NULL;

    while (*text == ' ')
        text++;
    if (*text == '\0' || strchr(openers, *text) == NULL ||
        kr_json_parse(text, strlen(text), "value", &value, NULL) < 0)
        return NULL;
    return value;
}

static json_t *list_of_text(const char *text)
{
    json_t *list = json_of_text(text, "[");
    struct kr_view rest = kr_view_of(text), part;
    bool more = true;

    if (list != NULL)
        return list;
    list = json_array();
    while (more) {
        kr_auto_free char *item = NULL;

        more = kr_view_cut(&rest, ',', &part);
        part = kr_view_trim(part);
        item = kr_view_dup(part);
        if (part.n > 0)
            (void)json_array_append_new(list, json_string(item));
    }
    return list;
}

static json_t *choice_of_text(const struct kr_setting *row, const char *text)
{
    for (size_t i = 0; row->choices[i] != NULL; i++) {
        if (strcasecmp(row->choices[i], text) == 0)
            return json_string(row->choices[i]);
    }
    return NULL;
}

/* A string as the row's type (new reference), or NULL when it cannot be one. */
static json_t *from_text(const struct kr_setting *row, const char *text)
{
    json_t *value;
    int64_t i;
    double d;

    switch (row->type) {
    case KR_SET_STRING:
        return json_string(text);
    case KR_SET_INT:
        return kr_view_i64(kr_view_of(text), &i) ? json_integer(i) : NULL;
    case KR_SET_NUMBER:
        if (kr_view_i64(kr_view_of(text), &i))
            return json_integer(i);
        return kr_parse_double(text, &d) ? json_real(d) : NULL;
    case KR_SET_BOOL:
        return bool_of_text(text);
    case KR_SET_CHOICE:
        return choice_of_text(row, text);
    case KR_SET_LIST:
        return list_of_text(text);
    case KR_SET_MAP:
    case KR_SET_OBJECT:
        return json_of_text(text, "{");
    case KR_SET_ANY:
        value = json_of_text(text, "[{0123456789-tfn");
        return value != NULL ? value : json_string(text);
    }
    return NULL;
}

/* Numbers and booleans in a map become the text they are written as; null is left out. */
static json_t *text_map(const json_t *map)
{
    kr_auto_json json_t *made = json_object();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        kr_auto_free char *text = NULL;

        if (json_is_object(value) || json_is_array(value))
            return NULL;
        if (json_is_null(value)) /* not set */
            continue;
        if (json_is_string(value)) {
            kr_json_set(made, key, json_incref(value));
            continue;
        }
        text = kr_json_canonical(value);
        kr_json_set_str(made, key, text);
    }
    return kr_steal(&made);
}

static bool all_strings(const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return true;
}

/* A typed value as the row takes it (new reference), or NULL when it is of a wrong type. */
static json_t *from_value(const struct kr_setting *row, const json_t *value)
{
    bool good = false;

    switch (row->type) {
    case KR_SET_MAP:
        return json_is_object(value) ? text_map(value) : NULL;
    case KR_SET_INT:
        if (json_is_real(value) && json_real_value(value) >= -9e15 &&
            json_real_value(value) <= 9e15 &&
            (double)(int64_t)json_real_value(value) - json_real_value(value) == 0.0)
            return json_integer((int64_t)json_real_value(value));
        good = json_is_integer(value);
        break;
    case KR_SET_NUMBER:
        good = json_is_number(value);
        break;
    case KR_SET_BOOL:
        good = json_is_boolean(value);
        break;
    case KR_SET_LIST:
        good = json_is_array(value) && all_strings(value);
        break;
    case KR_SET_OBJECT:
        good = json_is_object(value);
        break;
    case KR_SET_ANY:
        good = true;
        break;
    case KR_SET_STRING:
    case KR_SET_CHOICE:
        break; /* strings only, and those were converted before */
    }
    return good ? json_deep_copy(value) : NULL;
}

static bool in_range(const struct kr_setting *row, const json_t *value)
{
    if (row->positive && json_number_value(value) <= 0)
        return false;
    return row->type != KR_SET_INT || row->max <= row->min ||
           (json_integer_value(value) >= row->min && json_integer_value(value) <= row->max);
}

static int check_one(const struct kr_settings_table *table, const struct kr_setting *row,
                     const json_t *value, const char *where, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *typed = NULL;

    if (json_is_null(value)) { /* back to the default */
        *out = json_null();
        return 0;
    }
    if (json_is_string(value) && !row->clear_text &&
        kr_secret_ref_parse(json_string_value(value), NULL, NULL)) {
        *out = json_incref((json_t *)(uintptr_t)value);
        return 0;
    }
    if (json_is_string(value))
        typed = from_text(row, json_string_value(value));
    else
        typed = from_value(row, value);
    if (typed != NULL && (row->type == KR_SET_MAP && json_is_string(value))) {
        json_t *texts = text_map(typed);

        json_decref(typed);
        typed = texts;
    }
    if (typed == NULL || (row->type == KR_SET_LIST && !all_strings(typed)) || !in_range(row, typed))
        return wrong_value(table, row, value, where, err);
    if (row->check != NULL && row->check(typed, err) < 0)
        return kr_wrap(err, "%s: '%s' in %s", where, row->name, table->title);
    *out = row->normal != NULL ? row->normal(typed) : kr_steal(&typed);
    return 0;
}

int kr_settings_check(const struct kr_settings_table *table, const json_t *values,
                      const char *where, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *made = json_object();
    const char *key;
    json_t *value, *typed = NULL;

    if (!json_is_object(values))
        return kr_fail(err, KR_E_INVALID, "%s: %s are %s, expected a map", where, table->title,
                       kr_json_type_name(values));
    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        const struct kr_setting *row = kr_setting_find(table, key);

        if (row == NULL && !table->ignore_unknown)
            return unknown_key(table, key, where, err);
        if (row == NULL)
            typed = json_deep_copy(value);
        else if (check_one(table, row, value, where, &typed, err) < 0)
            return -(int)err->code;
        kr_json_set(made, key, typed);
    }
    *out = kr_steal(&made);
    return 0;
}
