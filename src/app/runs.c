/* SPDX-License-Identifier: Apache-2.0 */
#include "app/runs.h"

#include "app/target.h"
#include "base/alloc.h"
#include "deployers/lifecycle.h"
#include "net/http.h"

#include <string.h>

enum { PAGE = 500, MAX_PAGES = 20, PARALLEL = 16, LIMIT_MS = 10000, MAX_HEADERS = 8 };

struct source {
    struct kr_target target;
    json_t *headers, *known;
    char *url;
    const char *lines[MAX_HEADERS + 1];
    bool asked, done;
};

static void source_finish(struct source *s)
{
    for (size_t i = 0; s->lines[i] != NULL; i++)
        free((char *)(uintptr_t)s->lines[i]);
    json_decref(s->headers);
    json_decref(s->known);
    free(s->url);
    kr_target_finish(&s->target);
}

/* Ids of the newest runs of a deployment that the store has, as keys. */
static int load_known(struct kr_app *app, struct source *s, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL;
    struct kr_query query = {.page = 1, .size = 2 * PAGE, .sort_by = "desc:started"};
    const json_t *item;
    size_t i;

    s->known = json_object();
    kr_json_set_str(scope, "deployment_id", s->target.what.id);
    if (kr_store_list(app->store, KR_RUN, &query, scope, &page, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(page, "items"), i, item)
        kr_json_set_bool(s->known, kr_json_str(item, "id", ""), true);
    return 0;
}

static int open_source(struct kr_app *app, const json_t *row, struct source *s, struct kr_err *err)
{
    const char *name, *base = kr_json_str(row, "url", NULL);
    json_t *value;
    size_t n = 0;

    if (kr_target_init(app, row, KR_TARGET_LOOK, &s->target, err) < 0)
        return -(int)err->code;
    if (base == NULL || s->target.deployer == NULL || s->target.what.snapshot == NULL)
        return 0;
    if (kr_deployer_headers(s->target.deployer, &s->target.env, &s->target.what, &s->headers, err) <
            0 ||
        load_known(app, s, err) < 0)
        return -(int)err->code;
    json_object_foreach(s->headers, name, value)
    {
        if (strcmp(name, "Authorization") != 0 && n < MAX_HEADERS)
            s->lines[n++] = kr_asprintf("%s: %s", name, json_string_value(value));
    }
    s->url = kr_endpoint_url(base, s->target.what.snapshot, "runs_url_path", "/runs");
    s->asked = true;
    return 0;
}

static json_t *as_record(const struct source *s, const json_t *item)
{
    json_t *run = json_object();

    kr_json_set_str(run, "id", kr_json_str(item, "id", NULL));
    kr_json_set_str(run, "name", kr_json_str(item, "name", NULL));
    kr_json_set_str(run, "deployment_id", s->target.what.id);
    kr_json_set_str(run, "pipeline", s->target.what.pipeline);
    kr_json_set_str(run, "status", kr_json_str(item, "status", "unknown"));
    kr_json_set_str(run, "started", kr_json_str(item, "started_at", NULL));
    kr_json_set(run, "duration",
                json_real(json_number_value(json_object_get(item, "duration_ms")) / 1000.0));
    return run;
}

/* One page of a journal, newest first. *more: nothing in it was known, and there are further
 * pages. */
static int take_page(struct kr_app *app, const struct source *s, const json_t *page, bool *more,
                     struct kr_err *err)
{
    const json_t *items = json_object_get(page, "items"), *item;
    size_t i;

    *more = kr_json_int(page, "page", 1) < kr_json_int(page, "total_pages", 1);
    json_array_foreach(items, i, item)
    {
        kr_auto_json json_t *run = NULL;
        const char *id = kr_json_str(item, "id", NULL);

        if (id == NULL || json_object_get(s->known, id) != NULL) {
            *more = *more && id == NULL;
            continue;
        }
        run = as_record(s, item);
        kr_json_set_bool(s->known, id, true);
        if (kr_store_insert(app->store, KR_RUN, run, NULL, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static void note_unread(struct kr_app *app, const struct source *s, const char *why)
{
    kr_note(app, KR_NOTE_WARN, "the runs of '%s' could not be read: %s", s->target.what.name, why);
}

static int take_answer(struct kr_app *app, struct source *s, const struct kr_http_job *job,
                       struct kr_err *err)
{
    kr_auto_json json_t *page = NULL;
    bool more = false;
    int rc;

    s->done = true;
    if (job->rc < 0 || job->res.status == 404)
        return 0; /* it does not run, or keeps no journal */
    if (job->res.status != 200 ||
        kr_json_parse(kr_buf_str(&job->res.body), job->res.body.n, "runs", &page, NULL) < 0) {
        char why[64];

        (void)snprintf(why, sizeof(why), "it answered with status %d", job->res.status);
        note_unread(app, s, why);
        return 0;
    }
    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = take_page(app, s, page, &more, err);
    if (rc < 0) {
        kr_store_rollback(app->store);
        return rc;
    }
    s->done = !more;
    return kr_store_commit(app->store, err);
}

/* The same page number of every journal that is not read to its known part yet. */
static int fetch_round(struct kr_app *app, struct kr_http *http, struct source *sources, size_t n,
                       int page, bool *more, struct kr_err *err)
{
    kr_auto_free struct kr_http_job *jobs = kr_calloc(n, sizeof(*jobs));
    kr_auto_free struct source **of = kr_calloc(n, sizeof(struct source *));
    size_t count = 0;
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        struct source *s = &sources[i];

        if (!s->asked || s->done)
            continue;
        of[count] = s;
        jobs[count].req = (struct kr_http_request){
            .method = "GET",
            .url = kr_asprintf("%s?page=%d&size=%d", s->url, page, PAGE),
            .headers = s->lines,
            .authorization = kr_json_str(s->headers, "Authorization", NULL),
        };
        count++;
    }
    kr_http_many(http, jobs, count, PARALLEL, LIMIT_MS);
    for (size_t i = 0; i < count; i++) {
        if (rc == 0)
            rc = take_answer(app, of[i], &jobs[i], err);
        *more = *more || !of[i]->done;
        free((char *)(uintptr_t)jobs[i].req.url);
        kr_http_response_finish(&jobs[i].res);
    }
    return rc;
}

static int fetch_all(struct kr_app *app, struct source *sources, size_t n, struct kr_err *err)
{
    kr_auto_http struct kr_http *http = NULL;
    bool more = false;

    for (size_t i = 0; i < n; i++)
        more = more || sources[i].asked;
    if (!more)
        return 0;
    http = kr_http_open("kourou/" KR_VERSION);
    for (int page = 1; more && page <= MAX_PAGES; page++) {
        more = false;
        if (fetch_round(app, http, sources, n, page, &more, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_runs_refresh(struct kr_app *app, struct kr_err *err)
{
    kr_auto_json json_t *page = NULL, *filters = json_object();
    struct kr_query query = {.page = 1, .filters = filters};
    const json_t *items, *item;
    struct source *sources;
    size_t i, n;
    int rc = 0;

    kr_json_set_str(filters, "url", "contains:/"); /* without one there is nobody to ask */
    if (kr_store_list(app->store, KR_DEPLOYMENT, &query, NULL, &page, err) < 0)
        return -(int)err->code;
    items = json_object_get(page, "items");
    n = json_array_size(items);
    sources = kr_calloc(n + 1, sizeof(*sources));
    json_array_foreach(items, i, item)
    {
        kr_auto_json json_t *row = NULL;
        struct kr_err problem = KR_ERR_INIT;

        if (kr_deployment_row(app, kr_json_str(item, "id", ""), &row, &problem) < 0)
            continue; /* deleted meanwhile */
        if (open_source(app, row, &sources[i], &problem) < 0 && problem.code != KR_E_NETWORK)
            note_unread(app, &sources[i], problem.msg);
    }
    rc = fetch_all(app, sources, n, err);
    for (i = 0; i < n; i++)
        source_finish(&sources[i]);
    free(sources);
    return rc;
}
