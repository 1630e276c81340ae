/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml_scalar.h"

#include "base/alloc.h"
#include "base/json_number.h"
#include "base/view.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const yes[] = {"true", "True", "TRUE", NULL};
static const char *const no[] = {"false", "False", "FALSE", NULL};
static const char *const without_value[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL};

static bool any_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

static bool all_of(const char *text, const char *characters)
{
    return text[0] != '\0' && text[strspn(text, characters)] == '\0';
}

/* [-+]?[0-9]+, 0o[0-7]+, 0x[0-9a-fA-F]+ */
static bool is_whole(const char *text, int *base)
{
    *base = strncmp(text, "0o", 2) == 0 ? 8 : strncmp(text, "0x", 2) == 0 ? 16 : 10;
    if (*base == 8)
        return all_of(text + 2, "01234567");
    if (*base == 16)
        return all_of(text + 2, "0123456789abcdefABCDEF");
    return all_of(text + (text[0] == '+' || text[0] == '-'), "0123456789");
}

/* JSON has neither a plus sign nor zeros in front. */
static json_t *wide(const char *text)
{
    const char *digits = text + (text[0] == '+' || text[0] == '-');
    kr_auto_free char *number = NULL;

    digits += strspn(digits, "0");
    number = kr_asprintf("%s%s", text[0] == '-' ? "-" : "", digits);
    return kr_json_wide_new(number);
}

static json_t *whole(const char *text, int base, const char **problem)
{
    long long value;

    errno = 0;
    value = strtoll(base == 10 ? text : text + 2, NULL, base);
    if (errno == 0)
        return json_integer(value);
    if (base == 10)
        return wide(text);
    *problem = "a whole number beyond 64 bits; in quotes it is a text";
    return NULL;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_real(const char *text)
{
    const char *digits = "0123456789", *p = text + (text[0] == '+' || text[0] == '-');
    size_t before = strspn(p, digits), after = 0;

    p += before;
    if (*p == '.') {
        after = strspn(p + 1, digits);
        p += 1 + after;
    }
    if (before + after == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        return all_of(p, digits);
    }
    return *p == '\0';
}

json_t *kr_yaml_plain(const char *text, const char **problem)
{
    json_t *value;
    double real;
    int base;

    if (any_of(text, nulls))
        return json_null();
    if (any_of(text, yes))
        return json_true();
    if (any_of(text, no))
        return json_false();
    if (is_whole(text, &base))
        return whole(text, base, problem);
    if (any_of(text + (text[0] == '+' || text[0] == '-'), without_value) ||
        (is_real(text) && !kr_parse_double(text, &real))) {
        *problem = "a number that is infinite or none at all has no place here; in quotes it is a "
                   "text";
        return NULL;
    }
    value = is_real(text) ? json_real(real) : json_string(text);
    if (value == NULL)
        *problem = "not UTF-8";
    return value;
}
