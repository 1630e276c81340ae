/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/hub_impl.h"
#include "hub/login.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/id.h"
#include "base/redact.h"
#include "base/view.h"
#include "net/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char *find_endpoint(const char *given)
{
    const char *found = given != NULL ? given : kr_env_get("HF_ENDPOINT");
    size_t n;

    if (found == NULL)
        found = kr_env_truthy("HUGGINGFACE_CO_STAGING") ? KR_HUB_STAGING : KR_HUB_OFFICIAL;
    n = strlen(found);
    while (n > 0 && found[n - 1] == '/')
        n--;
    return kr_strndup(found, n);
}

static char *user_agent(void)
{
    const char *origin = kr_env_get("HF_HUB_USER_AGENT_ORIGIN");

    if (origin == NULL || origin[strcspn(origin, "\r\n")] != '\0')
        return kr_strdup("kourou/" KR_VERSION);
    return kr_asprintf("kourou/" KR_VERSION "; origin/%s", origin);
}

static bool ask_cancelled(void *data)
{
    struct kr_hub *hub = data;

    return hub->ui.cancelled != NULL && hub->ui.cancelled(hub->ui.data);
}

static void tell_waiting(void *data, int64_t ms, const char *why)
{
    if (ms >= 3000)
        kr_hub_note(data, true, "the Hub is asked again in %lld s: %s",
                    (long long)(ms + 999) / 1000, why);
}

static void set_token(struct kr_hub *hub, char *token, char *source)
{
    kr_redact_add(token);
    hub->token = token;
    hub->token_source = source;
    hub->authorization = kr_asprintf("Bearer %s", token);
}

static int find_token(struct kr_hub *hub, const struct kr_hub_options *options, struct kr_err *err)
{
    const char *given = options->token;
    const char *resource = kr_env_get("HF_OIDC_RESOURCE");
    struct kr_view clean;
    char *token = NULL, *source = NULL;

    if (given != NULL) {
        clean = kr_view_trim(kr_view_of(given));
        if (clean.n == 0 || memchr(clean.p, '\n', clean.n) != NULL ||
            memchr(clean.p, '\r', clean.n) != NULL)
            return kr_fail(err, KR_E_AUTH, "the given Hub token is empty or has several lines");
        set_token(
            hub, kr_view_dup(clean),
            kr_strdup(options->token_source != NULL ? options->token_source : "the deployer"));
        return 0;
    }
    if (resource != NULL) {
        if (kr_hub_oidc(hub, resource, &token, err) < 0)
            return -(int)err->code;
        hub->ci_repo = kr_strdup(resource);
        set_token(hub, token, kr_strdup("the CI identity"));
        return 0;
    }
    if (kr_hub_token_find(&token, &source, err) < 0)
        return -(int)err->code;
    if (token != NULL && source[0] == '/' && kr_hub_login_refresh(hub, source, &token, err) < 0) {
        explicit_bzero(token, strlen(token));
        free(token);
        free(source);
        return -(int)err->code;
    }
    if (token != NULL)
        set_token(hub, token, source);
    return 0;
}

int kr_hub_open(const struct kr_hub_options *options, struct kr_hub **out, struct kr_err *err)
{
    kr_auto_hub struct kr_hub *hub = kr_calloc(1, sizeof(*hub));
    kr_auto_free char *agent = user_agent();
    struct kr_url url;

    hub->ui = options->ui;
    hub->http = options->http != NULL ? options->http : kr_http_open(agent);
    if (hub->http->hooks.data == NULL)
        hub->http->hooks.data = hub;
    if (hub->http->hooks.data == hub) {
        hub->http->hooks.cancelled = ask_cancelled;
        hub->http->hooks.waiting = tell_waiting;
    }
    hub->http->until_ms = options->until_ms;
    hub->warned = json_object();
    hub->token_update = kr_strdup(options->token_update);
    hub->offline = kr_env_truthy("HF_HUB_OFFLINE");
    hub->endpoint = find_endpoint(options->endpoint);
    if (!kr_url_parse(hub->endpoint, &url)) {
        (void)kr_fail(err, KR_E_INVALID, "'%.200s' is not an address of a Hub", hub->endpoint);
        return kr_hint(err, "set HF_ENDPOINT to http(s)://HOST[:PORT], or unset it");
    }
    if (find_token(hub, options, err) < 0)
        return -(int)err->code;
    if (hub->token != NULL && !url.https && !kr_url_is_loopback(hub->endpoint))
        kr_hub_note(hub, true, "the Hub token travels unencrypted to %s", hub->endpoint);
    *out = kr_steal(&hub);
    return 0;
}

void kr_hub_close(struct kr_hub *hub)
{
    if (hub == NULL)
        return;
    kr_http_close(hub->http);
    kr_account_destroy(hub->account);
    json_decref(hub->warned);
    if (hub->token != NULL) {
        explicit_bzero(hub->token, strlen(hub->token));
        explicit_bzero(hub->authorization, strlen(hub->authorization));
    }
    free(hub->endpoint);
    free(hub->token);
    free(hub->token_source);
    free(hub->authorization);
    free(hub->ci_repo);
    free(hub->token_update);
    free(hub);
}

const char *kr_hub_endpoint(const struct kr_hub *hub)
{
    return hub->endpoint;
}

const char *kr_hub_token(const struct kr_hub *hub)
{
    return hub->token;
}

const char *kr_hub_token_source(const struct kr_hub *hub)
{
    return hub->token_source;
}

struct kr_http *kr_hub_http(struct kr_hub *hub)
{
    return hub->http;
}

uint64_t kr_hub_calls(const struct kr_hub *hub)
{
    return hub->http->exchanges;
}

int kr_hub_need_token(const struct kr_hub *hub, struct kr_err *err)
{
    if (hub->token != NULL)
        return 0;
    (void)kr_fail(err, KR_E_AUTH, "there is no Hub token");
    if (kr_env_truthy("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return kr_hint(err, "HF_HUB_DISABLE_IMPLICIT_TOKEN is set: give the deployer a token");
    return kr_hint(err,
                   "make one with the role write at %s/settings/tokens, then set HF_TOKEN, run "
                   "`hf auth login`, or give the deployer its `token`",
                   hub->endpoint);
}

void kr_hub_note(const struct kr_hub *hub, bool warning, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);
    va_list args;

    if (hub->ui.note == NULL)
        return;
    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    if (text.n != 0)
        kr_redact(text.p, text.n);
    hub->ui.note(hub->ui.data, warning, kr_buf_str(&text));
}

void kr_hub_progress(const struct kr_hub *hub, const char *step, const char *text, uint64_t done,
                     uint64_t total, bool bytes, bool finished)
{
    if (hub->ui.progress != NULL)
        hub->ui.progress(hub->ui.data, step, text, (int64_t)done, (int64_t)total, bytes, finished);
}

char *kr_hub_url(const struct kr_hub *hub, const char *path)
{
    return path[0] == '/' ? kr_asprintf("%s%s", hub->endpoint, path) : kr_strdup(path);
}

char *kr_hub_rehost(const struct kr_hub *hub, const char *url)
{
    struct kr_url parts;
    bool theirs =
        kr_url_same_origin(url, KR_HUB_OFFICIAL) || kr_url_same_origin(url, KR_HUB_STAGING);
    bool ours = kr_url_same_origin(hub->endpoint, KR_HUB_OFFICIAL) ||
                kr_url_same_origin(hub->endpoint, KR_HUB_STAGING);

    if (!theirs || ours || !kr_url_parse(url, &parts))
        return kr_strdup(url);
    return kr_asprintf("%s" KR_VIEW_FMT, hub->endpoint, KR_VIEW_ARG(parts.path));
}
