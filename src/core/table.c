/* SPDX-License-Identifier: Apache-2.0 */
#include "core/table.h"

#include "base/path.h"

#include <string.h>

int kr_check_not_empty(const json_t *value, struct kr_err *err)
{
    if (json_string_value(value)[0] == '\0')
        return kr_fail(err, KR_E_INVALID, "an empty value");
    return 0;
}

int kr_check_url_path(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    if (text[0] != '\0' && text[0] != '/')
        return kr_fail(err, KR_E_INVALID, "'%s' does not begin with '/'", text);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f || *p == '?' || *p == '#' || *p == '"' || *p == '\\')
            return kr_fail(err, KR_E_INVALID, "'%s' has a character that no path may hold", text);
    }
    if (strstr(text, "//") != NULL || strstr(text, "/../") != NULL)
        return kr_fail(err, KR_E_INVALID, "'%s' is not a normal path", text);
    return 0;
}

int kr_check_source(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    for (const char *p = text; *p != '\0'; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                    (*p >= '0' && *p <= '9') || (unsigned char)*p >= 0x80;

        if (!word && *p != '.' && *p != ':')
            return kr_fail(err, KR_E_INVALID, "'%s' is not a path like package.module.name", text);
    }
    return kr_check_not_empty(value, err);
}

int kr_check_port_range(const json_t *value, struct kr_err *err)
{
    int64_t low, high;

    if (json_array_size(value) != 2 || !json_is_integer(json_array_get(value, 0)) ||
        !json_is_integer(json_array_get(value, 1)))
        return kr_fail(err, KR_E_INVALID, "expected two ports, like [8000, 65535]");
    low = json_integer_value(json_array_get(value, 0));
    high = json_integer_value(json_array_get(value, 1));
    if (low < 1 || high > 65535 || low > high)
        return kr_fail(err, KR_E_INVALID, "[%lld, %lld] is not a range of ports from 1 to 65535",
                       (long long)low, (long long)high);
    return 0;
}

int kr_check_relative(const json_t *value, struct kr_err *err)
{
    if (kr_path_check_relative(json_string_value(value), err) < 0)
        return kr_hint(err, "give a path below the source root");
    return 0;
}

int kr_check_text_or_list(const json_t *value, struct kr_err *err)
{
    const json_t *item;
    size_t i;

    if (json_is_string(value))
        return kr_check_not_empty(value, err);
    if (!json_is_array(value))
        return kr_fail(err, KR_E_INVALID, "expected a string or a list of strings, got %s",
                       kr_json_type_name(value));
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return kr_fail(err, KR_E_INVALID, "item %zu of the list is %s, expected a string",
                           i + 1, kr_json_type_name(item));
    }
    return 0;
}

int kr_check_inner(const struct kr_settings_table *table, const json_t *value, const char *where,
                   struct kr_err *err)
{
    json_t *checked = NULL;

    if (kr_settings_check(table, value, where, &checked, err) < 0)
        return -(int)err->code;
    json_decref(checked);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].required && json_object_get(value, table->rows[i].name) == NULL)
            return kr_fail(err, KR_E_INVALID, "%s: '%s' is missing", where, table->rows[i].name);
    }
    return 0;
}
