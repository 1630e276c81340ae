/* SPDX-License-Identifier: Apache-2.0 */
/* Calling a deployment. */
#include "app/deployment.h"
#include "app/target.h"
#include "app/typed.h"
#include "base/alloc.h"
#include "base/redact.h"
#include "deployers/lifecycle.h"
#include "net/http.h"

#include <string.h>
#include <strings.h>

enum { DEFAULT_TIMEOUT_S = 300, MAX_HEADERS = 8, SLACK_MS = 5000, WAKE_S = 600 };
static const size_t max_answer = (size_t)256 << 20;

struct header_lines {
    char *v[MAX_HEADERS + 2];
    size_t n;
};

static void header_lines_finish(struct header_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        explicit_bzero(lines->v[i], strlen(lines->v[i]));
        free(lines->v[i]);
    }
}

/* The Authorization header goes by its own way: it never follows a redirect to another origin. */
static const char *add_headers(const json_t *headers, struct header_lines *lines)
{
    const char *name, *authorization = NULL;
    json_t *value;

    lines->v[lines->n++] = kr_strdup("Content-Type: application/json");
    json_object_foreach((json_t *)(uintptr_t)headers, name, value)
    {
        if (strcmp(name, "Authorization") == 0)
            authorization = json_string_value(value);
        else if (lines->n <= MAX_HEADERS)
            lines->v[lines->n++] = kr_asprintf("%s: %s", name, json_string_value(value));
    }
    lines->v[lines->n] = NULL;
    return authorization;
}

/* First problem of a list as FastAPI gives it: where and what. */
static char *first_detail(const json_t *answer)
{
    const json_t *detail = json_object_get(answer, "detail"), *first = json_array_get(detail, 0);
    const json_t *loc = json_object_get(first, "loc");
    const json_t *last =
        json_array_get(loc, json_array_size(loc) > 0 ? json_array_size(loc) - 1 : 0);

    if (json_is_string(detail))
        return kr_strdup(json_string_value(detail));
    if (first == NULL)
        return NULL;
    if (json_is_string(last))
        return kr_asprintf("%s: %s", json_string_value(last),
                           kr_json_str(first, "msg", "is wrong"));
    return kr_strdup(kr_json_str(first, "msg", "the request is wrong"));
}

static int fail_status(struct kr_app *app, const struct kr_target *t,
                       const struct kr_http_response *res, const json_t *answer, struct kr_err *err)
{
    kr_auto_free char *detail = first_detail(answer);
    enum kr_code code = res->status == 401 || res->status == 403 ? KR_E_AUTH
                        : res->status == 504                     ? KR_E_TIMEOUT
                        : res->status == 422                     ? KR_E_INVALID
                                                                 : KR_E_REMOTE;

    (void)kr_fail(err, code, "deployment '%s' answered with status %d%s%.1000s", t->what.name,
                  res->status, detail != NULL ? ": " : "", detail != NULL ? detail : "");
    err->http_status = res->status;
    if (code == KR_E_AUTH)
        return kr_hint(err, "the key in force there is another one; deploy again to set it");
    if (res->status >= 500)
        return kr_hint(err, "%s deployment logs %s", app->prog, t->what.name);
    return -(int)err->code;
}

/* What stands before the app answered, not the app: it gives JSON for everything. */
static bool is_page(const struct kr_http_response *res, const json_t *body)
{
    const char *type = kr_http_header(res, "content-type");

    return (type != NULL && strncasecmp(type, "text/html", 9) == 0) ||
           (body == NULL && res->status >= 500);
}

/* How the deployment is says more than such an answer. */
static int fail_page(struct kr_app *app, struct kr_target *t, const struct kr_http_response *res,
                     struct kr_err *err)
{
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_UNKNOWN};

    if (kr_deployer_ready(t->deployer, &t->env, &t->what, 0, &status, err) < 0)
        return kr_wrap(err, "deployment '%s' did not answer (status %d)", t->what.name,
                       res->status);
    (void)kr_fail(err, KR_E_REMOTE,
                  "deployment '%s' did not answer: what stands before it gave %s with status %d",
                  t->what.name, res->body.n > 0 ? "a page" : "nothing", res->status);
    err->http_status = res->status;
    return kr_hint(err, "run the command again; %s deployment describe %s", app->prog,
                   t->what.name);
}

static int take_answer(struct kr_app *app, struct kr_target *t, const struct kr_http_response *res,
                       json_t **answer, bool *ok, struct kr_err *err)
{
    kr_auto_json json_t *body = NULL;
    bool parsed = kr_json_parse(kr_buf_str(&res->body), res->body.n, "answer", &body, NULL) == 0;
    const json_t *success = json_object_get(body, "success");

    if (parsed && json_is_boolean(success) && (res->status == 200 || res->status == 500)) {
        *ok = json_is_true(success);
        *answer = kr_steal(&body);
        return 0;
    }
    if (is_page(res, body))
        return fail_page(app, t, res, err);
    if (res->status == 200)
        return kr_fail(err, KR_E_REMOTE,
                       "deployment '%s' answered something that is no result: %.200s", t->what.name,
                       kr_buf_str(&res->body));
    return fail_status(app, t, res, body, err);
}

/* Nobody answered: say how the deployment is. */
static int explain_silence(struct kr_app *app, const struct kr_target *t, struct kr_err *err)
{
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_UNKNOWN};
    struct kr_deployer_env env = t->env;
    struct kr_err ignored = KR_ERR_INIT;

    env.save = NULL;
    if (err->code != KR_E_NETWORK ||
        kr_deployer_status(t->deployer, &env, &t->what, &status, &ignored) < 0 ||
        status.state == KR_STATE_RUNNING)
        return kr_wrap(err, "call '%s'", t->what.name);
    kr_err_clear(err);
    (void)kr_fail(err, KR_E_NETWORK, "deployment '%s' does not run (%s)%s%.500s", t->what.name,
                  kr_state_name(status.state), status.detail != NULL ? ": " : "",
                  status.detail != NULL ? status.detail : "");
    return kr_hint(err, "%s deployment provision %s", app->prog, t->what.name);
}

static int get_ready(struct kr_target *t, struct kr_err *err)
{
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_UNKNOWN};
    int64_t wait_ms = kr_json_int(t->settings, "lcm_timeout", WAKE_S) * 1000;

    if (kr_deployer_ready(t->deployer, &t->env, &t->what, wait_ms, &status, err) < 0)
        return kr_wrap(err, "call '%s'", t->what.name);
    if (status.metadata != NULL) {
        json_decref(t->metadata);
        t->metadata = json_incref(status.metadata);
        t->what.metadata = t->metadata;
    }
    return 0;
}

static int send_call(struct kr_app *app, struct kr_target *t, const char *url, const char *body,
                     int timeout_s, json_t **answer, bool *ok, struct kr_err *err)
{
    kr_auto_json json_t *headers = NULL;
    kr_auto(header_lines_finish) struct header_lines lines = {.n = 0};
    kr_auto_http struct kr_http *http = kr_http_open("kourou/" KR_VERSION);
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    int64_t limit_ms = (int64_t)timeout_s * 1000 + SLACK_MS;
    struct kr_http_request req = {
        .method = "POST",
        .url = url,
        .body = {.kind = KR_BODY_BYTES, .bytes = body, .size = strlen(body)},
        .repeat = KR_REPEAT_NEVER,
        .max_body = max_answer,
        .timeout_ms = limit_ms,
        .idle_ms = limit_ms,
    };

    if (get_ready(t, err) < 0 ||
        kr_deployer_headers(t->deployer, &t->env, &t->what, &headers, err) < 0)
        return -(int)err->code;
    req.authorization = add_headers(headers, &lines);
    req.headers = (const char *const *)lines.v;
    http->hooks.cancelled = t->env.cancelled;
    http->hooks.data = t->env.data;
    if (kr_http_send(http, &req, &res, err) < 0)
        return explain_silence(app, t, err);
    return take_answer(app, t, &res, answer, ok, err);
}

int kr_deployment_invoke(struct kr_app *app, const char *ref, const json_t *parameters,
                         int timeout_s, json_t **answer, bool *ok, struct kr_err *err)
{
    kr_auto_json json_t *row = NULL, *body = json_object(), *typed = NULL;
    kr_auto_target struct kr_target target = {0};
    kr_auto_free char *url = NULL, *text = NULL;
    int limit = timeout_s > 0 ? timeout_s : DEFAULT_TIMEOUT_S;
    const char *base;

    *answer = NULL;
    *ok = false;
    if (kr_deployment_row(app, ref, &row, err) < 0 ||
        kr_target_init(app, row, KR_TARGET_LOOK, &target, err) < 0)
        return -(int)err->code;
    base = kr_json_str(row, "url", NULL);
    if (base == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "deployment '%s' has no address yet (%s)",
                      target.what.name, kr_json_str(row, "status", "unknown"));
        return kr_hint(err, "%s deployment provision %s", app->prog, target.what.name);
    }
    if (kr_typed_parameters(json_object_get(target.what.snapshot, "input_schema"), parameters,
                            &typed, err) < 0)
        return -(int)err->code;
    kr_json_set(body, "parameters", json_incref(typed));
    kr_json_set_int(body, "timeout", limit);
    text = kr_json_canonical(body);
    url = kr_endpoint_url(base, target.what.snapshot, "invoke_url_path", "/invoke");
    return send_call(app, &target, url, text, limit, answer, ok, err);
}
