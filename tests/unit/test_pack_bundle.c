/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "base/view.h"
#include "pack/bundle.h"

#include <fcntl.h>
#include <stdlib.h>

struct ctx {
    char *root, *cache;
    json_t *warnings;
    struct kr_files files;
    struct kr_err err;
};

static int setup(void **state)
{
    struct ctx *c = kr_calloc(1, sizeof(*c));

    c->root = make_folder();
    c->cache = make_folder();
    c->warnings = json_array();
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;

    drop_folder(c->root);
    drop_folder(c->cache);
    json_decref(c->warnings);
    kr_files_finish(&c->files);
    free(c);
    return 0;
}

static int collect(struct ctx *c, uint64_t max_total)
{
    struct kr_bundle what = {.root = c->root, .cache_dir = c->cache, .max_total = max_total};

    kr_files_finish(&c->files);
    kr_err_clear(&c->err);
    return kr_bundle_collect(&what, &c->files, c->warnings, &c->err);
}

/* Paths joined by commas. */
static char *names(const struct ctx *c)
{
    struct kr_buf text = KR_BUF_INIT(65536);

    for (size_t i = 0; i < c->files.n; i++)
        kr_buf_addf(&text, "%s%s", i > 0 ? "," : "", c->files.v[i].path);
    return kr_buf_steal(&text);
}

static bool warned(const struct ctx *c, const char *part)
{
    for (size_t i = 0; i < json_array_size(c->warnings); i++) {
        if (strstr(json_string_value(json_array_get(c->warnings, i)), part) != NULL)
            return true;
    }
    return false;
}

static void test_what_is_in_and_out(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *list = NULL;

    put(c->root, "app.py", "x");
    put(c->root, "a/b.py", "x");
    put(c->root, "a-b.py", "x");
    put(c->root, ".env", "SECRET=1");
    put(c->root, ".env.example", "SECRET=");
    put(c->root, ".git/config", "x");
    put(c->root, "sub/__pycache__/b.pyc", "x");
    put(c->root, ".zen/config", "x");
    put(c->root, "myenv/pyvenv.cfg", "x");
    put(c->root, "myenv/lib/x.py", "x");
    put(c->root, "data/big.csv", "x");
    put(c->root, "data/keep.csv", "x");
    put(c->root, "skip.tmp", "x");
    put(c->root, "keep.tmp", "x");
    put(c->root, ".gitignore", "*.csv\n*.tmp\n");
    put(c->root, "data/.gitignore", "!keep.csv\n");
    put(c->root, ".kourouignore", "!keep.tmp\n/sub2\n");
    put(c->root, "sub2/x", "x");
    assert_int_equal(collect(c, 0), 0);
    list = names(c);
    assert_string_equal(list, ".env.example,a-b.py,a/b.py,app.py,data/keep.csv,keep.tmp");
    assert_true(warned(c, "'.env' may hold secrets"));
}

static void test_rules_of_the_repository_around(void **state)
{
    struct ctx *c = *state;
    char *top = c->root;
    kr_auto_free char *list = NULL;

    put(top, ".git/info/exclude", "*.bak\n");
    put(top, ".gitignore", "/svc/data\n*.csv\n/ignored/\n");
    put(top, "svc/data/x", "x");
    put(top, "svc/a.csv", "x");
    put(top, "svc/a.bak", "x");
    put(top, "svc/a.py", "x");
    put(top, "ignored/here.csv", "x");
    c->root = kr_path_join(top, "svc");
    assert_int_equal(collect(c, 0), 0);
    list = names(c);
    free(c->root);
    c->root = kr_path_join(top, "ignored");
    assert_string_equal(list, "a.py");
    free(list);
    assert_int_equal(collect(c, 0), 0);
    list = names(c);
    free(c->root);
    c->root = top;
    assert_string_equal(list, "here.csv");
}

static void link_to(const struct ctx *c, const char *target, const char *name)
{
    kr_auto_free char *path = kr_path_join(c->root, name);

    assert_int_equal(symlink(target, path), 0);
}

static void unlink_in(const struct ctx *c, const char *name)
{
    kr_auto_free char *path = kr_path_join(c->root, name);

    assert_int_equal(unlink(path), 0);
}

static void test_links(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *list = NULL;

    put(c->root, "real/a.py", "content");
    put(c->root, ".env", "S=1");
    link_to(c, "real", "alias");
    link_to(c, "nowhere", "dangling");
    link_to(c, "real/a.py", "b.py");
    assert_int_equal(collect(c, 0), 0);
    list = names(c);
    assert_string_equal(list, "alias/a.py,b.py,real/a.py");
    assert_int_equal(c->files.v[1].size, 7);
    assert_true(warned(c, "'dangling' is a link to nothing"));

    link_to(c, "/etc/passwd", "out");
    assert_int_equal(collect(c, 0), -KR_E_INVALID);
    assert_non_null(
        strstr(c->err.msg, "'out' is a link that leaves the source folder (to /etc/passwd)"));
    assert_non_null(strstr(c->err.hint, "'/out'"));
    unlink_in(c, "out");
    link_to(c, ".env", "innocent");
    assert_int_equal(collect(c, 0), -KR_E_INVALID);
    assert_non_null(strstr(c->err.msg, "never launched"));
    unlink_in(c, "innocent");
    link_to(c, "..", "real/up");
    assert_int_equal(collect(c, 0), -KR_E_INVALID);
    assert_non_null(strstr(c->err.msg, "points back"));
}

static void test_special_files_are_refused(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *path = kr_path_join(c->root, "pipe");

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(collect(c, 0), -KR_E_INVALID);
    assert_non_null(strstr(c->err.msg, "'pipe' is neither a file nor a folder"));
    put(c->root, ".kourouignore", "pipe\n");
    assert_int_equal(collect(c, 0), 0);
}

static void test_huge_file_is_refused_unread(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *path = kr_path_join(c->root, "model.bin");
    kr_auto_fd int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    assert_int_equal(ftruncate(fd, (off_t)2000000000), 0);
    assert_int_equal(collect(c, KR_BUNDLE_SPACE_MAX), -KR_E_LIMIT);
    assert_string_equal(c->err.msg,
                        "'model.bin' has 2.0 GB, more than the 1.0 GB one file may have");
    assert_non_null(strstr(c->err.hint, "'/model.bin' in .kourouignore"));
    put(c->root, "b", "x");
    assert_int_equal(ftruncate(fd, (off_t)999999999), 0);
    put(c->root, "c", "x");
    assert_int_equal(collect(c, KR_BUNDLE_SPACE_MAX), -KR_E_LIMIT);
    assert_non_null(strstr(c->err.msg, "together"));
    assert_non_null(strstr(c->err.hint, "'model.bin'"));
}

static void age(const struct ctx *c, const char *name, time_t when)
{
    kr_auto_free char *path = kr_path_join(c->root, name);
    struct timespec times[2] = {{when, 0}, {when, 0}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* The memory is trusted while size, times and inode are equal: a damaged one is not. */
static void test_digests_are_remembered(void **state)
{
    struct ctx *c = *state;
    char first[7 + KR_SHA256_HEX], again[7 + KR_SHA256_HEX], changed[7 + KR_SHA256_HEX];

    put(c->root, "a.py", "one");
    assert_int_equal(collect(c, 0), 0);
    kr_files_digest(&c->files, first);
    assert_int_equal(collect(c, 0), 0);
    kr_files_digest(&c->files, again);
    assert_string_equal(first, again);
    put(c->root, "a.py", "two");
    age(c, "a.py", 1000000000);
    assert_int_equal(collect(c, 0), 0);
    kr_files_digest(&c->files, changed);
    assert_string_not_equal(first, changed);
}

static void test_ten_thousand_files(void **state)
{
    struct ctx *c = *state;

    for (int d = 0; d < 20; d++) {
        for (int i = 0; i < 500; i++) {
            char name[64];

            (void)snprintf(name, sizeof(name), "d%d/f%d", d, i);
            kr_auto_free char *path = kr_path_join(c->root, name);
            kr_auto_free char *folder = kr_asprintf("%s/d%d", c->root, d);
            kr_auto_fd int fd = -1;

            (void)mkdir(folder, 0755);
            fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
            assert_true(fd >= 0);
        }
    }
    assert_int_equal(collect(c, 0), 0);
    assert_int_equal(c->files.n, 10000);
}

static void hard_link(const struct ctx *c, const char *from, const char *name)
{
    kr_auto_free char *path = kr_path_join(c->root, name);
    kr_auto_free char *source = kr_path_join(c->root, from);

    assert_int_equal(link(source, path), 0);
}

static void expect(struct ctx *c, const char *paths)
{
    kr_auto_free char *list = NULL;

    json_array_clear(c->warnings);
    assert_int_equal(collect(c, 0), 0);
    list = names(c);
    assert_string_equal(list, paths);
}

/* Another name of a credential file is left out like the file itself; also of one beside the root
 * or in the user's home folder. */
static void test_hard_links(void **state)
{
    struct ctx *c = *state;
    char *top = c->root;
    kr_auto_free char *home = kr_path_join(top, "home");
    const char *had = getenv("HOME");
    kr_auto_free char *before = kr_strdup(had);

    put(top, "svc/app.py", "x");
    put(top, "svc/.env", "S=1");
    put(top, "prod.env", "S=2");
    put(top, "home/.aws/config", "nothing");
    hard_link(c, "svc/.env", "svc/data.txt");
    hard_link(c, "prod.env", "svc/other.txt");
    hard_link(c, "home/.aws/config", "svc/more.txt");
    hard_link(c, "svc/app.py", "svc/copy.py");
    assert_int_equal(setenv("HOME", home, 1), 0);
    c->root = kr_path_join(top, "svc");
    expect(c, "app.py,copy.py");
    assert_true(warned(c, "'data.txt'") && warned(c, "'other.txt'") && warned(c, "'more.txt'"));
    put(c->root, ".kourouignore", "!more.txt\n");
    expect(c, "app.py,copy.py,more.txt");
    free(c->root);
    c->root = top;
    assert_int_equal(before != NULL ? setenv("HOME", before, 1) : unsetenv("HOME"), 0);
}

#define HEX64 "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

/* 64 hexadecimal digits are a key, unless they are the digest of a file that is sent. */
static void test_keys_and_checksums(void **state)
{
    struct ctx *c = *state;

    put(c->root, "model.bin", "other");
    put(c->root, "model.bin.sha256", HEX64 "\n");
    expect(c, "model.bin");
    assert_true(warned(c, "'model.bin.sha256' belongs to Kourou"));
    put(c->root, "model.bin", "test");
    expect(c, "model.bin,model.bin.sha256");
    put(c->root, "model.bin", "other");
    put(c->root, "model.bin.sha256", HEX64 "  model.bin\n");
    expect(c, "model.bin,model.bin.sha256");
    put(c->root, "model.bin.sha256", HEX64);
    put(c->root, ".kourouignore", "!*.sha256\n");
    expect(c, "model.bin,model.bin.sha256");
}

/* A folder is a home by what lies in it; what a user keeps beside it goes. */
static void test_homes(void **state)
{
    struct ctx *c = *state;
    char header[100] = "SQLite format 3";

    memcpy(header + 68, "Kour", 4);
    put(c->root, "app.py", "x");
    put(c->root, "state/encryption.key", HEX64 "\n");
    put(c->root, "state/anything", "x");
    put(c->root, "parts/code/" HEX64 "/my_module.py", "x");
    put(c->root, "parts/builds/b0e1c64c-5c1d-4f0e-8a55-2a8d5f8f2f6e.log", "x");
    put(c->root, "parts/b0e1c64c-5c1d-4f0e-8a55-2a8d5f8f2f6e/server.log", "x");
    put(c->root, "parts/b0e1c64c-5c1d-4f0e-8a55-2a8d5f8f2f6e/snapshot.3.json", "{}");
    put(c->root, "parts/code.py", "x");
    put(c->root, "other/code/mine.py", "x");
    put(c->root, "logs/a.txt",
        "{\"time\":\"2026-08-20T10:00:00.123Z\",\"level\":\"info\",\"part\":"
        "\"front\",\"message\":\"x\"}\n");
    put(c->root, "logs/b.txt", "2026-08-20T10:00:00.123Z info    front: x\n");
    put(c->root, "lost-wal", "\x37\x7f\x06\x82");
    {
        kr_auto_free char *path = kr_path_join(c->root, "weights.bin");
        struct kr_err err = KR_ERR_INIT;

        assert_int_equal(kr_file_write_atomic(path, header, sizeof(header), 0644, &err), 0);
    }
    expect(c, "app.py,other/code/mine.py,parts/code.py");
    assert_true(warned(c, "'state'") && warned(c, "'weights.bin'") && warned(c, "'lost-wal'"));
    /* No line of an ignore file sends it. */
    put(c->root, ".kourouignore", "!weights.bin\n!state\n!lost-wal\n!logs\n!a.txt\n");
    expect(c, "app.py,other/code/mine.py,parts/code.py");
}

static void test_size_text(void **state)
{
    char text[16];

    (void)state;
    assert_string_equal(kr_size_text(999, text), "999 bytes");
    assert_string_equal(kr_size_text(1500000000, text), "1.5 GB");
    assert_string_equal(kr_size_text(999999, text), "1.0 MB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rules_of_the_repository_around, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_special_files_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_huge_file_is_refused_unread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_digests_are_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ten_thousand_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hard_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keys_and_checksums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_homes, setup, teardown),
        cmocka_unit_test(test_size_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
