/* SPDX-License-Identifier: Apache-2.0 */
/* Values of secrets, and facts. */
#include "store/sql.h"

#include "base/alloc.h"

#include <string.h>

static char *context_of(const char *id, const char *key)
{
    return kr_asprintf("secret %s %s", id, key);
}

static int read_values(struct kr_store *store, const char *id, json_t *values, struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    const struct kr_crypt_key *key;
    bool row;

    if (kr_stmt_init(&stmt, store,
                     "SELECT key, value FROM secret_values WHERE secret_id = ? ORDER BY key",
                     err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, id);
    while (kr_stmt_step(&stmt, &row, err) == 0 && row) {
        const char *name = kr_stmt_text(&stmt, 0);
        kr_auto_free char *context = context_of(id, name), *plain = NULL;

        if (kr_store_key(store, &key, err) < 0)
            return -(int)err->code;
        plain = kr_crypt_open(key, context, sqlite3_column_blob(stmt.s, 1),
                              (size_t)sqlite3_column_bytes(stmt.s, 1));
        if (plain == NULL)
            return kr_fail(err, KR_E_STATE, "the value of '%s' in the store is damaged", name);
        kr_json_set_str(values, name, plain);
        kr_crypt_wipe(plain, strlen(plain));
    }
    return -(int)err->code;
}

int kr_store_secret_values(struct kr_store *store, const char *id, json_t **values,
                           struct kr_err *err)
{
    kr_auto_json json_t *made = json_object();

    if (read_values(store, id, made, err) < 0)
        return -(int)err->code;
    *values = kr_steal(&made);
    return 0;
}

static int write_value(struct kr_store *store, const char *id, const char *name,
                       const json_t *value, struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    kr_auto_free char *context = context_of(id, name);
    kr_auto_free unsigned char *sealed = NULL;
    const struct kr_crypt_key *key;
    bool row;

    if (!json_is_string(value))
        return kr_fail(err, KR_E_INVALID, "the value of '%s' is %s, expected a string", name,
                       kr_json_type_name(value));
    if (kr_store_key(store, &key, err) < 0 ||
        kr_stmt_init(&stmt, store,
                     "INSERT INTO secret_values (secret_id, key, value) VALUES (?, ?, ?)", err) < 0)
        return -(int)err->code;
    sealed = kr_crypt_seal(key, context, json_string_value(value), json_string_length(value));
    kr_stmt_bind_text(&stmt, id);
    kr_stmt_bind_text(&stmt, name);
    kr_stmt_bind_blob(&stmt, sealed, json_string_length(value) + KR_CRYPT_EXTRA);
    return kr_stmt_step(&stmt, &row, err);
}

static int replace_values(struct kr_store *store, const char *id, const json_t *values,
                          struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    const char *name;
    json_t *value;
    bool row;

    if (kr_stmt_init(&stmt, store, "DELETE FROM secret_values WHERE secret_id = ?", err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, id);
    if (kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    json_object_foreach((json_t *)(uintptr_t)values, name, value)
    {
        if (write_value(store, id, name, value, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_store_secret_set(struct kr_store *store, const char *id, const json_t *values,
                        struct kr_err *err)
{
    const struct kr_crypt_key *key;

    /* The key first: making it takes time that others should not have to wait for. */
    if (json_object_size(values) > 0 && store->depth == 0 && kr_store_key(store, &key, err) < 0)
        return -(int)err->code;
    if (kr_store_begin(store, err) < 0)
        return -(int)err->code;
    if (replace_values(store, id, values, err) < 0) {
        kr_store_rollback(store);
        return -(int)err->code;
    }
    return kr_store_commit(store, err);
}

int kr_store_fact_get(struct kr_store *store, const char *key, char **value, struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    if (kr_stmt_init(&stmt, store, "SELECT value FROM facts WHERE key = ?", err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, key);
    if (kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    *value = row ? kr_strdup(kr_stmt_text(&stmt, 0)) : NULL;
    return 0;
}

static int write_fact(struct kr_store *store, const char *key, const char *value,
                      struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    if (kr_stmt_init(&stmt, store,
                     value != NULL ? "INSERT INTO facts (key, value) VALUES (?1, ?2) "
                                     "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
                                   : "DELETE FROM facts WHERE key = ?1",
                     err) < 0)
        return -(int)err->code;
    kr_stmt_bind_text(&stmt, key);
    if (value != NULL)
        kr_stmt_bind_text(&stmt, value);
    return kr_stmt_step(&stmt, &row, err);
}

int kr_store_fact_set(struct kr_store *store, const char *key, const char *value,
                      struct kr_err *err)
{
    if (kr_store_begin(store, err) < 0)
        return -(int)err->code;
    if (write_fact(store, key, value, err) < 0) {
        kr_store_rollback(store);
        return -(int)err->code;
    }
    return kr_store_commit(store, err);
}
