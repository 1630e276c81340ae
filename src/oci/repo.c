/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/repo.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"
#include "base/base64.h"
#include "net/url.h"
#include "oci/challenge.h"
#include "oci/credentials.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TOKEN_MAX ((size_t)1 << 20)
#define FRESH_MS  2000
#define TRIES_MAX 3

struct kr_repo {
    struct kr_http *http;
    char *registry, *name, *base;
    char *ca_file;
    char *scopes[2]; /* of the repository, and of the one blobs are mounted from */
    bool anonymous;
    struct kr_credentials credentials;
    struct kr_challenge challenge;
    char *authorization; /* header value, or NULL */
    int64_t fetched_ms;  /* when the token came; 0: none */
    bool let_in;         /* the registry has answered with something else than a refusal */
};

static char *scope_of(const char *name, const char *actions)
{
    return kr_asprintf("repository:%s:%s", name, actions);
}

static int use_ca_file(struct kr_repo *repo, const char *file, struct kr_err *err)
{
    repo->ca_file = kr_path_expand_home(file);
    if (access(repo->ca_file, R_OK) == 0)
        return 0;
    (void)kr_fail_errno(err, errno, "ca_file '%s' of the container registry %s", repo->ca_file,
                        repo->registry);
    return -(int)err->code;
}

static int choose_base(struct kr_repo *repo, const struct kr_repo_auth *auth, struct kr_err *err)
{
    kr_auto_free char *plain = kr_asprintf("http://%s", kr_ref_host(repo->registry));
    struct kr_url url;

    if (!kr_url_parse(plain, &url))
        return kr_fail(err, KR_E_INVALID, "'%s' is not a registry host", repo->registry);
    if (auth->ca_file == NULL && (kr_url_is_loopback(plain) || auth->plain_http))
        repo->base = kr_steal(&plain);
    else
        repo->base = kr_asprintf("https://%s", kr_ref_host(repo->registry));
    return auth->ca_file != NULL ? use_ca_file(repo, auth->ca_file, err) : 0;
}

static int choose_credentials(struct kr_repo *repo, const struct kr_repo_auth *auth,
                              struct kr_err *err)
{
    repo->anonymous = auth->anonymous;
    if (auth->anonymous)
        return 0;
    if (auth->password == NULL)
        return kr_credentials_find(repo->registry, &repo->credentials, err);
    kr_redact_add(auth->password);
    repo->credentials.user = kr_strdup(auth->user != NULL ? auth->user : "");
    repo->credentials.password = kr_strdup(auth->password);
    repo->credentials.origin = kr_strdup("the container registry's authentication_secret");
    return 0;
}

int kr_repo_open(struct kr_http *http, const struct kr_ref *ref, const struct kr_repo_auth *auth,
                 bool push, const char *mount_from, struct kr_repo **out, struct kr_err *err)
{
    static const struct kr_repo_auth none = {0};
    kr_auto_repo struct kr_repo *repo = kr_calloc(1, sizeof(*repo));

    repo->http = http;
    repo->registry = kr_strdup(ref->registry);
    repo->name = kr_strdup(ref->repository);
    repo->scopes[0] = scope_of(repo->name, push ? "pull,push" : "pull");
    if (mount_from != NULL)
        repo->scopes[1] = scope_of(mount_from, "pull");
    if (choose_base(repo, auth != NULL ? auth : &none, err) < 0 ||
        choose_credentials(repo, auth != NULL ? auth : &none, err) < 0)
        return -(int)err->code;
    *out = kr_steal(&repo);
    return 0;
}

void kr_repo_close(struct kr_repo *repo)
{
    if (repo == NULL)
        return;
    free(repo->registry);
    free(repo->name);
    free(repo->base);
    free(repo->ca_file);
    free(repo->scopes[0]);
    free(repo->scopes[1]);
    free(repo->authorization);
    kr_credentials_finish(&repo->credentials);
    kr_challenge_finish(&repo->challenge);
    free(repo);
}

struct kr_http *kr_repo_http(const struct kr_repo *repo)
{
    return repo->http;
}

const char *kr_repo_name(const struct kr_repo *repo)
{
    return repo->name;
}

const char *kr_repo_registry(const struct kr_repo *repo)
{
    return repo->registry;
}

char *kr_repo_url(const struct kr_repo *repo, const char *rest)
{
    return kr_asprintf("%s/v2/%s/%s", repo->base, repo->name, rest);
}

void kr_repo_authorize(struct kr_repo *repo, struct kr_http_request *req)
{
    req->authorization = kr_url_same_origin(req->url, repo->base) ? repo->authorization : NULL;
    req->ca_file = repo->ca_file;
}

static char *basic_of(const struct kr_credentials *c)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(TOKEN_MAX);
    kr_auto_free char *pair = kr_asprintf("%s:%s", c->user, c->password);

    kr_buf_adds(&text, "Basic ");
    kr_base64_add(&text, pair, strlen(pair));
    memset(pair, 0, strlen(pair));
    return kr_buf_steal(&text);
}

static void add_field(struct kr_buf *to, const char *name, const char *value)
{
    kr_buf_addf(to, "%s%s=", to->n > 0 ? "&" : "", name);
    kr_url_encode(to, value, "");
}

/* Where tokens come from is said by the registry: a registry on https must not lead to http. */
static int check_realm(const struct kr_repo *repo, struct kr_err *err)
{
    struct kr_url url;

    if (!kr_url_parse(repo->challenge.realm, &url))
        return kr_fail(err, KR_E_REMOTE, "%s names a token service that is no address",
                       repo->registry);
    if (!url.https && kr_starts_with(repo->base, "https:"))
        return kr_fail(err, KR_E_REMOTE, "%s names a token service without encryption (%s)",
                       repo->registry, repo->challenge.realm);
    return 0;
}

static int take_token(struct kr_repo *repo, const struct kr_http_response *res, struct kr_err *err)
{
    kr_auto_json json_t *doc = NULL;
    const char *token;

    if (kr_json_parse(kr_buf_str(&res->body), res->body.n, "answer of the token service", &doc,
                      err) < 0)
        return kr_wrap(err, "%s", repo->registry);
    token = kr_json_str(doc, "token", NULL);
    if (token == NULL)
        token = kr_json_str(doc, "access_token", NULL);
    if (token == NULL || token[0] == '\0')
        return kr_fail(err, KR_E_REMOTE, "the token service of %s gave no token", repo->registry);
    kr_redact_add(token);
    free(repo->authorization);
    repo->authorization = kr_asprintf("Bearer %s", token);
    repo->fetched_ms = kr_http_now(repo->http);
    return 0;
}

static int hint_login(const struct kr_repo *repo, struct kr_err *err)
{
    return kr_hint(err,
                   "log in with 'docker login %s', or give the container registry an "
                   "authentication_secret with the keys username and password",
                   repo->registry);
}

/* Asks the token service: with an identity token by POST, else by GET. */
static int fetch_token(struct kr_repo *repo, struct kr_err *err)
{
    static const char *const form[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    kr_auto_buf struct kr_buf fields = KR_BUF_INIT(TOKEN_MAX);
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *basic = NULL, *url = NULL;
    struct kr_http_request req = {
        .method = "GET", .max_body = TOKEN_MAX, .repeat = KR_REPEAT_SAFE, .ca_file = repo->ca_file};
    const struct kr_credentials *c = &repo->credentials;

    if (check_realm(repo, err) < 0)
        return -(int)err->code;
    if (repo->challenge.service != NULL)
        add_field(&fields, "service", repo->challenge.service);
    for (size_t i = 0; i < 2 && c->identity_token == NULL; i++) {
        if (repo->scopes[i] != NULL)
            add_field(&fields, "scope", repo->scopes[i]);
    }
    if (c->identity_token != NULL) {
        kr_auto_free char *both =
            kr_asprintf("%s%s%s", repo->scopes[0], repo->scopes[1] != NULL ? " " : "",
                        repo->scopes[1] != NULL ? repo->scopes[1] : "");

        add_field(&fields, "scope", both);
        add_field(&fields, "client_id", "kourou");
        add_field(&fields, "grant_type", "refresh_token");
        add_field(&fields, "refresh_token", c->identity_token);
        req.method = "POST";
        req.headers = form;
        req.body =
            (struct kr_http_body){.kind = KR_BODY_BYTES, .bytes = fields.p, .size = fields.n};
        url = kr_strdup(repo->challenge.realm);
    } else {
        if (c->password != NULL) {
            add_field(&fields, "account", c->user);
            req.authorization = basic = basic_of(c);
        }
        url = kr_asprintf("%s%c%s", repo->challenge.realm,
                          strchr(repo->challenge.realm, '?') != NULL ? '&' : '?',
                          kr_buf_str(&fields));
    }
    req.url = url;
    if (kr_http_call(repo->http, &req, &res, err) < 0) {
        (void)kr_repo_no_answer(repo, &res, err);
        return kr_wrap(err, "log in at %s", repo->registry);
    }
    if (res.status == 200)
        return take_token(repo, &res, err);
    return kr_repo_fail(repo, &res, "log in", err);
}

int kr_repo_refused(struct kr_repo *repo, const struct kr_http_response *res, int *tries,
                    bool *again, struct kr_err *err)
{
    const char *from = NULL, *header;
    bool has_basic = repo->authorization != NULL && kr_starts_with(repo->authorization, "Basic ");
    bool fresh = repo->fetched_ms != 0 && kr_http_now(repo->http) - repo->fetched_ms < FRESH_MS;
    struct kr_challenge best = {0};

    *again = false;
    if (++*tries >= TRIES_MAX)
        return 0;
    while ((header = kr_http_header_next(res, "www-authenticate", &from)) != NULL) {
        struct kr_challenge one = {0};

        kr_challenge_parse(header, &one);
        if (one.kind > best.kind) {
            kr_challenge_finish(&best);
            best = one;
        } else {
            kr_challenge_finish(&one);
        }
    }
    kr_challenge_finish(&repo->challenge);
    repo->challenge = best;
    if (best.kind == KR_CHALLENGE_BASIC && repo->credentials.password != NULL && !has_basic) {
        free(repo->authorization);
        repo->authorization = basic_of(&repo->credentials);
        *again = true;
    }
    if (best.kind != KR_CHALLENGE_BEARER)
        return 0;
    *again = true;
    if (*tries == 1 && fresh) /* another request has just renewed it */
        return 0;
    return fetch_token(repo, err);
}

int kr_repo_call(struct kr_repo *repo, struct kr_http_request *req, struct kr_http_response *res,
                 struct kr_err *err)
{
    bool again = true;
    int tries = 0;

    while (again) {
        kr_repo_authorize(repo, req);
        if (kr_http_call(repo->http, req, res, err) < 0) {
            (void)kr_repo_no_answer(repo, res, err);
            return kr_wrap(err, "registry %s", repo->registry);
        }
        again = false;
        if (res->status == 401 && kr_repo_refused(repo, res, &tries, &again, err) < 0)
            return -(int)err->code;
    }
    repo->let_in |= res->status != 401 && res->status != 403;
    return 0;
}

/* What needs another try is tried alone, with the client's patience. */
static int settle(struct kr_repo_ask *ask, struct kr_http_job *job)
{
    struct kr_repo *repo = ask->repo;
    bool again =
        job->rc < 0 || job->res.status == 408 || job->res.status == 429 || job->res.status >= 500;
    int tries = 0;

    if (job->rc == 0 && job->res.status == 401 &&
        kr_repo_refused(repo, &job->res, &tries, &again, &ask->err) < 0)
        return -(int)ask->err.code;
    if (again)
        return kr_repo_call(repo, &ask->req, &ask->res, &ask->err);
    repo->let_in |= job->res.status != 401 && job->res.status != 403;
    ask->res = job->res;
    job->res = (struct kr_http_response)KR_HTTP_RESPONSE_INIT;
    return 0;
}

void kr_repo_call_all(struct kr_repo_ask *asks, size_t n)
{
    kr_auto_free struct kr_http_job *jobs = kr_calloc(n + 1, sizeof(*jobs));
    const struct kr_repo_ask *failed = NULL;

    for (size_t i = 0; i < n; i++) {
        kr_repo_authorize(asks[i].repo, &asks[i].req);
        jobs[i].req = asks[i].req;
    }
    if (n > 0)
        kr_http_many(asks[0].repo->http, jobs, n, n, 0);
    for (size_t i = 0; i < n; i++) {
        struct kr_repo_ask *ask = &asks[i];

        if (failed != NULL)
            ask->err = failed->err;
        ask->rc = failed != NULL ? failed->rc : settle(ask, &jobs[i]);
        if (ask->rc < 0 && failed == NULL)
            failed = ask;
        kr_http_response_finish(&jobs[i].res);
    }
}

bool kr_repo_let_in(const struct kr_repo *repo)
{
    return repo->let_in;
}

char *kr_repo_location(const struct kr_repo *repo, const struct kr_http_response *res)
{
    const char *location = kr_http_header(res, "location");

    return location != NULL ? kr_url_resolve(res->url != NULL ? res->url : repo->base, location)
                            : NULL;
}

/* "CODE: message (detail)" of the registry's error document, or the start of a plain text. */
static void add_reason(const struct kr_http_response *res, struct kr_buf *out, bool *rate_limit)
{
    kr_auto_json json_t *doc = NULL;
    const json_t *first;
    const char *code, *message;
    struct kr_view text = kr_view_trim((struct kr_view){kr_buf_str(&res->body), res->body.n});

    *rate_limit = res->status == 429;
    if (kr_json_parse(text.p, text.n, "answer", &doc, NULL) < 0) {
        if (text.n > 0 && text.p[0] != '<')
            kr_buf_add(out, text.p, text.n < 200 ? text.n : 200);
        return;
    }
    first = json_array_get(json_object_get(doc, "errors"), 0);
    code = kr_json_str(first, "code", "");
    message =
        kr_json_str(first, "message", kr_json_str(doc, "details", kr_json_str(doc, "message", "")));
    *rate_limit |= strcasecmp(code, "TOOMANYREQUESTS") == 0;
    kr_buf_addf(out, "%s%s%.300s", code, code[0] != '\0' && message[0] != '\0' ? ": " : "",
                message);
}

static int hint_for(const struct kr_repo *repo, int status, bool rate_limit, struct kr_err *err)
{
    bool stranger = repo->credentials.password == NULL && repo->credentials.identity_token == NULL;

    if (status == 400 &&
        kr_starts_with(repo->base, "http:")) /* what servers with TLS say to others */
        return kr_hint(
            err,
            "if %s speaks TLS, name a file with its authority's certificates as the container "
            "registry's ca_file",
            repo->registry);
    if (rate_limit && stranger)
        return kr_hint(err,
                       "%s limits pulls without an account; log in with 'docker login %s' or wait",
                       repo->registry, repo->registry);
    if (rate_limit)
        return kr_hint(err,
                       "%s limits how much this account may pull or push; wait and run the "
                       "command again",
                       repo->registry);
    if ((status == 401 || status == 403) && !repo->anonymous && stranger)
        return hint_login(repo, err);
    if ((status == 401 || status == 403) && !repo->anonymous)
        return kr_hint(err,
                       "the credentials come from %s; check that they are right and may use "
                       "repository '%s'",
                       repo->credentials.origin != NULL ? repo->credentials.origin : "docker login",
                       repo->name);
    return err != NULL ? -(int)err->code : 0;
}

int kr_repo_no_answer(const struct kr_repo *repo, const struct kr_http_response *res,
                      struct kr_err *err)
{
    if (err == NULL || !res->untrusted)
        return err != NULL ? -(int)err->code : 0;
    err->hint[0] = '\0';
    if (repo->ca_file != NULL)
        return kr_hint(
            err, "the certificates in ca_file '%s' of the container registry do not vouch for it",
            repo->ca_file);
    return kr_hint(err,
                   "when %s has certificates of your own authority, name a file with them as the "
                   "container registry's ca_file (or in SSL_CERT_FILE)",
                   repo->registry);
}

int kr_repo_fail(const struct kr_repo *repo, const struct kr_http_response *res, const char *what,
                 struct kr_err *err)
{
    kr_auto_buf struct kr_buf reason = KR_BUF_INIT(4096);
    bool rate_limit;
    enum kr_code code;

    add_reason(res, &reason, &rate_limit);
    code = res->status == 401 || res->status == 403 ? KR_E_AUTH
           : res->status == 404                     ? KR_E_NOT_FOUND
                                                    : KR_E_REMOTE;
    (void)kr_fail(err, code, "%s: %s answered %d%s%s", what, repo->registry, res->status,
                  reason.n > 0 ? ": " : "", kr_buf_str(&reason));
    if (err != NULL)
        err->http_status = res->status;
    (void)hint_for(repo, res->status, rate_limit, err);
    return -(int)code;
}
