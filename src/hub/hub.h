/* SPDX-License-Identifier: Apache-2.0 */
/* Client of the Hugging Face Hub: where it is, who we are, and how its answers become errors.
 *
 * Every failure is one line (what was tried, what the Hub said, status, request id) with a hint
 * that says what to do. Codes: KR_E_NOT_FOUND (404), KR_E_EXISTS, KR_E_CONFLICT (409, 412, moved),
 * KR_E_INVALID (400, 422), KR_E_AUTH (401, 403), KR_E_PLAN (402, quotas, rate limits, storage),
 * KR_E_LIMIT (413), KR_E_REMOTE (5xx and answers that make no sense), KR_E_NETWORK, KR_E_TIMEOUT,
 * KR_E_CANCELLED; err->http_status is set where an answer caused it. */
#ifndef KR_HUB_HUB_H
#define KR_HUB_HUB_H

#include "base/json.h"
#include "net/http.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_hub_ui {
    void *data;
    /* step: "upload", "commit"; bytes: done and total count bytes */
    void (*progress)(void *data, const char *step, const char *text, int64_t done, int64_t total,
                     bool bytes, bool finished);
    void (*note)(void *data, bool warning, const char *text); /* waits, warnings of the Hub */
    bool (*cancelled)(void *data);
};

struct kr_hub_options {
    const char *endpoint; /* NULL: HF_ENDPOINT, or https://huggingface.co */
    const char *token;    /* given by the user's stack; NULL: looked up, see kr_hub_token_find */
    const char *token_source; /* of token, for messages: "the secret 'x'"; NULL: the deployer */
    const char *token_update; /* command that puts another token in its place; or NULL */
    struct kr_hub_ui ui;
    int64_t until_ms;     /* as in struct kr_http */
    struct kr_http *http; /* taken over and closed; NULL: one over libcurl */
};

struct kr_hub;

/* Finds endpoint and token; no token is fine here. May exchange a CI identity for a token when
 * HF_OIDC_RESOURCE is set. A stored login that has expired is KR_E_AUTH. */
int kr_hub_open(const struct kr_hub_options *options, struct kr_hub **out,
                struct kr_err *err) KR_MUST_USE;
void kr_hub_close(struct kr_hub *hub);
KR_DEFINE_AUTO(struct kr_hub *, kr_hub_close);
#define kr_auto_hub kr_auto(kr_hub_close_p)

const char *kr_hub_endpoint(const struct kr_hub *hub); /* without a slash at its end */
const char *kr_hub_token(const struct kr_hub *hub);    /* NULL: none */
const char *
kr_hub_token_source(const struct kr_hub *hub);   /* "HF_TOKEN", "/home/a/.../token", ... */
struct kr_http *kr_hub_http(struct kr_hub *hub); /* for its policy, and calls of the app */
uint64_t kr_hub_calls(const struct kr_hub *hub); /* exchanges with anyone so far */

/* KR_E_AUTH with a hint when there is no token. */
int kr_hub_need_token(const struct kr_hub *hub, struct kr_err *err) KR_MUST_USE;

/* The official client's look-up: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, then the file HF_TOKEN_PATH or
 * $HF_HOME/token. *token and *source are NULL when there is none; the caller frees them. */
int kr_hub_token_find(char **token, char **source, struct kr_err *err) KR_MUST_USE;

enum kr_token_kind {
    KR_TOKEN_UNKNOWN,
    KR_TOKEN_READ,
    KR_TOKEN_WRITE,
    KR_TOKEN_FINE,  /* fine-grained: scopes say what it may do */
    KR_TOKEN_OAUTH, /* of `hf auth login`: cannot restart Spaces or change hardware */
    KR_TOKEN_CI     /* exchanged for a CI identity: one repository, one hour */
};

struct kr_hub_org {
    char *name;
    char *role;         /* admin, write, contributor, read, no_access; or NULL */
    char *plan;         /* team, enterprise, plus, academia; or NULL */
    char *restrictions; /* "sso, ip": why this token fails there; or NULL */
};

struct kr_account {
    char *name;
    bool is_pro, can_pay;
    enum kr_token_kind kind;
    char *token_name, *expires_at; /* or NULL */
    const char *token_update;      /* as in kr_hub_options; borrowed */
    json_t *scopes;                /* of fine-grained tokens: [{"entity","permissions"}]; or NULL */
    struct kr_hub_org *orgs;
    size_t org_count;
};

/* Asked once, then kept: the Hub limits this call severely. Lives as long as hub. */
int kr_hub_whoami(struct kr_hub *hub, const struct kr_account **out,
                  struct kr_err *err) KR_MUST_USE;

/* May this token write to OWNER/NAME, as far as whoami tells? KR_E_AUTH with the reason when not:
 * read-only token, missing scope, foreign namespace, organization role or restriction. */
int kr_account_check_write(const struct kr_account *account, const char *space,
                           struct kr_err *err) KR_MUST_USE;

/* OWNER/NAME as the Hub takes it: length, characters, no "--", "..", ".git" at the end. */
int kr_space_id_check(const char *space, struct kr_err *err) KR_MUST_USE;

#endif
