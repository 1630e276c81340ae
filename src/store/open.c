/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, making and migrating the store file. */
#include "store/sql.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/path.h"
#include "base/view.h"
#include "store/migrations.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

enum {
    APPLICATION = 0x4b6f7572, /* "Kour" in the file's header */
    WAIT_MS = 60000,
};

/* Sleeps before the next try for a lock: short at first, then longer and of random length, so that
 * a thousand waiters neither come back at once nor keep the processors from the one who works. */
static void nap(int count)
{
    unsigned char random[2];
    unsigned longest = count < 10    ? 2U + (unsigned)count * 2U
                       : count < 100 ? 20U + (unsigned)count
                                     : 120U;

    kr_random_bytes(random, sizeof(random));
    kr_sleep_ms(1 + (unsigned)(random[0] | random[1] << 8) % longest);
}

static int wait_for_others(void *data, int count)
{
    struct kr_store *store = data;

    if (count == 0)
        store->busy_since = kr_mono_ms();
    if (kr_mono_ms() - store->busy_since > WAIT_MS)
        return 0;
    nap(count);
    return 1;
}

static int path_of_url(const char *url, const char *data_dir, char **path, struct kr_err *err)
{
    if (url == NULL) {
        *path = kr_path_join(data_dir, "store.db");
        return 0;
    }
    if (kr_starts_with(url, "sqlite://") && url[9] == '/') {
        url += 9;
        while (url[1] == '/')
            url++;
    } else if (strstr(url, "://") != NULL) {
        (void)kr_fail(err, KR_E_INVALID, "the store '%s' is not a SQLite file", url);
        return kr_hint(err, "set KOUROU_STORE_URL to sqlite:///path/to/store.db or a path");
    }
    *path = kr_path_expand_home(url);
    return 0;
}

/* Makes an empty file that only its owner may read; SQLite gives its companions the same mode. An
 * existing file is not opened: closing it again would drop locks of this process. */
static int make_file(const char *path, struct kr_err *err)
{
    kr_auto_free char *dir = kr_strdup(path);
    char *slash = strrchr(dir, '/');
    int fd;

    if (kr_path_exists(path))
        return 0;
    if (slash != NULL && slash != dir) {
        *slash = '\0';
        if (kr_mkdir_p(dir, 0700, err) < 0)
            return kr_wrap(err, "store");
    }
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        (void)kr_fail_errno(err, errno, "store %s", path);
        return kr_hint(err, "set KOUROU_HOME to a folder that can be written");
    }
    if (fd >= 0)
        (void)close(fd);
    return 0;
}

static int read_number(struct kr_store *store, const char *pragma, int64_t *value,
                       struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    if (kr_stmt_init(&stmt, store, pragma, err) < 0 || kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    *value = row ? sqlite3_column_int64(stmt.s, 0) : 0;
    return 0;
}

static int foreign(const struct kr_store *store, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_STATE, "%s is a database of another program", store->path);
    return kr_hint(err, "set KOUROU_STORE_URL or KOUROU_HOME to another place");
}

/* Whether the file is a store of the format we want. Without the setup lock another process may be
 * setting it up between two looks, so only `locked` may call a file foreign. The mark is read
 * first: it is written together with the format. */
static int is_ready(struct kr_store *store, bool locked, int64_t *format, bool *ready,
                    struct kr_err *err)
{
    int64_t mark = 0, tables = 0;

    *ready = false;
    if (read_number(store, "PRAGMA application_id", &mark, err) < 0 ||
        read_number(store, "PRAGMA user_version", format, err) < 0)
        return -(int)err->code;
    if (mark != APPLICATION) {
        if (!locked)
            return 0;
        if (mark != 0 || *format != 0)
            return foreign(store, err);
        if (read_number(store, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
            return -(int)err->code;
        return tables == 0 ? 0 : foreign(store, err);
    }
    if (*format > (int64_t)kr_store_migrations_count) {
        (void)kr_fail(
            err, KR_E_STATE,
            "the store %s was written by a newer version (format %lld, this one knows %zu)",
            store->path, (long long)*format, kr_store_migrations_count);
        return kr_hint(err,
                       "install the newer version again, or set KOUROU_HOME to another folder");
    }
    *ready = *format == (int64_t)kr_store_migrations_count;
    return 0;
}

static int migrate_from(struct kr_store *store, int64_t format, struct kr_err *err)
{
    char sql[100];

    if (kr_store_begin(store, err) < 0)
        return -(int)err->code;
    for (size_t i = (size_t)format; i < kr_store_migrations_count; i++) {
        if (kr_sql_exec(store, kr_store_migrations[i], err) < 0) {
            kr_store_rollback(store);
            return kr_wrap(err, "migration %zu", i + 1);
        }
    }
    (void)snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %zu",
                   APPLICATION, kr_store_migrations_count);
    if (kr_sql_exec(store, sql, err) < 0) {
        kr_store_rollback(store);
        return -(int)err->code;
    }
    return kr_store_commit(store, err);
}

/* One process at a time makes or migrates the file: switching to WAL does not wait for others. */
static int lock_setup(const char *path, int *fd, struct kr_err *err)
{
    kr_auto_free char *name = kr_asprintf("%s.lock", path);
    int64_t end = kr_mono_ms() + WAIT_MS;
    kr_auto_fd int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int tries = 0;

    if (lock < 0)
        return kr_fail_errno(err, errno, "%s", name);
    while (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return kr_fail_errno(err, errno, "%s", name);
        if (kr_mono_ms() > end)
            return kr_fail(err, KR_E_STATE, "another process has been setting up %s for %d seconds",
                           path, WAIT_MS / 1000);
        nap(tries++);
    }
    *fd = kr_steal_fd(&lock);
    return 0;
}

/* Does not wait for readers on its own. */
static int switch_to_wal(struct kr_store *store, struct kr_err *err)
{
    int64_t end = kr_mono_ms() + WAIT_MS;
    int rc, tries = 0;

    while ((rc = sqlite3_exec(store->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL)) !=
           SQLITE_OK) {
        if ((rc & 0xff) != SQLITE_BUSY || kr_mono_ms() > end)
            return kr_sql_fail(store, "setting up the store", err);
        nap(tries++);
    }
    return 0;
}

static int set_up(struct kr_store *store, struct kr_err *err)
{
    kr_auto_fd int lock = -1;
    int64_t format = 0;
    bool ready;

    if (is_ready(store, false, &format, &ready, err) < 0)
        return -(int)err->code;
    if (ready)
        return 0;
    if (lock_setup(store->path, &lock, err) < 0 || is_ready(store, true, &format, &ready, err) < 0)
        return -(int)err->code;
    if (ready)
        return 0; /* somebody else was quicker */
    if (switch_to_wal(store, err) < 0)
        return -(int)err->code;
    return migrate_from(store, format, err);
}

static int open_db(struct kr_store *store, struct kr_err *err)
{
    int keep = 1;

    if (sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        if (store->db == NULL)
            return kr_fail(err, KR_E_SYSTEM, "store %s: no memory", store->path);
        return kr_sql_fail(store, "opening the store", err);
    }
    (void)sqlite3_extended_result_codes(store->db, 1);
    (void)sqlite3_busy_handler(store->db, wait_for_others, store);
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Deleting and making the companion files again would cost every command more than its work. */
    (void)sqlite3_file_control(store->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    return set_up(store, err);
}

int kr_store_open(const char *url, const char *data_dir, const char *key_dir, struct kr_store **out,
                  struct kr_err *err)
{
    struct kr_store *store;
    char *path = NULL;

    if (path_of_url(url, data_dir, &path, err) < 0)
        return -(int)err->code;
    store = kr_calloc(1, sizeof(*store));
    store->path = path;
    store->key_path = kr_path_join(key_dir, "encryption.key");
    if (make_file(path, err) < 0 || open_db(store, err) < 0) {
        kr_store_close(store);
        return -(int)err->code;
    }
    *out = store;
    return 0;
}

void kr_store_close(struct kr_store *store)
{
    if (store == NULL)
        return;
    while (store->depth > 0)
        kr_store_rollback(store);
    /* Who only read has nothing to move from the log into the file. Who wrote and is the last one
     * empties the log: the next process would have to read all of it. */
    if (store->db != NULL && !store->wrote)
        (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    else if (store->db != NULL)
        (void)sqlite3_exec(store->db, "PRAGMA journal_size_limit = 0", NULL, NULL, NULL);
    (void)sqlite3_close(store->db);
    kr_crypt_wipe(&store->key, sizeof(store->key));
    free(store->path);
    free(store->key_path);
    free(store);
}
