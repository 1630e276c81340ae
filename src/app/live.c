/* SPDX-License-Identifier: Apache-2.0 */
#include "app/live.h"

#include "app/target.h"
#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>

enum { MAX_THREADS = 32 };

struct look {
    json_t *row;
    struct kr_target target;
    struct kr_deployment_status status;
    struct kr_err err;
    int rc;
};

struct looks {
    struct look *v;
    size_t n, next;
    pthread_mutex_t mutex;
    int64_t until_ms, each_ms; /* of all, and what one may take of it */
};

static void look_at(const struct looks *all, struct look *l)
{
    int64_t now = kr_mono_ms();

    if (l->rc == 0 && now >= all->until_ms)
        l->rc = kr_fail(&l->err, KR_E_TIMEOUT,
                        "others took all of the time there is; look at fewer at once (--size)");
    l->target.env.until_ms =
        now + all->each_ms < all->until_ms ? now + all->each_ms : all->until_ms;
    if (l->rc == 0)
        l->rc = kr_deployer_status(l->target.deployer, &l->target.env, &l->target.what, &l->status,
                                   &l->err);
}

static void *look_around(void *data)
{
    struct looks *all = data;

    for (;;) {
        size_t mine;

        (void)pthread_mutex_lock(&all->mutex);
        mine = all->next < all->n ? all->next++ : all->n;
        (void)pthread_mutex_unlock(&all->mutex);
        if (mine == all->n)
            return NULL;
        look_at(all, &all->v[mine]);
    }
}

static void look_all(struct looks *all)
{
    pthread_t threads[MAX_THREADS];
    size_t wanted = all->n < MAX_THREADS ? all->n : MAX_THREADS, started = 0;

    /* This thread takes part: with one deployment there is no other. */
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, look_around, all) == 0)
        started++;
    (void)look_around(all);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
}

static void put_text(json_t *row, json_t *change, const char *key, const char *text)
{
    const char *had = kr_json_str(row, key, NULL);

    if (had == text || (had != NULL && text != NULL && strcmp(had, text) == 0))
        return;
    kr_json_set_str(row, key, text);
    kr_json_set_str(change, key, text);
}

static void put_unread(struct look *l)
{
    kr_auto_free char *note = kr_asprintf("the state could not be read (last known: %s): %s",
                                          kr_json_str(l->row, "status", "unknown"), l->err.msg);

    kr_json_set_str(l->row, "state_note", note);
    kr_json_set_str(l->row, "unread", l->err.msg);
    kr_json_set_str(l->row, "status", kr_state_name(KR_STATE_UNKNOWN));
}

static void take(struct kr_app *app, struct look *l)
{
    kr_auto_json json_t *change = json_object();
    const struct kr_deployment_status *s = &l->status;
    struct kr_err ignored = KR_ERR_INIT; /* best effort: it may have been deleted meanwhile */
    bool was_pending = strcmp(kr_json_str(l->row, "status", ""), "pending") == 0;

    if (l->rc < 0) {
        put_unread(l);
        return;
    }
    kr_json_set_str(l->row, "state_note", s->detail);
    if (was_pending && s->state == KR_STATE_ABSENT && s->detail == NULL)
        kr_json_set_str(l->row, "state_note", "its deploy has not come far: deploy it again");
    if (s->state == KR_STATE_ABSENT && kr_json_str(l->row, "error", NULL) != NULL)
        put_text(l->row, change, "status", kr_state_name(KR_STATE_ERROR)); /* it never came to be */
    else
        put_text(l->row, change, "status", kr_state_name(s->state));
    if (s->url != NULL)
        put_text(l->row, change, "url", s->url);
    if (s->page_url != NULL)
        put_text(l->row, change, "page_url", s->page_url);
    if (json_object_size(change) > 0 &&
        kr_store_update(app->store, KR_DEPLOYMENT, kr_json_str(l->row, "id", ""), change,
                        &ignored) < 0)
        return;
}

/* Puts the records that the rows refer to into them, with one query for all. */
static void attach(struct kr_app *app, json_t *rows, enum kr_entity entity, const char *link,
                   const char *as)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL, *by_id = json_object();
    struct kr_query query = {.page = 1, .hidden = true};
    struct kr_err ignored = KR_ERR_INIT; /* they are looked up one by one then */
    json_t *ids = json_array(), *row;
    size_t i;

    kr_json_set(scope, "id", ids);
    json_array_foreach(rows, i, row)
    {
        if (json_is_string(json_object_get(row, link)))
            (void)json_array_append(ids, json_object_get(row, link));
    }
    if (json_array_size(ids) == 0 ||
        kr_store_list(app->store, entity, &query, scope, &page, &ignored) < 0)
        return;
    json_array_foreach(json_object_get(page, "items"), i, row)
        kr_json_set(by_id, kr_json_str(row, "id", ""), json_incref(row));
    json_array_foreach(rows, i, row)
    {
        json_t *found = json_object_get(by_id, kr_json_str(row, link, ""));

        if (found != NULL)
            kr_json_set(row, as, json_incref(found));
    }
}

static void detach(json_t *row)
{
    (void)json_object_del(row, "snapshot_row");
    (void)json_object_del(row, "deployer_row");
}

int kr_live_rows(struct kr_app *app, json_t *rows, int64_t limit_ms, struct kr_err *err)
{
    struct looks all = {.n = json_array_size(rows), .mutex = PTHREAD_MUTEX_INITIALIZER};
    kr_auto_free struct look *v = kr_calloc(all.n + 1, sizeof(*v));

    all.v = v;
    all.until_ms = kr_mono_ms() + limit_ms;
    /* Where some have to wait for others, silent ones must not take it all. */
    all.each_ms = all.n > MAX_THREADS ? limit_ms / 2 : limit_ms;
    attach(app, rows, KR_SNAPSHOT, "snapshot_id", "snapshot_row");
    attach(app, rows, KR_COMPONENT, "deployer_id", "deployer_row");
    for (size_t i = 0; i < all.n; i++) {
        v[i].row = json_array_get(rows, i);
        v[i].rc = kr_target_init(app, v[i].row, KR_TARGET_LOOK, &v[i].target, &v[i].err);
        v[i].target.quiet = true;
        if (v[i].rc == 0 && v[i].target.deployer == NULL)
            v[i].rc = kr_deployer_need(kr_json_str(v[i].row, "flavor", ""), &v[i].target.deployer,
                                       &v[i].err);
    }
    if (all.n > 0)
        look_all(&all);
    for (size_t i = 0; i < all.n; i++) {
        if (!kr_cancelled(app))
            take(app, &v[i]);
        detach(v[i].row);
        kr_target_finish(&v[i].target);
        kr_deployment_status_finish(&v[i].status);
    }
    (void)pthread_mutex_destroy(&all.mutex);
    return kr_cancelled(app) ? kr_fail(err, KR_E_CANCELLED, "stopped") : 0;
}
