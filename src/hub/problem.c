/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that are not 2xx, as one line with the next step. The texts of the Hub are matched
 * loosely: they are not documented and change. */
#include "hub/hub_impl.h"

#include "base/alloc.h"
#include "base/redact.h"
#include "base/view.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX = 700 };

const char *kr_hub_request_id(const struct kr_http_response *res)
{
    static const char *const names[] = {"x-request-id", "x-amzn-trace-id", "x-amz-cf-id"};
    const char *found = NULL;

    for (size_t i = 0; i < KR_ARRAY_LEN(names) && found == NULL; i++)
        found = kr_http_header(res, names[i]);
    return found;
}

static void add_text(struct kr_buf *out, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    kr_buf_addf(out, "%s%.*s", out->n != 0 ? "; " : "", TEXT_MAX, text);
}

/* "text", ["a","b"], {"message":...}, and {"message":...} inside of lists. */
static void add_error(struct kr_buf *out, const json_t *value)
{
    const json_t *item;
    size_t i;

    if (json_is_string(value)) {
        add_text(out, json_string_value(value));
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            if (i < 8 && !json_is_array(item))
                add_error(out, item);
        }
    } else if (json_is_object(value)) {
        add_text(out, kr_json_str(value, "message", kr_json_str(value, "code", NULL)));
    }
}

static void from_json(struct kr_buf *out, const struct kr_http_response *res)
{
    kr_auto_json json_t *body = NULL;

    if (kr_json_parse(kr_buf_str(&res->body), res->body.n, "", &body, NULL) < 0 ||
        !json_is_object(body))
        return;
    add_error(out, json_object_get(body, "error"));
    add_text(out, kr_json_str(body, "error_description", NULL));
    add_error(out, json_object_get(body, "errors"));
    if (out->n == 0)
        add_text(out, kr_json_str(body, "message", NULL));
}

static bool is_html(const struct kr_http_response *res)
{
    const char *type = kr_http_header(res, "content-type"), *p = kr_buf_str(&res->body);

    p += strspn(p, " \t\r\n");
    return (type != NULL && strncasecmp(type, "text/html", 9) == 0) ||
           strncasecmp(p, "<!doctype html", 14) == 0 || strncasecmp(p, "<html", 5) == 0;
}

static void from_html(struct kr_buf *out, const struct kr_http_response *res)
{
    const char *from = strcasestr(kr_buf_str(&res->body), "<title>"), *to;

    kr_buf_adds(out, "a web page instead of an answer");
    if (from == NULL || (to = strchr(from + 7, '<')) == NULL)
        return;
    kr_buf_addf(out, " (%.*s)", to - from - 7 < 120 ? (int)(to - from - 7) : 120, from + 7);
}

/* Bytes that no terminal should see. */
static void clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
}

char *kr_hub_message(const struct kr_http_response *res)
{
    struct kr_buf out = KR_BUF_INIT(4096);
    const char *header = kr_http_header(res, "x-error-message");
    char *text;

    from_json(&out, res);
    if (out.n == 0 && header != NULL)
        add_text(&out, header);
    if (out.n == 0 && is_html(res))
        from_html(&out, res);
    if (out.n == 0)
        kr_buf_add(&out, kr_buf_str(&res->body), res->body.n < 300 ? res->body.n : 300);
    text = kr_buf_steal(&out);
    clean(text);
    kr_redact_cut(text, strlen(text));
    return text;
}

enum { ANY = 0 };

enum condition {
    ALWAYS,
    NO_TOKEN,     /* there is none, and the call is about a Space */
    OAUTH_BARRED, /* the route refuses OAuth tokens, and ours is or may be one */
    READ_TOKEN,   /* whoami said so */
    FINE_TOKEN,
    CI_TOKEN,
    RATE_LIMITED, /* the window of requests is empty */
    WEB_PAGE,
    ABOUT_A_SPACE
};

/* The first row that fits decides. In hints %e is the endpoint, %s the token's source, %u what
 * puts another token in its place. */
struct rule {
    int status;
    const char *code;   /* X-Error-Code */
    const char *needle; /* in the message, any case */
    enum condition when;
    enum kr_code as;
    const char *said; /* replaces the Hub's text; NULL: as it is */
    const char *hint;
};

static const struct rule rules[] = {
    {401, NULL, "invalid credentials", ALWAYS, KR_E_AUTH, NULL,
     "the token of %s is wrong, expired or deleted: make a new one at %e/settings/tokens%u"},
    {401, NULL, NULL, NO_TOKEN, KR_E_AUTH,
     "it is not there, or it is private and there is no token",
     "set HF_TOKEN, run `hf auth login`, or give the deployer its `token`"},
    {401, NULL, NULL, OAUTH_BARRED, KR_E_AUTH, NULL,
     "tokens of `hf auth login` cannot restart Spaces or change hardware and sleep time: use an "
     "access token with the role write from %e/settings/tokens%u"},
    {401, NULL, NULL, ALWAYS, KR_E_AUTH, NULL,
     "the Hub did not accept the token of %s here: check it at %e/settings/tokens"},
    {402, NULL, "downgrade", ALWAYS, KR_E_PLAN, NULL,
     "keep the paid hardware, pause the Space instead, or subscribe at %e/pro"},
    {402, NULL, "cpu-basic", ALWAYS, KR_E_PLAN, NULL,
     "docker Spaces on the free cpu-basic need a subscription (%e/pro); paid hardware needs only a "
     "payment method: choose it with the setting space_hardware"},
    {402, NULL, NULL, ALWAYS, KR_E_PLAN, NULL, "see the plan and payment at %e/settings/billing"},
    {403, NULL, "revoked", ALWAYS, KR_E_AUTH, NULL,
     "an administrator of the organization revoked the token of %s: make a new one that its policy "
     "allows at %e/settings/tokens"},
    {403, NULL, "under the namespace", ALWAYS, KR_E_AUTH, NULL,
     "name an organization in which the account may write with the setting organization, or leave "
     "it "
     "out"},
    {403, NULL, "under this namespace", ALWAYS, KR_E_AUTH, NULL,
     "name an organization in which the account may write with the setting organization, or leave "
     "it "
     "out"},
    {403, NULL, "storage limit", ALWAYS, KR_E_PLAN, NULL,
     "the repository of a Space holds 1 GB with its whole history: keep models in a model "
     "repository, "
     "squash the history in the Space's settings, or delete the Space and deploy again"},
    {403, NULL, "payment method", ALWAYS, KR_E_PLAN, NULL,
     "add a payment method at %e/settings/billing, or choose cpu-basic"},
    {403, NULL, "quota", ALWAYS, KR_E_PLAN, NULL,
     "pause or delete other Spaces, or upgrade at %e/pro"},
    {403, NULL, "resource is disabled", ALWAYS, KR_E_AUTH, NULL,
     "the Hub has disabled this repository: see its page, or write to website@huggingface.co"},
    {403, NULL, NULL, WEB_PAGE, KR_E_REMOTE, NULL,
     "something between here and the Hub refused the call: check proxies and the network, or try "
     "again"},
    {403, NULL, NULL, READ_TOKEN, KR_E_AUTH, NULL,
     "the token of %s is read-only: make one with the role write at %e/settings/tokens%u"},
    {403, NULL, NULL, FINE_TOKEN, KR_E_AUTH, NULL,
     "give the token of %s write access to this repository or its owner at %e/settings/tokens"},
    {403, NULL, NULL, CI_TOKEN, KR_E_AUTH, NULL,
     "a token made for a CI identity may only write to its one repository and cannot create any"},
    {403, NULL, NULL, ALWAYS, KR_E_AUTH, NULL,
     "the account or its token may not do this: check role and scopes of the token of %s at "
     "%e/settings/tokens"},
    {404, "RevisionNotFound", NULL, ALWAYS, KR_E_NOT_FOUND, NULL, NULL},
    {404, "EntryNotFound", NULL, ALWAYS, KR_E_NOT_FOUND, NULL, NULL},
    {404, NULL, NULL, ABOUT_A_SPACE, KR_E_NOT_FOUND, NULL,
     "it does not exist, was renamed, or the token of %s may not see it"},
    {404, NULL, NULL, ALWAYS, KR_E_NOT_FOUND, NULL, NULL},
    {409, NULL, "in progress", ALWAYS, KR_E_CONFLICT, NULL, "try again in a moment"},
    {409, NULL, NULL, ALWAYS, KR_E_EXISTS, NULL, NULL},
    {412, NULL, NULL, ALWAYS, KR_E_CONFLICT, NULL,
     "somebody else committed to the Space meanwhile: run the command again"},
    {413, NULL, NULL, ALWAYS, KR_E_LIMIT, NULL,
     "send fewer or smaller files: list what is not needed in .kourouignore"},
    {429, NULL, NULL, RATE_LIMITED, KR_E_PLAN, NULL, NULL}, /* hint with the time: below */
    {429, NULL, NULL, ALWAYS, KR_E_PLAN, NULL,
     "this is a quota on such actions, which waiting a few minutes does not cure: try again in an "
     "hour"},
    {400, NULL, "storage limit", ALWAYS, KR_E_PLAN, NULL,
     "the repository of a Space holds 1 GB with its whole history"},
    {400, NULL, NULL, ALWAYS, KR_E_INVALID, NULL, NULL},
    {422, NULL, NULL, ALWAYS, KR_E_INVALID, NULL, NULL},
    {408, NULL, NULL, ALWAYS, KR_E_TIMEOUT, NULL, "try again"},
    {501, NULL, NULL, ALWAYS, KR_E_REMOTE, NULL, NULL},
};

static bool token_is(const struct kr_hub *hub, enum kr_token_kind kind)
{
    return hub->account != NULL && hub->account->kind == kind;
}

static bool holds(enum condition when, const struct kr_hub *hub, const struct kr_hub_call *call,
                  const struct kr_http_response *res)
{
    switch (when) {
    case ALWAYS:
        return true;
    case NO_TOKEN:
        return hub->token == NULL && call->space != NULL;
    case OAUTH_BARRED:
        return call->oauth_barred && (hub->account == NULL || token_is(hub, KR_TOKEN_OAUTH));
    case READ_TOKEN:
        return token_is(hub, KR_TOKEN_READ);
    case FINE_TOKEN:
        return token_is(hub, KR_TOKEN_FINE);
    case CI_TOKEN:
        return hub->ci_repo != NULL;
    case RATE_LIMITED: {
        struct kr_ratelimit limit = kr_ratelimit_parse(kr_http_header(res, "ratelimit"));

        return !limit.known || limit.remaining == 0;
    }
    case WEB_PAGE:
        return is_html(res);
    case ABOUT_A_SPACE:
        return call->space != NULL;
    }
    return false;
}

static const struct rule *find_rule(const struct kr_hub *hub, const struct kr_hub_call *call,
                                    const struct kr_http_response *res, const char *text)
{
    static const struct rule other = {ANY, NULL, NULL, ALWAYS, KR_E_REMOTE, NULL, NULL};
    const char *code = kr_http_header(res, "x-error-code");

    for (size_t i = 0; i < KR_ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];

        if (r->status == res->status && holds(r->when, hub, call, res) &&
            (r->code == NULL || (code != NULL && strcmp(code, r->code) == 0)) &&
            (r->needle == NULL || strcasestr(text, r->needle) != NULL))
            return r;
    }
    return &other;
}

static void add_hint(const struct kr_hub *hub, const char *hint, struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1024);

    for (const char *p = hint; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 'e')
            kr_buf_adds(&out, hub->endpoint);
        else if (p[0] == '%' && p[1] == 's')
            kr_buf_adds(&out, hub->token_source != NULL ? hub->token_source : "nobody");
        else if (p[0] == '%' && p[1] == 'u')
            kr_buf_addf(&out, "%s%s%s", hub->token_update != NULL ? ", then `" : "",
                        hub->token_update != NULL ? hub->token_update : "",
                        hub->token_update != NULL ? "`" : "");
        else {
            kr_buf_addc(&out, *p);
            continue;
        }
        p++;
    }
    (void)kr_hint(err, "%s", kr_buf_str(&out));
}

static void hint_by_status(const struct kr_hub *hub, const struct kr_http_response *res,
                           struct kr_err *err)
{
    struct kr_ratelimit limit = kr_ratelimit_parse(kr_http_header(res, "ratelimit"));

    if (res->status == 429 && limit.known)
        (void)kr_hint(err, "too many calls: the Hub takes the next one in %lld s",
                      (long long)limit.reset_s + 1);
    else if (res->status == 429)
        (void)kr_hint(err, "too many calls: wait a few minutes");
    else if (res->status >= 500)
        (void)kr_hint(err, "a passing fault of the Hub%s: run the command again",
                      res->attempts > 1 ? ", tried several times" : "");
    else if (res->status >= 300 && res->status < 400)
        add_hint(hub, "the repository was renamed or moved: use its new name", err);
}

int kr_hub_problem(const struct kr_hub *hub, const struct kr_hub_call *call,
                   const struct kr_http_response *res, struct kr_err *err)
{
    kr_auto_free char *text = kr_hub_message(res);
    const struct rule *rule = find_rule(hub, call, res, text);
    const char *id = kr_hub_request_id(res), *said = rule->said != NULL ? rule->said : text;
    enum kr_code as = rule->as;

    if (err == NULL)
        return -(int)as;
    if (res->status >= 300 && res->status < 400)
        as = KR_E_CONFLICT;
    (void)kr_fail(err, as, "%s: %s (status %d%s%.120s)", call->doing,
                  said[0] != '\0' ? said : "the Hub gave no reason", res->status,
                  id != NULL ? ", request " : "", id != NULL ? id : "");
    err->http_status = res->status;
    if (rule->hint != NULL)
        add_hint(hub, rule->hint, err);
    else
        hint_by_status(hub, res, err);
    return -(int)err->code;
}
