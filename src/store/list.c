/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of records, and rows as JSON. */
#include "store/sql.h"

#include "base/alloc.h"
#include "core/name.h"

#include <string.h>

enum { MAX_PAGE = 100000 };

void kr_sql_fields(const struct kr_entity_info *info, bool hidden_too, struct kr_buf *sql)
{
    bool first = true;

    for (size_t i = 0; i < info->count; i++) {
        if (info->fields[i].hidden && !hidden_too)
            continue;
        kr_buf_adds(sql, first ? "" : ", ");
        kr_field_sql(&info->fields[i], sql);
        first = false;
    }
}

static int damaged(const struct kr_stmt *stmt, const char *field, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_STATE, "the store %s is damaged: the field '%s' cannot be read",
                  stmt->store->path, field);
    return kr_hint(err, "restore a copy of it, or start anew: mv '%s' '%s.damaged'",
                   stmt->store->path, stmt->store->path);
}

static int sealed_text(struct kr_stmt *stmt, const char *id, int column, json_t **value,
                       struct kr_err *err)
{
    kr_auto_free char *context = kr_asprintf("deployment %s auth_key", id), *plain = NULL;
    const struct kr_crypt_key *key;

    if (kr_store_key(stmt->store, &key, err) < 0)
        return -(int)err->code;
    plain = kr_crypt_open(key, context, sqlite3_column_blob(stmt->s, column),
                          (size_t)sqlite3_column_bytes(stmt->s, column));
    *value = plain != NULL ? json_string(plain) : NULL;
    if (plain != NULL)
        kr_crypt_wipe(plain, strlen(plain));
    return *value != NULL ? 0 : damaged(stmt, "auth_key", err);
}

static int column_value(struct kr_stmt *stmt, const struct kr_field *field, const char *id,
                        int column, json_t **value, struct kr_err *err)
{
    const char *text;
    size_t n;

    *value = NULL;
    if (sqlite3_column_type(stmt->s, column) == SQLITE_NULL) {
        *value = json_null();
        return 0;
    }
    switch (field->kind) {
    case KR_FIELD_INT:
        *value = json_integer(sqlite3_column_int64(stmt->s, column));
        return 0;
    case KR_FIELD_BOOL:
        *value = json_boolean(sqlite3_column_int(stmt->s, column) != 0);
        return 0;
    case KR_FIELD_REAL:
        *value = json_real(sqlite3_column_double(stmt->s, column));
        return 0;
    case KR_FIELD_JSON:
        text = kr_stmt_text(stmt, column);
        n = (size_t)sqlite3_column_bytes(stmt->s, column);
        return text != NULL && kr_json_parse(text, n, field->name, value, NULL) == 0
                   ? 0
                   : damaged(stmt, field->name, err);
    case KR_FIELD_TEXT:
    case KR_FIELD_UUID:
    case KR_FIELD_TIME:
        break;
    }
    if (strcmp(field->name, "auth_key") == 0)
        return sealed_text(stmt, id, column, value, err);
    text = kr_stmt_text(stmt, column);
    *value = text != NULL ? json_string(text) : NULL;
    return *value != NULL ? 0 : damaged(stmt, field->name, err);
}

int kr_sql_row(struct kr_stmt *stmt, enum kr_entity entity, bool hidden_too, json_t **row,
               struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_json json_t *made = json_object();
    int column = 0;

    for (size_t i = 0; i < info->count; i++) {
        json_t *value;

        if (info->fields[i].hidden && !hidden_too)
            continue;
        if (column_value(stmt, &info->fields[i], kr_json_str(made, "id", ""), column++, &value,
                         err) < 0)
            return -(int)err->code;
        kr_json_set(made, info->fields[i].name, value);
    }
    *row = kr_steal(&made);
    return 0;
}

static int add_order(const struct kr_entity_info *info, const char *sort_by, struct kr_buf *sql,
                     struct kr_err *err)
{
    const struct kr_field *field = NULL;
    const char *name = sort_by, *direction = "ASC";

    if (sort_by == NULL) {
        kr_buf_addf(sql, " ORDER BY t.%s DESC, t.rowid DESC", info->default_sort);
        return 0;
    }
    if (strncmp(sort_by, "asc:", 4) == 0) {
        name = sort_by + 4;
    } else if (strncmp(sort_by, "desc:", 5) == 0) {
        name = sort_by + 5;
        direction = "DESC";
    }
    field = kr_entity_field(info, name);
    if (field == NULL || field->hidden) {
        (void)kr_fail(err, KR_E_INVALID, "cannot sort %ss by '%s'", info->title, name);
        return kr_hint(err, "use --sort_by asc:<column> or desc:<column>, for example desc:%s",
                       info->default_sort);
    }
    kr_buf_adds(sql, " ORDER BY ");
    kr_field_sql(field, sql);
    kr_buf_addf(sql, " %s, t.rowid %s", direction, direction);
    return 0;
}

static int count_rows(struct kr_store *store, const struct kr_entity_info *info,
                      const struct kr_where *where, int64_t *total, struct kr_err *err)
{
    kr_auto_free char *sql =
        kr_asprintf("SELECT count(*) FROM %s t%s", info->table, kr_buf_str(&where->sql));
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    if (kr_stmt_init(&stmt, store, sql, err) < 0)
        return -(int)err->code;
    kr_where_bind(where, &stmt);
    if (kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    *total = sqlite3_column_int64(stmt.s, 0);
    return 0;
}

static json_t *make_page(json_t *items, int64_t page, int64_t size, int64_t total)
{
    json_t *out = json_object(), *pagination = json_object();

    kr_json_set_int(pagination, "index", page);
    kr_json_set_int(pagination, "max_size", size);
    kr_json_set_int(pagination, "total_pages", size > 0 ? (total + size - 1) / size : 1);
    kr_json_set_int(pagination, "total", total);
    kr_json_set(out, "items", items);
    kr_json_set(out, "pagination", pagination);
    return out;
}

static int read_page(struct kr_store *store, enum kr_entity entity, const struct kr_query *query,
                     const struct kr_where *where, json_t *items, struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_buf struct kr_buf sql = KR_BUF_INIT(SQL_MAX);
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool more;

    kr_buf_adds(&sql, "SELECT ");
    kr_sql_fields(info, query->hidden, &sql);
    kr_buf_addf(&sql, " FROM %s t", info->table);
    if (query->size > 0) { /* only the rows of the page are read in full, the others are ordered */
        kr_buf_addf(&sql, " WHERE t.rowid IN (SELECT t.rowid FROM %s t%s", info->table,
                    kr_buf_str(&where->sql));
        if (add_order(info, query->sort_by, &sql, err) < 0)
            return -(int)err->code;
        kr_buf_addf(&sql, " LIMIT %lld OFFSET %lld)", (long long)query->size,
                    (long long)((query->page - 1) * query->size));
    } else {
        kr_buf_adds(&sql, kr_buf_str(&where->sql));
    }
    if (add_order(info, query->sort_by, &sql, err) < 0)
        return -(int)err->code;
    if (kr_buf_check(&sql, err) < 0 || kr_stmt_init(&stmt, store, kr_buf_str(&sql), err) < 0)
        return -(int)err->code;
    kr_where_bind(where, &stmt);
    while (kr_stmt_step(&stmt, &more, err) == 0 && more) {
        json_t *row = NULL;

        if (kr_sql_row(&stmt, entity, query->hidden, &row, err) < 0)
            return -(int)err->code;
        (void)json_array_append_new(items, row);
    }
    return -(int)err->code;
}

int kr_store_list(struct kr_store *store, enum kr_entity entity, const struct kr_query *query,
                  const json_t *scope, json_t **page, struct kr_err *err)
{
    static const struct kr_query everything = {.page = 1};
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_json json_t *items = json_array();
    kr_auto_where struct kr_where where;
    int64_t total;

    kr_where_init(&where);
    if (query == NULL)
        query = &everything;
    if (query->page < 1 || query->size < 0 || query->size > MAX_PAGE || query->page > INT32_MAX)
        return kr_fail(err, KR_E_INVALID,
                       "page %lld of size %lld: pages count from 1, a page has 1 to %d rows",
                       (long long)query->page, (long long)query->size, MAX_PAGE);
    if (kr_where_scope(&where, info, scope, err) < 0 ||
        kr_where_filters(&where, info, query->filters, query->any, err) < 0 ||
        read_page(store, entity, query, &where, items, err) < 0)
        return -(int)err->code;
    total = (int64_t)json_array_size(items);
    if (query->size > 0 && (query->page > 1 || total == query->size) &&
        count_rows(store, info, &where, &total, err) < 0)
        return -(int)err->code;
    *page = make_page(kr_steal(&items), query->page, query->size, total);
    return 0;
}

int kr_store_ids(struct kr_store *store, enum kr_entity entity, json_t **ids, struct kr_err *err)
{
    kr_auto_free char *sql = kr_asprintf("SELECT id FROM %s", kr_entity_info(entity)->table);
    kr_auto_json json_t *made = json_object();
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool more;

    if (kr_stmt_init(&stmt, store, sql, err) < 0)
        return -(int)err->code;
    while (kr_stmt_step(&stmt, &more, err) == 0 && more) {
        const char *id = kr_stmt_text(&stmt, 0);

        if (id == NULL)
            return damaged(&stmt, "id", err);
        kr_json_set_bool(made, id, true);
    }
    if (err->code != KR_OK)
        return -(int)err->code;
    *ids = kr_steal(&made);
    return 0;
}
