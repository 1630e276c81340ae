/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/space.h"

#include "base/alloc.h"
#include "base/view.h"
#include "hub/hub_impl.h"
#include "net/url.h"

#include <string.h>
#include <strings.h>

enum { BUSY_TRIES = 10, BUSY_WAIT_MS = 1000, FILE_MAX = 1024 * 1024 };

void kr_space_finish(struct kr_space *space)
{
    free(space->id);
    free(space->sha);
    free(space->sdk);
    free(space->host);
    free(space->visibility);
    free(space->region);
    free(space->resource_group);
    free(space->subdomain);
    kr_runtime_finish(&space->runtime);
    *space = (struct kr_space){0};
}

static char *read_str(const json_t *obj, const char *key)
{
    const char *text = kr_json_str(obj, key, NULL);

    return text != NULL && text[0] != '\0' ? kr_strdup(text) : NULL;
}

/* "gated" may be text, "disabled" may be missing, "cardData" may be null. */
static int read_space(const json_t *body, const char *asked, struct kr_space *out,
                      struct kr_err *err)
{
    const char *id;

    if (kr_json_need_str(body, "id", "the description of the Space", &id, err) < 0)
        return -(int)err->code;
    *out = (struct kr_space){
        .id = kr_strdup(id),
        .moved = strcasecmp(id, asked) != 0,
        .sha = read_str(body, "sha"),
        .sdk = read_str(body, "sdk"),
        .host = read_str(body, "host"),
        .subdomain = read_str(body, "subdomain"),
        .visibility = read_str(body, "visibility"),
        .is_private = kr_json_bool(body, "private", false),
        .region = read_str(body, "region"),
        .resource_group = read_str(json_object_get(body, "resourceGroup"), "id"),
        .disabled = kr_json_bool(body, "disabled", false),
        .used_storage = kr_json_int(body, "usedStorage", -1),
        .app_port = kr_json_int(json_object_get(body, "cardData"), "app_port", 0),
    };
    kr_runtime_read(json_object_get(body, "runtime"), &out->runtime);
    return 0;
}

int kr_space_get(struct kr_hub *hub, const char *space, struct kr_space *out, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("look at Space %s", space);
    kr_auto_free char *path = kr_asprintf("/api/spaces/%s", space);
    struct kr_hub_call call = {.doing = doing, .method = "GET", .path = path, .space = space};
    kr_auto_json json_t *body = NULL;

    if (kr_space_id_check(space, err) < 0 || kr_hub_json(hub, &call, &body, err) < 0)
        return -(int)err->code;
    if (read_space(body, space, out, err) < 0) {
        if (err != NULL)
            err->code = KR_E_REMOTE;
        return -(int)KR_E_REMOTE;
    }
    return 0;
}

char *kr_space_page(const struct kr_hub *hub, const char *space)
{
    return kr_asprintf("%s/spaces/%s", hub->endpoint, space);
}

static json_t *pairs_json(const json_t *pairs, bool hide)
{
    json_t *list = json_array(), *item, *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)pairs, key, value)
    {
        item = json_object();
        kr_json_set_str(item, "key", key);
        kr_json_set_str(item, "value", hide ? "********" : json_string_value(value));
        if (json_array_append_new(list, item) != 0)
            abort();
    }
    return list;
}

static void set_given(json_t *body, const char *key, const char *text)
{
    if (text != NULL)
        kr_json_set_str(body, key, text);
}

json_t *kr_space_new_json(const struct kr_space_new *what, bool hide)
{
    json_t *body = json_object();
    struct kr_view name = kr_view_of(what->id), owner;
    kr_auto_free char *owner_text = NULL;

    (void)kr_view_cut(&name, '/', &owner);
    owner_text = kr_view_dup(owner);
    kr_json_set_str(body, "type", "space");
    kr_json_set_str(body, "sdk", "docker");
    kr_json_set_str(body, "organization", owner_text);
    kr_json_set_str(body, "name", name.p);
    set_given(body, "visibility", what->visibility);
    set_given(body, "hardware", what->hardware);
    set_given(body, "region", what->region);
    set_given(body, "resourceGroupId", what->resource_group);
    if (what->sleep_s != 0)
        kr_json_set_int(body, "sleepTimeSeconds", what->sleep_s);
    if (what->dev_mode)
        kr_json_set_bool(body, "devModeEnabled", true);
    if (json_object_size(what->secrets) != 0)
        kr_json_set(body, "secrets", pairs_json(what->secrets, hide));
    if (json_object_size(what->variables) != 0)
        kr_json_set(body, "variables", pairs_json(what->variables, false));
    if (json_array_size(what->volumes) != 0)
        kr_json_set(body, "volumes", json_deep_copy(what->volumes));
    return body;
}

static int look_for_space(struct kr_hub *hub, void *data, struct kr_err *err)
{
    kr_auto_space struct kr_space found = {0};
    struct kr_err why = KR_ERR_INIT;

    if (kr_space_get(hub, data, &found, &why) == 0)
        return 1;
    if (why.code == KR_E_NOT_FOUND)
        return 0;
    if (err != NULL)
        *err = why;
    return -(int)why.code;
}

static bool is_busy(const struct kr_http_response *res)
{
    kr_auto_free char *text = res->status == 409 ? kr_hub_message(res) : NULL;

    return text != NULL && strcasestr(text, "in progress") != NULL;
}

/* A 200 of something between here and the Hub must not pass for a new Space. */
static int check_created(struct kr_hub *hub, const struct kr_hub_call *call,
                         const struct kr_http_response *res, char *id, struct kr_err *err)
{
    kr_auto_json json_t *body = NULL;
    struct kr_err why = KR_ERR_INIT;
    int there;

    if (kr_hub_parse(call, res, &body, &why) == 0)
        return 0;
    there = look_for_space(hub, id, err);
    if (there != 0)
        return there == 1 ? 0 : there;
    if (err != NULL)
        *err = why;
    return -(int)why.code;
}

int kr_space_create(struct kr_hub *hub, const struct kr_space_new *what, bool *existed,
                    struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("create Space %s", what->id);
    kr_auto_free char *id = kr_strdup(what->id);
    kr_auto_json json_t *body = kr_space_new_json(what, false);
    struct kr_hub_call call = {
        .doing = doing, .method = "POST", .path = "/api/repos/create", .json = body};
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    bool was_lost = false;

    *existed = false;
    if (kr_space_id_check(what->id, err) < 0 || kr_hub_need_token(hub, err) < 0)
        return -(int)err->code;
    for (int tried = 1;; tried++) {
        if (kr_hub_once(hub, &call, look_for_space, id, &res, &was_lost, err) < 0)
            return -(int)err->code;
        if (was_lost || !is_busy(&res) || tried == BUSY_TRIES)
            break;
        if (kr_http_sleep(hub->http, BUSY_WAIT_MS, err) < 0)
            return -(int)err->code;
    }
    if (was_lost)
        return 0;
    if (res.status >= 200 && res.status < 300)
        return check_created(hub, &call, &res, id, err);
    if (res.status == 409 && !is_busy(&res)) {
        *existed = true;
        return 0;
    }
    return kr_hub_problem(hub, &call, &res, err);
}

int kr_space_set_visibility(struct kr_hub *hub, const char *space, const char *visibility,
                            struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("make Space %s %s", space, visibility);
    kr_auto_free char *path = kr_asprintf("/api/spaces/%s/settings", space);
    kr_auto_json json_t *body = json_object();
    struct kr_hub_call call = {
        .doing = doing, .method = "PUT", .path = path, .json = body, .space = space};

    kr_json_set_str(body, "visibility", visibility);
    return kr_hub_json(hub, &call, NULL, err);
}

int kr_space_delete(struct kr_hub *hub, const char *space, bool *existed, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("delete Space %s", space);
    struct kr_view name = kr_view_of(space), owner;
    kr_auto_free char *owner_text = NULL;
    kr_auto_json json_t *body = json_object();
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_hub_call call = {.doing = doing,
                               .method = "DELETE",
                               .path = "/api/repos/delete",
                               .json = body,
                               .space = space};

    if (kr_space_id_check(space, err) < 0)
        return -(int)err->code;
    (void)kr_view_cut(&name, '/', &owner);
    owner_text = kr_view_dup(owner);
    kr_json_set_str(body, "type", "space");
    kr_json_set_str(body, "organization", owner_text);
    kr_json_set_str(body, "name", name.p);
    if (existed != NULL)
        *existed = true;
    if (kr_hub_send(hub, &call, &res, err) < 0)
        return -(int)err->code;
    if (res.status == 404) { /* gone before, or by an attempt whose answer got lost */
        if (existed != NULL)
            *existed = res.maybe_acted;
        return 0;
    }
    return res.status >= 200 && res.status < 300 ? 0 : kr_hub_problem(hub, &call, &res, err);
}

int kr_space_check_write(struct kr_hub *hub, const char *space, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("check that the token may write to Space %s", space);
    kr_auto_free char *path = kr_asprintf("/api/spaces/%s/auth-check/write", space);
    struct kr_hub_call call = {.doing = doing, .method = "GET", .path = path, .space = space};

    return kr_hub_json(hub, &call, NULL, err);
}

int kr_space_read_file(struct kr_hub *hub, const char *space, const char *revision,
                       const char *path, struct kr_buf *out, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("read %s of Space %s", path, space);
    kr_auto_buf struct kr_buf url = KR_BUF_INIT(8192);
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_hub_call call = {
        .doing = doing, .method = "GET", .space = space, .max_body = FILE_MAX};

    kr_buf_addf(&url, "/spaces/%s/raw/", space);
    kr_url_encode(&url, revision != NULL ? revision : "main", "");
    kr_buf_addc(&url, '/');
    kr_url_encode(&url, path, "/");
    if (kr_buf_check(&url, err) < 0)
        return -(int)err->code;
    call.path = kr_buf_str(&url);
    if (kr_hub_send(hub, &call, &res, err) < 0)
        return -(int)err->code;
    if (res.status != 200)
        return kr_hub_problem(hub, &call, &res, err);
    kr_buf_add(out, kr_buf_str(&res.body), res.body.n);
    return kr_buf_check(out, err);
}

static void note_messages(struct kr_hub *hub, const json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *text =
            json_is_string(item) ? json_string_value(item) : kr_json_str(item, "message", NULL);

        if (text != NULL)
            kr_hub_note(hub, true, "README.md: %s", text);
    }
}

int kr_space_validate_readme(struct kr_hub *hub, const char *text, size_t n, struct kr_err *err)
{
    kr_auto_json json_t *body = json_object(), *answer = NULL;
    json_t *content = json_stringn(text, n);
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_hub_call call = {.doing = "check the metadata in README.md",
                               .method = "POST",
                               .path = "/api/validate-yaml",
                               .json = body,
                               .repeat = KR_REPEAT_SAFE};

    if (content == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "README.md is not UTF-8 text");
        return kr_hint(err, "save it as UTF-8");
    }
    kr_json_set(body, "content", content);
    kr_json_set_str(body, "repoType", "space");
    if (kr_hub_send(hub, &call, &res, err) < 0)
        return -(int)err->code;
    if (kr_json_parse(kr_buf_str(&res.body), res.body.n, "", &answer, NULL) == 0)
        note_messages(hub, json_object_get(answer, "warnings"));
    if (res.status == 200 && json_array_size(json_object_get(answer, "errors")) == 0)
        return 0;
    if (res.status == 200)
        res.status = 400;
    return kr_hub_problem(hub, &call, &res, err);
}
