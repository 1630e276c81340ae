/* SPDX-License-Identifier: Apache-2.0 */
/* The key that encrypts values: from KOUROU_ENCRYPTION_KEY, or from a file that is made once. A
 * check value in the store tells a wrong key from damaged data. */
#include "store/sql.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"
#include "base/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CHECK_CONTEXT "kourou key check"
#define CHECK_TEXT    "the key fits"

/* Gives the written file its name; whoever comes second uses the first one's. Without a temporary
 * name (*temp is NULL) a killed program leaves nothing of a key behind. */
static int publish(int fd, const char *temp, const char *dir, const char *path)
{
    kr_auto_free char *self = kr_asprintf("/proc/self/fd/%d", fd);
    kr_auto_fd int folder = -1;

    if (linkat(AT_FDCWD, temp != NULL ? temp : self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 &&
        errno != EEXIST)
        return -1;
    folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? -1 : fsync(folder); /* secrets that need it may be on the disk before it */
}

static int make_key_file(const char *path, struct kr_err *err)
{
    kr_auto_free char *temp = NULL, *dir = kr_strdup(path);
    char *slash = strrchr(dir, '/'), hex[2 * KR_CRYPT_KEY + 2];
    struct kr_crypt_key key;
    kr_auto_fd int fd = -1;
    int saved = 0;

    if (slash == NULL || slash == dir)
        return kr_fail(err, KR_E_INVALID, "key file %s: not a path in a folder", path);
    *slash = '\0';
    if (kr_mkdir_p(dir, 0700, err) < 0)
        return -(int)err->code;
    fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) { /* not every file system can */
        temp = kr_asprintf("%s.XXXXXX", path);
        fd = mkostemp(temp, O_CLOEXEC); /* 0600 */
    }
    if (fd < 0)
        return kr_fail_errno(err, errno, "key file %s", path);
    kr_crypt_key_random(&key);
    kr_crypt_hex(key.bytes, sizeof(key.bytes), hex);
    hex[2 * KR_CRYPT_KEY] = '\n';
    errno = EIO; /* a short write leaves it unset */
    if (write(fd, hex, sizeof(hex) - 1) != (ssize_t)sizeof(hex) - 1 || fsync(fd) < 0 ||
        publish(fd, temp, dir, path) < 0)
        saved = errno;
    if (temp != NULL)
        (void)unlink(temp);
    kr_crypt_wipe(hex, sizeof(hex));
    kr_crypt_wipe(&key, sizeof(key));
    return saved == 0 ? 0 : kr_fail_errno(err, saved, "key file %s", path);
}

static int read_key_file(const char *path, struct kr_crypt_key *key, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1000);
    kr_auto_free char *hex = NULL;
    bool good;

    if (kr_file_read(path, &text, err) < 0)
        return kr_wrap(err, "key file");
    hex = kr_view_dup(kr_view_trim((struct kr_view){.p = kr_buf_str(&text), .n = text.n}));
    good = kr_crypt_unhex(hex, key->bytes, sizeof(key->bytes));
    if (text.p != NULL)
        kr_crypt_wipe(text.p, text.n);
    kr_crypt_wipe(hex, strlen(hex));
    if (!good) {
        (void)kr_fail(err, KR_E_STATE, "the key file %s is damaged", path);
        return kr_hint(err, "restore it from a copy; without it the secrets cannot be read");
    }
    return 0;
}

static int any_encrypted(struct kr_store *store, bool *any, struct kr_err *err)
{
    kr_auto_stmt struct kr_stmt stmt = {0};
    bool row;

    if (kr_stmt_init(&stmt, store,
                     "SELECT EXISTS (SELECT 1 FROM secret_values) OR "
                     "EXISTS (SELECT 1 FROM deployments WHERE auth_key IS NOT NULL)",
                     err) < 0 ||
        kr_stmt_step(&stmt, &row, err) < 0)
        return -(int)err->code;
    *any = row && sqlite3_column_int(stmt.s, 0) != 0;
    return 0;
}

/* The salt of this store, made once. */
static int salt_of(struct kr_store *store, unsigned char salt[KR_CRYPT_SALT], struct kr_err *err)
{
    kr_auto_free char *hex = NULL;
    struct kr_crypt_key random;
    char made[2 * KR_CRYPT_SALT + 1];

    if (kr_store_fact_get(store, "key_salt", &hex, err) < 0)
        return -(int)err->code;
    if (hex == NULL) {
        if (kr_store_begin(store, err) < 0)
            return -(int)err->code;
        if (kr_store_fact_get(store, "key_salt", &hex, err) < 0) {
            kr_store_rollback(store);
            return -(int)err->code;
        }
        if (hex == NULL) {
            kr_crypt_key_random(&random);
            kr_crypt_hex(random.bytes, KR_CRYPT_SALT, made);
            hex = kr_strdup(made);
            if (kr_store_fact_set(store, "key_salt", made, err) < 0) {
                kr_store_rollback(store);
                return -(int)err->code;
            }
        }
        if (kr_store_commit(store, err) < 0)
            return -(int)err->code;
    }
    if (!kr_crypt_unhex(hex, salt, KR_CRYPT_SALT))
        return kr_fail(err, KR_E_STATE, "the store %s is damaged: its salt is not one",
                       store->path);
    return 0;
}

static int load_from_file(struct kr_store *store, struct kr_err *err)
{
    kr_auto_free char *kind = NULL;
    bool any = false;

    if (access(store->key_path, F_OK) == 0)
        return read_key_file(store->key_path, &store->key, err);
    if (kr_store_fact_get(store, "key_kind", &kind, err) < 0 || any_encrypted(store, &any, err) < 0)
        return -(int)err->code;
    if (any && kind != NULL && strcmp(kind, "file") == 0) {
        (void)kr_fail(err, KR_E_STATE, "the key file %s is missing; the secrets cannot be read",
                      store->key_path);
        return kr_hint(err, "restore it from a copy, or delete the secrets and create them again");
    }
    if (any) {
        (void)kr_fail(err, KR_E_STATE, "the secrets of %s need KOUROU_ENCRYPTION_KEY", store->path);
        return kr_hint(err, "set it to the text that was used when they were created");
    }
    if (make_key_file(store->key_path, err) < 0)
        return -(int)err->code;
    return read_key_file(store->key_path, &store->key, err);
}

static int load(struct kr_store *store, const char *text, struct kr_err *err)
{
    unsigned char salt[KR_CRYPT_SALT];

    if (text == NULL)
        return load_from_file(store, err);
    if (salt_of(store, salt, err) < 0)
        return -(int)err->code;
    return kr_crypt_key_of_text(text, salt, &store->key, err);
}

static bool fits(const struct kr_store *store, const char *check_hex)
{
    unsigned char sealed[sizeof(CHECK_TEXT) - 1 + KR_CRYPT_EXTRA];
    kr_auto_free char *plain = NULL;

    if (!kr_crypt_unhex(check_hex, sealed, sizeof(sealed)))
        return false;
    plain = kr_crypt_open(&store->key, CHECK_CONTEXT, sealed, sizeof(sealed));
    return plain != NULL && strcmp(plain, CHECK_TEXT) == 0;
}

static int wrong_key(const struct kr_store *store, const char *kind, bool from_env,
                     struct kr_err *err)
{
    bool was_env = kind != NULL && strcmp(kind, "environment") == 0;

    (void)kr_fail(err, KR_E_STATE, "the encryption key does not fit the store %s", store->path);
    if (was_env)
        return kr_hint(err, "set KOUROU_ENCRYPTION_KEY to the text that was used before");
    if (from_env)
        return kr_hint(err, "its secrets belong to the key file %s: unset KOUROU_ENCRYPTION_KEY",
                       store->key_path);
    return kr_hint(err, "restore the key file %s from a copy", store->key_path);
}

/* Checks the loaded key against the store's check value; inside a transaction with `settle`, where
 * a store without encrypted values takes whatever key there is. */
static int check(struct kr_store *store, bool from_env, bool settle, bool *good, struct kr_err *err)
{
    kr_auto_free char *stored = NULL, *kind = NULL;
    kr_auto_free unsigned char *sealed = NULL;
    char hex[2 * (sizeof(CHECK_TEXT) - 1 + KR_CRYPT_EXTRA) + 1];
    bool any = false;

    if (kr_store_fact_get(store, "key_check", &stored, err) < 0)
        return -(int)err->code;
    *good = stored != NULL && fits(store, stored);
    if (*good)
        return 0;
    if (any_encrypted(store, &any, err) < 0 || kr_store_fact_get(store, "key_kind", &kind, err) < 0)
        return -(int)err->code;
    if (any)
        return wrong_key(store, kind, from_env, err);
    if (!settle)
        return 0;
    sealed = kr_crypt_seal(&store->key, CHECK_CONTEXT, CHECK_TEXT, sizeof(CHECK_TEXT) - 1);
    kr_crypt_hex(sealed, sizeof(CHECK_TEXT) - 1 + KR_CRYPT_EXTRA, hex);
    if (kr_store_fact_set(store, "key_check", hex, err) < 0 ||
        kr_store_fact_set(store, "key_kind", from_env ? "environment" : "file", err) < 0)
        return -(int)err->code;
    *good = true;
    return 0;
}

int kr_store_key(struct kr_store *store, const struct kr_crypt_key **key, struct kr_err *err)
{
    const char *text = kr_env_get("KOUROU_ENCRYPTION_KEY");
    bool good = false;

    *key = &store->key;
    if (store->has_key)
        return 0;
    if (load(store, text, err) < 0 || check(store, text != NULL, false, &good, err) < 0)
        return -(int)err->code;
    if (!good) {
        if (kr_store_begin(store, err) < 0)
            return -(int)err->code;
        if (check(store, text != NULL, true, &good, err) < 0) {
            kr_store_rollback(store);
            return -(int)err->code;
        }
        if (kr_store_commit(store, err) < 0)
            return -(int)err->code;
    }
    store->has_key = true;
    return 0;
}
