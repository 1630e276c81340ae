/* SPDX-License-Identifier: Apache-2.0 */
#include "core/secret_ref.h"

#include "base/alloc.h"

#include <string.h>

static bool has_space(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strchr(" \t\r\n\v\f", p[i]) != NULL)
            return true;
    }
    return false;
}

bool kr_secret_ref_parse(const char *text, char **name, char **key)
{
    size_t n = strlen(text);
    const char *dot, *end;

    if (n < 7 || strncmp(text, "{{", 2) != 0 || strcmp(text + n - 2, "}}") != 0)
        return false;
    text += 2;
    end = text + n - 4;
    dot = memchr(text, '.', (size_t)(end - text));
    if (dot == NULL || dot == text || dot + 1 == end || has_space(text, (size_t)(end - text)))
        return false;
    if (memchr(text, '{', (size_t)(end - text)) != NULL ||
        memchr(text, '}', (size_t)(end - text)) != NULL)
        return false;
    if (name != NULL)
        *name = kr_strndup(text, (size_t)(dot - text));
    if (key != NULL)
        *key = kr_strndup(dot + 1, (size_t)(end - dot - 1));
    return true;
}

static int resolve_text(const json_t *value, kr_secret_lookup lookup, void *data, json_t **out,
                        struct kr_err *err)
{
    kr_auto_free char *name = NULL, *key = NULL, *plain = NULL;

    if (!kr_secret_ref_parse(json_string_value(value), &name, &key)) {
        *out = json_copy((json_t *)(uintptr_t)value);
        return 0;
    }
    if (lookup(data, name, key, &plain, err) < 0)
        return -(int)err->code;
    *out = json_string(plain);
    explicit_bzero(plain, strlen(plain));
    if (*out == NULL)
        return kr_fail(err, KR_E_INVALID, "the value of {{%s.%s}} is not text", name, key);
    return 0;
}

static int resolve_list(const json_t *value, kr_secret_lookup lookup, void *data, json_t **out,
                        struct kr_err *err)
{
    kr_auto_json json_t *list = json_array();
    json_t *item, *made;
    size_t i;

    json_array_foreach(value, i, item)
    {
        if (kr_secret_refs_resolve(item, lookup, data, &made, err) < 0)
            return -(int)err->code;
        (void)json_array_append_new(list, made);
    }
    *out = kr_steal(&list);
    return 0;
}

int kr_secret_refs_resolve(const json_t *config, kr_secret_lookup lookup, void *data, json_t **out,
                           struct kr_err *err)
{
    kr_auto_json json_t *object = NULL;
    const char *name;
    json_t *child, *made;

    if (json_is_string(config))
        return resolve_text(config, lookup, data, out, err);
    if (json_is_array(config))
        return resolve_list(config, lookup, data, out, err);
    if (!json_is_object(config)) {
        *out = json_incref((json_t *)(uintptr_t)config);
        return 0;
    }
    object = json_object();
    json_object_foreach((json_t *)(uintptr_t)config, name, child)
    {
        if (kr_secret_refs_resolve(child, lookup, data, &made, err) < 0)
            return -(int)err->code;
        kr_json_set(object, name, made);
    }
    *out = kr_steal(&object);
    return 0;
}
