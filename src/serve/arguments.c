/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/arguments.h"

#include "base/alloc.h"
#include "serve/value.h"

#include <math.h>
#include <string.h>

#define EXACT_MAX 9007199254740992LL /* integers up to here are exact as a float */
#define TEXT_MAX  (1u << 20)

enum type { TYPE_STRING, TYPE_INTEGER, TYPE_NUMBER, TYPE_BOOLEAN, TYPE_COUNT };

static const char *const type_names[] = {"string", "integer", "number", "boolean"};

struct kr_argument {
    char *key; /* the name as a JSON string */
    size_t key_n;
    enum type type;
    bool optional;
    struct kr_buf value, text; /* the default: for the worker, and as JSON */
};

/* -- values as Python's marshal has them, version 2 and later ---------------------------------- */

static void put_code(struct kr_buf *out, char code, uint32_t number)
{
    char bytes[5] = {code};

    kr_u32_put(bytes + 1, number);
    kr_buf_add(out, bytes, sizeof(bytes));
}

/* The start of a text of n bytes, which follow. */
static void put_text_head(struct kr_buf *out, size_t n)
{
    put_code(out, 'u', (uint32_t)n);
}

static void put_integer(struct kr_buf *out, int64_t value)
{
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char digits[10];
    uint32_t n = 0;

    if (value >= INT32_MIN && value <= INT32_MAX) {
        put_code(out, 'i', (uint32_t)value);
        return;
    }
    for (; left != 0; left >>= 15, n++) {
        digits[2 * n] = (char)(left & 0xff);
        digits[2 * n + 1] = (char)(left >> 8 & 0x7f);
    }
    put_code(out, 'l', value < 0 ? 0 - n : n);
    kr_buf_add(out, digits, (size_t)2 * n);
}

static void put_number(struct kr_buf *out, double value)
{
    char bytes[9] = {'g'};
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    kr_u64_put(bytes + 1, bits);
    kr_buf_add(out, bytes, sizeof(bytes));
}

/* -- from JSON text ---------------------------------------------------------------------------- */

/* A text without escapes is the same in JSON. */
static bool read_string(struct kr_view span, struct kr_buf *value, struct kr_buf *text)
{
    char *to;
    size_t n;

    if (memchr(span.p, '\\', span.n) == NULL) {
        put_text_head(value, span.n - 2);
        kr_buf_add(value, span.p + 1, span.n - 2);
        kr_buf_add(text, span.p, span.n);
        return true;
    }
    if (memmem(span.p, span.n, "\\ud", 3) != NULL || memmem(span.p, span.n, "\\uD", 3) != NULL)
        return false; /* halves of pairs: the worker tells whole ones from single ones */
    to = kr_malloc(span.n);
    n = kr_value_text(span, to);
    put_text_head(value, n);
    kr_buf_add(value, to, n);
    kr_write_text(text, to, n);
    free(to);
    return true;
}

static bool read_number(struct kr_view span, struct kr_buf *value, struct kr_buf *text)
{
    bool whole = memchr(span.p, '.', span.n) == NULL && memchr(span.p, 'e', span.n) == NULL &&
                 memchr(span.p, 'E', span.n) == NULL;
    int64_t integer;
    double number;

    if (whole && (!kr_view_i64(span, &integer) || integer < -EXACT_MAX || integer > EXACT_MAX))
        return false;
    number = whole ? (double)integer : kr_value_number(span);
    if (!isfinite(number))
        return false;
    put_number(value, number);
    kr_write_number(text, number);
    return true;
}

static bool read_integer(struct kr_view span, struct kr_buf *value, struct kr_buf *text)
{
    int64_t integer;

    if (!kr_view_i64(span, &integer))
        return false;
    put_integer(value, integer);
    kr_write_integer(text, integer);
    return true;
}

static bool read_value(enum type type, enum kr_value_kind kind, struct kr_view span,
                       struct kr_buf *value, struct kr_buf *text)
{
    if (type == TYPE_STRING)
        return kind == KR_V_STRING && read_string(span, value, text);
    if (type == TYPE_INTEGER)
        return kind == KR_V_NUMBER && read_integer(span, value, text);
    if (type == TYPE_NUMBER)
        return kind == KR_V_NUMBER && read_number(span, value, text);
    if (kind != KR_V_TRUE && kind != KR_V_FALSE)
        return false;
    kr_buf_addc(value, kind == KR_V_TRUE ? 'T' : 'F');
    kr_buf_add(text, span.p, span.n);
    return true;
}

/* -- an invocation ----------------------------------------------------------------------------- */

static bool is_key(struct kr_view key, const char *name)
{
    size_t n = strlen(name);

    return key.n == n && memcmp(key.p, name, n) == 0;
}

/* Whether a member of an object is followed by the end of it or by another one. */
static bool ends_well(struct kr_reader r, bool *last)
{
    if (kr_at_end(&r))
        return false;
    *last = *r.p == '}';
    if (*last || *r.p++ != ',')
        return *last;
    return !kr_at_end(&r) && *r.p == '"';
}

/* The member "parameters" of a body; what else may stand there has to be as if it did not. */
static bool find_parameters(struct kr_view body, struct kr_view *parameters)
{
    struct kr_view key, value;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true, last = false;

    parameters->p = NULL;
    kr_reader_init(&r, body);
    if (!kr_open(&r, '{'))
        return false;
    while (!last && kr_next_member(&r, &first, &key, &kind, &value)) {
        if (is_key(key, "\"parameters\"") && kind == KR_V_OBJECT && parameters->p == NULL)
            *parameters = value;
        else if (!(is_key(key, "\"run_name\"") && kind == KR_V_NULL) &&
                 !(is_key(key, "\"timeout\"") && (kind == KR_V_NULL || kind == KR_V_NUMBER)) &&
                 !(is_key(key, "\"skip_artifact_materialization\"") &&
                   (kind == KR_V_TRUE || kind == KR_V_FALSE)))
            return false;
        if (!ends_well(r, &last))
            return false;
    }
    if (!last || parameters->p == NULL || kr_at_end(&r))
        return false;
    r.p++;
    return kr_at_end(&r);
}

struct found {
    enum kr_value_kind kind;
    struct kr_view span;
};

static bool find_values(const struct kr_arguments *a, struct kr_view parameters,
                        struct found *found)
{
    struct kr_view key, value;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true;
    size_t at = 0;

    kr_reader_init(&r, parameters);
    (void)kr_open(&r, '{');
    while (kr_next_member(&r, &first, &key, &kind, &value)) {
        size_t tried = 0;

        while (tried < a->n &&
               (key.n != a->list[at].key_n || memcmp(key.p, a->list[at].key, key.n) != 0)) {
            at = at + 1 == a->n ? 0 : at + 1; /* they mostly come in order */
            tried++;
        }
        if (tried == a->n || found[at].span.p != NULL)
            return false;
        found[at].kind = kind;
        found[at].span = value;
    }
    return true;
}

/* The tuple into `out`, the JSON object into `text`. */
static bool put_values(const struct kr_arguments *a, const struct found *found, struct kr_buf *out,
                       struct kr_buf *text)
{
    put_code(out, '(', (uint32_t)a->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct kr_argument *one = &a->list[i];

        kr_buf_addc(text, i == 0 ? '{' : ',');
        kr_buf_add(text, one->key, one->key_n);
        kr_buf_addc(text, ':');
        if (found[i].span.p != NULL) {
            if (!read_value(one->type, found[i].kind, found[i].span, out, text))
                return false;
        } else if (one->optional) {
            kr_buf_add(out, one->value.p, one->value.n);
            kr_buf_add(text, one->text.p, one->text.n);
        } else {
            return false;
        }
    }
    kr_buf_adds(text, a->n == 0 ? "{}" : "}");
    return !text->failed;
}

bool kr_arguments_read(const struct kr_arguments *a, struct kr_view body,
                       const char run_id[KR_RUN_ID_LEN + 1], struct kr_buf *out, size_t *tail_at)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(TEXT_MAX);
    struct found found[KR_ARGUMENTS_MAX];
    struct kr_view parameters;

    if (a->edition == 0 || body.n > KR_ARGUMENTS_BODY_MAX || !find_parameters(body, &parameters))
        return false;
    memset(found, 0, a->n * sizeof(found[0]));
    if (!find_values(a, parameters, found))
        return false;
    kr_buf_reset(out);
    if (!put_values(a, found, out, &text))
        return false;
    *tail_at = out->n;
    kr_buf_adds(out, "\"run_name\":\"");
    kr_buf_adds(out, a->run_prefix);
    kr_buf_add(out, run_id, 8);
    kr_buf_adds(out, "\",\"parameters_used\":");
    kr_buf_add(out, text.p, text.n);
    return !out->failed;
}

/* -- what the workers say ---------------------------------------------------------------------- */

static void forget(struct kr_arguments *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->list[i].key);
        kr_buf_finish(&a->list[i].value);
        kr_buf_finish(&a->list[i].text);
    }
    free(a->list);
    free(a->run_prefix);
    json_decref(a->said);
    a->list = NULL;
    a->run_prefix = NULL;
    a->said = NULL;
    a->n = 0;
    a->edition = 0;
}

void kr_arguments_finish(struct kr_arguments *a)
{
    forget(a);
}

static bool learn_default(struct kr_argument *one, const json_t *dflt)
{
    if (json_is_string(dflt)) {
        put_text_head(&one->value, json_string_length(dflt));
        kr_buf_add(&one->value, json_string_value(dflt), json_string_length(dflt));
        kr_write_text(&one->text, json_string_value(dflt), json_string_length(dflt));
    } else if (json_is_integer(dflt)) {
        put_integer(&one->value, json_integer_value(dflt));
        kr_write_integer(&one->text, json_integer_value(dflt));
    } else if (json_is_real(dflt)) {
        put_number(&one->value, json_real_value(dflt));
        kr_write_number(&one->text, json_real_value(dflt));
    } else if (json_is_boolean(dflt)) {
        kr_buf_addc(&one->value, json_is_true(dflt) ? 'T' : 'F');
        kr_buf_adds(&one->text, json_is_true(dflt) ? "true" : "false");
    } else if (json_is_null(dflt)) {
        kr_buf_addc(&one->value, 'N');
        kr_buf_adds(&one->text, "null");
    }
    return one->text.n > 0;
}

static bool learn_one(struct kr_argument *one, const json_t *said)
{
    const char *name = kr_json_str(said, "name", NULL), *type = kr_json_str(said, "type", "");
    const json_t *dflt = json_object_get(said, "default");
    kr_auto_buf struct kr_buf key = KR_BUF_INIT(TEXT_MAX);

    kr_buf_init(&one->value, TEXT_MAX);
    kr_buf_init(&one->text, TEXT_MAX);
    if (name == NULL)
        return false;
    kr_write_text(&key, name, strlen(name));
    one->key_n = key.n;
    one->key = kr_buf_steal(&key);
    for (one->type = 0; one->type < TYPE_COUNT; one->type++) {
        if (strcmp(type, type_names[one->type]) == 0)
            break;
    }
    one->optional = dflt != NULL;
    return one->type < TYPE_COUNT && (dflt == NULL || learn_default(one, dflt));
}

static bool learn_all(struct kr_arguments *a, const json_t *said)
{
    const json_t *list = json_object_get(said, "parameters");
    const char *prefix = kr_json_str(said, "run_prefix", NULL);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(TEXT_MAX);

    if (prefix == NULL || !json_is_array(list) || json_array_size(list) > KR_ARGUMENTS_MAX)
        return false;
    kr_write_text(&text, prefix, strlen(prefix));
    a->run_prefix = kr_strndup(kr_buf_str(&text) + 1, text.n - 2);
    a->list = kr_calloc(json_array_size(list) + 1, sizeof(a->list[0]));
    for (size_t i = 0; i < json_array_size(list); i++) {
        a->n++;
        if (!learn_one(&a->list[i], json_array_get(list, i)))
            return false;
    }
    return true;
}

void kr_arguments_learn(struct kr_arguments *a, const json_t *ready)
{
    json_t *said = json_object_get(ready, "arguments");

    if (a->said != NULL && json_equal(a->said, said))
        return;
    forget(a);
    if (said == NULL)
        return;
    if (!learn_all(a, said)) {
        forget(a);
        return;
    }
    a->said = json_incref(said);
    a->edition = ++a->editions;
}
