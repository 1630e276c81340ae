/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#define USER(auth)                                                                                 \
    "{\"type\":\"user\",\"name\":\"alice\",\"isPro\":true,\"canPay\":false,\"orgs\":["             \
    "{\"name\":\"acme\",\"roleInOrg\":\"write\",\"plan\":\"team\",\"securityRestrictions\":[]},"   \
    "{\"name\":\"corp\",\"roleInOrg\":\"admin\",\"securityRestrictions\":[\"sso\",\"ip\"]},"       \
    "{\"name\":\"club\",\"roleInOrg\":\"read\"},{\"fullname\":7},null],\"auth\":" auth "}"
#define ROLE(role)                                                                                 \
    USER("{\"type\":\"access_token\",\"accessToken\":{\"displayName\":\"deploy\",\"role\":\"" role \
         "\"}}")

static void test_write_token(void **state)
{
    static const struct fake_answer script[] = {
        {"GET http://hub/api/whoami-v2", 200, "X-HF-Warning: Topic; be careful", ROLE("write")}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    const struct kr_account *a, *again;

    (void)state;
    WORKS(kr_hub_whoami(hub, &a, err));
    WORKS(kr_hub_whoami(hub, &again, err));
    assert_ptr_equal(a, again);
    assert_string_equal(a->name, "alice");
    assert_true(a->is_pro);
    assert_int_equal(a->kind, KR_TOKEN_WRITE);
    assert_int_equal(a->org_count, 3);
    assert_string_equal(a->orgs[0].plan, "team");
    assert_string_equal(a->orgs[1].restrictions, "sso, ip");
    assert_string_equal(fake.http.seen[0].authorization, "Bearer hf_secret_token_1");
    assert_non_null(strstr(fake.http.seen[0].headers, "X-Amzn-Trace-Id: "));
    assert_string_equal(kr_buf_str(&fake.notes), "! the Hub says: be careful\n");
    WORKS(kr_account_check_write(a, "Alice/x", err));
    WORKS(kr_account_check_write(a, "acme/x", err));
    FAILS(kr_account_check_write(a, "corp/x", err), KR_E_AUTH,
          "does not let this token in: sso, ip");
    FAILS(kr_account_check_write(a, "club/x", err), KR_E_AUTH,
          "may only read in organization club");
    FAILS(kr_account_check_write(a, "bob/x", err), KR_E_AUTH, "neither the account alice nor one");
    fake_hub_close(&fake);
}

static void check_kind(const char *body, enum kr_token_kind kind, const char *space,
                       const char *refusal)
{
    const struct fake_answer script[] = {{"GET /api/whoami-v2", 200, NULL, body}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    const struct kr_account *a;

    WORKS(kr_hub_whoami(hub, &a, err));
    assert_int_equal(a->kind, kind);
    if (refusal == NULL)
        WORKS(kr_account_check_write(a, space, err));
    else
        FAILS(kr_account_check_write(a, space, err), KR_E_AUTH, refusal);
    fake_hub_close(&fake);
}

#define FINE(scopes)                                                                               \
    USER("{\"type\":\"access_token\",\"accessToken\":{\"displayName\":\"ci\",\"role\":"            \
         "\"fineGrained\","                                                                        \
         "\"fineGrained\":{\"scoped\":" scopes "}}}")
#define SCOPE(type, name, permission)                                                              \
    "[{\"entity\":{\"type\":\"" type "\",\"name\":\"" name "\"},\"permissions\":[\"" permission    \
    "\"]}]"

static void test_kinds(void **state)
{
    (void)state;
    check_kind(ROLE("read"), KR_TOKEN_READ, "alice/x", "the token 'deploy' of alice is read-only");
    check_kind(ROLE("god"), KR_TOKEN_WRITE, "alice/x", NULL);
    check_kind(USER("{\"type\":\"oauth\",\"expiresAt\":\"2026-10-22T06:04:28.000Z\"}"),
               KR_TOKEN_OAUTH, "alice/x", NULL);
    check_kind(USER("7"), KR_TOKEN_UNKNOWN, "alice/x", NULL);
    check_kind(FINE(SCOPE("user", "alice", "repo.write")), KR_TOKEN_FINE, "alice/x", NULL);
    check_kind(FINE(SCOPE("space", "alice/x", "repo.write")), KR_TOKEN_FINE, "alice/x", NULL);
    check_kind(FINE(SCOPE("space", "alice/y", "repo.write")), KR_TOKEN_FINE, "alice/x",
               "the fine-grained token 'ci' may not write to alice/x");
    check_kind(FINE(SCOPE("user", "alice", "repo.content.read")), KR_TOKEN_FINE, "alice/x",
               "may not write");
    check_kind(FINE("[1,{\"entity\":3,\"permissions\":{}},{\"permissions\":[null]}]"),
               KR_TOKEN_FINE, "alice/x", "may not write");
    check_kind(FINE("{\"a\":1}"), KR_TOKEN_FINE, "alice/x", "may not write");
}

static void test_answers_that_make_no_sense(void **state)
{
    static const struct fake_answer script[] = {{"GET /api/whoami-v2", 200, NULL, "[]"},
                                                {"GET /api/whoami-v2", 200, NULL, "{\"name\":5}"},
                                                {"GET /api/whoami-v2", 200, NULL, "<html>hello"},
                                                {"GET /api/whoami-v2", 200, NULL, ""},
                                                {"GET /api/whoami-v2", 200, NULL, "\"text\""}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    const struct kr_account *a;

    (void)state;
    FAILS(kr_hub_whoami(hub, &a, err), KR_E_REMOTE, "has no \"name\"");
    FAILS(kr_hub_whoami(hub, &a, err), KR_E_REMOTE, "has no \"name\"");
    FAILS(kr_hub_whoami(hub, &a, err), KR_E_REMOTE, "it begins: <html>hello");
    FAILS(kr_hub_whoami(hub, &a, err), KR_E_REMOTE, "is not valid JSON");
    FAILS(kr_hub_whoami(hub, &a, err), KR_E_REMOTE, "the answer is a string");
    fake_hub_close(&fake);
}

static void test_no_token(void **state)
{
    static const struct fake_answer none[1];
    struct fake_hub fake;
    struct kr_hub *hub = fake_hub_open(&fake, none, 0, NULL);
    const struct kr_account *a;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_hub_whoami(hub, &a, &err), -KR_E_AUTH);
    assert_string_equal(err.msg, "there is no Hub token");
    assert_non_null(strstr(err.hint, "HF_HUB_DISABLE_IMPLICIT_TOKEN is set"));
    fake_hub_close(&fake);
}

static void test_ids(void **state)
{
    static const char *const bad[] = {"",      "name",        "/x",     "a/",     "a/b/c",
                                      "a/-b",  "a/b.",        "a/b--c", "a/b..c", "a/b.git",
                                      "a/b c", "a/b\xc3\xa9", ".a/b",   "a/b%"};
    char longest[256];

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++)
        FAILS(kr_space_id_check(bad[i], err), KR_E_INVALID, "is not a name for a Space");
    WORKS(kr_space_id_check("alice/zenml-my_Model.2", err));
    WORKS(kr_space_id_check("a/git", err));
    (void)snprintf(longest, sizeof(longest), "a/%096d", 1);
    WORKS(kr_space_id_check(longest, err));
    (void)snprintf(longest, sizeof(longest), "a/%097d", 1);
    FAILS(kr_space_id_check(longest, err), KR_E_INVALID, "at most 96 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_token),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_answers_that_make_no_sense),
        cmocka_unit_test(test_no_token),
        cmocka_unit_test(test_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
