/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/space.h"

#include "base/alloc.h"
#include "base/view.h"
#include "core/name.h"
#include "deployers/lifecycle.h"
#include "hub/vars.h"

#include <string.h>

void kr_space_want_finish(struct kr_space_want *want)
{
    free(want->id);
    json_decref(want->variables);
    json_decref(want->secrets);
    *want = (struct kr_space_want){0};
}

static const char *text_of(const json_t *settings, const char *key)
{
    const char *text = kr_json_str(settings, key, NULL);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* `visibility`, or the older `private`, which knows two of the three. */
static const char *visibility_of(const json_t *settings)
{
    const json_t *older = json_object_get(settings, "private");
    const char *given = text_of(settings, "visibility");

    if (given != NULL || !json_is_boolean(older))
        return given;
    return json_is_true(older) ? "private" : "public";
}

static int check_visibility(const json_t *settings, struct kr_err *err)
{
    const json_t *older = json_object_get(settings, "private");
    const char *given = text_of(settings, "visibility");

    if (given == NULL || !json_is_boolean(older) ||
        json_is_true(older) == (strcmp(given, "private") == 0))
        return 0;
    (void)kr_fail(err, KR_E_INVALID,
                  "the settings visibility='%s' and private=%s contradict each "
                  "other",
                  given, json_is_true(older) ? "True" : "False");
    return kr_hint(err, "keep visibility and remove private");
}

static char *space_id(const struct kr_deployment *what, const char *user)
{
    const char *prefix = kr_json_str(what->settings, "space_prefix", "zenml");
    const char *owner = text_of(what->settings, "organization");
    kr_auto_free char *slug = kr_name_slug(what->name);

    if (owner == NULL)
        owner = user != NULL ? user : "owner";
    return prefix[0] != '\0' ? kr_asprintf("%s/%s-%s", owner, prefix, slug)
                             : kr_asprintf("%s/%s", owner, slug);
}

/* Keys are checked by the same rules that plan their changes. */
static int check_keys(const struct kr_space_want *want, struct kr_err *err)
{
    kr_auto_vars_plan struct kr_vars_plan plan = {0};

    return kr_vars_plan(want->secrets, want->variables, NULL, NULL, NULL, &plan, err);
}

/* In the container a Space's secrets look like its variables. The names are a secret too, since the
 * variables of a public Space are for everybody to read. */
static void set_what_is_secret(json_t *secrets)
{
    kr_auto_free char *names = kr_secret_names(secrets);

    if (names != NULL)
        kr_json_set_str(secrets, KR_SECRET_NAMES, names);
}

int kr_space_want_init(struct kr_space_want *want, const struct kr_deployment *what,
                       const char *user, struct kr_err *err)
{
    const json_t *volumes = json_object_get(what->settings, "space_volumes");
    const json_t *dev_mode = json_object_get(what->settings, "dev_mode");

    *want = (struct kr_space_want){
        .id = space_id(what, user),
        .visibility = visibility_of(what->settings),
        .app_port = (int)kr_json_int(what->settings, "app_port", 7860),
        .hardware = text_of(what->settings, "space_hardware"),
        .storage = text_of(what->settings, "space_storage"),
        .sleep_s = kr_json_int(what->settings, "sleep_time", 0),
        .dev_mode = json_is_boolean(dev_mode) ? json_is_true(dev_mode) : -1,
        .region = text_of(what->settings, "region"),
        .resource_group = text_of(what->settings, "resource_group"),
        .volumes = json_array_size(volumes) > 0 ? volumes : NULL,
    };
    want->variables = what->environment != NULL ? json_deep_copy(what->environment) : json_object();
    want->secrets = what->secrets != NULL ? json_deep_copy(what->secrets) : json_object();
    set_what_is_secret(want->secrets);
    if (what->auth_key != NULL)
        kr_json_set_str(want->secrets, KR_SPACE_AUTH_SECRET, what->auth_key);
    if (kr_space_id_check(want->id, err) < 0) {
        (void)kr_hint(err, "choose another name with --name, or another space_prefix");
        return -(int)err->code;
    }
    if (check_visibility(what->settings, err) < 0)
        return -(int)err->code;
    return check_keys(want, err);
}

enum kr_space_verdict kr_space_judge(const struct kr_space_look *look)
{
    bool moved = !look->expects_move || look->move_seen;
    bool stale = !moved && look->since_ms < KR_SPACE_GRACE_MS;
    bool old_end = stale && !(look->is_news && look->stage != KR_STAGE_NO_APP_FILE);
    bool settled = moved || look->new_commit || look->since_ms >= KR_SPACE_SETTLE_MS;

    if (look->stage == KR_STAGE_RUNNING) {
        if (look->sha != NULL && strcmp(look->sha, look->want_sha) == 0)
            return settled ? KR_SPACE_UP : KR_SPACE_WAIT;
        /* A commit that is not said is not another commit: believed once it had time to show. */
        return look->sha == NULL && !stale ? KR_SPACE_UP : KR_SPACE_WAIT;
    }
    if (look->stage == KR_STAGE_DELETING)
        return KR_SPACE_FAILED;
    if (kr_stage_is_error(look->stage) || (look->stage == KR_STAGE_UNKNOWN && look->has_error))
        return old_end ? KR_SPACE_WAIT : KR_SPACE_FAILED;
    if (look->stage == KR_STAGE_PAUSED)
        return KR_SPACE_PAUSED;
    return kr_stage_sleeps(look->stage) ? KR_SPACE_ASLEEP : KR_SPACE_WAIT;
}

enum kr_state kr_space_state(enum kr_stage stage)
{
    if (kr_stage_serves(stage) || stage == KR_STAGE_SLEEPING)
        return KR_STATE_RUNNING;
    if (kr_stage_is_moving(stage))
        return KR_STATE_PENDING;
    if (kr_stage_is_error(stage))
        return KR_STATE_ERROR;
    if (stage == KR_STAGE_UNKNOWN)
        return KR_STATE_UNKNOWN;
    return KR_STATE_ABSENT; /* PAUSED, STOPPED, DELETING */
}

static bool is_noise(const char *line)
{
    static const char *const noise[] = {"cache miss", "CACHED", "Restoring cache",
                                        "Exporting cache", "DONE "};

    for (size_t i = 0; i < KR_ARRAY_LEN(noise); i++) {
        if (strstr(line, noise[i]) != NULL)
            return true;
    }
    return false;
}

const char *kr_space_error_line(const char *const *lines, size_t count)
{
    /* What a tool says of its own failure is nearer to the cause than what the builder says of
     * it. */
    static const char *const signs[] = {"ERROR: ", "error: ",      "Error: ",   "Error ",
                                        "fatal: ", "No such file", "not found", "Permission denied",
                                        "failed",  "ERROR"};

    for (size_t s = 0; s < KR_ARRAY_LEN(signs); s++) {
        for (size_t i = 0; i < count; i++) {
            const char *at = strstr(lines[i], signs[s]);

            if (at != NULL && !is_noise(lines[i]) && !kr_starts_with(lines[i], "--> "))
                return lines[i];
        }
    }
    for (size_t i = count; i > 0; i--) {
        if (strstr(lines[i - 1], "ERROR") != NULL && !is_noise(lines[i - 1]))
            return lines[i - 1];
    }
    return NULL;
}

/* The reason in the Hub's words: its first line, without the cache's noise. */
static char *reason_of(const struct kr_space_fault *f)
{
    const char *error = f->rt->error != NULL ? f->rt->error : "";
    const char *noise = strstr(error, ". Reason: cache miss");
    size_t n = noise != NULL ? (size_t)(noise - error) : strcspn(error, "\r\n");

    if (f->cause != NULL && !kr_starts_with(error, "Scheduling failure"))
        return kr_strdup(f->cause);
    if (n > 0)
        return kr_strndup(error, n);
    if (f->rt->stage == KR_STAGE_NO_APP_FILE)
        return kr_strdup("its repository has no Dockerfile");
    if (f->rt->stage == KR_STAGE_PAUSED)
        return kr_strdup("its owner, a deprovision or a quota paused it");
    if (f->rt->stage == KR_STAGE_DELETING)
        return kr_strdup("it is being deleted on the Hub");
    return kr_strdup(f->log != NULL && f->log_problem == NULL
                         ? "the Hub gives no reason, and the log names none"
                         : "the Hub gives no reason");
}

static int add_cure(const struct kr_space_fault *f, const char *reason, struct kr_err *err)
{
    enum kr_stage stage = f->rt->stage;
    kr_auto_free char *again = f->deploying ? kr_strdup("run the same command again")
                                            : kr_asprintf("deploy it again, or run `%s deployment "
                                                          "provision %s`",
                                                          f->prog, f->name);

    if (stage == KR_STAGE_PAUSED)
        return kr_hint(err, "start it with `%s deployment provision %s`, or at %s", f->prog,
                       f->name, f->page);
    if (stage == KR_STAGE_DELETING)
        return kr_hint(err, "once it is gone, deploy it again to make it anew");
    if (stage == KR_STAGE_NO_APP_FILE)
        return kr_hint(err, "deploy it again: that commits the Dockerfile");
    if (stage == KR_STAGE_CONFIG_ERROR && strstr(reason, "ollision") != NULL)
        return kr_hint(err,
                       "a key is variable and secret at once: delete one of the two at "
                       "%s/settings, then %s",
                       f->page, again);
    if (stage != KR_STAGE_BUILD_ERROR && stage != KR_STAGE_RUNTIME_ERROR)
        return kr_hint(err, "look at %s; after mending it, %s", f->page, again);
    if (kr_starts_with(reason, "Scheduling failure"))
        return kr_hint(err,
                       "the Hub has no place for this hardware now: try later or choose another "
                       "with space_hardware, then %s",
                       again);
    return kr_hint(err, "`%s deployment logs %s%s` shows the whole log; after mending it, %s",
                   f->prog, f->name, stage == KR_STAGE_BUILD_ERROR ? " --build" : "", again);
}

int kr_space_explain(const struct kr_space_fault *fault, struct kr_err *err)
{
    kr_auto_free char *reason = reason_of(fault), *unread = NULL;

    if (fault->log_problem != NULL)
        unread =
            kr_asprintf("; its %s log could not be read: %.300s", fault->log, fault->log_problem);
    (void)kr_fail(err, KR_E_REMOTE, "Space %s: %s: %.400s%s", fault->id, fault->rt->stage_name,
                  reason, unread != NULL ? unread : "");
    return add_cure(fault, reason, err);
}

int kr_space_port_in_line(const char *line, bool *loopback)
{
    static const char *const signs[] = {
        "://127.0.0.1:", "://localhost:", "://0.0.0.0:", "://[::]:", "port ", "port=", "port: "};

    for (size_t i = 0; i < KR_ARRAY_LEN(signs); i++) {
        const char *at = strstr(line, signs[i]);
        int port = 0;

        if (at == NULL)
            continue;
        for (at += strlen(signs[i]); *at >= '0' && *at <= '9' && port < 100000; at++)
            port = port * 10 + (*at - '0');
        if (port == 0 || port > 65535)
            continue;
        *loopback = i < 2;
        return port;
    }
    return 0;
}

char *kr_space_storage_hint(const char *tier, const char *space)
{
    const char *size = strcmp(tier, "small") == 0    ? "20 GB"
                       : strcmp(tier, "medium") == 0 ? "150 GB"
                                                     : "1 TB";

    return kr_asprintf(
        "space_storage='%s' (%s): the Hub no longer offers storage tiers; a bucket mounted "
        "at /data replaces it: space_volumes=[{\"type\":\"bucket\",\"source\":"
        "\"%s-data\",\"mount_path\":\"/data\"}]",
        tier, size, space);
}
