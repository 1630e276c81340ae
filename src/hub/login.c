/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/login.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"
#include "hub/hub_impl.h"
#include "net/url.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

enum {
    STORED_MAX = 1024 * 1024,
    MARGIN_S = 24 * 3600, /* a login with less left is refreshed */
    LOCK_MS = 30000,
    CALL_MS = 10000
};

/* Of the program that people log in with; public, like every client without a secret. */
#define CLIENT_ID "26be6b09-91c5-47da-9861-d2d2bb7a7e36"

/* Digest of the token that this one replaced: finds the way back after a kill between the two
 * files. */
#define REPLACED "kourou_replaced"

char *kr_logins_path(const char *token_path)
{
    const char *slash = strrchr(token_path, '/');
    kr_auto_free char *dir =
        kr_strndup(token_path, slash != NULL ? (size_t)(slash - token_path) : 0);

    return slash != NULL ? kr_path_join(dir, "stored_tokens") : kr_strdup("stored_tokens");
}

static bool is_secret(const char *key)
{
    return strcmp(key, "hf_token") == 0 || strcmp(key, "refresh_token") == 0;
}

static int take_line(json_t *section, struct kr_view line, struct kr_err *err)
{
    size_t at = 0;
    kr_auto_free char *key = NULL, *value = NULL;

    while (at < line.n && line.p[at] != '=' && line.p[at] != ':')
        at++;
    if (section == NULL || at == 0 || at == line.n)
        return kr_fail(err, KR_E_INVALID, "stored_tokens: a line is no `key = value`");
    key = kr_view_dup(kr_view_trim((struct kr_view){line.p, at}));
    value = kr_view_dup(kr_view_trim((struct kr_view){line.p + at + 1, line.n - at - 1}));
    for (char *p = key; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;
    if (is_secret(key))
        kr_redact_add(value);
    if (!kr_json_is_text(value))
        return kr_fail(err, KR_E_INVALID, "stored_tokens: a value is not UTF-8 text");
    return kr_json_put(section, key, json_string(value), "stored_tokens", err);
}

int kr_logins_parse(const char *text, size_t n, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *logins = json_object();
    struct kr_view rest = {text, n}, line, trimmed;
    json_t *section = NULL;

    if (memchr(text, '\0', n) != NULL)
        return kr_fail(err, KR_E_INVALID, "stored_tokens: not a text");
    while (rest.n != 0) {
        (void)kr_view_cut(&rest, '\n', &line);
        trimmed = kr_view_trim(line);
        if (trimmed.n == 0 || trimmed.p[0] == '#' || trimmed.p[0] == ';')
            continue;
        if (line.p[0] == ' ' || line.p[0] == '\t') /* continues a value: nobody writes that */
            return kr_fail(err, KR_E_INVALID, "stored_tokens: a line is indented");
        if (trimmed.p[0] == '[' && trimmed.n > 2 && trimmed.p[trimmed.n - 1] == ']') {
            kr_auto_free char *name = kr_strndup(trimmed.p + 1, trimmed.n - 2);

            if (kr_json_put(logins, name, json_object(), "stored_tokens", err) < 0)
                return -(int)err->code;
            section = json_object_get(logins, name);
        } else if (take_line(section, trimmed, err) < 0) {
            return -(int)err->code;
        }
    }
    *out = kr_steal(&logins);
    return 0;
}

char *kr_logins_text(const json_t *logins)
{
    struct kr_buf text = KR_BUF_INIT(STORED_MAX);
    const char *name, *key;
    json_t *login, *value;

    json_object_foreach((json_t *)(uintptr_t)logins, name, login)
    {
        kr_buf_addf(&text, "[%s]\n", name);
        json_object_foreach(login, key, value)
            kr_buf_addf(&text, "%s = %s\n", key, json_string_value(value));
        kr_buf_addc(&text, '\n');
    }
    return kr_buf_steal(&text);
}

static void digest_of(const char *token, char hex[KR_SHA256_HEX])
{
    struct kr_digest *d = kr_digest_create(KR_SHA256);

    kr_digest_update(d, token, strlen(token));
    kr_digest_finish(d, hex);
}

const json_t *kr_logins_find(const json_t *logins, const char *token, const char **name)
{
    char replaced[KR_SHA256_HEX];
    const json_t *found = NULL;
    const char *key;
    json_t *login;

    digest_of(token, replaced);
    *name = NULL;
    json_object_foreach((json_t *)(uintptr_t)logins, key, login)
    {
        bool same = strcmp(kr_json_str(login, "hf_token", ""), token) == 0;

        if (!same && (found != NULL || strcmp(kr_json_str(login, REPLACED, ""), replaced) != 0))
            continue;
        found = login;
        *name = key;
        if (same)
            break;
    }
    return found;
}

int64_t kr_login_expires(const json_t *login)
{
    double at = 0;
    const char *text = kr_json_str(login, "expires_at", NULL);

    return text != NULL && kr_parse_double(text, &at) && at > 0 && at < 1e11 ? (int64_t)at : 0;
}

int kr_login_check(const json_t *login, const char *name, struct kr_err *err)
{
    char when[KR_ISO_SIZE];
    int64_t at = kr_login_expires(login);

    if (at == 0 || at * 1000 > kr_wall_ms())
        return 0;
    (void)kr_fail(err, KR_E_AUTH, "the stored Hub login '%s' expired at %s", name,
                  kr_iso8601(at * 1000, when));
    return kr_hint(err, "log in again with `hf auth login`, or set HF_TOKEN to an access token");
}

static int read_logins(const char *path, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(STORED_MAX);

    *out = NULL;
    if (!kr_path_exists(path))
        return 0;
    if (kr_file_read(path, &text, err) < 0)
        return -(int)err->code;
    return kr_logins_parse(kr_buf_str(&text), text.n, out, err);
}

/* The official client's lock. */
static int take_lock(struct kr_hub *hub, const char *stored, int *fd, struct kr_err *err)
{
    kr_auto_free char *path = kr_asprintf("%s.lock", stored);
    int64_t until = kr_http_now(hub->http) + LOCK_MS;
    kr_auto_fd int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);

    if (lock < 0)
        return kr_fail_errno(err, errno, "%s", path);
    while (flock(lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return kr_fail_errno(err, errno, "%s", path);
        if (kr_http_now(hub->http) >= until)
            return kr_fail(err, KR_E_TIMEOUT, "another program keeps %s", path);
        if (kr_http_sleep(hub->http, 100, err) < 0)
            return -(int)err->code;
    }
    *fd = lock;
    lock = -1;
    return 0;
}

static int ask(struct kr_hub *hub, const char *refresh, json_t **out, struct kr_err *err)
{
    const char *client = kr_env_get("HF_DEVICE_CODE_OAUTH_CLIENT_ID");
    kr_auto_buf struct kr_buf form = KR_BUF_INIT(64 * 1024);
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_hub_call call = {.doing = "refresh the Hub login",
                               .method = "POST",
                               .path = "/oauth/token",
                               .type = "application/x-www-form-urlencoded",
                               .repeat = KR_REPEAT_UNSENT, /* the old one may be good once only */
                               .idle_ms = CALL_MS,
                               .no_token = true};
    int rc;

    kr_buf_adds(&form, "grant_type=refresh_token&refresh_token=");
    kr_url_encode(&form, refresh, "");
    kr_buf_adds(&form, "&client_id=");
    kr_url_encode(&form, client != NULL ? client : CLIENT_ID, "");
    call.body = (struct kr_http_body){KR_BODY_BYTES, kr_buf_str(&form), -1, 0, form.n};
    rc = kr_hub_send(hub, &call, &res, err);
    if (rc == 0 && res.status != 200)
        rc = kr_hub_problem(hub, &call, &res, err);
    if (rc == 0)
        rc = kr_hub_parse(&call, &res, out, err);
    if (form.p != NULL)
        explicit_bzero(form.p, form.n);
    if (rc == 0 && kr_json_str(*out, "access_token", "")[0] == '\0')
        rc = kr_fail(err, KR_E_REMOTE, "%s: the answer has no \"access_token\"", call.doing);
    return rc;
}

/* The login with what the Hub gave for it; a refresh token that was not replaced stays good. */
static void renew(json_t *logins, const char *name, const char *old, const json_t *given)
{
    json_t *login = json_object_get(logins, name);
    const char *refresh = kr_json_str(given, "refresh_token", NULL);
    int64_t lasts = kr_json_int(given, "expires_in", 0);
    char replaced[KR_SHA256_HEX];

    digest_of(old, replaced);
    kr_json_set_str(login, "hf_token", kr_json_str(given, "access_token", ""));
    kr_redact_add(kr_json_str(login, "hf_token", NULL));
    if (refresh != NULL && refresh[0] != '\0') {
        kr_redact_add(refresh);
        kr_json_set_str(login, "refresh_token", refresh);
    }
    (void)json_object_del(login, "expires_at");
    if (lasts > 0)
        kr_json_set(login, "expires_at",
                    json_sprintf("%lld", (long long)(kr_wall_ms() / 1000 + lasts)));
    kr_json_set_str(login, REPLACED, replaced);
}

static int write_secret(const char *path, const char *text, struct kr_err *err)
{
    kr_auto_free char *real = realpath(path, NULL); /* a link stays one */

    return kr_file_write_atomic(real != NULL ? real : path, text, strlen(text), 0600, err);
}

/* The token's file follows, unless somebody chose another login meanwhile. */
static int follow(const char *token_path, const char *old, const char *fresh, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(16 * 1024);

    if (kr_file_read(token_path, &text, err) < 0)
        return -(int)err->code;
    if (!kr_view_eq(kr_view_trim((struct kr_view){kr_buf_str(&text), text.n}), old))
        return 0;
    return write_secret(token_path, fresh, err);
}

static int refresh_locked(struct kr_hub *hub, const char *stored, const char *token_path,
                          const char *name, char **token, struct kr_err *err)
{
    kr_auto_json json_t *logins = NULL, *given = NULL;
    kr_auto_free char *text = NULL, *fresh = NULL;
    const json_t *login;

    if (read_logins(stored, &logins, err) < 0)
        return -(int)err->code;
    login = json_object_get(logins, name);
    if (strcmp(kr_json_str(login, "hf_token", ""), *token) == 0) {
        if (ask(hub, kr_json_str(login, "refresh_token", ""), &given, err) < 0)
            return -(int)err->code;
        renew(logins, name, *token, given);
        text = kr_logins_text(logins);
        if (write_secret(stored, text, err) < 0)
            return -(int)err->code;
    }
    fresh = kr_strdup(kr_json_str(login, "hf_token", NULL));
    if (fresh == NULL || fresh[0] == '\0')
        return kr_fail(err, KR_E_AUTH, "the stored Hub login '%s' has no token any more", name);
    if (follow(token_path, *token, fresh, err) < 0)
        return -(int)err->code;
    free(*token);
    *token = kr_steal(&fresh);
    return 0;
}

/* The token in use goes on being used while it is good. */
static int bear(struct kr_hub *hub, const json_t *login, const char *name, const struct kr_err *why,
                struct kr_err *err)
{
    if (why->code == KR_E_CANCELLED) {
        *err = *why;
        return -(int)why->code;
    }
    if (kr_login_check(login, name, err) < 0) {
        char reason[1024];

        (void)snprintf(reason, sizeof(reason), "%.1000s", why->msg);
        return kr_wrap(err, "%s", reason);
    }
    kr_hub_note(hub, true, "the Hub login '%s' ends soon and could not be refreshed: %s", name,
                why->msg);
    return 0;
}

int kr_hub_login_refresh(struct kr_hub *hub, const char *token_path, char **token,
                         struct kr_err *err)
{
    kr_auto_free char *stored = kr_logins_path(token_path);
    kr_auto_json json_t *logins = NULL;
    struct kr_err why = KR_ERR_INIT;
    kr_auto_fd int lock = -1;
    const json_t *login;
    const char *name;
    int64_t at;
    bool ours;

    if (read_logins(stored, &logins, &why) < 0)
        return 0; /* not a file of logins: the token alone counts */
    login = kr_logins_find(logins, *token, &name);
    at = kr_login_expires(login);
    ours = strcmp(kr_json_str(login, "hf_token", ""), *token) == 0;
    if (login == NULL || kr_json_str(login, "refresh_token", NULL) == NULL || at == 0 ||
        (ours && at - MARGIN_S > kr_wall_ms() / 1000))
        return 0;
    if (hub->offline)
        return kr_login_check(login, name, err);
    if (take_lock(hub, stored, &lock, &why) < 0 ||
        refresh_locked(hub, stored, token_path, name, token, &why) < 0)
        return bear(hub, login, name, &why, err);
    return 0;
}
