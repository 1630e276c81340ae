/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads against a script: what is sent after which answer. */
#include "fake_http.h"

#include "oci/push.h"

#define DIGEST                                                                                     \
    "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* hello             \
                                                                               */
#define PUT_IT                                                                                     \
    "PUT /up/1?digest=sha256%3A2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HEAD_IT "HEAD /v2/team/x/blobs/" DIGEST

static struct kr_repo *repo_of(struct kr_http *http, const struct kr_repo_auth *auth)
{
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    struct kr_err err = KR_ERR_INIT;
    struct kr_repo *repo = NULL;

    assert_int_equal(kr_ref_parse("r.example/team/x", &ref, &err), 0);
    if (kr_repo_open(http, &ref, auth, true, NULL, &repo, &err) < 0)
        fail_msg("%s", err.msg);
    return repo;
}

static const struct kr_repo_auth stranger = {.anonymous = true};

static int push_hello(struct kr_http *http, struct kr_repo *repo, uint64_t chunk,
                      struct kr_push *push, struct kr_err *err)
{
    struct kr_blob blob = {.digest = DIGEST, .size = 5, .source = KR_BLOB_BYTES, .bytes = "hello"};

    (void)http;
    *push = (struct kr_push){.to = repo, .chunk = chunk};
    return kr_push_blobs(push, &blob, 1, err);
}

static void play(const struct fake_answer *script, size_t n, uint64_t chunk, const char *bodies,
                 const char *error)
{
    struct fake_http fake;
    kr_auto_http struct kr_http *http = fake_open(&fake, script, n);
    kr_auto_repo struct kr_repo *repo = repo_of(http, &stranger);
    kr_auto_buf struct kr_buf sent = KR_BUF_INIT(65536);
    struct kr_err err = KR_ERR_INIT;
    struct kr_push push;
    int rc = push_hello(http, repo, chunk, &push, &err);

    if (error == NULL && rc < 0)
        fail_msg("%s", err.msg);
    if (error != NULL && (rc == 0 || strstr(err.msg, error) == NULL))
        fail_msg("'%s' lacks '%s'", err.msg, error);
    for (size_t i = 0; i < fake.seen_count; i++) {
        if (fake.seen[i].body_len > 0)
            kr_buf_addf(&sent, "%s|", fake.seen[i].body);
    }
    assert_string_equal(kr_buf_str(&sent), bodies);
    fake_done(&fake);
}

#define PLAY(chunk, bodies, error, ...)                                                            \
    do {                                                                                           \
        static const struct fake_answer script_[] = {__VA_ARGS__};                                 \
        play(script_, KR_ARRAY_LEN(script_), chunk, bodies, error);                                \
    } while (0)

#define START                                                                                      \
    {                                                                                              \
        "POST /v2/team/x/blobs/uploads/", 202, "Location: /up/1", ""                               \
    }

static void test_the_plain_ways(void **state)
{
    (void)state;
    PLAY(0, "", NULL, {HEAD_IT, 200, NULL, ""});
    PLAY(0, "hello|", NULL, {HEAD_IT, 404, NULL, ""}, START, {PUT_IT, 201, NULL, ""});
    PLAY(2, "he|ll|o|", NULL, {HEAD_IT, 404, NULL, ""}, START,
         {"PATCH /up/1", 202, "Location: /up/2\nRange: 0-1", ""},
         {"PATCH /up/2", 202, "Location: /up/3\nRange: 0-3", ""},
         {"PATCH /up/3", 202, "Location: /up/1\nRange: 0-4", ""}, {PUT_IT, 201, NULL, ""});
}

static void test_a_lost_answer_is_asked_for(void **state)
{
    (void)state;
    /* all in one, cut after three bytes */
    PLAY(0, "hello|lo|", NULL, {HEAD_IT, 404, NULL, ""}, START,
         {PUT_IT, 0, NULL, "", .failure = KR_HTTP_LOST},
         {"GET /up/1", 204, "Location: /up/9\nRange: 0-2", ""},
         {"PATCH /up/9", 202, "Location: /up/1\nRange: 0-4", ""}, {PUT_IT, 201, NULL, ""});
    /* the blob was stored, only the answer was lost */
    PLAY(0, "hello|", NULL, {HEAD_IT, 404, NULL, ""}, START,
         {PUT_IT, 0, NULL, "", .failure = KR_HTTP_LOST}, {"GET /up/1", 404, NULL, ""},
         {HEAD_IT, 200, NULL, ""});
    /* the registry took less of a chunk than was sent */
    PLAY(3, "hel|ell|lo|", NULL, {HEAD_IT, 404, NULL, ""}, START,
         {"PATCH /up/1", 202, "Location: /up/1\nRange: 0-0", ""},
         {"PATCH /up/1", 0, NULL, "", .failure = KR_HTTP_LOST},
         {"GET /up/1", 204, "Range: 0-2", ""}, {"PATCH /up/1", 202, "Range: 0-4", ""},
         {PUT_IT, 201, NULL, ""});
}

static void test_an_upload_that_is_forgotten_begins_again(void **state)
{
    (void)state;
    PLAY(0, "hello|hello|", NULL, {HEAD_IT, 404, NULL, ""}, START, {PUT_IT, 503, NULL, ""},
         {"GET /up/1", 400, NULL, "{\"errors\":[{\"code\":\"BLOB_UPLOAD_INVALID\"}]}"},
         {HEAD_IT, 404, NULL, ""}, START, {PUT_IT, 201, NULL, ""});
    /* "0-0" may be no byte or one */
    PLAY(0, "hello|hello|", NULL, {HEAD_IT, 404, NULL, ""}, START, {PUT_IT, 500, NULL, ""},
         {"GET /up/1", 204, "Range: 0-0", ""}, {HEAD_IT, 404, NULL, ""}, START,
         {PUT_IT, 201, NULL, ""});
}

/* It takes every chunk, and says each time that it holds what it held before. */
static void test_a_registry_that_keeps_nothing(void **state)
{
#define STUCK                                                                                      \
    {HEAD_IT, 404, NULL, ""}, START, {"PATCH /up/1", 202, "Range: 0-1", ""},                       \
        {"PATCH /up/1", 202, "Range: 0-1", ""}
    (void)state;
    PLAY(2, "he|ll|he|ll|o|", NULL, STUCK, {HEAD_IT, 404, NULL, ""}, START,
         {"PATCH /up/1", 202, "Range: 0-1", ""}, {"PATCH /up/1", 202, "Range: 0-3", ""},
         {"PATCH /up/1", 202, "Range: 0-4", ""}, {PUT_IT, 201, NULL, ""});
    PLAY(2, "he|ll|he|ll|he|ll|he|ll|he|ll|he|ll|", "answered 202", STUCK, STUCK, STUCK, STUCK,
         STUCK, STUCK);
}

static void test_what_cannot_be_mended(void **state)
{
    (void)state;
    PLAY(0, "", "answered 403: DENIED: no", {HEAD_IT, 404, NULL, ""},
         {"POST /v2/team/x/blobs/uploads/", 403, NULL,
          "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}"});
    PLAY(0, "hello|", "stored sha256:2cf24", {HEAD_IT, 404, NULL, ""}, START,
         {PUT_IT, 201, "Docker-Content-Digest: sha256:feed", ""});
    PLAY(0, "", "without saying where", {HEAD_IT, 404, NULL, ""},
         {"POST /v2/team/x/blobs/uploads/", 202, NULL, ""});
    PLAY(0, "", "answered 503", {HEAD_IT, 503, NULL, ""}, {HEAD_IT, 503, NULL, ""},
         {HEAD_IT, 503, NULL, ""}, {HEAD_IT, 503, NULL, ""}, {HEAD_IT, 503, NULL, ""},
         {HEAD_IT, 503, NULL, ""}, {HEAD_IT, 503, NULL, ""});
}

/* The token goes to the registry only; where uploads go is the registry's choice. */
static void test_who_sees_the_token(void **state)
{
    static const struct fake_answer script[] = {
        {HEAD_IT, 401, "WWW-Authenticate: Bearer realm=\"https://auth.example/t\",service=\"s\"",
         ""},
        {"GET auth.example/t?service=s&scope=repository%3Ateam%2Fx%3Apull%2Cpush&account=ann", 200,
         NULL, "{\"token\":\"token-one\"}"},
        {HEAD_IT, 404, NULL, ""},
        {"POST /v2/team/x/blobs/uploads/", 202, "Location: https://store.example/up/1", ""},
        {PUT_IT, 201, NULL, ""},
    };
    struct kr_repo_auth auth = {.user = "ann", .password = "the password"};
    struct fake_http fake;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);
    kr_auto_repo struct kr_repo *repo = repo_of(http, &auth);
    struct kr_err err = KR_ERR_INIT;
    struct kr_push push;

    (void)state;
    if (push_hello(http, repo, 0, &push, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(fake.seen[1].authorization, "Basic YW5uOnRoZSBwYXNzd29yZA==");
    assert_string_equal(fake.seen[2].authorization, "Bearer token-one");
    assert_string_equal(fake.seen[3].authorization, "Bearer token-one");
    assert_string_equal(fake.seen[4].line, "PUT https://store.example/up/1?digest=sha256%3A"
                                           "2cf24dba5fb0a30e26e"
                                           "83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_null(fake.seen[4].authorization);
    fake_done(&fake);
}

static void test_a_token_service_without_encryption(void **state)
{
    static const struct fake_answer script[] = {
        {HEAD_IT, 401, "WWW-Authenticate: Bearer realm=\"http://auth.example/t\"", ""},
    };
    struct kr_repo_auth auth = {.user = "ann", .password = "the password"};
    struct fake_http fake;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);
    kr_auto_repo struct kr_repo *repo = repo_of(http, &auth);
    struct kr_err err = KR_ERR_INIT;
    struct kr_push push;

    (void)state;
    assert_int_equal(push_hello(http, repo, 0, &push, &err), -KR_E_REMOTE);
    assert_non_null(strstr(err.msg, "token service without encryption"));
    fake_done(&fake);
}

static void test_rate_limits_are_explained(void **state)
{
    static const struct fake_answer script[] = {
        {"PUT /v2/team/x/manifests/v1", 429, NULL,
         "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"You have reached your pull rate "
         "limit\"}]}"},
    };
    struct fake_http fake;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);
    kr_auto_repo struct kr_repo *repo = repo_of(http, &stranger);
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    http->policy.attempts = 1;
    assert_int_equal(kr_push_manifest(repo, "v1", "x/y", "{}", 2, &err), -KR_E_REMOTE);
    assert_non_null(strstr(err.msg, "TOOMANYREQUESTS: You have reached your pull rate limit"));
    assert_non_null(strstr(err.hint, "docker login r.example"));
    assert_int_equal(err.http_status, 429);
}

static int push_guessed(const struct fake_answer *script, size_t n, struct kr_blob blob,
                        struct kr_push *push, struct kr_err *err)
{
    struct fake_http fake;
    kr_auto_http struct kr_http *http = fake_open(&fake, script, n);
    kr_auto_repo struct kr_repo *repo = repo_of(http, &stranger);
    int rc;

    *push = (struct kr_push){.to = repo};
    *err = (struct kr_err)KR_ERR_INIT;
    rc = kr_push_image(push, &blob, 1, "v1", "{}", err);
    fake_done(&fake);
    return rc;
}

#define PUT_MANIFEST "PUT /v2/team/x/manifests/v1"
#define UNKNOWN      "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}"

/* What was only thought to be there is asked for as soon as the registry does not take the
 * manifest. */
static void test_guesses_that_do_not_hold(void **state)
{
    static const struct fake_answer right[] = {{PUT_MANIFEST, 201, NULL, ""}};
    static const struct fake_answer wrong[] = {{PUT_MANIFEST, 404, NULL, UNKNOWN},
                                               {HEAD_IT, 404, NULL, ""},
                                               START,
                                               {PUT_IT, 201, NULL, ""},
                                               {PUT_MANIFEST, 201, NULL, ""}};
    static const struct fake_answer again[] = {{PUT_MANIFEST, 400, NULL, UNKNOWN},
                                               {HEAD_IT, 200, NULL, ""},
                                               {PUT_MANIFEST, 400, NULL, UNKNOWN}};
    static const struct fake_answer denied[] = {{PUT_MANIFEST, 403, NULL, ""}};
    static const struct fake_answer made[] = {START,
                                              {PUT_IT, 201, NULL, ""},
                                              {PUT_MANIFEST, 404, NULL, UNKNOWN},
                                              {HEAD_IT, 200, NULL, ""},
                                              {PUT_MANIFEST, 201, NULL, ""}};
    static const struct fake_answer asked[] = {{HEAD_IT, 200, NULL, ""},
                                               {PUT_MANIFEST, 404, NULL, UNKNOWN}};
    struct kr_blob blob = {.digest = DIGEST,
                           .size = 5,
                           .source = KR_BLOB_BYTES,
                           .bytes = "hello",
                           .guess = KR_BLOB_KNOWN};
    struct kr_push push;
    struct kr_err err;

    (void)state;
    assert_int_equal(push_guessed(right, KR_ARRAY_LEN(right), blob, &push, &err), 0);
    assert_true(push.there == 1 && push.sent == 0);
    assert_int_equal(push_guessed(wrong, KR_ARRAY_LEN(wrong), blob, &push, &err), 0);
    assert_true(push.there == 0 && push.sent == 1 && push.bytes_sent == 5);
    assert_int_equal(push_guessed(again, KR_ARRAY_LEN(again), blob, &push, &err), -KR_E_REMOTE);
    assert_non_null(strstr(err.msg, "MANIFEST_BLOB_UNKNOWN"));
    assert_int_equal(push_guessed(denied, KR_ARRAY_LEN(denied), blob, &push, &err), -KR_E_AUTH);
    blob.guess = KR_BLOB_NEW;
    assert_int_equal(push_guessed(made, KR_ARRAY_LEN(made), blob, &push, &err), 0);
    assert_true(push.there == 0 && push.sent == 1);
    blob.guess = KR_BLOB_ASK;
    assert_int_equal(push_guessed(asked, KR_ARRAY_LEN(asked), blob, &push, &err), -KR_E_NOT_FOUND);
    assert_int_equal(err.http_status, 404);
}

/* Only a small one is sent unasked. */
static void test_a_large_new_blob_is_asked_for(void **state)
{
    static const struct fake_answer script[] = {{HEAD_IT, 200, NULL, ""},
                                                {PUT_MANIFEST, 201, NULL, ""}};
    struct kr_blob blob = {.digest = DIGEST,
                           .size = 1 << 20,
                           .source = KR_BLOB_BYTES,
                           .bytes = "hello",
                           .guess = KR_BLOB_NEW};
    struct kr_push push;
    struct kr_err err;

    (void)state;
    assert_int_equal(push_guessed(script, KR_ARRAY_LEN(script), blob, &push, &err), 0);
    assert_true(push.there == 1 && push.bytes_sent == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_plain_ways),
        cmocka_unit_test(test_a_lost_answer_is_asked_for),
        cmocka_unit_test(test_an_upload_that_is_forgotten_begins_again),
        cmocka_unit_test(test_a_registry_that_keeps_nothing),
        cmocka_unit_test(test_what_cannot_be_mended),
        cmocka_unit_test(test_who_sees_the_token),
        cmocka_unit_test(test_a_token_service_without_encryption),
        cmocka_unit_test(test_rate_limits_are_explained),
        cmocka_unit_test(test_guesses_that_do_not_hold),
        cmocka_unit_test(test_a_large_new_blob_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
