/* SPDX-License-Identifier: Apache-2.0 */
#include "app/typed.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/view.h"
#include "core/name.h"

#include <string.h>

enum { MAX_DEPTH = 32, NAMES_MAX = 4096, MAX_KNOWN = 256 };

/* In the order in which they are tried. */
static const char *const kinds[] = {"null",  "integer", "number", "boolean",
                                    "array", "object",  "string"};

static json_t *convert(const json_t *root, const json_t *schema, const char *text, int depth);

/* "#/$defs/Name" inside root, or NULL. */
static const json_t *refer(const json_t *root, const char *ref)
{
    const json_t *at = root;
    struct kr_view rest, part;
    bool more = true;

    if (strncmp(ref, "#/", 2) != 0)
        return NULL;
    rest = kr_view_of(ref + 2);
    while (more && at != NULL) {
        kr_auto_free char *key = NULL;

        more = kr_view_cut(&rest, '/', &part);
        key = kr_view_dup(part);
        at = json_object_get(at, key);
    }
    return at;
}

static json_t *as_number(const char *text)
{
    double value;
    json_t *made;

    if (!kr_parse_double(text, &value))
        return NULL;
    made = json_real(value);
    return made; /* NULL for inf and nan: JSON has none */
}

static json_t *as_boolean(const char *text)
{
    int truth = kr_parse_bool(text);

    return truth < 0 ? NULL : json_boolean(truth);
}

static json_t *as_json(const char *text)
{
    json_t *value = NULL;

    return kr_json_parse(text, strlen(text), "value", &value, NULL) == 0 ? value : NULL;
}

static json_t *as_container(const char *text, bool list)
{
    kr_auto_json json_t *value = as_json(text);

    return (list ? json_is_array(value) : json_is_object(value)) ? kr_steal(&value) : NULL;
}

/* A whole number beyond 64 bits: Python has them. */
static json_t *as_wide(const char *text)
{
    kr_auto_json json_t *value = as_json(text);

    return kr_json_wide(value) != NULL ? kr_steal(&value) : NULL;
}

static json_t *as_kind(const char *kind, const char *text)
{
    int64_t number;

    if (strcmp(kind, "null") == 0)
        return strcmp(text, "null") == 0 ? json_null() : NULL;
    if (strcmp(kind, "integer") == 0)
        return kr_view_i64(kr_view_of(text), &number) ? json_integer(number) : as_wide(text);
    if (strcmp(kind, "number") == 0)
        return as_number(text);
    if (strcmp(kind, "boolean") == 0)
        return as_boolean(text);
    if (strcmp(kind, "string") == 0)
        return json_string(text);
    return as_container(text, strcmp(kind, "array") == 0);
}

/* A value of a list of choices that the text names. */
static json_t *as_choice(const json_t *choices, const char *text)
{
    const json_t *choice;
    size_t i;

    json_array_foreach(choices, i, choice)
    {
        kr_auto_free char *spelled = json_is_string(choice) ? kr_strdup(json_string_value(choice))
                                                            : kr_json_canonical(choice);

        if (strcmp(spelled, text) == 0)
            return json_incref((json_t *)(uintptr_t)choice);
    }
    return NULL;
}

/* Whether a branch of anyOf takes texts as they are: it is tried last. */
static bool takes_text(const json_t *root, const json_t *schema)
{
    const char *ref = kr_json_str(schema, "$ref", NULL);
    const json_t *there = ref != NULL ? refer(root, ref) : schema;

    return strcmp(kr_json_str(there, "type", ""), "string") == 0 &&
           json_object_get(there, "enum") == NULL && json_object_get(there, "const") == NULL;
}

static json_t *any_of(const json_t *root, const json_t *branches, const char *text, int depth)
{
    const json_t *branch;
    size_t i;

    /* "null" must not become a text where null is possible, nor 5 where a number is. */
    for (size_t k = 0; k < KR_ARRAY_LEN(kinds); k++) {
        json_array_foreach(branches, i, branch)
        {
            const char *type = kr_json_str(branch, "type", NULL);
            bool is_kind = type != NULL && strcmp(type, kinds[k]) == 0;
            bool is_other = type == NULL && k == KR_ARRAY_LEN(kinds) - 2;
            json_t *made;

            if ((!is_kind && !is_other) || (is_other && takes_text(root, branch)))
                continue;
            made = convert(root, branch, text, depth + 1);
            if (made != NULL)
                return made;
        }
    }
    json_array_foreach(branches, i, branch)
    {
        json_t *made = takes_text(root, branch) ? convert(root, branch, text, depth + 1) : NULL;

        if (made != NULL)
            return made;
    }
    return NULL;
}

static json_t *all_of(const json_t *root, const json_t *parts, const char *text, int depth)
{
    const json_t *first = json_array_get(parts, 0);

    return first != NULL ? convert(root, first, text, depth + 1) : NULL;
}

static json_t *one_of_types(const json_t *types, const char *text)
{
    for (size_t k = 0; k < KR_ARRAY_LEN(kinds); k++) {
        const json_t *type;
        size_t i;

        json_array_foreach(types, i, type)
        {
            json_t *made = json_is_string(type) && strcmp(json_string_value(type), kinds[k]) == 0
                               ? as_kind(kinds[k], text)
                               : NULL;

            if (made != NULL)
                return made;
        }
    }
    return NULL;
}

/* NULL: the text cannot be what the schema wants. */
static json_t *convert(const json_t *root, const json_t *schema, const char *text, int depth)
{
    const char *ref = kr_json_str(schema, "$ref", NULL);
    const json_t *part;
    json_t *guess;

    if (depth > MAX_DEPTH || json_is_false(schema))
        return NULL;
    if (ref != NULL && (part = refer(root, ref)) != NULL)
        return convert(root, part, text, depth + 1);
    if ((part = json_object_get(schema, "const")) != NULL) {
        kr_auto_json json_t *one = json_array();

        (void)json_array_append(one, (json_t *)(uintptr_t)part);
        return as_choice(one, text);
    }
    if ((part = json_object_get(schema, "enum")) != NULL)
        return as_choice(part, text);
    if ((part = json_object_get(schema, "anyOf")) != NULL ||
        (part = json_object_get(schema, "oneOf")) != NULL)
        return any_of(root, part, text, depth);
    if ((part = json_object_get(schema, "allOf")) != NULL)
        return all_of(root, part, text, depth);
    part = json_object_get(schema, "type");
    if (json_is_string(part))
        return as_kind(json_string_value(part), text);
    if (json_is_array(part))
        return one_of_types(part, text);
    guess = as_json(text); /* anything goes: JSON if it is, else the text */
    return guess != NULL ? guess : json_string(text);
}

/* -- messages ---------------------------------------------------------------------------------- */

static void describe_list(const json_t *root, const json_t *list, struct kr_buf *out, int depth);

/* What a schema takes, in words: "integer or null". */
static void describe(const json_t *root, const json_t *schema, struct kr_buf *out, int depth)
{
    static const char *const words[][2] = {
        {"integer", "an integer"},  {"number", "a number"}, {"boolean", "true or false"},
        {"string", "text"},         {"null", "null"},       {"array", "a JSON list"},
        {"object", "a JSON object"}};
    const char *ref = kr_json_str(schema, "$ref", NULL), *type = kr_json_str(schema, "type", NULL);
    const json_t *list;

    if (ref != NULL && depth < MAX_DEPTH && refer(root, ref) != NULL) {
        describe(root, refer(root, ref), out, depth + 1);
        return;
    }
    if ((list = json_object_get(schema, "enum")) != NULL) {
        kr_auto_free char *text = kr_json_canonical(list);

        kr_buf_addf(out, "one of %s", text);
        return;
    }
    if (((list = json_object_get(schema, "anyOf")) != NULL ||
         (list = json_object_get(schema, "oneOf")) != NULL) &&
        depth < MAX_DEPTH) {
        describe_list(root, list, out, depth);
        return;
    }
    for (size_t i = 0; type != NULL && i < KR_ARRAY_LEN(words); i++) {
        if (strcmp(type, words[i][0]) == 0) {
            kr_buf_adds(out, words[i][1]);
            return;
        }
    }
    kr_buf_adds(out, "another value");
}

static void describe_list(const json_t *root, const json_t *list, struct kr_buf *out, int depth)
{
    const json_t *branch;
    size_t i;

    json_array_foreach(list, i, branch)
    {
        kr_buf_adds(out, i > 0 ? " or " : "");
        describe(root, branch, out, depth + 1);
    }
}

static int fail_value(const json_t *root, const char *name, const json_t *schema, const char *text,
                      struct kr_err *err)
{
    kr_auto_buf struct kr_buf wanted = KR_BUF_INIT(NAMES_MAX);

    describe(root, schema, &wanted, 0);
    return kr_fail(err, KR_E_INVALID, "parameter '%s': '%.200s' is not %s", name, text,
                   kr_buf_str(&wanted));
}

static int fail_unknown(const json_t *properties, const char *name, struct kr_err *err)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(NAMES_MAX);
    const char *known[MAX_KNOWN], *key, *near;
    json_t *value;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        if (n < MAX_KNOWN)
            known[n++] = key;
        kr_buf_addf(&names, "%s%s", names.n > 0 ? ", " : "", key);
    }
    near = kr_name_nearest(name, known, n);
    (void)kr_fail(err, KR_E_INVALID, "unknown parameter '%s'%s%s%s", name,
                  near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "");
    return n > 0 ? kr_hint(err, "the pipeline takes: %s", kr_buf_str(&names))
                 : kr_hint(err, "the pipeline takes no parameters");
}

static int check_required(const json_t *schema, const json_t *texts, struct kr_err *err)
{
    kr_auto_buf struct kr_buf missing = KR_BUF_INIT(NAMES_MAX);
    const json_t *name;
    size_t i, n = 0;

    json_array_foreach(json_object_get(schema, "required"), i, name)
    {
        if (!json_is_string(name) || json_object_get(texts, json_string_value(name)) != NULL)
            continue;
        kr_buf_addf(&missing, "%s'%s'", n++ > 0 ? ", " : "", json_string_value(name));
    }
    if (n == 0)
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "parameter%s %s missing: %s", n > 1 ? "s" : "",
                  n > 1 ? "are" : "is", kr_buf_str(&missing));
    return kr_hint(err, "give each as --name=value");
}

int kr_typed_parameters(const json_t *schema, const json_t *texts, json_t **out, struct kr_err *err)
{
    const json_t *properties = json_object_get(schema, "properties");
    bool open = schema == NULL || (json_object_get(schema, "additionalProperties") != NULL &&
                                   !json_is_false(json_object_get(schema, "additionalProperties")));
    kr_auto_json json_t *made = json_object();
    const char *name;
    json_t *text;

    json_object_foreach((json_t *)(uintptr_t)texts, name, text)
    {
        const json_t *property = json_object_get(properties, name);
        json_t *value;

        if (property == NULL && !open)
            return fail_unknown(properties, name, err);
        value = convert(schema, property, json_string_value(text), 0);
        if (value == NULL)
            return fail_value(schema, name, property, json_string_value(text), err);
        kr_json_set(made, name, value);
    }
    if (check_required(schema, texts, err) < 0)
        return -(int)err->code;
    *out = kr_steal(&made);
    return 0;
}
