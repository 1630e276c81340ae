/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sql.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static int fail_io(struct kr_store *store, const char *doing, int code, struct kr_err *err)
{
    int saved = sqlite3_system_errno(store->db);

    if (code == SQLITE_FULL || saved == ENOSPC || saved == EDQUOT || saved == EFBIG) {
        (void)kr_fail(err, KR_E_SYSTEM, "%s: no space left for %s", doing, store->path);
        if (err != NULL)
            err->sys_errno = ENOSPC;
        return kr_hint(err, "free some disk space and run the command again; nothing was changed");
    }
    if (sqlite3_extended_errcode(store->db) == SQLITE_IOERR_WRITE && saved == 0) {
        /* SQLite has forgotten errno here; a quota or a limit on sizes is the likeliest */
        (void)kr_fail(err, KR_E_SYSTEM,
                      "%s: no space left for %s (disk, quota or size limit), or the disk is broken",
                      doing, store->path);
        return kr_hint(err, "free some disk space and run the command again; nothing was changed");
    }
    if (code == SQLITE_READONLY) {
        (void)kr_fail(err, KR_E_SYSTEM, "%s: %s is read-only", doing, store->path);
        return kr_hint(err, "make the file and its folder writable, or set KOUROU_HOME to a "
                            "writable folder");
    }
    if (saved != 0)
        return kr_fail_errno(err, saved, "%s: %s", doing, store->path);
    return kr_fail(err, KR_E_SYSTEM, "%s: %s: %s", doing, store->path, sqlite3_errmsg(store->db));
}

static enum kr_code constraint_code(int extended)
{
    if (extended == SQLITE_CONSTRAINT_FOREIGNKEY || extended == SQLITE_CONSTRAINT_TRIGGER)
        return KR_E_CONFLICT; /* SQLite reports ON DELETE RESTRICT as a trigger */
    if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
        return KR_E_EXISTS;
    return KR_E_INVALID;
}

int kr_sql_fail(struct kr_store *store, const char *doing, struct kr_err *err)
{
    int full = sqlite3_extended_errcode(store->db), code = full & 0xff;

    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        (void)kr_fail(err, KR_E_STATE, "%s: another process holds %s", doing, store->path);
        return kr_hint(err, "wait for it to end and try again");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        (void)kr_fail(err, KR_E_STATE, "the store %s is damaged or not a store: %s", store->path,
                      sqlite3_errmsg(store->db));
        return kr_hint(err, "restore a copy of it, or start anew: mv '%s' '%s.damaged'",
                       store->path, store->path);
    case SQLITE_FULL:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
        return fail_io(store, doing, code, err);
    case SQLITE_CONSTRAINT:
        return kr_fail(err, constraint_code(full), "%s: %s", doing, sqlite3_errmsg(store->db));
    default:
        return kr_fail(err, KR_E_STATE, "%s: %s: %s", doing, store->path,
                       sqlite3_errmsg(store->db));
    }
}

void kr_stmt_finish(struct kr_stmt *stmt)
{
    (void)sqlite3_finalize(stmt->s);
    stmt->s = NULL;
}

int kr_stmt_init(struct kr_stmt *stmt, struct kr_store *store, const char *sql, struct kr_err *err)
{
    stmt->store = store;
    stmt->next = 1;
    if (sqlite3_prepare_v2(store->db, sql, -1, &stmt->s, NULL) != SQLITE_OK)
        return kr_sql_fail(store, "reading the store", err);
    return 0;
}

/* Binding fails only for an index that does not exist, which is a mistake of ours, or without
 * memory. */
static void bound(int rc)
{
    if (rc != SQLITE_OK)
        abort();
}

void kr_stmt_bind_text(struct kr_stmt *stmt, const char *text)
{
    bound(sqlite3_bind_text(stmt->s, stmt->next++, text, -1, SQLITE_TRANSIENT));
}

void kr_stmt_bind_int(struct kr_stmt *stmt, int64_t value)
{
    bound(sqlite3_bind_int64(stmt->s, stmt->next++, value));
}

void kr_stmt_bind_real(struct kr_stmt *stmt, double value)
{
    bound(sqlite3_bind_double(stmt->s, stmt->next++, value));
}

void kr_stmt_bind_blob(struct kr_stmt *stmt, const void *bytes, size_t n)
{
    bound(sqlite3_bind_blob64(stmt->s, stmt->next++, bytes, n, SQLITE_TRANSIENT));
}

int kr_stmt_step(struct kr_stmt *stmt, bool *row, struct kr_err *err)
{
    int rc = sqlite3_step(stmt->s);

    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *row = rc == SQLITE_ROW;
        return 0;
    }
    return kr_sql_fail(stmt->store,
                       sqlite3_stmt_readonly(stmt->s) ? "reading the store" : "writing the store",
                       err);
}

const char *kr_stmt_text(const struct kr_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt->s, column);
}

int kr_sql_exec(struct kr_store *store, const char *sql, struct kr_err *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return kr_sql_fail(store, "writing the store", err);
    return 0;
}

int kr_store_begin(struct kr_store *store, struct kr_err *err)
{
    char sql[40] = "BEGIN IMMEDIATE";

    if (store->depth > 0)
        (void)snprintf(sql, sizeof(sql), "SAVEPOINT level_%d", store->depth);
    if (kr_sql_exec(store, sql, err) < 0)
        return -(int)err->code;
    store->depth++;
    return 0;
}

int kr_store_commit(struct kr_store *store, struct kr_err *err)
{
    char sql[40] = "COMMIT";

    if (store->depth > 1)
        (void)snprintf(sql, sizeof(sql), "RELEASE level_%d", store->depth - 1);
    if (kr_sql_exec(store, sql, err) < 0) {
        kr_store_rollback(store);
        return -(int)err->code;
    }
    store->depth--;
    store->wrote = true;
    return 0;
}

void kr_store_rollback(struct kr_store *store)
{
    char sql[80] = "ROLLBACK";

    if (store->depth <= 0)
        return;
    store->depth--;
    if (store->depth > 0)
        (void)snprintf(sql, sizeof(sql), "ROLLBACK TO level_%d; RELEASE level_%d", store->depth,
                       store->depth);
    /* SQLite may have rolled back on its own after a full disk; then this says so and is fine. */
    (void)sqlite3_exec(store->db, sql, NULL, NULL, NULL);
}
