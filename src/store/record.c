/* SPDX-License-Identifier: Apache-2.0 */
/* Inserting, changing, deleting and finding records. */
#include "store/sql.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "core/name.h"

#include <pwd.h>
#include <string.h>

enum { MAX_SUGGESTED = 200, MAX_LISTED = 5 };

static char *user_name(void)
{
    char room[4096];
    struct passwd pw, *found = NULL;

    if (getpwuid_r(geteuid(), &pw, room, sizeof(room), &found) == 0 && found != NULL)
        return kr_strdup(found->pw_name);
    return kr_asprintf("uid-%ld", (long)geteuid());
}

static char *auth_key_context(const char *id)
{
    return kr_asprintf("deployment %s auth_key", id);
}

static bool is_encrypted(enum kr_entity entity, const struct kr_field *field)
{
    return entity == KR_DEPLOYMENT && strcmp(field->name, "auth_key") == 0;
}

static int bind_sealed(struct kr_stmt *stmt, const char *id, const json_t *value,
                       struct kr_err *err)
{
    kr_auto_free char *context = auth_key_context(id);
    kr_auto_free unsigned char *sealed = NULL;
    const struct kr_crypt_key *key;

    if (kr_store_key(stmt->store, &key, err) < 0)
        return -(int)err->code;
    sealed = kr_crypt_seal(key, context, json_string_value(value), json_string_length(value));
    kr_stmt_bind_blob(stmt, sealed, json_string_length(value) + KR_CRYPT_EXTRA);
    return 0;
}

static int wrong_type(const struct kr_field *field, const json_t *value, struct kr_err *err)
{
    return kr_fail(err, KR_E_INVALID, "the field '%s' cannot hold %s", field->name,
                   kr_json_type_name(value));
}

static int bind_value(struct kr_stmt *stmt, enum kr_entity entity, const struct kr_field *field,
                      const char *id, const json_t *value, struct kr_err *err)
{
    kr_auto_free char *text = NULL;

    if (json_is_null(value)) {
        kr_stmt_bind_text(stmt, NULL);
        return 0;
    }
    switch (field->kind) {
    case KR_FIELD_JSON:
        text = kr_json_canonical(value);
        kr_stmt_bind_text(stmt, text);
        return 0;
    case KR_FIELD_INT:
    case KR_FIELD_BOOL:
        if (!json_is_integer(value) && !json_is_boolean(value))
            return wrong_type(field, value, err);
        kr_stmt_bind_int(stmt,
                         json_is_boolean(value) ? json_is_true(value) : json_integer_value(value));
        return 0;
    case KR_FIELD_REAL:
        if (!json_is_number(value))
            return wrong_type(field, value, err);
        kr_stmt_bind_real(stmt, json_number_value(value));
        return 0;
    case KR_FIELD_TEXT:
    case KR_FIELD_UUID:
    case KR_FIELD_TIME:
        break;
    }
    if (!json_is_string(value))
        return wrong_type(field, value, err);
    if (is_encrypted(entity, field))
        return bind_sealed(stmt, id, value, err);
    kr_stmt_bind_text(stmt, json_string_value(value));
    return 0;
}

/* Copy of row with what every record has. */
static json_t *filled_in(const struct kr_entity_info *info, const json_t *row)
{
    static const char *const times[] = {"created", "updated", "at", "started"};
    char id[KR_UUID_SIZE], now[KR_ISO_SIZE];
    json_t *full = json_copy((json_t *)(uintptr_t)row);

    (void)kr_iso8601(kr_wall_ms(), now);
    if (!json_is_string(json_object_get(full, "id")))
        kr_json_set_str(full, "id", kr_uuid4(id));
    for (size_t i = 0; i < KR_ARRAY_LEN(times); i++) {
        if (kr_entity_field(info, times[i]) != NULL &&
            !json_is_string(json_object_get(full, times[i])))
            kr_json_set_str(full, times[i], now);
    }
    if (kr_entity_field(info, "user") != NULL && !json_is_string(json_object_get(full, "user"))) {
        kr_auto_free char *user = user_name();

        kr_json_set_str(full, "user", user);
    }
    return full;
}

static int check_fields(const struct kr_entity_info *info, const json_t *row, struct kr_err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        if (kr_entity_field(info, name) == NULL)
            return kr_fail(err, KR_E_INVALID, "a %s has no field '%s'", info->title, name);
    }
    return 0;
}

/* Components of a stack: {"type": "id" or {"id"}}; replaces all. */
static int set_components(struct kr_store *store, const char *stack_id, const json_t *components,
                          struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt clear = {0};
    const char *type;
    json_t *value;
    bool row;

    if (kr_stmt_init(&clear, store, "DELETE FROM stack_components WHERE stack_id = ?", err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&clear, stack_id);
    if (kr_stmt_step(&clear, &row, err) < 0)
        return -(int)err->code;
    json_object_foreach((json_t *)(uintptr_t)components, type, value)
    {
        kr_auto_stmt struct kr_stmt add = {0};

        if (kr_stmt_init(
                &add, store,
                "INSERT INTO stack_components (stack_id, type, component_id) VALUES (?, ?, ?)",
                err) < 0)
            return -(int)err->code;
        kr_stmt_bind_text(&add, stack_id);
        kr_stmt_bind_text(&add, type);
        kr_stmt_bind_text(
            &add, json_is_string(value) ? json_string_value(value) : kr_json_str(value, "id", ""));
        if (kr_stmt_step(&add, &row, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* Says which name is taken, in words of the user instead of SQLite's. */
static int taken(enum kr_entity entity, const json_t *row, struct kr_err *err)
{
    const char *name = kr_json_str(row, "name", NULL);

    if (err == NULL || err->code != KR_E_EXISTS || name == NULL)
        return err != NULL ? -(int)err->code : -(int)KR_E_EXISTS;
    kr_err_clear(err);
    (void)kr_fail(err, KR_E_EXISTS, "the %s '%s' exists already", kr_entity_title_in(entity, row),
                  name);
    return kr_hint(err, "choose another name, or update or delete the existing one");
}

static int insert_row(struct kr_store *store, enum kr_entity entity, const json_t *row,
                      struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_buf struct kr_buf sql = KR_BUF_INIT(SQL_MAX), marks = KR_BUF_INIT(SQL_MAX);
    kr_auto_stmt struct kr_stmt stmt = {0};
    const char *id = kr_json_str(row, "id", "");
    bool more;

    for (size_t i = 0; i < info->count; i++) {
        const struct kr_field *f = &info->fields[i];
        const json_t *value = json_object_get(row, f->name);

        if (f->expr != NULL || value == NULL || json_is_null(value))
            continue;
        kr_buf_addf(&sql, "%s%s", marks.n > 0 ? ", " : "", f->name);
        kr_buf_adds(&marks, marks.n > 0 ? ", ?" : "?");
    }
    {
        kr_auto_free char *text = kr_asprintf("INSERT INTO %s (%s) VALUES (%s)", info->table,
                                              kr_buf_str(&sql), kr_buf_str(&marks));

        if (kr_stmt_init(&stmt, store, text, err) < 0)
            return -(int)err->code;
    }
    for (size_t i = 0; i < info->count; i++) {
        const struct kr_field *f = &info->fields[i];
        const json_t *value = json_object_get(row, f->name);

        if (f->expr != NULL || value == NULL || json_is_null(value))
            continue;
        if (bind_value(&stmt, entity, f, id, value, err) < 0)
            return -(int)err->code;
    }
    return kr_stmt_step(&stmt, &more, err);
}

static int load(struct kr_store *store, enum kr_entity entity, const char *id, json_t **out,
                struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_buf struct kr_buf sql = KR_BUF_INIT(SQL_MAX);
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    kr_buf_adds(&sql, "SELECT ");
    kr_sql_fields(info, true, &sql);
    kr_buf_addf(&sql, " FROM %s t WHERE t.id = ?", info->table);
    if (kr_stmt_init(&stmt, store, kr_buf_str(&sql), err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, id);
    if (kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    if (!row)
        return kr_fail(err, KR_E_NOT_FOUND, "no %s '%s'", info->title, id);
    return kr_sql_row(&stmt, entity, true, out, err);
}

int kr_store_insert(struct kr_store *store, enum kr_entity entity, const json_t *row, json_t **out,
                    struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_json json_t *full = filled_in(info, row), *loaded = NULL;
    const char *id = kr_json_str(full, "id", "");

    if (check_fields(info, row, err) < 0 || kr_store_begin(store, err) < 0)
        return -(int)err->code;
    if (insert_row(store, entity, full, err) < 0 ||
        (entity == KR_STACK &&
         set_components(store, id, json_object_get(full, "components"), err) < 0) ||
        (out != NULL && load(store, entity, id, &loaded, err) < 0)) {
        kr_store_rollback(store);
        return taken(entity, full, err);
    }
    if (kr_store_commit(store, err) < 0)
        return -(int)err->code;
    if (out != NULL)
        *out = kr_steal(&loaded);
    return 0;
}

static int update_row(struct kr_store *store, enum kr_entity entity, const char *id,
                      const json_t *changes, struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_buf struct kr_buf sql = KR_BUF_INIT(SQL_MAX);
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool more, first = true;

    kr_buf_addf(&sql, "UPDATE %s SET ", info->table);
    for (size_t i = 0; i < info->count; i++) {
        const struct kr_field *f = &info->fields[i];

        if (f->expr != NULL || json_object_get(changes, f->name) == NULL)
            continue;
        kr_buf_addf(&sql, "%s%s = ?", first ? "" : ", ", f->name);
        first = false;
    }
    kr_buf_adds(&sql, first ? "id = id WHERE id = ?" : " WHERE id = ?");
    if (kr_stmt_init(&stmt, store, kr_buf_str(&sql), err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < info->count; i++) {
        const struct kr_field *f = &info->fields[i];
        const json_t *value = json_object_get(changes, f->name);

        if (f->expr == NULL && value != NULL && bind_value(&stmt, entity, f, id, value, err) < 0)
            return -(int)err->code;
    }
    kr_stmt_bind_text(&stmt, id);
    if (kr_stmt_step(&stmt, &more, err) < 0)
        return -(int)err->code;
    if (sqlite3_changes(store->db) == 0)
        return kr_fail(err, KR_E_NOT_FOUND, "no %s with the id %s", info->title, id);
    return 0;
}

int kr_store_update(struct kr_store *store, enum kr_entity entity, const char *id,
                    const json_t *changes, struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_json json_t *full = json_copy((json_t *)(uintptr_t)changes);
    const json_t *components = entity == KR_STACK ? json_object_get(changes, "components") : NULL;
    char now[KR_ISO_SIZE];

    if (check_fields(info, changes, err) < 0)
        return -(int)err->code;
    (void)json_object_del(full, "id");
    (void)json_object_del(full, "created");
    if (kr_entity_field(info, "updated") != NULL)
        kr_json_set_str(full, "updated", kr_iso8601(kr_wall_ms(), now));
    if (kr_store_begin(store, err) < 0)
        return -(int)err->code;
    if (update_row(store, entity, id, full, err) < 0 ||
        (components != NULL && set_components(store, id, components, err) < 0)) {
        kr_store_rollback(store);
        return taken(entity, full, err);
    }
    return kr_store_commit(store, err);
}

static int delete_row(struct kr_store *store, enum kr_entity entity, const char *id,
                      struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    kr_auto_free char *sql = kr_asprintf("DELETE FROM %s WHERE id = ?", info->table);
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    if (kr_stmt_init(&stmt, store, sql, err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, id);
    if (kr_stmt_step(&stmt, &row, err) < 0) {
        if (err->code == KR_E_CONFLICT) {
            kr_err_clear(err);
            return kr_fail(err, KR_E_CONFLICT, "the %s %s is in use", info->title, id);
        }
        return -(int)err->code;
    }
    if (sqlite3_changes(store->db) == 0)
        return kr_fail(err, KR_E_NOT_FOUND, "no %s with the id %s", info->title, id);
    return 0;
}

int kr_store_delete(struct kr_store *store, enum kr_entity entity, const char *id,
                    struct kr_err *err)
{
    if (kr_store_begin(store, err) < 0)
        return -(int)err->code;
    if (delete_row(store, entity, id, err) < 0) {
        kr_store_rollback(store);
        return -(int)err->code;
    }
    return kr_store_commit(store, err);
}

/* The end of what begins with ref, for a range in an index: nothing sorts behind U+10FFFF. */
static char *end_of(const char *ref)
{
    return kr_asprintf("%s\xf4\x8f\xbf\xbf", ref);
}

/* Matches of a reference: exact name (rank 0), full id (1), beginnings of either (2). Each of the
 * conditions is one look into an index. */
static int candidates(struct kr_store *store, enum kr_entity entity, const char *ref,
                      const json_t *scope, json_t *list, struct kr_err *err)
{
    const struct kr_entity_info *info = kr_entity_info(entity);
    bool named = kr_entity_field(info, "name") != NULL, row;
    kr_auto_buf struct kr_buf sql = KR_BUF_INIT(SQL_MAX);
    kr_auto_free char *end = end_of(ref);
    kr_auto_where struct kr_where where;
    kr_auto_stmt struct kr_stmt stmt = {0};

    kr_where_init(&where);
    if (kr_where_scope(&where, info, scope, err) < 0)
        return -(int)err->code;
    kr_buf_addf(&sql,
                "SELECT t.id, %s, CASE WHEN %s = ?1 THEN 0 WHEN t.id = ?1 THEN 1 "
                "WHEN ?2 IS NULL THEN 3 ELSE 2 END AS rank FROM %s t%s%s "
                "(t.id = ?1 OR (t.id > ?1 AND t.id < ?2)%s) ORDER BY rank, 2, t.id LIMIT %d",
                named ? "t.name" : "NULL", named ? "t.name" : "NULL", info->table,
                kr_buf_str(&where.sql), where.sql.n > 0 ? " AND" : " WHERE",
                named ? " OR t.name = ?1 OR (t.name > ?1 AND t.name < ?2)" : "", MAX_LISTED + 1);
    if (kr_stmt_init(&stmt, store, kr_buf_str(&sql), err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, ref);
    kr_stmt_bind_text(&stmt, end);
    kr_where_bind(&where, &stmt);
    while (kr_stmt_step(&stmt, &row, err) == 0 && row) {
        json_t *one = json_object();

        kr_json_set_str(one, "id", kr_stmt_text(&stmt, 0));
        kr_json_set_str(one, "name", kr_stmt_text(&stmt, 1));
        kr_json_set_int(one, "rank", sqlite3_column_int(stmt.s, 2));
        (void)json_array_append_new(list, one);
    }
    return -(int)err->code;
}

static int ambiguous(const char *title, const char *ref, const json_t *list, struct kr_err *err)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(900);
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        const char *name = kr_json_str(one, "name", NULL), *id = kr_json_str(one, "id", "");

        if (i == MAX_LISTED) {
            kr_buf_adds(&names, ", ...");
            break;
        }
        kr_buf_addf(&names, "%s%s%s%.8s%s", i == 0 ? "" : ", ", name != NULL ? name : "",
                    name != NULL ? " (" : "", id, name != NULL ? ")" : "");
    }
    (void)kr_fail(err, KR_E_CONFLICT, "'%s' fits more than one %s: %s", ref, title,
                  kr_buf_str(&names));
    return kr_hint(err, "give the whole name or more of the id");
}

static int not_found(struct kr_store *store, enum kr_entity entity, const char *ref,
                     const json_t *scope, struct kr_err *err)
{
    struct kr_query query = {.page = 1, .size = MAX_SUGGESTED};
    const char *names[MAX_SUGGESTED], *near, *title = kr_entity_title_in(entity, scope);
    kr_auto_json json_t *page = NULL;
    kr_auto_buf struct kr_buf some = KR_BUF_INIT(700);
    struct kr_err ignored = KR_ERR_INIT;
    const json_t *row;
    size_t i, n = 0;

    (void)kr_fail(err, KR_E_NOT_FOUND, "no %s '%s'", title, ref);
    if (kr_entity_field(kr_entity_info(entity), "name") == NULL ||
        kr_store_list(store, entity, &query, scope, &page, &ignored) < 0)
        return -(int)KR_E_NOT_FOUND;
    json_array_foreach(json_object_get(page, "items"), i, row)
    {
        const char *name = kr_json_str(row, "name", NULL);

        if (name == NULL)
            continue;
        names[n++] = name;
        if (n <= MAX_LISTED)
            kr_buf_addf(&some, "%s%s", n == 1 ? "" : ", ", name);
    }
    near = kr_name_nearest(ref, names, n);
    if (near != NULL)
        return kr_hint(err, "did you mean '%s'?", near);
    if (n == 0)
        return kr_hint(err, "there is no %s yet", title);
    return kr_hint(err, "there %s: %s%s", n == 1 ? "is" : "are", kr_buf_str(&some),
                   n > MAX_LISTED ? ", ..." : "");
}

int kr_store_find(struct kr_store *store, enum kr_entity entity, const char *ref,
                  const json_t *scope, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *list = json_array();
    const json_t *first, *second;
    int64_t rank;

    if (ref[0] != '\0' && candidates(store, entity, ref, scope, list, err) < 0)
        return -(int)err->code;
    if (json_array_size(list) == 0)
        return not_found(store, entity, ref, scope, err);
    first = json_array_get(list, 0);
    second = json_array_get(list, 1);
    rank = kr_json_int(first, "rank", 2);
    if (second != NULL && rank != 1 && kr_json_int(second, "rank", 2) == rank)
        return ambiguous(kr_entity_title_in(entity, scope), ref, list, err);
    return load(store, entity, kr_json_str(first, "id", ""), out, err);
}
