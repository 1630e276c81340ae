/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the store; the only place that includes SQLite. */
#ifndef KR_STORE_SQL_H
#define KR_STORE_SQL_H

#include "base/buf.h"
#include "store/crypt.h"
#include "store/store.h"

#include <sqlite3.h>

struct kr_store {
    sqlite3 *db;
    char *path;     /* of the store file */
    char *key_path; /* of the encryption key file */
    int depth;      /* open transactions, nested ones included */
    bool wrote;     /* something was committed */
    bool has_key;
    struct kr_crypt_key key;
    int64_t busy_since; /* when the current wait for a lock began */
};

enum { SQL_MAX = 1 << 16, JSON_TEXT_MAX = 64 << 20 };

/* Turns the connection's last failure into an error; `doing` says what failed. */
int kr_sql_fail(struct kr_store *store, const char *doing, struct kr_err *err);

struct kr_stmt {
    struct kr_store *store;
    sqlite3_stmt *s;
    int next; /* index of the next parameter */
};
void kr_stmt_finish(struct kr_stmt *stmt);
#define kr_auto_stmt kr_auto(kr_stmt_finish)

int kr_stmt_init(struct kr_stmt *stmt, struct kr_store *store, const char *sql,
                 struct kr_err *err) KR_MUST_USE;
void kr_stmt_bind_text(struct kr_stmt *stmt, const char *text); /* copied; NULL binds null */
void kr_stmt_bind_int(struct kr_stmt *stmt, int64_t value);
void kr_stmt_bind_real(struct kr_stmt *stmt, double value);
void kr_stmt_bind_blob(struct kr_stmt *stmt, const void *bytes, size_t n);

/* *row: whether there is a row. */
int kr_stmt_step(struct kr_stmt *stmt, bool *row, struct kr_err *err) KR_MUST_USE;
const char *kr_stmt_text(const struct kr_stmt *stmt,
                         int column); /* NULL for null; until next step */

/* Statements without parameters and rows. */
int kr_sql_exec(struct kr_store *store, const char *sql, struct kr_err *err) KR_MUST_USE;

/* An entity's table and fields. */
struct kr_entity_info {
    const char *title;
    const char *table;
    const char *default_sort; /* field, newest first */
    const struct kr_field *fields;
    size_t count;
};
const struct kr_entity_info *kr_entity_info(enum kr_entity entity);
const struct kr_field *kr_entity_field(const struct kr_entity_info *info, const char *name);

/* SQL of a field in a query whose table is called t. */
void kr_field_sql(const struct kr_field *field, struct kr_buf *sql);

/* WHERE clauses with their parameters in order. */
struct kr_where {
    struct kr_buf sql; /* "" or " WHERE ..." */
    json_t *params;
};
void kr_where_init(struct kr_where *where);
void kr_where_finish(struct kr_where *where);
#define kr_auto_where kr_auto(kr_where_finish)
int kr_where_scope(struct kr_where *where, const struct kr_entity_info *info, const json_t *scope,
                   struct kr_err *err) KR_MUST_USE;
int kr_where_filters(struct kr_where *where, const struct kr_entity_info *info,
                     const json_t *filters, bool any, struct kr_err *err) KR_MUST_USE;
void kr_where_bind(const struct kr_where *where, struct kr_stmt *stmt);

/* Appends the fields to select. */
void kr_sql_fields(const struct kr_entity_info *info, bool hidden_too, struct kr_buf *sql);
/* The current row as JSON, decrypting what is encrypted (only asked for with hidden_too). */
int kr_sql_row(struct kr_stmt *stmt, enum kr_entity entity, bool hidden_too, json_t **row,
               struct kr_err *err) KR_MUST_USE;

/* "deployer" for components of that type, else the entity's title. */
const char *kr_entity_title_in(enum kr_entity entity, const json_t *scope);

/* The key of this store, made or read and checked on first use. */
int kr_store_key(struct kr_store *store, const struct kr_crypt_key **key,
                 struct kr_err *err) KR_MUST_USE;

#endif
