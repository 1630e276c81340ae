/* SPDX-License-Identifier: Apache-2.0 */
/* CI without a stored token: an identity of the CI is exchanged for a token of one hour. */
#include "hub/hub_impl.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/redact.h"
#include "base/view.h"
#include "net/url.h"

#include <string.h>

#define AUDIENCE "https%3A%2F%2Fhuggingface.co"

static int read_text(const char *doing, const struct kr_http_response *res, const char *key,
                     char **out, struct kr_err *err)
{
    struct kr_hub_call call = {.doing = doing};
    kr_auto_json json_t *body = NULL;
    const char *text;

    if (kr_hub_parse(&call, res, &body, err) < 0)
        return -(int)err->code;
    text = kr_json_str(body, key, "");
    if (text[0] == '\0')
        return kr_fail(err, KR_E_REMOTE, "%s: the answer has no \"%s\"", doing, key);
    kr_redact_add(text);
    *out = kr_strdup(text);
    return 0;
}

/* GitHub hands identities out on request. */
static int github_identity(struct kr_hub *hub, char **out, struct kr_err *err)
{
    const char *url = kr_env_get("ACTIONS_ID_TOKEN_REQUEST_URL");
    const char *secret = kr_env_get("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    kr_auto_free char *full = NULL, *authorization = NULL;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_http_request req = {.method = "GET"};

    if (url == NULL || secret == NULL) {
        (void)kr_fail(err, KR_E_AUTH, "HF_OIDC_RESOURCE is set, but there is no CI identity");
        return kr_hint(err, "set HF_OIDC_ID_TOKEN, or give the GitHub job the permission "
                            "`id-token: write`");
    }
    kr_redact_add(secret);
    full = kr_asprintf("%s%caudience=%s", url, strchr(url, '?') != NULL ? '&' : '?', AUDIENCE);
    authorization = kr_asprintf("Bearer %s", secret);
    req.url = full;
    req.authorization = authorization;
    if (kr_http_call(hub->http, &req, &res, err) < 0)
        return kr_wrap(err, "ask the CI for an identity");
    if (res.status != 200) {
        err->http_status = res.status;
        return kr_fail(err, KR_E_AUTH, "ask the CI for an identity: status %d", res.status);
    }
    return read_text("ask the CI for an identity", &res, "value", out, err);
}

int kr_hub_oidc(struct kr_hub *hub, const char *resource, char **token, struct kr_err *err)
{
    const char *given = kr_env_get("HF_OIDC_ID_TOKEN");
    kr_auto_free char *identity = kr_strdup(given);
    kr_auto_json json_t *body = json_object();
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_hub_call call = {.doing = "exchange the CI identity for a Hub token",
                               .method = "POST",
                               .path = "/oauth/token",
                               .json = body,
                               .repeat = KR_REPEAT_SAFE,
                               .no_token = true};

    if (identity == NULL && github_identity(hub, &identity, err) < 0)
        return -(int)err->code;
    kr_redact_add(identity);
    kr_json_set_str(body, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
    kr_json_set_str(body, "subject_token_type", "urn:ietf:params:oauth:token-type:id_token");
    kr_json_set_str(body, "subject_token", identity);
    kr_json_set_str(body, "resource", resource);
    if (kr_hub_send(hub, &call, &res, err) < 0)
        return -(int)err->code;
    if (res.status != 200) {
        (void)kr_hub_problem(hub, &call, &res, err);
        return kr_hint(err, "add this workflow as a trusted publisher in the settings of %s",
                       resource);
    }
    return read_text(call.doing, &res, "access_token", token, err);
}
