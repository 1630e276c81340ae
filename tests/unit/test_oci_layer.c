/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "oci/layer.h"

#include <fcntl.h>

struct ctx {
    char *dir;
    struct kr_cache *cache;
    struct kr_files files;
    struct kr_err err;
};

static int setup(void **state)
{
    struct ctx *c = kr_calloc(1, sizeof(*c));

    c->dir = make_folder();
    assert_int_equal(kr_cache_open(c->dir, 0, &c->cache, &c->err), 0);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;

    kr_cache_close(c->cache);
    kr_files_finish(&c->files);
    drop_folder(c->dir);
    free(c);
    return 0;
}

static void add(struct ctx *c, const char *path, const char *text, bool executable)
{
    assert_int_equal(kr_files_add_bytes(&c->files, path, text, strlen(text), executable, &c->err),
                     0);
}

static void make(struct ctx *c, bool zstd, struct kr_layer *layer, bool *made)
{
    struct kr_tar_part part = {.prefix = "app", .files = &c->files, .uid = 7, .gid = 8};

    if (kr_layer_make(c->cache, &part, 1, zstd, layer, made, &c->err) < 0)
        fail_msg("%s", c->err.msg);
}

static bool note_name(void *data, const struct kr_tar_entry *entry, size_t *wanted)
{
    (void)wanted;
    kr_buf_addf(data, "%s%s ", entry->path, entry->type == KR_TAR_FOLDER ? "/" : "");
    return true;
}

static void check_list(struct ctx *c, const struct kr_layer *layer, const char *want)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(65536);
    kr_auto_fd int fd = -1;
    uint64_t size;
    struct kr_tar_reader reader = {.data = &names, .entry = note_name};

    assert_int_equal(kr_cache_read(c->cache, layer->digest, &fd, &size, &c->err), 0);
    assert_int_equal(size, layer->size);
    assert_int_equal(kr_tar_read(fd, &reader, &c->err), 0);
    assert_string_equal(kr_buf_str(&names), want);
}

static void test_a_layer_is_made_once(void **state)
{
    struct ctx *c = *state;
    struct kr_layer first, again;
    bool made;

    add(c, "b/c.py", "x", false);
    add(c, "a.py", "y", true);
    add(c, "b-x", "z", false);
    make(c, false, &first, &made);
    assert_true(made);
    make(c, false, &again, &made);
    assert_false(made);
    assert_string_equal(first.digest, again.digest);
    assert_string_equal(first.diff_id, again.diff_id);
    check_list(c, &first, "app/ app/a.py app/b/ app/b-x app/b/c.py ");
    make(c, true, &again, &made);
    assert_true(made);
    assert_string_equal(first.diff_id, again.diff_id);
    assert_string_not_equal(first.digest, again.digest);
    check_list(c, &again, "app/ app/a.py app/b/ app/b-x app/b/c.py ");
}

/* More than one piece of the compressor, and the same tar again. */
static void test_large_layers(void **state)
{
    struct ctx *c = *state;
    size_t n = (size_t)20 << 20;
    kr_auto_free char *noise = kr_malloc(n);
    struct kr_layer one, other;
    bool made;
    uint32_t x = 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        noise[i] = (char)(x >> 30);
    }
    assert_int_equal(kr_files_add_bytes(&c->files, "noise", noise, n, false, &c->err), 0);
    make(c, false, &one, &made);
    make(c, true, &other, &made);
    assert_string_equal(one.diff_id, other.diff_id);
    check_list(c, &one, "app/ app/noise ");
    check_list(c, &other, "app/ app/noise ");
}

static void test_what_decides_about_the_key(void **state)
{
    struct ctx *c = *state;
    char key[7 + KR_SHA256_HEX], other[7 + KR_SHA256_HEX];
    struct kr_tar_part part = {.prefix = "app", .files = &c->files};

    add(c, "a", "x", false);
    kr_tar_key(&part, 1, key);
    part.uid = 1;
    kr_tar_key(&part, 1, other);
    assert_string_not_equal(key, other);
    part.uid = 0;
    part.prefix = "b";
    kr_tar_key(&part, 1, other);
    assert_string_not_equal(key, other);
    part.prefix = "app";
    add(c, "a", "x", true);
    kr_tar_key(&part, 1, other);
    assert_string_not_equal(key, other);
}

static void test_a_file_that_changed(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *disk = kr_path_join(c->dir, "f");
    struct kr_tar_part part = {.prefix = "app", .files = &c->files};
    struct kr_layer layer;
    bool made;

    put(c->dir, "f", "before");
    assert_int_equal(kr_files_add_disk(&c->files, "f", disk, &c->err), 0);
    put(c->dir, "f", "after!");
    assert_int_equal(kr_layer_make(c->cache, &part, 1, false, &layer, &made, &c->err),
                     -KR_E_CONFLICT);
    assert_non_null(strstr(c->err.msg, "changed while it was packed"));
}

static void write_blob(struct ctx *c, const char *text, const char *wanted,
                       char digest[KR_DIGEST_SIZE], int want_rc)
{
    struct kr_cache_writer *w;
    uint64_t size;

    kr_err_clear(&c->err);
    assert_int_equal(kr_cache_writer_open(c->cache, &w, &c->err), 0);
    assert_int_equal(kr_cache_write(w, "junk", 4, &c->err), 0);
    assert_int_equal(kr_cache_rewind(w, &c->err), 0);
    assert_int_equal(kr_cache_write(w, text, strlen(text), &c->err), 0);
    assert_int_equal(kr_cache_publish(w, wanted, digest, &size, &c->err), want_rc);
}

static void test_cache_finds_damage(void **state)
{
    struct ctx *c = *state;
    char digest[KR_DIGEST_SIZE];
    kr_auto_free char *path = NULL, *name = NULL;
    uint64_t size;
    int fd = -1;

    write_blob(c, "hello", "sha256:0000", digest, -KR_E_REMOTE);
    assert_false(kr_cache_has(c->cache, digest, UINT64_MAX));
    write_blob(c, "hello", NULL, digest, 0);
    assert_true(kr_cache_has(c->cache, digest, 5));
    assert_false(kr_cache_has(c->cache, digest, 6));
    name = kr_asprintf("blobs/sha256/%s", digest + 7);
    path = kr_path_join(c->dir, name);
    put(c->dir, name, "hellO");
    assert_true(kr_cache_has(c->cache, digest, 5));
    assert_int_equal(kr_cache_read(c->cache, digest, &fd, &size, &c->err), -KR_E_NOT_FOUND);
    assert_non_null(strstr(c->err.msg, "damaged"));
    assert_false(kr_path_exists(path));
    assert_false(kr_cache_has(c->cache, "../../../etc/passwd", UINT64_MAX));
}

static void test_cache_keeps_its_limit(void **state)
{
    struct ctx *c = *state;
    char old[KR_DIGEST_SIZE], fresh[KR_DIGEST_SIZE];
    kr_auto_free char *path = NULL;
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};

    kr_cache_close(c->cache);
    assert_int_equal(kr_cache_open(c->dir, 8, &c->cache, &c->err), 0);
    write_blob(c, "old", NULL, old, 0);
    path = kr_asprintf("%s/blobs/sha256/%s", c->dir, old + 7);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    write_blob(c, "quite new", NULL, fresh, 0);
    assert_false(kr_cache_has(c->cache, old, UINT64_MAX));
    assert_true(
        kr_cache_has(c->cache, fresh, UINT64_MAX)); /* just used: stays although it is too large */
}

static void test_notes(void **state)
{
    struct ctx *c = *state;
    kr_auto_json json_t *note = json_pack("{s:i}", "x", 1), *back = NULL, *none = NULL;

    kr_cache_set_note(c->cache, "key", note);
    back = kr_cache_note(c->cache, "key");
    none = kr_cache_note(c->cache, "other");
    assert_int_equal(kr_json_int(back, "x", 0), 1);
    assert_null(none);
}

static void test_old_notes_go(void **state)
{
    struct ctx *c = *state;
    struct timespec month[2] = {{time(NULL) - 31 * 86400, 0}, {time(NULL) - 31 * 86400, 0}};
    kr_auto_json json_t *note = json_pack("{s:i}", "x", 1), *old = NULL, *fresh = NULL;
    char hex[KR_SHA256_HEX];
    kr_auto_free char *path = NULL;

    kr_cache_set_note(c->cache, "old", note);
    kr_cache_set_note(c->cache, "fresh", note);
    kr_sha256_hex("old", 3, hex);
    path = kr_asprintf("%s/notes/%s", c->dir, hex);
    assert_int_equal(utimensat(AT_FDCWD, path, month, 0), 0);
    kr_cache_trim(c->cache);
    old = kr_cache_note(c->cache, "old");
    fresh = kr_cache_note(c->cache, "fresh");
    assert_null(old);
    assert_non_null(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_layer_is_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_decides_about_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_finds_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_keeps_its_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_notes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_notes_go, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
