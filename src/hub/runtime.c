/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/runtime.h"

#include "base/alloc.h"
#include "base/view.h"
#include "hub/hub_impl.h"

#include <limits.h>
#include <string.h>

static const char *const stage_names[] = {
    [KR_STAGE_UNKNOWN] = "",
    [KR_STAGE_NO_APP_FILE] = "NO_APP_FILE",
    [KR_STAGE_CONFIG_ERROR] = "CONFIG_ERROR",
    [KR_STAGE_BUILDING] = "BUILDING",
    [KR_STAGE_BUILD_ERROR] = "BUILD_ERROR",
    [KR_STAGE_APP_STARTING] = "APP_STARTING",
    [KR_STAGE_RUNNING] = "RUNNING",
    [KR_STAGE_RUNNING_BUILDING] = "RUNNING_BUILDING",
    [KR_STAGE_RUNNING_APP_STARTING] = "RUNNING_APP_STARTING",
    [KR_STAGE_RUNTIME_ERROR] = "RUNTIME_ERROR",
    [KR_STAGE_DELETING] = "DELETING",
    [KR_STAGE_STOPPED] = "STOPPED",
    [KR_STAGE_PAUSED] = "PAUSED",
    [KR_STAGE_SLEEPING] = "SLEEPING",
};
_Static_assert(KR_ARRAY_LEN(stage_names) == KR_STAGE_COUNT, "every stage has a name");

enum kr_stage kr_stage_parse(const char *name)
{
    for (int i = 1; i < KR_STAGE_COUNT; i++) {
        if (strcmp(stage_names[i], name) == 0)
            return (enum kr_stage)i;
    }
    return KR_STAGE_UNKNOWN;
}

bool kr_stage_is_moving(enum kr_stage stage)
{
    return stage == KR_STAGE_BUILDING || stage == KR_STAGE_RUNNING_BUILDING ||
           stage == KR_STAGE_APP_STARTING || stage == KR_STAGE_RUNNING_APP_STARTING;
}

bool kr_stage_is_error(enum kr_stage stage)
{
    return stage == KR_STAGE_CONFIG_ERROR || stage == KR_STAGE_BUILD_ERROR ||
           stage == KR_STAGE_RUNTIME_ERROR || stage == KR_STAGE_NO_APP_FILE;
}

bool kr_stage_serves(enum kr_stage stage)
{
    return stage == KR_STAGE_RUNNING || stage == KR_STAGE_RUNNING_BUILDING ||
           stage == KR_STAGE_RUNNING_APP_STARTING;
}

bool kr_stage_sleeps(enum kr_stage stage)
{
    return stage == KR_STAGE_SLEEPING || stage == KR_STAGE_STOPPED;
}

void kr_runtime_finish(struct kr_runtime *rt)
{
    free(rt->stage_name);
    free(rt->sha);
    free(rt->error);
    free(rt->hardware);
    free(rt->hardware_requested);
    free(rt->domain);
    free(rt->storage);
    json_decref(rt->volumes);
    *rt = (struct kr_runtime){0};
}

static char *read_str(const json_t *obj, const char *key)
{
    const char *text = kr_json_str(obj, key, NULL);

    return text != NULL && text[0] != '\0' ? kr_strdup(text) : NULL;
}

/* The Space's own domain; a custom one only when there is no other. */
static char *read_domain(const json_t *domains)
{
    const char *found = NULL, *custom = NULL;
    const json_t *item;
    size_t i;

    json_array_foreach(domains, i, item)
    {
        const char *domain = kr_json_str(item, "domain", NULL);

        if (domain == NULL || domain[0] == '\0')
            continue;
        if (kr_json_bool(item, "isCustom", false))
            custom = custom != NULL ? custom : domain;
        else
            found = found != NULL ? found : domain;
    }
    return kr_strdup(found != NULL ? found : custom);
}

static int read_count(const json_t *obj, const char *key)
{
    const char *text = kr_json_str(obj, key, "");
    int64_t n = kr_json_int(obj, key, -1);

    if (strcmp(text, "auto") == 0)
        return -2;
    return n >= 0 && n <= INT_MAX ? (int)n : -1;
}

void kr_runtime_read(const json_t *obj, struct kr_runtime *out)
{
    const json_t *hardware = json_object_get(obj, "hardware");
    const json_t *replicas = json_object_get(obj, "replicas");
    json_t *volumes = json_object_get(obj, "volumes");
    const char *stage = kr_json_str(obj, "stage", "");

    *out = (struct kr_runtime){
        .stage = kr_stage_parse(stage),
        .stage_name = kr_strdup(stage),
        .sha = read_str(obj, "sha"),
        .error = read_str(obj, "errorMessage"),
        .hardware = read_str(hardware, "current"),
        .hardware_requested = read_str(hardware, "requested"),
        .domain = read_domain(json_object_get(obj, "domains")),
        .storage = read_str(obj, "storage"),
        .sleep_s = kr_json_int(obj, "gcTimeout", -1),
        .replicas = read_count(replicas, "current"),
        .replicas_requested = read_count(replicas, "requested"),
        .dev_mode = kr_json_bool(obj, "devMode", false),
        .volumes = json_is_array(volumes) ? json_incref(volumes) : NULL,
    };
}

/* A call about one Space; the texts live in it. */
struct space_call {
    struct kr_hub_call call;
    char *doing, *path;
};

static void space_call_finish(struct space_call *c)
{
    free(c->doing);
    free(c->path);
}

static void space_call_init(struct space_call *c, const char *doing, const char *method,
                            const char *space, const char *what)
{
    c->doing = kr_asprintf("%s %s", doing, space);
    c->path = kr_asprintf("/api/spaces/%s/%s", space, what);
    c->call =
        (struct kr_hub_call){.doing = c->doing, .method = method, .path = c->path, .space = space};
}

#define auto_call kr_auto(space_call_finish)

int kr_runtime_get(struct kr_hub *hub, const char *space, struct kr_runtime *out,
                   struct kr_err *err)
{
    auto_call struct space_call c;
    kr_auto_json json_t *body = NULL;

    space_call_init(&c, "read the state of Space", "GET", space, "runtime");
    if (kr_hub_json(hub, &c.call, &body, err) < 0)
        return -(int)err->code;
    kr_runtime_read(body, out);
    return 0;
}

static void take_job(struct kr_hub *hub, struct kr_runtime_job *job, struct kr_http_job *http)
{
    auto_call struct space_call c;
    kr_auto_json json_t *body = NULL;

    space_call_init(&c, "read the state of Space", "GET", job->space, "runtime");
    job->rc = http->rc;
    if (http->rc < 0) {
        job->err = http->err;
        (void)kr_wrap(&job->err, "%s", c.doing);
    } else if (http->res.status != 200) {
        job->rc = kr_hub_problem(hub, &c.call, &http->res, &job->err);
    } else {
        job->rc = kr_hub_parse(&c.call, &http->res, &body, &job->err);
        if (job->rc == 0)
            kr_runtime_read(body, &job->rt);
    }
}

void kr_runtime_get_many(struct kr_hub *hub, struct kr_runtime_job *jobs, size_t n,
                         int64_t limit_ms)
{
    enum { SIDE_BY_SIDE = 8 };
    struct kr_http_job *http = kr_calloc(n + 1, sizeof(*http));
    char **urls = kr_calloc(n + 1, sizeof(*urls));

    for (size_t i = 0; i < n; i++) {
        kr_auto_free char *path = kr_asprintf("/api/spaces/%s/runtime", jobs[i].space);
        struct kr_hub_call call = {.method = "GET"};

        urls[i] = kr_hub_url(hub, path);
        kr_hub_request(hub, &call, urls[i], &http[i].req);
    }
    if (!hub->offline)
        kr_http_many(hub->http, http, n, SIDE_BY_SIDE, limit_ms);
    for (size_t i = 0; i < n; i++) {
        if (hub->offline)
            http[i].rc = kr_fail(&http[i].err, KR_E_NETWORK, "HF_HUB_OFFLINE is set");
        take_job(hub, &jobs[i], &http[i]);
        kr_http_response_finish(&http[i].res);
        free(urls[i]);
    }
    free(urls);
    free(http);
}

char *kr_runtime_url(const struct kr_hub *hub, const struct kr_runtime *rt)
{
    if (rt->domain == NULL)
        return NULL;
    return kr_asprintf("%s://%s", kr_starts_with(hub->endpoint, "https:") ? "https" : "http",
                       rt->domain);
}

static int take_runtime(const struct kr_hub_call *call, const struct kr_http_response *res,
                        struct kr_runtime *out, struct kr_err *err)
{
    kr_auto_json json_t *body = NULL;

    if (out == NULL)
        return 0;
    if (kr_hub_parse(call, res, &body, err) < 0)
        return -(int)err->code;
    kr_runtime_read(body, out);
    return 0;
}

/* Calls that may be sent twice. */
static int change(struct kr_hub *hub, const struct kr_hub_call *call, struct kr_runtime *out,
                  struct kr_err *err)
{
    struct kr_hub_call again = *call;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;

    again.repeat = KR_REPEAT_SAFE;
    if (kr_hub_send(hub, &again, &res, err) < 0)
        return -(int)err->code;
    if (res.status < 200 || res.status >= 300)
        return kr_hub_problem(hub, call, &res, err);
    return take_runtime(call, &res, out, err);
}

struct look {
    const char *space;
    bool (*landed)(const struct kr_runtime *rt, const struct look *look);
    const char *flavor;
};

static int look_at_runtime(struct kr_hub *hub, void *data, struct kr_err *err)
{
    const struct look *look = data;
    kr_auto_runtime struct kr_runtime rt = {0};

    if (kr_runtime_get(hub, look->space, &rt, err) < 0)
        return -(int)err->code;
    return look->landed(&rt, look) ? 1 : 0;
}

/* Calls that restart the Space: when the answer got lost, the runtime tells whether it did. */
static int change_once(struct kr_hub *hub, const struct kr_hub_call *call, struct look *look,
                       struct kr_runtime *out, struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    bool was_lost;

    if (kr_hub_once(hub, call, look_at_runtime, look, &res, &was_lost, err) < 0)
        return -(int)err->code;
    if (was_lost)
        return out != NULL ? kr_runtime_get(hub, look->space, out, err) : 0;
    if (res.status < 200 || res.status >= 300)
        return kr_hub_problem(hub, call, &res, err);
    return take_runtime(call, &res, out, err);
}

int kr_space_pause(struct kr_hub *hub, const char *space, struct kr_runtime *out,
                   struct kr_err *err)
{
    auto_call struct space_call c;

    space_call_init(&c, "pause Space", "POST", space, "pause");
    return change(hub, &c.call, out, err);
}

static bool is_restarting(const struct kr_runtime *rt, const struct look *look)
{
    (void)look;
    return kr_stage_is_moving(rt->stage);
}

int kr_space_restart(struct kr_hub *hub, const char *space, bool factory, struct kr_runtime *out,
                     struct kr_err *err)
{
    auto_call struct space_call c;
    struct look look = {.space = space, .landed = is_restarting};

    space_call_init(&c, "restart Space", "POST", space,
                    factory ? "restart?factory=true" : "restart");
    c.call.oauth_barred = true;
    return change_once(hub, &c.call, &look, out, err);
}

static bool has_flavor(const struct kr_runtime *rt, const struct look *look)
{
    return rt->hardware_requested != NULL && strcmp(rt->hardware_requested, look->flavor) == 0;
}

int kr_space_set_hardware(struct kr_hub *hub, const char *space, const char *flavor,
                          int64_t sleep_s, struct kr_runtime *out, struct kr_err *err)
{
    auto_call struct space_call c;
    struct look look = {.space = space, .landed = has_flavor, .flavor = flavor};
    kr_auto_json json_t *body = json_object();
    kr_auto_free char *doing = kr_asprintf("set hardware %s for Space", flavor);

    space_call_init(&c, doing, "POST", space, "hardware");
    kr_json_set_str(body, "flavor", flavor);
    if (sleep_s != 0)
        kr_json_set_int(body, "sleepTimeSeconds", sleep_s);
    c.call.json = body;
    c.call.oauth_barred = true;
    return change_once(hub, &c.call, &look, out, err);
}

int kr_space_set_sleep(struct kr_hub *hub, const char *space, int64_t sleep_s,
                       struct kr_runtime *out, struct kr_err *err)
{
    auto_call struct space_call c;
    kr_auto_json json_t *body = json_object();

    space_call_init(&c, "set the sleep time of Space", "POST", space, "sleeptime");
    kr_json_set_int(body, "seconds", sleep_s);
    c.call.json = body;
    c.call.oauth_barred = true;
    return change(hub, &c.call, out, err);
}

int kr_space_set_dev_mode(struct kr_hub *hub, const char *space, bool on, struct kr_runtime *out,
                          struct kr_err *err)
{
    auto_call struct space_call c;
    kr_auto_json json_t *body = json_object();

    space_call_init(&c, on ? "enable the dev mode of Space" : "disable the dev mode of Space",
                    "POST", space, "dev-mode");
    kr_json_set_bool(body, "enabled", on);
    c.call.json = body;
    return change(hub, &c.call, out, err);
}

int kr_space_set_volumes(struct kr_hub *hub, const char *space, const json_t *volumes,
                         struct kr_err *err)
{
    auto_call struct space_call c;
    kr_auto_json json_t *body = NULL;
    bool some = json_array_size(volumes) != 0;

    space_call_init(&c, "set the volumes of Space", some ? "PUT" : "DELETE", space, "volumes");
    if (some) {
        body = json_object();
        kr_json_set(body, "volumes", json_deep_copy(volumes));
    }
    c.call.json = body;
    return change(hub, &c.call, NULL, err);
}

int kr_space_set_storage(struct kr_hub *hub, const char *space, const char *tier,
                         struct kr_err *err)
{
    auto_call struct space_call c;
    kr_auto_json json_t *body = NULL;
    int rc;

    space_call_init(&c, "set the storage tier of Space", tier != NULL ? "POST" : "DELETE", space,
                    "storage");
    if (tier != NULL) {
        body = json_object();
        kr_json_set_str(body, "tier", tier);
    }
    c.call.json = body;
    rc = change(hub, &c.call, NULL, err);
    if (rc < 0 && err != NULL && err->http_status >= 400 && err->http_status < 500)
        (void)kr_hint(err, "the Hub has withdrawn storage tiers: mount a bucket with the setting "
                           "space_volumes");
    return rc;
}

static void volume_line(struct kr_buf *out, const json_t *v)
{
    const char *type = kr_json_str(v, "type", "");

    kr_buf_addf(out, "%s\n%s\n%s\n%s\n%s\n%d", kr_json_str(v, "mountPath", ""), type,
                kr_json_str(v, "source", ""), kr_json_str(v, "path", ""),
                kr_json_str(v, "revision", strcmp(type, "bucket") == 0 ? "" : "main"),
                kr_json_bool(v, "readOnly", strcmp(type, "bucket") != 0));
}

static bool has_volume(const json_t *list, const json_t *volume)
{
    kr_auto_buf struct kr_buf want = KR_BUF_INIT(8192), have = KR_BUF_INIT(8192);
    const json_t *item;
    size_t i;

    volume_line(&want, volume);
    json_array_foreach(list, i, item)
    {
        kr_buf_reset(&have);
        volume_line(&have, item);
        if (strcmp(kr_buf_str(&want), kr_buf_str(&have)) == 0)
            return true;
    }
    return false;
}

bool kr_volumes_equal(const json_t *a, const json_t *b)
{
    const json_t *item;
    size_t i;

    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach(a, i, item)
    {
        if (!has_volume(b, item))
            return false;
    }
    json_array_foreach(b, i, item)
    {
        if (!has_volume(a, item))
            return false;
    }
    return true;
}

int kr_hardware_list(struct kr_hub *hub, json_t **out, struct kr_err *err)
{
    struct kr_hub_call call = {
        .doing = "list the Hub's hardware", .method = "GET", .path = "/api/spaces/hardware"};
    kr_auto_json json_t *body = NULL;

    if (kr_hub_json(hub, &call, &body, err) < 0)
        return -(int)err->code;
    if (!json_is_array(body))
        return kr_fail(err, KR_E_REMOTE, "%s: the answer is %s", call.doing,
                       kr_json_type_name(body));
    *out = kr_steal(&body);
    return 0;
}
