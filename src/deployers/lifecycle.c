/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/lifecycle.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <string.h>

enum { NAP_MS = 50, TEXT_MAX = 8192, WHY_AFTER_MS = 3000 };

void kr_denv_step(const struct kr_deployer_env *env, const char *step, const char *text,
                  int64_t done, int64_t total, bool bytes, bool finished)
{
    if (env->step != NULL)
        env->step(env->data, step, text, done, total, bytes, finished);
}

void kr_denv_note(const struct kr_deployer_env *env, bool warning, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(TEXT_MAX);
    va_list args;

    if (env->note == NULL)
        return;
    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    env->note(env->data, warning, kr_buf_str(&text));
}

void kr_denv_log_line(const struct kr_deployer_env *env, const char *source, const char *line)
{
    if (env->log_line != NULL)
        env->log_line(env->data, source, line);
}

int kr_denv_save(const struct kr_deployer_env *env, const json_t *metadata, struct kr_err *err)
{
    return env->save != NULL ? env->save(env->data, metadata, err) : 0;
}

bool kr_denv_cancelled(const struct kr_deployer_env *env)
{
    return env->cancelled != NULL && env->cancelled(env->data);
}

int kr_denv_place(const struct kr_deployer_env *env, const char *folder, bool *placed,
                  struct kr_err *err)
{
    *placed = false;
    return env->place != NULL ? env->place(env->data, folder, placed, err) : 0;
}

/* Sleeps in naps so that Ctrl-C is heard at once. *still: grows by the time in which this process
 * did not run. */
static bool pause_for(const struct kr_deployer_env *env, int64_t ms, int64_t *still)
{
    int64_t end = kr_mono_ms() + ms;

    for (;;) {
        int64_t now = kr_mono_ms(), left = end - now;

        if (kr_denv_cancelled(env))
            return false;
        if (left <= 0)
            return true;
        left = left < NAP_MS ? left : NAP_MS;
        kr_sleep_ms(left);
        *still += kr_stood_still_ms(now, left);
    }
}

bool kr_ready_says(int status, const char *body, size_t n)
{
    kr_auto_json json_t *answer = NULL;

    return (status == 200 || status == 503) &&
           kr_json_parse(body, n, "health", &answer, NULL) == 0 &&
           kr_json_str(answer, "status", NULL) != NULL;
}

/* Says once why something is not ready, when it has not been for a while. */
static void show_why(const struct kr_deployer_env *env, const struct kr_wait *wait, char **shown)
{
    const char *why = wait->why != NULL ? *wait->why : NULL;

    if (why == NULL || (*shown != NULL && strcmp(*shown, why) == 0))
        return;
    free(*shown);
    *shown = kr_strdup(why);
    kr_denv_note(env, false, "%s is not ready yet: %.400s", wait->what, why);
}

static int fail_late(const struct kr_wait *wait, struct kr_err *err)
{
    const char *why = wait->why != NULL ? *wait->why : NULL;
    long long seconds = (long long)(wait->timeout_ms / 1000);

    if (why != NULL)
        return kr_fail(err, KR_E_TIMEOUT, "%s is not ready after %lld s: %.400s", wait->what,
                       seconds, why);
    return kr_fail(err, KR_E_TIMEOUT, "%s does not answer after %lld s", wait->what, seconds);
}

int kr_wait_for(const struct kr_deployer_env *env, const struct kr_wait *wait, kr_wait_look look,
                void *data, struct kr_err *err)
{
    int64_t start = kr_mono_ms(), end = start + wait->timeout_ms, next = wait->first_ms, still = 0;
    kr_auto_free char *shown = NULL;

    for (;;) {
        int64_t before = next, left;
        int rc = look(data, &next, err);

        if (rc < 0)
            return rc;
        if (rc == KR_WAIT_DONE)
            return 0;
        left = end + still - kr_mono_ms();
        if (left <= 0)
            return fail_late(wait, err);
        if (kr_mono_ms() - start >= WHY_AFTER_MS)
            show_why(env, wait, &shown);
        if (!pause_for(env, next < left ? next : left, &still))
            return kr_fail(err, KR_E_CANCELLED, "stopped while waiting for %s", wait->what);
        if (next == before)
            next = next + next / 2 + 1 < wait->most_ms ? next + next / 2 + 1 : wait->most_ms;
    }
}

/* prefix + "/" + path without doubled or trailing slashes, as kourou-serve joins them. */
static char *join_url_path(const char *prefix, const char *path)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(TEXT_MAX);

    kr_buf_adds(&out, prefix);
    path += strspn(path, "/");
    if (*path != '\0')
        kr_buf_addf(&out, "/%s", path);
    while (out.n > 0 && out.p[out.n - 1] == '/')
        out.p[--out.n] = '\0';
    return kr_buf_steal(&out);
}

static char *path_of(const json_t *snapshot, const char *setting, const char *dflt)
{
    const json_t *dep = kr_json_at(snapshot, "settings", "deployment", NULL);
    kr_auto_free char *root = join_url_path("", kr_json_str(dep, "root_url_path", ""));
    kr_auto_free char *api = join_url_path(root, kr_json_str(dep, "api_url_path", ""));

    return join_url_path(api, kr_json_str(dep, setting, dflt));
}

char *kr_endpoint_path(const json_t *snapshot, const char *setting, const char *dflt)
{
    kr_auto_free char *path = path_of(snapshot, setting, dflt);

    return kr_strdup(path[0] != '\0' ? path : "/");
}

char *kr_endpoint_url(const char *base, const json_t *snapshot, const char *setting,
                      const char *dflt)
{
    kr_auto_free char *path = path_of(snapshot, setting, dflt);
    size_t n = strlen(base);

    while (n > 0 && base[n - 1] == '/')
        n--;
    return kr_asprintf("%.*s%s", (int)n, base, path);
}

bool kr_endpoint_on(const json_t *snapshot, const char *name)
{
    const json_t *list =
        kr_json_at(snapshot, "settings", "deployment", "include_default_endpoints", NULL);
    const json_t *item;
    size_t i;

    if (!json_is_array(list))
        return true;
    json_array_foreach(list, i, item)
    {
        const char *is = json_string_value(item);

        if (is != NULL && (strcmp(is, name) == 0 || strcmp(is, "all") == 0))
            return true;
    }
    return false;
}

static void add_part(struct kr_digest *digest, const char *name, const json_t *value)
{
    kr_auto_free char *text = value != NULL ? kr_json_canonical(value) : kr_strdup("-");

    kr_digest_update(digest, name, strlen(name) + 1);
    kr_digest_update(digest, text, strlen(text) + 1);
    explicit_bzero(text, strlen(text));
}

char *kr_secret_names(const json_t *secrets)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(1 << 20);
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)secrets, name, value)
        kr_buf_addf(&names, "%s%s", names.n > 0 ? "," : "", name);
    return names.n > 0 ? kr_strdup(kr_buf_str(&names)) : NULL;
}

void kr_deployment_fingerprint(const struct kr_deployment *what, char hex[KR_SHA256_HEX])
{
    struct kr_digest *digest = kr_digest_create(KR_SHA256);
    const char *texts[] = {what->name, what->auth_key, what->source_root, what->python};

    add_part(digest, "snapshot", what->snapshot);
    add_part(digest, "settings", what->settings);
    add_part(digest, "environment", what->environment);
    add_part(digest, "secrets", what->secrets);
    for (size_t i = 0; i < KR_ARRAY_LEN(texts); i++) {
        const char *text = texts[i] != NULL ? texts[i] : "\x01";

        kr_digest_update(digest, text, strlen(text) + 1);
    }
    kr_digest_finish(digest, hex);
}
