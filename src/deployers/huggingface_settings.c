/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/huggingface_settings.h"

#include "base/alloc.h"

#include <string.h>

#define FREE_HARDWARE "cpu-basic"

static const char *const names[KR_HF_SETTING_COUNT] = {
    [KR_HF_VISIBILITY] = "visibility",   [KR_HF_VOLUMES] = "space_volumes",
    [KR_HF_HARDWARE] = "space_hardware", [KR_HF_SLEEP] = "sleep_time",
    [KR_HF_DEV_MODE] = "dev_mode",       [KR_HF_STORAGE] = "space_storage",
};

void kr_hf_changes_finish(struct kr_hf_changes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        json_decref(c->v[i].from);
        json_decref(c->v[i].to);
    }
    json_decref(c->before);
    json_decref(c->after);
    free(c->note);
    *c = (struct kr_hf_changes){0};
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && text != NULL && strcmp(json_string_value(value), text) == 0;
}

/* The six values that are wanted; NULL: the setting is not there. */
static json_t *wanted_value(const struct kr_space_want *want, enum kr_hf_setting what)
{
    switch (what) {
    case KR_HF_VISIBILITY:
        return want->visibility != NULL ? json_string(want->visibility) : NULL;
    case KR_HF_VOLUMES:
        return want->volumes != NULL ? json_deep_copy(want->volumes) : NULL;
    case KR_HF_HARDWARE:
        return want->hardware != NULL ? json_string(want->hardware) : NULL;
    case KR_HF_SLEEP:
        return want->sleep_s != 0 ? json_integer(want->sleep_s) : NULL;
    case KR_HF_DEV_MODE:
        return want->dev_mode >= 0 ? json_boolean(want->dev_mode) : NULL;
    case KR_HF_STORAGE:
        return want->storage != NULL ? json_string(want->storage) : NULL;
    case KR_HF_SETTING_COUNT:
        break;
    }
    return NULL;
}

static const char *hardware_now(const struct kr_space *space)
{
    const struct kr_runtime *rt = &space->runtime;

    if (rt->hardware_requested != NULL)
        return rt->hardware_requested;
    return rt->hardware != NULL ? rt->hardware : FREE_HARDWARE;
}

/* How it is on the Hub now, in the same form. */
static json_t *present_value(const struct kr_space *space, enum kr_hf_setting what)
{
    const struct kr_runtime *rt = &space->runtime;

    switch (what) {
    case KR_HF_VISIBILITY:
        if (space->visibility != NULL)
            return json_string(space->visibility);
        return space->is_private ? json_string("private") : json_null();
    case KR_HF_VOLUMES:
        return rt->volumes != NULL ? json_incref(rt->volumes) : json_array();
    case KR_HF_HARDWARE:
        return json_string(hardware_now(space));
    case KR_HF_SLEEP:
        return json_integer(rt->sleep_s);
    case KR_HF_DEV_MODE:
        return json_boolean(rt->dev_mode);
    case KR_HF_STORAGE:
        return text_or_null(rt->storage);
    case KR_HF_SETTING_COUNT:
        break;
    }
    return json_null();
}

static bool same_value(enum kr_hf_setting what, const json_t *a, const json_t *b)
{
    return what == KR_HF_VOLUMES ? kr_volumes_equal(a, b) : json_equal(a, b);
}

/* What the Hub has when nobody sets anything. Visibility is never taken back: it could publish. */
static json_t *default_value(enum kr_hf_setting what)
{
    switch (what) {
    case KR_HF_HARDWARE:
        return json_string(FREE_HARDWARE);
    case KR_HF_SLEEP:
        return json_integer(-1);
    case KR_HF_DEV_MODE:
        return json_false();
    case KR_HF_VOLUMES:
        return json_array();
    case KR_HF_STORAGE:
    case KR_HF_VISIBILITY:
    case KR_HF_SETTING_COUNT:
        break;
    }
    return json_null();
}

static void add_change(struct kr_hf_changes *c, enum kr_hf_setting what, const json_t *from,
                       json_t *to, bool back)
{
    c->v[c->n++] =
        (struct kr_hf_change){.what = what, .from = json_deep_copy(from), .to = to, .back = back};
}

/* Of a Space whose visibility the Hub does not say, `private` alone tells nothing about protected:
 * then what we set last counts. */
static bool visibility_differs(const struct kr_space *space, const char *want, const json_t *known)
{
    if (space->visibility != NULL)
        return strcmp(space->visibility, want) != 0;
    if (strcmp(want, "private") == 0)
        return !space->is_private || is_text(known, "protected");
    if (strcmp(want, "public") == 0)
        return space->is_private || is_text(known, "protected");
    return !is_text(known, want);
}

static bool is_free(const struct kr_space_want *want, const struct kr_space *space,
                    const struct kr_hf_changes *c)
{
    const char *hardware = want->hardware != NULL ? want->hardware : hardware_now(space);

    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].what == KR_HF_HARDWARE)
            hardware = json_string_value(c->v[i].to);
    }
    return strcmp(hardware, FREE_HARDWARE) == 0;
}

/* The storage tiers are gone: one that was asked for is not asked for again. */
static bool was_tried(enum kr_hf_setting what, const json_t *wanted, const json_t *known)
{
    return what == KR_HF_STORAGE && known != NULL && json_equal(wanted, known);
}

static char *sleep_note(void)
{
    return kr_strdup("sleep_time is not sent: a Space on " FREE_HARDWARE
                     " always sleeps after 48 hours without a visit; other hardware "
                     "(space_hardware) can be told when");
}

static void plan_wanted(const struct kr_space_want *want, const struct kr_space *space,
                        enum kr_hf_setting what, const json_t *known, json_t *wanted,
                        struct kr_hf_changes *out)
{
    kr_auto_json json_t *now = present_value(space, what);
    bool differs = what == KR_HF_VISIBILITY ? visibility_differs(space, want->visibility, known)
                                            : !same_value(what, wanted, now);

    if (what == KR_HF_SLEEP && is_free(want, space, out)) {
        if (known == NULL || !json_equal(wanted, known))
            out->note = sleep_note();
    } else if (differs && !was_tried(what, wanted, known)) {
        add_change(out, what, now, json_incref(wanted), false);
    }
    kr_json_set(out->before, names[what], json_incref(wanted));
    kr_json_set(out->after, names[what], json_incref(wanted));
}

/* The setting is gone. */
static void plan_back(const struct kr_space_want *want, const struct kr_space *space,
                      enum kr_hf_setting what, json_t *known, struct kr_hf_changes *out)
{
    kr_auto_json json_t *now = present_value(space, what), *plain = default_value(what);

    if (what == KR_HF_VISIBILITY || !same_value(what, now, known) || same_value(what, now, plain) ||
        (what == KR_HF_SLEEP && is_free(want, space, out)))
        return; /* as it is without us, or as somebody else wants it */
    add_change(out, what, now, json_incref(plain), true);
    kr_json_set(out->before, names[what], json_incref(known));
}

static int check_made(const char *setting, const char *want, const char *is, const json_t *applied,
                      const char *id, struct kr_hf_changes *out, struct kr_err *err)
{
    const char *made = is != NULL ? is : kr_json_str(applied, setting, NULL);

    if (kr_json_str(applied, setting, NULL) != NULL)
        kr_json_set_str(out->after, setting, kr_json_str(applied, setting, NULL));
    if (want == NULL || (made != NULL && strcmp(want, made) == 0))
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "Space %s was made with the %s %s, not %s", id, setting,
                  made != NULL ? made : "of its owner", want);
    return kr_hint(err,
                   "the Hub takes %s only when a Space is made: delete the deployment and deploy "
                   "again, or remove the setting",
                   setting);
}

int kr_hf_changes_plan(const struct kr_space_want *want, const struct kr_space *space,
                       const json_t *applied, struct kr_hf_changes *out, struct kr_err *err)
{
    *out = (struct kr_hf_changes){.before = json_object(), .after = json_object()};
    if (check_made("region", want->region, space->region, applied, space->id, out, err) < 0 ||
        check_made("resource_group", want->resource_group, space->resource_group, applied,
                   space->id, out, err) < 0)
        return -(int)err->code;
    (void)json_object_update(out->before, out->after);
    for (int i = 0; i < KR_HF_SETTING_COUNT; i++) {
        json_t *known = json_object_get(applied, names[i]);
        kr_auto_json json_t *wanted = wanted_value(want, (enum kr_hf_setting)i);

        if (wanted != NULL)
            plan_wanted(want, space, (enum kr_hf_setting)i, known, wanted, out);
        else if (known != NULL)
            plan_back(want, space, (enum kr_hf_setting)i, known, out);
    }
    return 0;
}

json_t *kr_hf_changes_created(const struct kr_space_want *want)
{
    json_t *out = json_object();

    for (int i = 0; i < KR_HF_SETTING_COUNT; i++) {
        json_t *value = wanted_value(want, (enum kr_hf_setting)i);

        if (value != NULL && i != KR_HF_STORAGE)
            kr_json_set(out, names[i], json_incref(value));
        json_decref(value);
    }
    if (want->region != NULL)
        kr_json_set_str(out, "region", want->region);
    if (want->resource_group != NULL)
        kr_json_set_str(out, "resource_group", want->resource_group);
    return out;
}

/* The documented storage tiers are asked for, and the answer explained when they are gone. */
static int apply_storage(struct kr_hf *hf, const char *id, const char *tier, struct kr_err *err)
{
    kr_auto_free char *hint = NULL;

    if (kr_space_set_storage(hf->hub, id, tier, err) == 0)
        return 0;
    if (tier == NULL || err->code == KR_E_AUTH || err->code == KR_E_NETWORK ||
        err->code == KR_E_CANCELLED)
        return -(int)err->code;
    kr_err_clear(err);
    hint = kr_space_storage_hint(tier, id);
    kr_hf_note(hf, true, "%s", hint);
    return 0;
}

static int remember(struct kr_hf *hf, const json_t *what, struct kr_err *err)
{
    const json_t *now = json_object_get(hf->metadata, "applied");

    if (now != NULL ? json_equal(now, what) : json_object_size(what) == 0)
        return 0;
    return kr_hf_save(hf, "applied", json_deep_copy(what), err);
}

int kr_hf_changes_of_new(struct kr_hf *hf, const struct kr_space_want *want, struct kr_err *err)
{
    kr_auto_json json_t *applied = kr_hf_changes_created(want);
    kr_auto_free char *note = want->sleep_s != 0 && !kr_hf_sleep_counts(want) ? sleep_note() : NULL;

    if (note != NULL)
        kr_hf_note(hf, true, "%s", note);
    if (want->storage == NULL)
        return 0;
    if (apply_storage(hf, want->id, want->storage, err) < 0)
        return -(int)err->code;
    kr_json_set_str(applied, names[KR_HF_STORAGE], want->storage);
    return remember(hf, applied, err);
}

int kr_hf_changes_allowed(struct kr_hf *hf, const struct kr_hf_changes *c,
                          const struct kr_space *space, struct kr_err *err)
{
    const struct kr_account *account = NULL;
    kr_auto_free char *page = kr_space_page(hf->hub, space->id), *what = NULL;

    if (kr_hub_whoami(hf->hub, &account, err) < 0)
        return -(int)err->code;
    if (account->kind != KR_TOKEN_OAUTH)
        return 0;
    for (size_t i = 0; i < c->n && what == NULL; i++) {
        if (c->v[i].what == KR_HF_HARDWARE || c->v[i].what == KR_HF_SLEEP)
            what = kr_asprintf("change %s of Space %s", names[c->v[i].what], space->id);
    }
    if (what == NULL && space->runtime.stage == KR_STAGE_PAUSED)
        what = kr_asprintf("start Space %s, which is PAUSED", space->id);
    if (what == NULL)
        return kr_space_check_write(hf->hub, space->id, err);
    (void)kr_fail(err, KR_E_AUTH, "a login of `hf auth login` may not %s; nothing was changed",
                  what);
    return kr_hint(err,
                   "do that at %s/settings, or use an access token with the role write from "
                   "%s/settings/tokens",
                   page, kr_hub_endpoint(hf->hub));
}

static bool has(const struct kr_hf_changes *c, enum kr_hf_setting what)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].what == what)
            return true;
    }
    return false;
}

static int apply_one(struct kr_hf *hf, const char *id, const struct kr_space_want *want,
                     const struct kr_hf_change *one, const struct kr_hf_changes *all,
                     struct kr_err *err)
{
    const char *text = json_string_value(one->to);

    switch (one->what) {
    case KR_HF_VISIBILITY:
        return kr_space_set_visibility(hf->hub, id, text, err);
    case KR_HF_VOLUMES:
        return kr_space_set_volumes(hf->hub, id, one->to, err);
    case KR_HF_HARDWARE: /* with the sleep time in the same call */
        return kr_space_set_hardware(
            hf->hub, id, text, strcmp(text, FREE_HARDWARE) == 0 ? 0 : want->sleep_s, NULL, err);
    case KR_HF_SLEEP:
        if (has(all, KR_HF_HARDWARE) && !one->back)
            return 0;
        return kr_space_set_sleep(hf->hub, id, json_integer_value(one->to), NULL, err);
    case KR_HF_DEV_MODE:
        return kr_space_set_dev_mode(hf->hub, id, json_is_true(one->to), NULL, err);
    case KR_HF_STORAGE:
        return apply_storage(hf, id, text, err);
    case KR_HF_SETTING_COUNT:
        break;
    }
    return 0;
}

static void tell(const struct kr_hf *hf, const struct kr_hf_change *one)
{
    kr_auto_free char *to = kr_json_canonical(one->to);

    if (one->what == KR_HF_STORAGE && !one->back)
        return;
    kr_hf_note(
        hf, false, "%s of the Space is %s now%s", names[one->what], to,
        one->back ? ": the setting is gone, so what this deployment had set is taken back" : "");
}

bool kr_hf_sleep_counts(const struct kr_space_want *want)
{
    return want->sleep_s != 0 && want->hardware != NULL &&
           strcmp(want->hardware, FREE_HARDWARE) != 0;
}

int kr_hf_changes_apply(struct kr_hf *hf, const struct kr_space_want *want,
                        const struct kr_hf_changes *c, bool *restarted, struct kr_err *err)
{
    if (c->note != NULL)
        kr_hf_note(hf, true, "%s", c->note);
    /* Before the calls, so that a kill between them leaves nothing that nobody takes back. */
    if (remember(hf, c->before, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < c->n; i++) {
        if (apply_one(hf, want->id, want, &c->v[i], c, err) < 0)
            return -(int)err->code;
        tell(hf, &c->v[i]);
        *restarted = *restarted || c->v[i].what == KR_HF_VOLUMES ||
                     c->v[i].what == KR_HF_HARDWARE || c->v[i].what == KR_HF_STORAGE;
    }
    return remember(hf, c->after, err);
}

json_t *kr_hf_changes_json(const struct kr_hf_changes *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n; i++) {
        json_t *one = json_object();

        kr_json_set_str(one, "setting", names[c->v[i].what]);
        kr_json_set(one, "from", json_incref(c->v[i].from));
        kr_json_set(one, "to", json_incref(c->v[i].to));
        kr_json_set_bool(one, "taken_back", c->v[i].back);
        (void)json_array_append_new(list, one);
    }
    return list;
}

static void add_call(json_t *calls, const char *method, const char *id, const char *route,
                     const char *key, const json_t *value)
{
    kr_auto_free char *call = kr_asprintf("%s /api/spaces/%s/%s", method, id, route);
    json_t *one = json_object(), *body = json_object();

    kr_json_set(body, key, json_deep_copy(value));
    kr_json_set_str(one, "call", call);
    kr_json_set(one, "body", body);
    (void)json_array_append_new(calls, one);
}

void kr_hf_changes_calls(const char *id, const struct kr_hf_changes *c, json_t *calls)
{
    static const struct {
        const char *method, *route, *key;
    } rows[KR_HF_SETTING_COUNT] = {
        [KR_HF_VISIBILITY] = {"PUT", "settings", "visibility"},
        [KR_HF_VOLUMES] = {"PUT", "volumes", "volumes"},
        [KR_HF_HARDWARE] = {"POST", "hardware", "flavor"},
        [KR_HF_SLEEP] = {"POST", "sleeptime", "seconds"},
        [KR_HF_DEV_MODE] = {"POST", "dev-mode", "enabled"},
        [KR_HF_STORAGE] = {"POST", "storage", "tier"},
    };

    for (size_t i = 0; i < c->n; i++) {
        const struct kr_hf_change *one = &c->v[i];
        bool removes =
            json_is_null(one->to) || (one->what == KR_HF_VOLUMES && json_array_size(one->to) == 0);

        if (one->what == KR_HF_SLEEP && !one->back && has(c, KR_HF_HARDWARE))
            continue; /* goes with the hardware */
        add_call(calls, removes ? "DELETE" : rows[one->what].method, id, rows[one->what].route,
                 rows[one->what].key, one->to);
    }
}
