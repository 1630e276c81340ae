/* SPDX-License-Identifier: Apache-2.0 */
/* Every class of refusal becomes one line and a next step. */
#include "fake_hub.h"

#include "hub/hub_impl.h"

struct row {
    int status;
    const char *headers, *body;
    bool barred;
    enum kr_code code;
    const char *msg;  /* part of the message */
    const char *hint; /* part of the hint, or NULL: none needed */
};

#define ID          "X-Request-Id: Root=1-aa-bb;cc"
#define ERROR(text) "{\"error\":\"" text "\"}"

static const struct row rows[] = {
    {400, ID, ERROR("bad enum"), false, KR_E_INVALID,
     "try it: bad enum (status 400, request Root=1-aa-bb;cc)", NULL},
    {400, NULL, "{\"errors\":[{\"message\":\"colour\"},{\"message\":\"sdk\"}]}", false,
     KR_E_INVALID, "try it: colour; sdk (status 400)", NULL},
    {400, NULL, "{\"error\":[\"a\",\"b\"]}", false, KR_E_INVALID, "try it: a; b (", NULL},
    {400, NULL, "{\"error\":{\"code\":7,\"message\":\"deep\"}}", false, KR_E_INVALID, "deep", NULL},
    {400, NULL, "{\"message\":\"js form\"}", false, KR_E_INVALID, "js form", NULL},
    {400, NULL, "{\"error\":\"code\",\"error_description\":\"text\"}", false, KR_E_INVALID,
     "code; text", NULL},
    {400, "X-Error-Message: from header", "", false, KR_E_INVALID, "from header", NULL},
    {400, NULL, "", false, KR_E_INVALID, "the Hub gave no reason", NULL},
    {400, NULL, "plain\ttext\x1b[31m", false, KR_E_INVALID, "plain text [31m", NULL},
    {400, NULL, "{\"error\":{\"x\":[1,2,[3]]},\"errors\":5}", false, KR_E_INVALID, "try it: {",
     NULL},
    {401, NULL, ERROR("Invalid credentials in Authorization header"), false, KR_E_AUTH,
     "Invalid credentials", "the token of the deployer is wrong, expired or deleted"},
    {401, NULL, ERROR("Invalid username or password."), true, KR_E_AUTH, "Invalid username",
     "tokens of `hf auth login` cannot restart Spaces"},
    {401, NULL, ERROR("Invalid username or password."), false, KR_E_AUTH, "Invalid username",
     "did not accept the token"},
    {402, NULL,
     ERROR("Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on "
           "free cpu-basic requires a PRO subscription."),
     false, KR_E_PLAN, "requires a PRO subscription", "http://hub/pro"},
    {402, NULL, ERROR("Without a PRO subscription, you can't downgrade this Space to cpu-basic."),
     false, KR_E_PLAN, "downgrade", "keep the paid hardware"},
    {402, NULL, ERROR("pay"), false, KR_E_PLAN, "pay", "settings/billing"},
    {403, NULL, ERROR("You don't have the rights to create a space under the namespace \\\"x\\\""),
     false, KR_E_AUTH, "under the namespace \"x\"", "setting organization"},
    {403, NULL, ERROR("no rights under this namespace"), false, KR_E_AUTH, "this namespace",
     "setting organization"},
    {403, NULL, ERROR("Your token has been revoked by the organization administrator"), false,
     KR_E_AUTH, "revoked", "an administrator of the organization revoked"},
    {403, NULL, ERROR("You must add a payment method to your account to upgrade"), false, KR_E_PLAN,
     "payment", "add a payment method at http://hub/settings/billing"},
    {403, NULL, ERROR("You've reached your cpu-basic quota limit"), false, KR_E_PLAN, "quota",
     "pause or delete other Spaces"},
    {403, NULL, ERROR("Repository storage limit reached (Max: 1 GB)"), false, KR_E_PLAN, "1 GB",
     "squash the history"},
    {403, NULL, ERROR("Access to this resource is disabled."), false, KR_E_AUTH, "disabled",
     "has disabled this repository"},
    {403, "Content-Type: text/html", "<html><head><title>403 ERROR</title>", false, KR_E_REMOTE,
     "a web page instead of an answer (403 ERROR)", "something between here and the Hub"},
    {403, NULL, ERROR("Forbidden"), false, KR_E_AUTH, "Forbidden", "check role and scopes"},
    {404, "X-Error-Code: RepoNotFound", ERROR("Repository not found"), false, KR_E_NOT_FOUND,
     "Repository not found", "it does not exist, was renamed, or the token"},
    {404, "X-Error-Code: EntryNotFound", "Entry not found", false, KR_E_NOT_FOUND,
     "Entry not found", NULL},
    {404, "X-Error-Code: RevisionNotFound", ERROR("Invalid rev id: xyz"), false, KR_E_NOT_FOUND,
     "Invalid rev id", NULL},
    {409, NULL, ERROR("You already created this space repo"), false, KR_E_EXISTS, "already", NULL},
    {409, NULL, ERROR("another conflicting operation is in progress"), false, KR_E_CONFLICT,
     "in progress", "try again"},
    {412, NULL, ERROR("A commit has happened since."), false, KR_E_CONFLICT, "happened since",
     "run the command again"},
    {413, NULL, "too many parameters", false, KR_E_LIMIT, "too many parameters", ".kourouignore"},
    {422, NULL, ERROR("path"), false, KR_E_INVALID, "path", NULL},
    {429, "RateLimit: \"api\";r=0;t=400", ERROR("We had to rate limit you"), false, KR_E_PLAN,
     "rate limit", "takes the next one in 401 s"},
    {429, "RateLimit: \"api\";r=7;t=40", ERROR("hourly quotas for action: commit"), false,
     KR_E_PLAN, "hourly quotas", "a quota on such actions"},
    {307, "Location: ftp://x", "", false, KR_E_CONFLICT, "status 307", "renamed or moved"},
    {501, NULL, "", false, KR_E_REMOTE, "status 501", "passing fault"},
    {418, NULL, "", false, KR_E_REMOTE, "status 418", NULL},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        const struct fake_answer script[] = {{"GET /api/x", r->status, r->headers, r->body}};
        struct kr_hub_call call = {.doing = "try it",
                                   .method = "GET",
                                   .path = "/api/x",
                                   .space = "a/b",
                                   .oauth_barred = r->barred};
        struct kr_err err = KR_ERR_INIT;
        struct fake_hub fake;
        struct kr_hub *hub = FAKE_HUB(&fake, script);
        int rc = kr_hub_json(hub, &call, NULL, &err);

        if (rc != -(int)r->code || strstr(err.msg, r->msg) == NULL ||
            (r->hint != NULL && strstr(err.hint, r->hint) == NULL) ||
            err.http_status != r->status || strchr(err.msg, '\x1b') != NULL)
            fail_msg("row %zu: %s: %s (%s)", i, kr_code_name(err.code), err.msg, err.hint);
        fake_hub_close(&fake);
    }
}

static void test_read_only_token_is_named(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /api/whoami-v2", 200, NULL,
         "{\"name\":\"alice\",\"auth\":{\"accessToken\":{\"role\":\"read\"}}}"},
        {"GET /api/x", 403, NULL, "{\"error\":\"Forbidden\"}"}};
    struct kr_hub_call call = {.doing = "try it", .method = "GET", .path = "/api/x"};
    struct kr_err e = KR_ERR_INIT;
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    const struct kr_account *a;

    (void)state;
    WORKS(kr_hub_whoami(hub, &a, err));
    assert_int_equal(kr_hub_json(hub, &call, NULL, &e), -KR_E_AUTH);
    assert_non_null(strstr(e.hint, "is read-only"));
    fake_hub_close(&fake);
}

static void test_token_is_blanked(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /api/x", 400, NULL, "{\"error\":\"do not send hf_secret_token_1 here\"}"}};
    struct kr_hub_call call = {.doing = "try it", .method = "GET", .path = "/api/x"};
    struct kr_err err = KR_ERR_INIT;
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    assert_int_equal(kr_hub_json(hub, &call, NULL, &err), -KR_E_INVALID);
    assert_null(strstr(err.msg, "hf_secret"));
    assert_non_null(strstr(err.msg, "***"));
    fake_hub_close(&fake);
}

static void test_passing_fault_and_wait(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /api/x", 503, NULL, "<html><title>Sorry</title>"},
        {"GET /api/x", 503, NULL, ""},
        {"GET /api/x", 503, NULL, ""},
        {"GET /api/x", 503, NULL, ""},
        {"GET /api/x", 503, NULL, ""},
        {"GET /api/x", 502, "Content-Type: text/html", "<title>Bad gateway</title>"}};
    struct kr_hub_call call = {.doing = "try it", .method = "GET", .path = "/api/x"};
    struct kr_err err = KR_ERR_INIT;
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    assert_int_equal(kr_hub_json(hub, &call, NULL, &err), -KR_E_REMOTE);
    assert_string_equal(err.msg,
                        "try it: a web page instead of an answer (Bad gateway) (status 502)");
    assert_string_equal(err.hint,
                        "a passing fault of the Hub, tried several times: run the command "
                        "again");
    fake_hub_close(&fake);
}

static void test_rehost(void **state)
{
    static const struct fake_answer none[1];
    struct fake_hub fake;
    struct kr_hub *hub = fake_hub_open(&fake, none, 0, NULL);
    kr_auto_free char *a = kr_hub_rehost(hub, "https://huggingface.co/spaces/a/b?c");
    kr_auto_free char *b = kr_hub_rehost(hub, "https://huggingface.co.evil.org/x");
    kr_auto_free char *c = kr_hub_rehost(hub, "https://s3/x");

    (void)state;
    assert_string_equal(a, "http://hub/spaces/a/b?c");
    assert_string_equal(b, "https://huggingface.co.evil.org/x");
    assert_string_equal(c, "https://s3/x");
    fake_hub_close(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_read_only_token_is_named),
        cmocka_unit_test(test_token_is_blanked),
        cmocka_unit_test(test_passing_fault_and_wait),
        cmocka_unit_test(test_rehost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
