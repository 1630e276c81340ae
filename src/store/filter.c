/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of list commands ("contains:churn", "gte:2026-01-01 00:00:00", "oneof:[\"a\",\"b\"]") as
 * WHERE clauses. Values are always bound. */
#include "store/sql.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/view.h"
#include "core/name.h"

#include <string.h>

enum op {
    OP_EQUALS,
    OP_NOTEQUALS,
    OP_CONTAINS,
    OP_STARTSWITH,
    OP_ENDSWITH,
    OP_ONEOF,
    OP_GT,
    OP_GTE,
    OP_LT,
    OP_LTE,
    OP_COUNT
};

static const struct {
    const char *name, *sql;
    bool text, order; /* for texts, for things with an order */
} ops[OP_COUNT] = {
    [OP_EQUALS] = {"equals", "=", true, true},
    [OP_NOTEQUALS] = {"notequals", "IS NOT", true, true},
    [OP_CONTAINS] = {"contains", "LIKE", true, false},
    [OP_STARTSWITH] = {"startswith", "LIKE", true, false},
    [OP_ENDSWITH] = {"endswith", "LIKE", true, false},
    [OP_ONEOF] = {"oneof", "IN", true, false},
    [OP_GT] = {"gt", ">", false, true},
    [OP_GTE] = {"gte", ">=", false, true},
    [OP_LT] = {"lt", "<", false, true},
    [OP_LTE] = {"lte", "<=", false, true},
};

void kr_where_init(struct kr_where *where)
{
    kr_buf_init(&where->sql, SQL_MAX / 2);
    where->params = json_array();
}

void kr_where_finish(struct kr_where *where)
{
    kr_buf_finish(&where->sql);
    json_decref(where->params);
    where->params = NULL;
}

void kr_where_bind(const struct kr_where *where, struct kr_stmt *stmt)
{
    const json_t *value;
    size_t i;

    json_array_foreach(where->params, i, value)
    {
        if (json_is_string(value))
            kr_stmt_bind_text(stmt, json_string_value(value));
        else if (json_is_real(value))
            kr_stmt_bind_real(stmt, json_real_value(value));
        else
            kr_stmt_bind_int(stmt, json_is_true(value) ? 1 : json_integer_value(value));
    }
}

static void joined(struct kr_where *where, const char *word)
{
    kr_buf_adds(&where->sql, where->sql.n == 0 ? " WHERE " : word);
}

static void param(struct kr_where *where, json_t *value)
{
    (void)json_array_append_new(where->params, value);
}

int kr_where_scope(struct kr_where *where, const struct kr_entity_info *info, const json_t *scope,
                   struct kr_err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)scope, name, value)
    {
        const struct kr_field *field = kr_entity_field(info, name);

        if (field == NULL)
            return kr_fail(err, KR_E_INVALID, "a %s has no field '%s'", info->title, name);
        joined(where, " AND ");
        kr_field_sql(field, &where->sql);
        if (json_is_null(value)) {
            kr_buf_adds(&where->sql, " IS NULL");
        } else if (json_is_array(value)) {
            char *list = kr_json_canonical(value);

            kr_buf_adds(&where->sql, " IN (SELECT value FROM json_each(?))");
            param(where, json_string(list));
            free(list);
        } else {
            kr_buf_adds(&where->sql, " = ?");
            param(where, json_incref(value));
        }
    }
    return 0;
}

/* "op:rest" when op is one we know, else equals with the whole text. */
static enum op split(const char *text, const char **value)
{
    size_t n = strcspn(text, ":");

    *value = text;
    for (int i = 0; text[n] == ':' && i < OP_COUNT; i++) {
        if (strlen(ops[i].name) == n && strncmp(ops[i].name, text, n) == 0) {
            *value = text + n + 1;
            return (enum op)i;
        }
    }
    return OP_EQUALS;
}

static int bad_op(const struct kr_field *field, enum op op, struct kr_err *err)
{
    bool text = field->kind == KR_FIELD_TEXT || field->kind == KR_FIELD_UUID ||
                field->kind == KR_FIELD_JSON;

    (void)kr_fail(err, KR_E_INVALID, "the filter '%s' does not apply to '%s'", ops[op].name,
                  field->name);
    if (field->kind == KR_FIELD_BOOL)
        return kr_hint(err, "use true, false or notequals:true");
    return kr_hint(err, "use one of: %s",
                   text ? "equals, notequals, contains, startswith, endswith, oneof"
                        : "equals, notequals, gt, gte, lt, lte");
}

/* Text for LIKE with its wildcards taken literally. */
static json_t *pattern(enum op op, const char *text)
{
    struct kr_buf out = KR_BUF_INIT(1 << 16);
    json_t *value;

    if (op != OP_STARTSWITH)
        kr_buf_addc(&out, '%');
    for (; *text != '\0'; text++) {
        if (*text == '%' || *text == '_' || *text == '\\')
            kr_buf_addc(&out, '\\');
        kr_buf_addc(&out, *text);
    }
    if (op != OP_ENDSWITH)
        kr_buf_addc(&out, '%');
    value = json_string(kr_buf_str(&out));
    kr_buf_finish(&out);
    return value != NULL ? value : json_string("");
}

/* oneof: a JSON list, or words with commas between. */
static json_t *word_list(const char *text)
{
    struct kr_view rest = kr_view_of(text), part;
    json_t *list = NULL;
    bool more = true;
    char *dump;

    if (text[0] != '[' || kr_json_parse(text, strlen(text), "list", &list, NULL) < 0) {
        list = json_array();
        while (more) {
            kr_auto_free char *word = NULL;

            more = kr_view_cut(&rest, ',', &part);
            word = kr_view_dup(kr_view_trim(part));
            (void)json_array_append_new(list, json_string(word));
        }
    }
    dump = kr_json_canonical(list);
    json_decref(list);
    list = json_string(dump);
    free(dump);
    return list;
}

static int text_filter(struct kr_where *where, const struct kr_field *field, enum op op,
                       const char *text, struct kr_err *err)
{
    json_t *value;

    if (!ops[op].text)
        return bad_op(field, op, err);
    if (field->kind == KR_FIELD_JSON && (op == OP_EQUALS || op == OP_NOTEQUALS)) {
        kr_buf_addf(&where->sql, "%s EXISTS (SELECT 1 FROM json_each(",
                    op == OP_EQUALS ? "" : "NOT");
        kr_field_sql(field, &where->sql);
        kr_buf_adds(&where->sql, ") j WHERE j.value = ?)");
        value = json_string(text);
    } else {
        kr_field_sql(field, &where->sql);
        if (op == OP_ONEOF) {
            kr_buf_adds(&where->sql, " IN (SELECT value FROM json_each(?))");
            value = word_list(text);
        } else if (op == OP_CONTAINS || op == OP_STARTSWITH || op == OP_ENDSWITH) {
            kr_buf_adds(&where->sql, " LIKE ? ESCAPE '\\'");
            value = pattern(op, text);
        } else {
            kr_buf_addf(&where->sql, " %s ?", ops[op].sql);
            value = json_string(text);
        }
    }
    param(where, value != NULL ? value : json_string(""));
    return 0;
}

static int number_filter(struct kr_where *where, const struct kr_field *field, enum op op,
                         const char *text, struct kr_err *err)
{
    int64_t i;
    double d;

    if (!ops[op].order)
        return bad_op(field, op, err);
    kr_field_sql(field, &where->sql);
    kr_buf_addf(&where->sql, " %s ?", ops[op].sql);
    if (kr_view_i64(kr_view_of(text), &i))
        param(where, json_integer(i));
    else if (kr_parse_double(text, &d))
        param(where, json_real(d));
    else
        return kr_fail(err, KR_E_INVALID, "'%s' is not a number; '%s' is one", text, field->name);
    return 0;
}

static int bool_filter(struct kr_where *where, const struct kr_field *field, enum op op,
                       const char *text, struct kr_err *err)
{
    bool yes = strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0;

    if (op != OP_EQUALS && op != OP_NOTEQUALS)
        return bad_op(field, op, err);
    if (!yes && strcasecmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return kr_fail(err, KR_E_INVALID, "'%s' is neither true nor false, as '%s' is", text,
                       field->name);
    kr_field_sql(field, &where->sql);
    kr_buf_addf(&where->sql, " %s ?", ops[op].sql);
    param(where, json_integer(yes ? 1 : 0));
    return 0;
}

/* Times are stored as texts that sort like times; what the user leaves out (milliseconds, the time
 * of day) is left out of the comparison too. */
static int time_filter(struct kr_where *where, const struct kr_field *field, enum op op,
                       const char *text, struct kr_err *err)
{
    kr_auto_free char *with_time = kr_asprintf("%s 00:00:00", text);
    int64_t ms = kr_iso8601_parse(text);
    size_t digits = strchr(text, '.') != NULL ? 23 : 19;
    char iso[KR_ISO_SIZE];

    if (!ops[op].order)
        return bad_op(field, op, err);
    if (ms < 0 && strlen(text) == 10) {
        ms = kr_iso8601_parse(with_time);
        digits = 10;
    }
    if (ms < 0) {
        (void)kr_fail(err, KR_E_INVALID, "'%s' is not a time; '%s' is one", text, field->name);
        return kr_hint(err, "write it like '2026-01-31 12:00:00' (UTC), in quotes");
    }
    (void)kr_iso8601(ms, iso);
    iso[digits] = '\0';
    kr_buf_adds(&where->sql, "substr(");
    kr_field_sql(field, &where->sql);
    kr_buf_addf(&where->sql, ", 1, %zu) %s ?", digits, ops[op].sql);
    param(where, json_string(iso));
    return 0;
}

static int one_filter(struct kr_where *where, const struct kr_field *field, const char *text,
                      struct kr_err *err)
{
    enum op op = split(text, &text);

    switch (field->kind) {
    case KR_FIELD_INT:
    case KR_FIELD_REAL:
        return number_filter(where, field, op, text, err);
    case KR_FIELD_BOOL:
        return bool_filter(where, field, op, text, err);
    case KR_FIELD_TIME:
        return time_filter(where, field, op, text, err);
    case KR_FIELD_TEXT:
    case KR_FIELD_UUID:
    case KR_FIELD_JSON:
        break;
    }
    return text_filter(where, field, op, text, err);
}

static int unknown_filter(const struct kr_entity_info *info, const char *name, struct kr_err *err)
{
    const char *names[64], *near;
    size_t n = 0;

    for (size_t i = 0; i < info->count && n < KR_ARRAY_LEN(names); i++) {
        if (!info->fields[i].hidden)
            names[n++] = info->fields[i].name;
    }
    near = kr_name_nearest(name, names, n);
    (void)kr_fail(err, KR_E_INVALID, "%ss cannot be filtered by '%s'", info->title, name);
    return near != NULL ? kr_hint(err, "did you mean '%s'?", near) : -(int)KR_E_INVALID;
}

int kr_where_filters(struct kr_where *where, const struct kr_entity_info *info,
                     const json_t *filters, bool any, struct kr_err *err)
{
    const char *name;
    json_t *values;
    bool first = true;

    json_object_foreach((json_t *)(uintptr_t)filters, name, values)
    {
        const struct kr_field *field = kr_entity_field(info, name);
        size_t n = json_is_array(values) ? json_array_size(values) : 1;

        if (field == NULL || field->hidden)
            return unknown_filter(info, name, err);
        for (size_t i = 0; i < n; i++) {
            const json_t *value = json_is_array(values) ? json_array_get(values, i) : values;

            if (!json_is_string(value))
                return kr_fail(err, KR_E_INVALID, "the filter for '%s' is not text", name);
            if (first)
                joined(where, " AND ");
            kr_buf_adds(&where->sql, first ? "(" : any ? " OR " : " AND ");
            first = false;
            if (one_filter(where, field, json_string_value(value), err) < 0)
                return kr_wrap(err, "--%s", name);
        }
    }
    if (!first)
        kr_buf_addc(&where->sql, ')');
    return kr_buf_check(&where->sql, err);
}
