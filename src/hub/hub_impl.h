/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of src/hub: the client object and how calls are made. */
#ifndef KR_HUB_HUB_IMPL_H
#define KR_HUB_HUB_IMPL_H

#include "hub/hub.h"

#define KR_HUB_OFFICIAL "https://huggingface.co"
#define KR_HUB_STAGING  "https://hub-ci.huggingface.co"

struct kr_hub {
    char *endpoint;
    char *token, *token_source; /* NULL: none */
    char *authorization;        /* "Bearer ..." */
    char *ci_repo;              /* "spaces/owner/name" the token was exchanged for, or NULL */
    char *token_update;         /* command that puts another token in its place, or NULL */
    bool offline;
    struct kr_hub_ui ui;
    struct kr_http *http;
    struct kr_account *account; /* once asked */
    json_t *warned;             /* topics of X-HF-Warning that were shown */
};

struct kr_hub_call {
    const char *doing; /* "create Space alice/demo": begins every message */
    const char *method;
    const char *path;   /* "/api/..." at the endpoint, or an absolute address */
    const json_t *json; /* body; or NULL */
    struct kr_http_body body;
    const char *type;   /* of body; NULL: application/json */
    const char *accept; /* or NULL */
    enum kr_repeat repeat;
    bool no_token;
    bool oauth_barred; /* a route that refuses OAuth tokens */
    const char *space; /* OWNER/NAME it is about, or NULL */
    int64_t idle_ms;   /* as in kr_http_request */
    size_t max_body;
    void (*on_sent)(void *data, uint64_t sent, uint64_t total);
    void *data; /* for on_sent */
};

/* Sends it, with repeats. 0: an answer of any status. The token goes to the endpoint's origin
 * only. */
int kr_hub_send(struct kr_hub *hub, const struct kr_hub_call *call, struct kr_http_response *res,
                struct kr_err *err) KR_MUST_USE;

/* Sends it and insists on 2xx. out may be NULL; else the body must be JSON, of which *out is an
 * object or a list. */
int kr_hub_json(struct kr_hub *hub, const struct kr_hub_call *call, json_t **out,
                struct kr_err *err) KR_MUST_USE;

int kr_hub_parse(const struct kr_hub_call *call, const struct kr_http_response *res, json_t **out,
                 struct kr_err *err) KR_MUST_USE;

/* For calls that must not be sent twice when the first one took effect. After a doubtful end (lost,
 * or 5xx) `landed` looks: 1 it took effect, 0 it did not, negative: failed. *was_lost: the call
 * succeeded, but its answer is not in res. */
typedef int kr_hub_landed(struct kr_hub *hub, void *data, struct kr_err *err);
int kr_hub_once(struct kr_hub *hub, const struct kr_hub_call *call, kr_hub_landed *landed,
                void *data, struct kr_http_response *res, bool *was_lost,
                struct kr_err *err) KR_MUST_USE;

/* Request for streams; the caller keeps what it points to. */
void kr_hub_request(struct kr_hub *hub, const struct kr_hub_call *call, const char *url,
                    struct kr_http_request *req);
char *kr_hub_url(const struct kr_hub *hub, const char *path) KR_MUST_USE;

/* Turns an answer that is not 2xx into an error. */
int kr_hub_problem(const struct kr_hub *hub, const struct kr_hub_call *call,
                   const struct kr_http_response *res, struct kr_err *err);

/* What the Hub says is wrong, whatever the shape of its answer: one line. Caller frees. */
char *kr_hub_message(const struct kr_http_response *res) KR_MUST_USE;
const char *kr_hub_request_id(const struct kr_http_response *res); /* or NULL */

/* An address the Hub gave: with a custom endpoint, the official host is replaced. Caller frees. */
char *kr_hub_rehost(const struct kr_hub *hub, const char *url) KR_MUST_USE;

void kr_hub_note(const struct kr_hub *hub, bool warning, const char *fmt, ...) KR_PRINTF(3, 4);
void kr_hub_progress(const struct kr_hub *hub, const char *step, const char *text, uint64_t done,
                     uint64_t total, bool bytes, bool finished);

/* CI identity for a token; *token is the caller's. */
int kr_hub_oidc(struct kr_hub *hub, const char *resource, char **token,
                struct kr_err *err) KR_MUST_USE;

void kr_account_destroy(struct kr_account *account);

#endif
