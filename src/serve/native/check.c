/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/native/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define INPUT_SHOWN 200

void kr_problem(struct kr_problems *problems, const char *type, const char *loc,
                struct kr_view name, const char *message, struct kr_view input)
{
    struct kr_buf *out = problems->out;

    kr_buf_addf(out, "%s{\"type\":\"%s\",\"loc\":[%s", problems->n++ > 0 ? "," : "", type, loc);
    if (name.n > 0) {
        kr_buf_addc(out, ',');
        kr_write_text(out, name.p, name.n);
    }
    kr_buf_addf(out, "],\"msg\":\"%s\"", message);
    if (input.n > 0 && input.n <= INPUT_SHOWN) {
        kr_buf_adds(out, ",\"input\":");
        kr_buf_add(out, input.p, input.n);
    }
    kr_buf_addc(out, '}');
}

static bool in_range(const struct kr_field *field, double value, char *message, size_t size)
{
    if (!isfinite(value)) { /* 1e999 */
        (void)snprintf(message, size, "Input should be a finite number");
        return false;
    }
    if (!(field->minimum < field->maximum) || (value >= field->minimum && value <= field->maximum))
        return true;
    (void)snprintf(message, size, "Input should be from %.17g to %.17g", field->minimum,
                   field->maximum);
    return false;
}

/* Characters, not bytes. */
static size_t characters(struct kr_view span)
{
    size_t n = 0;

    for (size_t i = 1; i + 1 < span.n; i++) {
        if (span.p[i] == '\\') {
            i += span.p[i + 1] == 'u' ? 5 : 1;
            n++;
        } else if (((unsigned char)span.p[i] & 0xc0) != 0x80) {
            n++;
        }
    }
    return n;
}

static bool in_length(const struct kr_field *field, size_t n, char *message, size_t size)
{
    if (field->most == 0 || (n >= field->least && n <= field->most))
        return true;
    (void)snprintf(message, size, "Input should have from %zu to %zu %s, not %zu", field->least,
                   field->most, field->type == KR_TYPE_STRING ? "characters" : "items", n);
    return false;
}

static bool check_numbers(const struct kr_field *field, struct kr_view value, char *message,
                          size_t size)
{
    enum kr_value_kind kind;
    struct kr_view item;
    struct kr_reader r;
    bool first = true;
    size_t n = 0;

    kr_reader_init(&r, value);
    (void)kr_open(&r, '[');
    while (kr_next_item(&r, &first, &kind, &item)) {
        char why[160];

        if (kind != KR_V_NUMBER) {
            (void)snprintf(message, size, "Item %zu should be a number", n);
            return false;
        }
        if (!in_range(field, kr_value_number(item), why, sizeof(why))) {
            (void)snprintf(message, size, "Item %zu: %s", n, why);
            return false;
        }
        n++;
    }
    return in_length(field, n, message, size);
}

static const char *type_message(enum kr_type type)
{
    static const char *const texts[] = {
        "Input should be a valid string",          "Input should be a valid integer",
        "Input should be a valid number",          "Input should be a valid boolean",
        "Input should be a valid list of numbers", "Input should be JSON"};

    return texts[type];
}

static const char *type_code(enum kr_type type)
{
    static const char *const texts[] = {"string_type", "int_type",  "float_type",
                                        "bool_type",   "list_type", "json_type"};

    return texts[type];
}

static bool has_type(enum kr_type type, enum kr_value_kind kind, struct kr_view value)
{
    int64_t integer;

    switch (type) {
    case KR_TYPE_STRING:
        return kind == KR_V_STRING;
    case KR_TYPE_INTEGER:
        return kind == KR_V_NUMBER && kr_value_integer(value, &integer);
    case KR_TYPE_NUMBER:
        return kind == KR_V_NUMBER;
    case KR_TYPE_BOOLEAN:
        return kind == KR_V_TRUE || kind == KR_V_FALSE;
    case KR_TYPE_NUMBERS:
        return kind == KR_V_ARRAY;
    case KR_TYPE_JSON:
    default:
        return true;
    }
}

bool kr_check_value(const struct kr_field *field, enum kr_value_kind kind, struct kr_view value,
                    const char *loc, struct kr_problems *problems)
{
    struct kr_view name = kr_view_of(field->name);
    char message[256];
    bool fine = true;

    if (!has_type(field->type, kind, value)) {
        kr_problem(problems, type_code(field->type), loc, name, type_message(field->type), value);
        return false;
    }
    if (field->type == KR_TYPE_INTEGER || field->type == KR_TYPE_NUMBER)
        fine = in_range(field, kr_value_number(value), message, sizeof(message));
    else if (field->type == KR_TYPE_STRING)
        fine = in_length(field, characters(value), message, sizeof(message));
    else if (field->type == KR_TYPE_NUMBERS)
        fine = check_numbers(field, value, message, sizeof(message));
    if (!fine)
        kr_problem(problems, "value_error", loc, name, message, value);
    return fine;
}
