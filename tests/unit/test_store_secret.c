/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption at rest, its key, and files that are not a store. */
#include "store_help.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *make_secret(struct kr_store *store)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *row = insert_text(store, KR_SECRET, "{\"name\":\"hf\"}");
    kr_auto_json json_t *values = json_pack("{s:s,s:s}", "token", "hf_PLAINTEXTVALUE", "other", "");

    OK(kr_store_secret_set(store, kr_json_str(row, "id", ""), values, &err));
    return kr_strdup(kr_json_str(row, "id", ""));
}

static bool file_holds(const char *dir, const char *name, const char *text)
{
    kr_auto_free char *path = kr_path_join(dir, name);
    kr_auto_buf struct kr_buf bytes = KR_BUF_INIT(64 << 20);
    struct kr_err err = KR_ERR_INIT;

    OK(kr_file_read(path, &bytes, &err));
    return bytes.n > 0 && memmem(bytes.p, bytes.n, text, strlen(text)) != NULL;
}

static void test_values_are_encrypted_and_come_back(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *id = make_secret(s->store), *key = kr_path_join(s->dir, "encryption.key");
    kr_auto_json json_t *values = NULL, *row = NULL, *less = json_pack("{s:s}", "token", "new");
    struct stat st;

    OK(kr_store_secret_values(s->store, id, &values, &err));
    assert_string_equal(kr_json_str(values, "token", ""), "hf_PLAINTEXTVALUE");
    assert_string_equal(kr_json_str(values, "other", "x"), "");
    OK(kr_store_find(s->store, KR_SECRET, "hf", NULL, &row, &err));
    assert_int_equal(json_array_size(json_object_get(row, "keys")), 2);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_false(file_holds(s->dir, "store.db", "PLAINTEXT"));
    assert_false(file_holds(s->dir, "store.db-wal", "PLAINTEXT"));
    assert_true(file_holds(s->dir, "store.db-wal", "token"));
    OK(kr_store_secret_set(s->store, id, less, &err));
    json_decref(values);
    OK(kr_store_secret_values(s->store, id, &values, &err));
    assert_int_equal(json_object_size(values), 1);
}

static void reopen(struct scratch *s)
{
    kr_store_close(s->store);
    s->store = open_store(s->dir);
}

static void test_missing_and_wrong_key_file(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *id = make_secret(s->store), *key = kr_path_join(s->dir, "encryption.key"),
                      *want = NULL;
    kr_auto_json json_t *row = insert_text(s->store, KR_DEPLOYMENT, "{\"name\":\"d\"}");
    json_t *values = NULL;

    (void)row;
    want = kr_asprintf("the key file %s is missing; the secrets cannot be read", key);
    assert_int_equal(unlink(key), 0);
    reopen(s);
    FAILS(kr_store_secret_values(s->store, id, &values, &err), KR_E_STATE, want);
    assert_false(kr_path_exists(key));
    OK(kr_file_write_atomic(
        key, "0000000000000000000000000000000000000000000000000000000000000000\n", 65, 0600, &err));
    free(want);
    want = kr_asprintf("the encryption key does not fit the store %s/store.db", s->dir);
    FAILS(kr_store_secret_values(s->store, id, &values, &err), KR_E_STATE, want);
    OK(kr_file_write_atomic(key, "short\n", 6, 0600, &err));
    free(want);
    want = kr_asprintf("the key file %s is damaged", key);
    FAILS(kr_store_secret_values(s->store, id, &values, &err), KR_E_STATE, want);
    /* once nothing is encrypted any more, a new key may be made */
    OK(kr_store_delete(s->store, KR_SECRET, id, &err));
    assert_int_equal(unlink(key), 0);
    free(make_secret(s->store));
}

static void test_key_from_the_environment(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *id = NULL, *key = kr_path_join(s->dir, "encryption.key"), *want = NULL;
    kr_auto_json json_t *values = NULL;
    json_t *none = NULL;

    (void)setenv("KOUROU_ENCRYPTION_KEY", "correct horse", 1);
    id = make_secret(s->store);
    assert_false(kr_path_exists(key));
    reopen(s);
    OK(kr_store_secret_values(s->store, id, &values, &err));
    assert_string_equal(kr_json_str(values, "token", ""), "hf_PLAINTEXTVALUE");
    (void)setenv("KOUROU_ENCRYPTION_KEY", "battery staple", 1);
    reopen(s);
    want = kr_asprintf("the encryption key does not fit the store %s/store.db", s->dir);
    assert_int_equal(kr_store_secret_values(s->store, id, &none, &err), -KR_E_STATE);
    assert_string_equal(err.msg, want);
    assert_string_equal(err.hint, "set KOUROU_ENCRYPTION_KEY to the text that was used before");
    kr_err_clear(&err);
    (void)unsetenv("KOUROU_ENCRYPTION_KEY");
    reopen(s);
    free(want);
    want = kr_asprintf("the secrets of %s/store.db need KOUROU_ENCRYPTION_KEY", s->dir);
    FAILS(kr_store_secret_values(s->store, id, &none, &err), KR_E_STATE, want);
    assert_false(kr_path_exists(key));
}

static void damage(const char *dir, const char *name, const void *bytes, size_t n, off_t at)
{
    kr_auto_free char *path = kr_path_join(dir, name);
    kr_auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
}

/* Opens dir's store, which must be refused with KR_E_STATE and a message that begins like this. */
static void refused(const char *dir, const char *begins)
{
    struct kr_err err = KR_ERR_INIT;
    struct kr_store *store = NULL;

    assert_int_equal(kr_store_open(NULL, dir, dir, &store, &err), -KR_E_STATE);
    if (strncmp(err.msg, begins, strlen(begins)) != 0)
        fail_msg("said '%s'", err.msg);
    assert_true(err.hint[0] != '\0');
}

static void test_newer_foreign_and_broken_files(void **state)
{
    struct scratch *s = *state;
    kr_auto_free char *text = NULL, *path = kr_path_join(s->dir, "store.db");
    static const unsigned char newer[4] = {0, 0, 0, 99}, zero[4] = {0};
    char noise[4096];

    json_decref(insert_text(s->store, KR_PIPELINE, "{\"name\":\"p\"}"));
    kr_store_close(s->store); /* wrote something: the log is moved into the file */
    s->store = NULL;
    {
        kr_auto_free char *wal = kr_path_join(s->dir, "store.db-wal");
        assert_int_equal(truncate(wal, 0), 0);
    }
    damage(s->dir, "store.db", newer, 4, 60); /* user_version */
    text = kr_asprintf("the store %s was written by a newer version (format 99, this one knows 3)",
                       path);
    refused(s->dir, text);
    damage(s->dir, "store.db", (const unsigned char[]){0, 0, 0, 2}, 4, 60);
    damage(s->dir, "store.db", zero, 4, 68); /* application_id */
    free(text);
    text = kr_asprintf("%s is a database of another program", path);
    refused(s->dir, text);
    memset(noise, 'x', sizeof(noise));
    damage(s->dir, "store.db", noise, sizeof(noise), 0);
    free(text);
    text = kr_asprintf("the store %s is damaged or not a store", path);
    refused(s->dir, text);
}

static void test_places(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *url = kr_asprintf("sqlite:///%s/deep/er/x.db", s->dir), *path = NULL;
    struct kr_store *store = NULL;
    struct stat st;

    OK(kr_store_open(url, s->dir, s->dir, &store, &err));
    kr_store_close(store);
    path = kr_asprintf("%s/deep/er/x.db", s->dir);
    assert_int_equal(stat(path, &st), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    FAILS(kr_store_open("mysql://host/db", s->dir, s->dir, &store, &err), KR_E_INVALID,
          "the store 'mysql://host/db' is not a SQLite file");
    FAILS(kr_store_open("/proc/no/store.db", s->dir, s->dir, &store, &err), KR_E_SYSTEM,
          "store: folder /proc/no: No such file or directory");
}

static void test_full_disk_changes_nothing(void **state)
{
    struct scratch *s = *state;
    int status;
    pid_t child = fork();

    if (child == 0) { /* a bound on file sizes stands in for the full disk */
        struct rlimit limit = {.rlim_cur = 260 << 10, .rlim_max = 260 << 10};
        struct kr_err err = KR_ERR_INIT;
        struct kr_store *store = NULL;
        kr_auto_json json_t *row = json_pack("{s:s}", "name", "big");
        kr_auto_free char *big = kr_calloc(1, (1 << 20) + 1);

        memset(big, 'x', 1 << 20);
        kr_json_set_str(row, "source", big);
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        if (kr_store_open(NULL, s->dir, s->dir, &store, &err) < 0)
            _exit(10);
        if (kr_store_insert(store, KR_PIPELINE, row, NULL, &err) != -KR_E_SYSTEM)
            _exit(11);
        if (strstr(err.msg, "no space left for") == NULL || err.hint[0] == '\0')
            _exit((print_error("%s\n", err.msg), 12));
        kr_err_clear(&err);
        kr_json_set_str(row, "source", "small");
        if (kr_store_insert(store, KR_PIPELINE, row, NULL, &err) < 0)
            _exit(13);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    {
        struct kr_err err = KR_ERR_INIT;
        kr_auto_json json_t *found = NULL;

        OK(kr_store_find(s->store, KR_PIPELINE, "big", NULL, &found, &err));
        assert_string_equal(kr_json_str(found, "source", ""), "small");
    }
}

static void test_read_only_folder_is_said(void **state)
{
    struct scratch *s = *state;
    int status;
    pid_t child;

    kr_store_close(s->store);
    s->store = NULL;
    child = fork();
    if (child == 0) {
        kr_auto_free char *path = kr_path_join(s->dir, "store.db");
        struct kr_err err = KR_ERR_INIT;
        struct kr_store *store = NULL;

        if (geteuid() == 0 && (chown(s->dir, 0, 0) < 0 || chmod(s->dir, 0555) < 0 ||
                               chmod(path, 0444) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
            _exit(20);
        if (geteuid() != 65534 && (chmod(s->dir, 0555) < 0 || chmod(path, 0444) < 0))
            _exit(21);
        if (kr_store_open(NULL, s->dir, s->dir, &store, &err) == 0) {
            kr_auto_json json_t *row = json_pack("{s:s}", "name", "p");

            if (kr_store_insert(store, KR_PIPELINE, row, NULL, &err) == 0)
                _exit(22);
        }
        if (err.code != KR_E_SYSTEM || strstr(err.msg, path) == NULL)
            _exit(23);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)chmod(s->dir, 0700);
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(test_values_are_encrypted_and_come_back),
        SCRATCH(test_missing_and_wrong_key_file),
        SCRATCH(test_key_from_the_environment),
        SCRATCH(test_newer_foreign_and_broken_files),
        SCRATCH(test_places),
        SCRATCH(test_full_disk_changes_nothing),
        SCRATCH(test_read_only_folder_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
