/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "base/path.h"
#include "base/view.h"

#include <stdio.h>

static char home[] = "/tmp/kr-token-XXXXXX";

static void clear(void)
{
    static const char *const names[] = {"HF_TOKEN",
                                        "HUGGING_FACE_HUB_TOKEN",
                                        "HF_TOKEN_PATH",
                                        "HF_HOME",
                                        "XDG_CACHE_HOME",
                                        "HF_OIDC_RESOURCE",
                                        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
                                        "HF_OIDC_ID_TOKEN",
                                        "ACTIONS_ID_TOKEN_REQUEST_URL",
                                        "HF_HUB_OFFLINE",
                                        "HF_ENDPOINT",
                                        "HUGGINGFACE_CO_STAGING",
                                        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
                                        "HF_HUB_USER_AGENT_ORIGIN"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++)
        (void)unsetenv(names[i]);
    (void)setenv("HOME", home, 1);
}

static int set_up(void **state)
{
    (void)state;
    clear();
    return 0;
}

static void put(const char *name, const char *text)
{
    kr_auto_free char *path = kr_path_join(home, name), *dir = kr_strdup(path);

    *strrchr(dir, '/') = '\0';
    WORKS(kr_mkdir_p(dir, 0700, err));
    WORKS(kr_file_write_atomic(path, text, strlen(text), 0600, err));
}

static void finds(const char *want, const char *source_end)
{
    kr_auto_free char *token = NULL, *source = NULL;

    WORKS(kr_hub_token_find(&token, &source, err));
    if (want == NULL) {
        assert_null(token);
        assert_null(source);
        return;
    }
    assert_non_null(token);
    assert_string_equal(token, want);
    assert_true(kr_ends_with(source, source_end));
}

static void test_order(void **state)
{
    (void)state;
    finds(NULL, NULL);
    put(".cache/huggingface/token", "  hf_cache\r\n");
    finds("hf_cache", "/.cache/huggingface/token");
    put("xdg/huggingface/token", "hf_xdg");
    (void)setenv("XDG_CACHE_HOME", "~/xdg", 1);
    finds("hf_xdg", "/xdg/huggingface/token");
    put("hfhome/token", "hf_home\n");
    (void)setenv("HF_HOME", "~/hfhome", 1);
    finds("hf_home", "/hfhome/token");
    put("named", "hf_named");
    (void)setenv("HF_TOKEN_PATH", "~/named", 1);
    finds("hf_named", "/named");
    (void)setenv("HUGGING_FACE_HUB_TOKEN", "hf_legacy", 1);
    finds("hf_legacy", "HUGGING_FACE_HUB_TOKEN");
    (void)setenv("HF_TOKEN", " hf_\nenv \r\n", 1);
    finds("hf_env", "HF_TOKEN");
    (void)setenv("HF_TOKEN", "", 1);
    finds("hf_legacy", "HUGGING_FACE_HUB_TOKEN");
    (void)setenv("HF_TOKEN", " \n", 1);
    finds("hf_named", "/named");
    put("named", "\n");
    finds(NULL, NULL);
    (void)setenv("HF_TOKEN", "hf_env", 1);
    (void)setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes", 1);
    finds(NULL, NULL);
}

static void test_bad_tokens(void **state)
{
    char *token, *source;

    (void)state;
    (void)setenv("HF_TOKEN", "api_org_abcdef", 1);
    FAILS(kr_hub_token_find(&token, &source, err), KR_E_AUTH, "organization API token");
    assert_null(token);
    (void)setenv("HF_TOKEN", "hf_a b", 1);
    FAILS(kr_hub_token_find(&token, &source, err), KR_E_AUTH, "characters that no token has");
}

static void test_expired_login(void **state)
{
    char *token = NULL, *source = NULL;

    (void)state;
    (void)setenv("HF_HOME", home, 1);
    put("token", "hf_oauth_new");
    put("stored_tokens", "[work]\nhf_token = hf_other\nexpires_at = 5\n\n"
                         "[laptop]\nhf_token=hf_oauth_new\nexpires_at=1700000000.5\n");
    FAILS(kr_hub_token_find(&token, &source, err), KR_E_AUTH,
          "the stored Hub login 'laptop' expired at 2023-11-14T22:13:20");
    put("stored_tokens", "[laptop]\nhf_token = hf_oauth_new\nexpires_at = 4102444800\n");
    finds("hf_oauth_new", "/token");
    put("stored_tokens", "[laptop]\nhf_token = hf_oauth_new\nexpires_at = 1700000000\n"
                         "refresh_token = rrrrrrrr\n"); /* can be refreshed */
    finds("hf_oauth_new", "/token");
    put("stored_tokens", "not [an ini = file");
    finds("hf_oauth_new", "/token");
}

static void test_endpoint_and_offline(void **state)
{
    static const struct fake_answer none[1];
    struct fake_http fake;
    struct kr_hub_options options = {.token = "  hf_given_1 \n"};
    struct kr_hub *hub = NULL;
    const struct kr_account *account;

    (void)state;
    (void)setenv("HF_ENDPOINT", "http://127.0.0.1:8/hub///", 1);
    (void)setenv("HF_HUB_OFFLINE", "1", 1);
    options.http = fake_open(&fake, none, 0);
    WORKS(kr_hub_open(&options, &hub, err));
    assert_string_equal(kr_hub_endpoint(hub), "http://127.0.0.1:8/hub");
    assert_string_equal(kr_hub_token(hub), "hf_given_1");
    FAILS(kr_hub_whoami(hub, &account, err), KR_E_NETWORK, "HF_HUB_OFFLINE is set");
    kr_hub_close(hub);
    (void)setenv("HF_ENDPOINT", "127.0.0.1:8", 1);
    options.http = fake_open(&fake, none, 0);
    FAILS(kr_hub_open(&options, &hub, err), KR_E_INVALID, "is not an address of a Hub");
    (void)unsetenv("HF_ENDPOINT");
    options.http = fake_open(&fake, none, 0);
    WORKS(kr_hub_open(&options, &hub, err));
    assert_string_equal(kr_hub_endpoint(hub), "https://huggingface.co");
    kr_hub_close(hub);
    options = (struct kr_hub_options){.token = "hf_a\nhf_b", .http = fake_open(&fake, none, 0)};
    FAILS(kr_hub_open(&options, &hub, err), KR_E_AUTH, "several lines");
}

static void test_ci_identity(void **state)
{
    static const struct fake_answer script[] = {
        {"GET https://ci/token?audience=https%3A%2F%2Fhuggingface.co", 200, NULL,
         "{\"value\":\"jwt.of.ci\"}"},
        {"POST http://hub/oauth/token", 200, NULL,
         "{\"access_token\":\"hf_jwt_12345\",\"token_type\":\"bearer\"}"}};
    static const struct fake_answer refused[] = {
        {"POST http://hub/oauth/token", 400, NULL,
         "{\"error\":\"invalid_grant\",\"error_description\":\"no publisher fits\"}"}};
    struct fake_http fake;
    struct kr_hub_options options = {.endpoint = "http://hub"};
    struct kr_hub *hub = NULL;
    const struct kr_account *account;

    (void)state;
    (void)setenv("HF_OIDC_RESOURCE", "spaces/alice/demo", 1);
    (void)setenv("HF_TOKEN", "hf_not_used", 1);
    options.http = fake_open(&fake, script, 0);
    FAILS(kr_hub_open(&options, &hub, err), KR_E_AUTH, "there is no CI identity");
    (void)setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "https://ci/token", 1);
    (void)setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ci-secret-1", 1);
    options.http = FAKE_OPEN(&fake, script);
    WORKS(kr_hub_open(&options, &hub, err));
    assert_string_equal(kr_hub_token(hub), "hf_jwt_12345");
    assert_string_equal(fake.seen[0].authorization, "Bearer ci-secret-1");
    assert_null(fake.seen[1].authorization);
    assert_non_null(strstr(fake.seen[1].body, "\"resource\":\"spaces/alice/demo\""));
    assert_non_null(strstr(fake.seen[1].body, "\"subject_token\":\"jwt.of.ci\""));
    WORKS(kr_hub_whoami(hub, &account, err));
    assert_string_equal(account->name, "alice");
    assert_int_equal(account->kind, KR_TOKEN_CI);
    WORKS(kr_account_check_write(account, "alice/demo", err));
    FAILS(kr_account_check_write(account, "alice/other", err), KR_E_AUTH,
          "may only write to alice/demo");
    kr_hub_close(hub);
    (void)setenv("HF_OIDC_ID_TOKEN", "given.jwt", 1);
    options.http = FAKE_OPEN(&fake, refused);
    FAILS(kr_hub_open(&options, &hub, err), KR_E_INVALID, "invalid_grant; no publisher fits");
}

static int remove_home(void **state)
{
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    return kr_remove_tree(home, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, set_up),
        cmocka_unit_test_setup(test_bad_tokens, set_up),
        cmocka_unit_test_setup(test_expired_login, set_up),
        cmocka_unit_test_setup(test_endpoint_and_offline, set_up),
        cmocka_unit_test_setup(test_ci_identity, set_up),
    };

    if (mkdtemp(home) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, remove_home);
}
