/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/journal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"

#include <sqlite3.h>
#include <string.h>

#define BLOCK   8 /* rows written by one statement: takes half the time of as many statements */
#define COLUMNS 9
#define ROW     "(?,?,?,?,?,?,?,?,?)"

struct kr_journal_db {
    sqlite3 *db;
    sqlite3_stmt *put, *put_block, *get, *seq, *set_seq;
    int64_t kept;
};

/* A run lives in the slot `seq modulo kept`, so the file never grows beyond `kept` rows. */
static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=4194304;"
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO meta VALUES('version', 1), ('seq', 0), ('kept', 0);"
    "CREATE TABLE IF NOT EXISTS runs(slot INTEGER PRIMARY KEY, seq INTEGER, id TEXT, name TEXT,"
    " kind INTEGER, status INTEGER, ok INTEGER, started INTEGER, duration INTEGER);";

static int failed(struct kr_journal_db *db, const char *what, struct kr_err *err)
{
    return kr_fail(err, KR_E_STATE, "journal: %s: %s", what,
                   db->db != NULL ? sqlite3_errmsg(db->db) : "out of memory");
}

static int64_t meta(struct kr_journal_db *db, const char *key)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = 0;

    if (sqlite3_prepare_v2(db->db, "SELECT value FROM meta WHERE key=?", -1, &stmt, NULL) ==
        SQLITE_OK) {
        (void)sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            value = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_finalize(stmt);
    return value;
}

/* Another bound than last time: the newest runs move to their new slots. */
static int change_bound(struct kr_journal_db *db, struct kr_err *err)
{
    kr_auto_free char *sql = kr_asprintf(
        "BEGIN IMMEDIATE;"
        "CREATE TEMP TABLE moved AS SELECT * FROM runs ORDER BY seq DESC LIMIT %lld;"
        "DELETE FROM runs; UPDATE moved SET slot = seq %% %lld;"
        "INSERT OR REPLACE INTO runs SELECT * FROM moved ORDER BY seq; DROP TABLE moved;"
        "UPDATE meta SET value=%lld WHERE key='kept'; COMMIT;",
        (long long)db->kept, (long long)db->kept, (long long)db->kept);

    if (meta(db, "kept") == db->kept)
        return 0;
    if (sqlite3_exec(db->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failed(db, "change its bound", err);
    return 0;
}

static int prepare(struct kr_journal_db *db, struct kr_err *err)
{
    if (sqlite3_prepare_v2(db->db, "INSERT OR REPLACE INTO runs VALUES" ROW, -1, &db->put, NULL) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(db->db,
                           "INSERT OR REPLACE INTO runs VALUES" ROW "," ROW "," ROW "," ROW "," ROW
                           "," ROW "," ROW "," ROW,
                           -1, &db->put_block, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db->db, "SELECT * FROM runs WHERE slot=? AND seq=?", -1, &db->get,
                           NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db->db, "SELECT value FROM meta WHERE key='seq'", -1, &db->seq, NULL) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(db->db, "UPDATE meta SET value=? WHERE key='seq'", -1, &db->set_seq,
                           NULL) != SQLITE_OK)
        return failed(db, "prepare", err);
    return 0;
}

int kr_journal_db_open(const char *path, int64_t kept, struct kr_journal_db **out,
                       struct kr_err *err)
{
    struct kr_journal_db *db = kr_calloc(1, sizeof(*db));

    db->kept = kept;
    /* One thread uses it at a time, so it needs no locks of its own. */
    if (sqlite3_open_v2(path != NULL ? path : ":memory:", &db->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        (void)failed(db, "open", err);
    } else {
        (void)sqlite3_busy_timeout(db->db, 5000);
        (void)sqlite3_exec(db->db, "PRAGMA cache_size=-512", NULL, NULL, NULL);
        if (sqlite3_exec(db->db, schema, NULL, NULL, NULL) != SQLITE_OK)
            (void)failed(db, "open", err);
        else if (meta(db, "version") != 1)
            (void)kr_fail(err, KR_E_STATE, "journal: %s was written by a newer version", path);
        else if (change_bound(db, err) == 0 && prepare(db, err) == 0) {
            *out = db;
            return 0;
        }
    }
    kr_journal_db_close(db);
    return -(int)err->code;
}

void kr_journal_db_close(struct kr_journal_db *db)
{
    if (db == NULL)
        return;
    (void)sqlite3_finalize(db->put);
    (void)sqlite3_finalize(db->put_block);
    (void)sqlite3_finalize(db->get);
    (void)sqlite3_finalize(db->seq);
    (void)sqlite3_finalize(db->set_seq);
    (void)sqlite3_close(db->db);
    free(db);
}

int64_t kr_journal_db_total(struct kr_journal_db *db)
{
    int64_t seq = 0;

    if (sqlite3_step(db->seq) == SQLITE_ROW)
        seq = sqlite3_column_int64(db->seq, 0);
    (void)sqlite3_reset(db->seq);
    return seq;
}

static void bind_row(sqlite3_stmt *s, int at, int64_t slot, int64_t seq,
                     const struct kr_run_record *r)
{
    (void)sqlite3_bind_int64(s, at + 1, slot);
    (void)sqlite3_bind_int64(s, at + 2, seq);
    (void)sqlite3_bind_text(s, at + 3, r->id, -1, SQLITE_STATIC);
    if (r->name != NULL)
        (void)sqlite3_bind_text(s, at + 4, r->name, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(s, at + 4);
    (void)sqlite3_bind_int(s, at + 5, r->kind);
    (void)sqlite3_bind_int(s, at + 6, r->status);
    (void)sqlite3_bind_int(s, at + 7, r->ok);
    (void)sqlite3_bind_int64(s, at + 8, r->started_ms);
    (void)sqlite3_bind_int64(s, at + 9, r->duration_us);
}

/* Writes the first of n records, or the first BLOCK of them. Returns how many, 0: failed. */
static size_t put(struct kr_journal_db *db, int64_t seq, const struct kr_run_record *r, size_t n)
{
    size_t rows = n >= BLOCK ? BLOCK : 1;
    sqlite3_stmt *s = rows == BLOCK ? db->put_block : db->put;
    bool fine;

    for (size_t i = 0; i < rows; i++) {
        int64_t own = seq + (int64_t)i;

        bind_row(s, (int)i * COLUMNS, own % db->kept, own, &r[i]);
    }
    fine = sqlite3_step(s) == SQLITE_DONE;
    (void)sqlite3_reset(s);
    return fine ? rows : 0;
}

/* The counter is read inside of the transaction: while a server is replaced, two write. */
int kr_journal_db_write(struct kr_journal_db *db, const struct kr_run_record *records, size_t n,
                        struct kr_err *err)
{
    bool fine = sqlite3_exec(db->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;
    /* older ones would be overwritten by this very batch */
    size_t at = n > (size_t)db->kept ? n - (size_t)db->kept : 0;
    int64_t seq;

    if (!fine)
        return failed(db, "write", err);
    seq = kr_journal_db_total(db);
    while (at < n && fine) {
        size_t rows = put(db, seq + 1 + (int64_t)at, &records[at], n - at);

        fine = rows > 0;
        at += rows;
    }
    (void)sqlite3_bind_int64(db->set_seq, 1, seq + (int64_t)n);
    fine = fine && sqlite3_step(db->set_seq) == SQLITE_DONE;
    (void)sqlite3_reset(db->set_seq);
    if (!fine || sqlite3_exec(db->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        (void)failed(db, "write", err);
        (void)sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
        return -(int)err->code;
    }
    return 0;
}

static const char *state_of(int status, bool ok)
{
    if (ok)
        return "completed";
    if (status == 504)
        return "timeout";
    if (status == 502)
        return "crashed";
    return status == 499 ? "abandoned" : "failed";
}

static json_t *row_json(sqlite3_stmt *s)
{
    static const char *const kinds[] = {"invoke", "stream", "batch", "custom"};
    json_t *row = json_object();
    int kind = sqlite3_column_int(s, 4), status = sqlite3_column_int(s, 5);
    char stamp[KR_ISO_SIZE];

    kr_json_set_str(row, "id", (const char *)sqlite3_column_text(s, 2));
    kr_json_set_str(row, "name", (const char *)sqlite3_column_text(s, 3));
    kr_json_set_str(row, "kind", kind >= 0 && kind < 4 ? kinds[kind] : "invoke");
    kr_json_set_str(row, "status", state_of(status, sqlite3_column_int(s, 6) != 0));
    kr_json_set_int(row, "http_status", status);
    kr_json_set_str(row, "started_at", kr_iso8601(sqlite3_column_int64(s, 7), stamp));
    kr_json_set(row, "duration_ms", json_real((double)sqlite3_column_int64(s, 8) / 1000.0));
    return row;
}

char *kr_journal_db_page(struct kr_journal_db *db, int64_t page, int64_t size, const char *status)
{
    kr_auto_json json_t *doc = json_object();
    json_t *items = json_array();
    int64_t newest = kr_journal_db_total(db), skip = (page - 1) * size, total = 0;
    int64_t oldest = newest > db->kept ? newest - db->kept + 1 : 1;

    for (int64_t seq = newest; seq >= oldest; seq--) {
        if (status == NULL && (skip > newest - seq || newest - seq >= skip + size)) {
            total++; /* outside of the page: only counted */
            continue;
        }
        (void)sqlite3_bind_int64(db->get, 1, seq % db->kept);
        (void)sqlite3_bind_int64(db->get, 2, seq);
        if (sqlite3_step(db->get) == SQLITE_ROW) {
            const char *state =
                state_of(sqlite3_column_int(db->get, 5), sqlite3_column_int(db->get, 6) != 0);

            if (status == NULL || strcmp(state, status) == 0) {
                if (total >= skip && total < skip + size)
                    json_array_append_new(items, row_json(db->get));
                total++;
            }
        }
        (void)sqlite3_reset(db->get);
    }
    kr_json_set(doc, "items", items);
    kr_json_set_int(doc, "page", page);
    kr_json_set_int(doc, "size", size);
    kr_json_set_int(doc, "total", total);
    kr_json_set_int(doc, "total_pages", (total + size - 1) / size);
    return kr_json_canonical(doc);
}
