/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "base/path.h"
#include "hub/push.h"

#include <stdio.h>

#define BATCH "POST http://hub/spaces/a/b.git/info/lfs/objects/batch"

static char folder[] = "/tmp/kr-lfs-XXXXXX";
static struct kr_files files;

static int set_up(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *path = kr_path_join(folder, "big");

    (void)state;
    kr_files_finish(&files);
    if (kr_file_write_atomic(path, "0123456789", 10, 0600, &err) < 0 ||
        kr_files_add_bytes(&files, "a.bin", "abc", 3, false, &err) < 0 ||
        kr_files_add_disk(&files, "big.bin", path, &err) < 0 ||
        kr_files_add_bytes(&files, "copy.bin", "abc", 3, false, &err) < 0)
        return -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kr_files_finish(&files);
    return 0;
}

static int upload(struct kr_hub *hub, uint64_t *sent, struct kr_err *err)
{
    const struct kr_file *list[] = {&files.v[0], &files.v[1], &files.v[2]};

    *sent = 0;
    return kr_lfs_upload(hub, "a/b", list, 3, sent, err);
}

/* Answer of the batch for "abc" and the file of ten bytes. */
static char *batch(const char *abc, const char *big)
{
    return kr_asprintf("{\"transfer\":\"basic\",\"objects\":[{\"oid\":\"%s\",\"size\":3%s},"
                       "{\"oid\":\"%s\",\"size\":10%s}]}",
                       files.v[0].sha256, abc, files.v[1].sha256, big);
}

#define BASIC(url)                                                                                 \
    ",\"actions\":{\"upload\":{\"href\":\"" url "\",\"header\":null},\"verify\":{\"href\":"        \
    "\"https://huggingface.co/spaces/a/b.git/info/lfs/objects/verify\"}}"
#define PARTS(count_and_urls)                                                                      \
    ",\"actions\":{\"upload\":{\"href\":\"https://huggingface.co/api/complete?id=1\",\"header\":"  \
    "{\"chunk_size\":\"4\"," count_and_urls "}}}"
#define GOOD_PARTS                                                                                 \
    PARTS("\"00003\":\"https://store/p3\",\"00001\":\"https://store/p1\",\"2\":\"https://store/"   \
          "p2\"")
#define VERIFY "POST http://hub/spaces/a/b.git/info/lfs/objects/verify"

static void test_basic_dedupe_and_verify(void **state)
{
    kr_auto_free char *answer = batch(BASIC("https://store/put?sig=1"), "");
    const struct fake_answer script[] = {{BATCH, 200, NULL, answer},
                                         {"PUT https://store/put?sig=1", 200, NULL, ""},
                                         {VERIFY, 200, NULL, "{}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    uint64_t sent;

    (void)state;
    WORKS(upload(hub, &sent, err));
    assert_int_equal(sent, 3);
    assert_string_equal(fake.http.seen[1].body, "abc");
    assert_string_equal(fake.http.seen[1].headers, "");
    assert_null(fake.http.seen[1].authorization);
    assert_non_null(fake.http.seen[2].authorization);
    assert_non_null(strstr(fake.http.seen[0].headers, "Accept: application/vnd.git-lfs+json\n"));
    assert_non_null(
        strstr(fake.http.seen[0].headers, "Content-Type: application/vnd.git-lfs+json\n"));
    assert_non_null(strstr(fake.http.seen[0].body, "\"transfers\":[\"basic\",\"multipart\"]"));
    assert_non_null(strstr(fake.http.seen[2].body, "\"size\":3"));
    fake_hub_close(&fake);
}

static void test_multipart(void **state)
{
    kr_auto_free char *answer = batch("", GOOD_PARTS);
    const struct fake_answer script[] = {{BATCH, 200, NULL, answer},
                                         {"PUT https://store/p1", 200, "ETag: \"e1\"", ""},
                                         {"PUT https://store/p2", 503, NULL, ""},
                                         {"PUT https://store/p3", 200, "ETag: \"e3\"", ""},
                                         {"PUT https://store/p2", 200, "ETag: \"e2\"", ""},
                                         {"POST http://hub/api/complete?id=1", 200, NULL, ""}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    uint64_t sent;

    (void)state;
    WORKS(upload(hub, &sent, err));
    assert_int_equal(sent, 10);
    assert_int_equal(fake.http.most_live, 3);
    assert_string_equal(fake.http.seen[1].body, "0123");
    assert_string_equal(fake.http.seen[2].body, "4567");
    assert_string_equal(fake.http.seen[3].body, "89");
    assert_string_equal(fake.http.seen[4].body, "4567");
    assert_null(fake.http.seen[5].authorization);
    assert_non_null(strstr(fake.http.seen[5].body,
                           "\"parts\":[{\"etag\":\"\\\"e1\\\"\",\"partNumber\":1},"
                           "{\"etag\":\"\\\"e2\\\"\",\"partNumber\":2},"
                           "{\"etag\":\"\\\"e3\\\"\",\"partNumber\":3}]"));
    fake_hub_close(&fake);
}

static void fails(const char *abc, const char *big, const struct fake_answer *more, size_t n,
                  enum kr_code code, const char *needle)
{
    kr_auto_free char *answer = batch(abc, big);
    struct fake_answer script[8] = {{BATCH, 200, NULL, answer}};
    struct fake_hub fake;
    struct kr_hub *hub;
    uint64_t sent;

    for (size_t i = 0; i < n; i++)
        script[i + 1] = more[i];
    hub = fake_hub_open(&fake, script, n + 1, "hf_secret_token_1");
    FAILS(upload(hub, &sent, err), code, needle);
    fake_hub_close(&fake);
}

/* A store that is busy is asked again after the usual wait, not at once. */
static void test_busy_store_is_given_time(void **state)
{
    static const int statuses[] = {502, 503, 504, 429};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(statuses); i++) {
        kr_auto_free char *answer = batch(BASIC("https://store/put?sig=1"), "");
        const struct fake_answer script[] = {
            {BATCH, 200, NULL, answer},
            {"PUT https://store/put?sig=1", statuses[i], NULL, ""},
            {"PUT https://store/put?sig=1", statuses[i], "Retry-After: 7", ""},
            {"PUT https://store/put?sig=1", 200, NULL, ""},
            {VERIFY, 200, NULL, "{}"}};
        struct fake_hub fake;
        struct kr_hub *hub = FAKE_HUB(&fake, script);
        uint64_t sent;

        WORKS(upload(hub, &sent, err));
        assert_true(fake.http.slept >= 500 + 7000);
        fake_hub_close(&fake);
    }
}

static void test_faults(void **state)
{
    static const struct fake_answer no_etag[] = {{"PUT /p1", 200, NULL, ""},
                                                 {"PUT /p2", 200, "ETag: ", ""},
                                                 {"PUT /p3", 200, "ETag: x", ""}};

    (void)state;
    fails(",\"error\":{\"code\":422,\"message\":\"too odd\"}", "", NULL, 0, KR_E_REMOTE,
          "upload of a.bin: the Hub refuses it: too odd (422)");
    fails("", PARTS("\"1\":\"https://store/p1\""), NULL, 0, KR_E_REMOTE,
          "gave 1 parts where 3 are needed");
    fails("", PARTS("\"1\":\"u\",\"2\":\"u\",\"4\":\"u\""), NULL, 0, KR_E_REMOTE,
          "no address for part 3");
    fails("", ",\"actions\":{\"upload\":{\"href\":\"h\",\"header\":{\"chunk_size\":\"0\"}}}", NULL,
          0, KR_E_REMOTE, "gave chunk_size '0'");
    fails("", ",\"actions\":{\"upload\":{}}", NULL, 0, KR_E_REMOTE, "gave no address");
    fails("", GOOD_PARTS, no_etag, 3, KR_E_REMOTE, "the store gave no ETag for part 1");
}

static void test_expired_address_is_asked_for_again(void **state)
{
    kr_auto_free char *first = batch(BASIC("https://store/old"), "");
    kr_auto_free char *second = batch(BASIC("https://store/new"), "");
    const struct fake_answer script[] = {
        {BATCH, 200, NULL, first},
        {"PUT https://store/old", 403, NULL, "<Error><Code>Expired</Code></Error>"},
        {BATCH, 200, NULL, second},
        {"PUT https://store/new", 201, NULL, ""},
        {VERIFY, 200, NULL, ""},
        /* refused for good */
        {BATCH, 200, NULL, first},
        {"PUT https://store/old", 403, NULL, "Expired"},
        {BATCH, 200, NULL, first},
        {"PUT https://store/old", 403, NULL, "Expired"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    uint64_t sent;

    (void)state;
    WORKS(upload(hub, &sent, err));
    FAILS(upload(hub, &sent, err), KR_E_REMOTE, "upload of a.bin: store answered 403: Expired");
    fake_hub_close(&fake);
}

static void test_lost_completion(void **state)
{
    kr_auto_free char *first = batch("", GOOD_PARTS);
    kr_auto_free char *second = batch("", "");
    const struct fake_answer script[] = {
        {BATCH, 200, NULL, first},
        {"PUT https://store/p1", 200, "ETag: 1", ""},
        {"PUT https://store/p2", 200, "ETag: 2", ""},
        {"PUT https://store/p3", 200, "ETag: 3", ""},
        {"POST http://hub/api/complete?id=1", 0, NULL, "", KR_HTTP_LOST},
        {"POST http://hub/api/complete?id=1", 400, NULL, "{\"error\":\"NoSuchUpload\"}"},
        {BATCH, 200, NULL, second}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    uint64_t sent;

    (void)state;
    WORKS(upload(hub, &sent, err));
    fake_hub_close(&fake);
}

static void test_file_that_changes(void **state)
{
    kr_auto_free char *answer = batch("", BASIC("https://store/x"));
    const struct fake_answer script[] = {{BATCH, 200, NULL, answer}};
    kr_auto_free char *path = kr_path_join(folder, "big");
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    uint64_t sent;

    (void)state;
    WORKS(kr_file_write_atomic(path, "short", 5, 0600, err));
    FAILS(upload(hub, &sent, err), KR_E_INVALID, "has changed while it was being deployed");
    fake_hub_close(&fake);
}

static int remove_folder(void **state)
{
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    return kr_remove_tree(folder, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_basic_dedupe_and_verify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_multipart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_busy_store_is_given_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expired_address_is_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_completion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_that_changes, set_up, tear_down),
    };

    if (mkdtemp(folder) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
