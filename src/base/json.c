/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json_number.h"
#include "base/path.h"
#include "base/view.h"

#include <stdarg.h>
#include <string.h>

#define PLAIN_WIDTH ((size_t)100) /* of lines with the values of an array of numbers */

int kr_json_parse(const char *text, size_t n, const char *what, json_t **out, struct kr_err *err)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_error_t at;
    json_t *value = json_loadb(text, n, flags, &at);

    if (value == NULL && json_error_code(&at) == json_error_numeric_overflow) {
        size_t wide_n;
        kr_auto_free char *wide = kr_json_widen(text, n, &wide_n);

        value = wide != NULL ? json_loadb(wide, wide_n, flags, &at) : NULL;
    }
    if (value == NULL)
        return kr_fail(err, KR_E_INVALID, "%s is not valid JSON: line %d, column %d: %s", what,
                       at.line, at.column, at.text);
    *out = value;
    return 0;
}

int kr_json_read_file(const char *path, size_t max, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(max);

    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    return kr_json_parse(kr_buf_str(&text), text.n, path, out, err);
}

static char *dump(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));

    /* json_dumps fails on no memory alone: our strings are always valid UTF-8. */
    return kr_json_finish_numbers(text != NULL ? text : kr_strdup("null"));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A copy whose keys come in order, but for those of "properties", which stay as they are. */
static json_t *sorted(const json_t *value, bool as_is)
{
    kr_auto_free const char **keys = NULL;
    const char *key;
    json_t *child, *out;
    size_t n = 0, i;

    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach(value, i, child)(void) json_array_append_new(out, sorted(child, false));
        return out;
    }
    if (!json_is_object(value))
        return json_incref((json_t *)(uintptr_t)value);
    keys = kr_calloc(json_object_size(value) + 1, sizeof(*keys));
    json_object_foreach((json_t *)(uintptr_t)value, key, child) keys[n++] = key;
    if (!as_is)
        qsort(keys, n, sizeof(*keys), by_text);
    out = json_object();
    for (i = 0; i < n; i++)
        kr_json_set(out, keys[i],
                    sorted(json_object_get(value, keys[i]), strcmp(keys[i], "properties") == 0));
    return out;
}

char *kr_json_canonical(const json_t *value)
{
    kr_auto_json json_t *in_order = sorted(value, false);

    return dump(in_order, JSON_COMPACT);
}

/* How long the array at p is, brackets included, when it holds numbers, true, false and null alone;
 * else 0. */
static size_t plain_array(const char *p)
{
    size_t n = 1 + strcspn(p + 1, "[]{\"");

    return p[n] == ']' && n > 1 ? n + 1 : 0;
}

/* The n bytes of a plain array on one line where they fit, else as many values a line as fit: a
 * picture or an embedding is to be seen whole. */
static void add_plain_array(struct kr_buf *out, const char *p, size_t n)
{
    static const char gap[] = " \n,]";
    const char *line = out->n > 0 ? memrchr(out->p, '\n', out->n) : NULL;
    size_t column = out->n - (line != NULL ? (size_t)(line + 1 - out->p) : 0);
    int indent = (int)strspn(p + 1, "\n ") - 1;
    kr_auto_buf struct kr_buf flat = KR_BUF_INIT((size_t)1 << 40);
    size_t used = 0, width; /* of the line; of a value */

    for (const char *v = p + 1 + strspn(p + 1, gap); v < p + n;
         v += width + strspn(v + width, gap)) {
        kr_buf_adds(&flat, flat.n > 0 ? ", " : "");
        width = strcspn(v, gap);
        kr_json_add_number(&flat, v, width);
    }
    if (column + flat.n + 2 < PLAIN_WIDTH) {
        kr_buf_addf(out, "[%s]", kr_buf_str(&flat));
        return;
    }
    kr_buf_addc(out, '[');
    for (const char *v = kr_buf_str(&flat); *v != '\0'; v += width + strspn(v + width, ", ")) {
        width = strcspn(v, ",");
        if (used == 0 || used + 2 + width >= PLAIN_WIDTH) {
            kr_buf_addf(out, "%s\n%*s", used == 0 ? "" : ",", indent, "");
            used = (size_t)indent + width;
        } else {
            kr_buf_adds(out, ", ");
            used += 2 + width;
        }
        kr_buf_add(out, v, width);
    }
    kr_buf_addf(out, "\n%*s]", indent - 2, "");
}

char *kr_json_pretty(const json_t *value)
{
    kr_auto_free char *text = dump(value, JSON_INDENT(2));
    struct kr_buf out = KR_BUF_INIT((size_t)1 << 40);

    for (const char *p = text; *p != '\0';) {
        size_t n = *p == '[' ? plain_array(p) : strspn(p, "+-.0123456789eE");

        if (*p == '[' && n > 0) {
            add_plain_array(&out, p, n);
        } else if (*p == '"') { /* to the end of the string */
            for (n = 1; p[n] != '"'; n++)
                n += p[n] == '\\';
            kr_buf_add(&out, p, ++n);
        } else if (n > 0 && (*p == '-' || (*p >= '0' && *p <= '9'))) {
            kr_json_add_number(&out, p, n);
        } else {
            n = n > 0 ? n : 1; /* the e of true and false */
            kr_buf_add(&out, p, n);
        }
        p += n;
    }
    return kr_buf_steal(&out);
}

const char *kr_json_str(const json_t *obj, const char *key, const char *dflt)
{
    const char *text = json_string_value(json_object_get(obj, key));

    return text != NULL ? text : dflt;
}

int64_t kr_json_int(const json_t *obj, const char *key, int64_t dflt)
{
    const json_t *value = json_object_get(obj, key);

    return json_is_integer(value) ? (int64_t)json_integer_value(value) : dflt;
}

bool kr_json_bool(const json_t *obj, const char *key, bool dflt)
{
    const json_t *value = json_object_get(obj, key);

    return json_is_boolean(value) ? json_is_true(value) : dflt;
}

int kr_json_need_str(const json_t *obj, const char *key, const char *what, const char **out,
                     struct kr_err *err)
{
    const json_t *value = json_object_get(obj, key);

    if (value == NULL)
        return kr_fail(err, KR_E_INVALID, "%s has no \"%s\"", what, key);
    if (!json_is_string(value))
        return kr_fail(err, KR_E_INVALID, "%s: \"%s\" is %s, expected a string", what, key,
                       kr_json_type_name(value));
    *out = json_string_value(value);
    return 0;
}

json_t *kr_json_at(const json_t *obj, ...)
{
    json_t *at = (json_t *)(uintptr_t)obj;
    const char *key;
    va_list keys;

    va_start(keys, obj);
    while (at != NULL && (key = va_arg(keys, const char *)) != NULL)
        at = json_object_get(at, key);
    va_end(keys);
    return at;
}

void kr_json_set(json_t *obj, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(obj, key, value) != 0)
        abort();
}

bool kr_json_is_text(const char *text)
{
    kr_auto_json json_t *value = json_string(text);

    return value != NULL;
}

int kr_json_put(json_t *obj, const char *key, json_t *value, const char *what, struct kr_err *err)
{
    if (!kr_json_is_text(key)) {
        json_decref(value);
        return kr_fail(err, KR_E_INVALID, "%s: a key is not UTF-8 text", what);
    }
    kr_json_set(obj, key, value);
    return 0;
}

void kr_json_set_str(json_t *obj, const char *key, const char *text)
{
    json_t *value;

    if (text == NULL) {
        kr_json_set(obj, key, json_null());
        return;
    }
    value = json_string(text);
    if (value == NULL) { /* not UTF-8: keep the ASCII part readable rather than losing the value */
        kr_auto_free char *safe = kr_strdup(text);
        for (char *p = safe; *p != '\0'; p++) {
            if ((unsigned char)*p >= 0x80)
                *p = '?';
        }
        value = json_string(safe);
    }
    kr_json_set(obj, key, value);
}

void kr_json_set_int(json_t *obj, const char *key, int64_t value)
{
    kr_json_set(obj, key, json_integer(value));
}

void kr_json_set_bool(json_t *obj, const char *key, bool value)
{
    kr_json_set(obj, key, json_boolean(value));
}

void kr_json_merge(json_t *base, const json_t *over)
{
    const char *key;
    json_t *value, *old;

    json_object_foreach((json_t *)(uintptr_t)over, key, value)
    {
        old = json_object_get(base, key);
        if (json_is_object(old) && json_is_object(value))
            kr_json_merge(old, value);
        else
            kr_json_set(base, key, json_deep_copy(value));
    }
}

const char *kr_json_type_name(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return kr_json_wide(value) != NULL ? "an integer" : "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}
