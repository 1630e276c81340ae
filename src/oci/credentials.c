/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/credentials.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/json.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/redact.h"
#include "base/view.h"
#include "base/base64.h"

#include <string.h>

#define CONFIG_MAX ((size_t)4 << 20)
#define SECRET_MAX ((size_t)1 << 20)
#define HELPER_MS  30000
#define HUB_KEY    "https://index.docker.io/v1/"

void kr_credentials_finish(struct kr_credentials *c)
{
    free(c->user);
    free(c->password);
    free(c->identity_token);
    free(c->origin);
    *c = (struct kr_credentials){0};
}

/* Host part of a key as people and tools write it: with or without scheme and path. */
static struct kr_view key_host(const char *key)
{
    const char *scheme = strstr(key, "://");
    struct kr_view rest = kr_view_of(scheme != NULL ? scheme + 3 : key), host;

    (void)kr_view_cut(&rest, '/', &host);
    return host;
}

static bool key_is(const char *key, const char *registry)
{
    struct kr_view host = key_host(key);

    if (strcmp(registry, "docker.io") == 0)
        return kr_view_eq(host, "docker.io") || kr_view_eq(host, "index.docker.io") ||
               kr_view_eq(host, "registry-1.docker.io");
    return kr_view_eq(host, registry);
}

static const json_t *entry_of(const json_t *table, const char *registry, const char **found)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        if (key_is(key, registry)) {
            *found = key;
            return value;
        }
    }
    return NULL;
}

static void keep(struct kr_credentials *out, const char *user, const char *secret)
{
    kr_redact_add(secret);
    if (strcmp(user, "<token>") == 0) {
        out->identity_token = kr_strdup(secret);
        return;
    }
    out->user = kr_strdup(user);
    out->password = kr_strdup(secret);
}

/* The helper protocol: the server's address on stdin, a JSON object or an error text on stdout. */
static int ask_helper(const char *helper, const char *server, struct kr_credentials *out,
                      struct kr_err *err)
{
    kr_auto_buf struct kr_buf answer = KR_BUF_INIT(SECRET_MAX), complaint = KR_BUF_INIT(65536);
    kr_auto_free char *program = kr_asprintf("docker-credential-%s", helper);
    char get[] = "get";
    char *argv[] = {program, get, NULL};
    struct kr_proc_opts opts = {.input = server,
                                .input_len = strlen(server),
                                .out = &answer,
                                .err_out = &complaint,
                                .timeout_ms = HELPER_MS};
    kr_auto_json json_t *doc = NULL;
    const char *user, *secret;
    struct kr_view said;
    int status;

    if (helper[0] == '\0' || helper[strspn(helper, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRS"
                                                   "TUVWXYZ0123456789._-")] != '\0')
        return kr_fail(err, KR_E_INVALID, "Docker's config.json: '%s' is not a credential helper",
                       helper);
    if (kr_proc_run(argv, &opts, &status, err) < 0) {
        (void)kr_hint(err, "Docker's config.json names this helper; install it or log in again");
        return kr_wrap(err, "credentials of %s", server);
    }
    said = kr_view_trim((struct kr_view){kr_buf_str(&answer), answer.n});
    if (status != 0) {
        if (memmem(said.p, said.n, "not found", 9) != NULL)
            return 0;
        return kr_fail(err, KR_E_AUTH, "%s failed for %s: " KR_VIEW_FMT, program, server,
                       said.n > 200 ? 200 : (int)said.n, said.p);
    }
    if (kr_json_parse(kr_buf_str(&answer), answer.n, program, &doc, err) < 0)
        return -(int)err->code;
    user = kr_json_str(doc, "Username", "");
    secret = kr_json_str(doc, "Secret", "");
    if (secret[0] != '\0')
        keep(out, user, secret);
    out->origin = kr_strdup(program);
    memset(answer.p, 0, answer.n);
    return 0;
}

static int from_auths(const json_t *entry, const char *file, struct kr_credentials *out,
                      struct kr_err *err)
{
    const char *auth = kr_json_str(entry, "auth", ""), *token;
    kr_auto_buf struct kr_buf pair = KR_BUF_INIT(SECRET_MAX);
    char *colon;

    token = kr_json_str(entry, "identitytoken", "");
    out->origin = kr_strdup(file);
    if (token[0] != '\0') {
        keep(out, "<token>", token);
        return 0;
    }
    if (auth[0] == '\0') {
        if (kr_json_str(entry, "password", "")[0] != '\0')
            keep(out, kr_json_str(entry, "username", ""), kr_json_str(entry, "password", ""));
        return 0;
    }
    if (!kr_base64_decode(&pair, auth, strlen(auth)) || pair.n == 0 ||
        (colon = memchr(pair.p, ':', pair.n)) == NULL)
        return kr_fail(err, KR_E_INVALID, "%s: an 'auth' value is not base 64 of user:password",
                       file);
    *colon = '\0';
    keep(out, pair.p, colon + 1);
    memset(pair.p, 0, pair.n);
    return 0;
}

static char *config_file(void)
{
    const char *folder = kr_env_get("DOCKER_CONFIG");
    kr_auto_free char *home = folder != NULL ? kr_strdup(folder) : kr_path_expand_home("~/.docker");

    return kr_path_join(home, "config.json");
}

int kr_credentials_find(const char *registry, struct kr_credentials *out, struct kr_err *err)
{
    kr_auto_free char *file = config_file();
    kr_auto_json json_t *config = NULL;
    const char *server = strcmp(registry, "docker.io") == 0 ? HUB_KEY : registry;
    const char *key = NULL, *store;
    const json_t *entry;

    kr_credentials_finish(out);
    if (!kr_path_exists(file))
        return 0;
    if (kr_json_read_file(file, CONFIG_MAX, &config, err) < 0)
        return -(int)err->code;
    entry = entry_of(json_object_get(config, "credHelpers"), registry, &key);
    if (json_is_string(entry))
        return ask_helper(json_string_value(entry), server, out, err);
    store = kr_json_str(config, "credsStore", "");
    entry = entry_of(json_object_get(config, "auths"), registry, &key);
    if (store[0] != '\0' && kr_json_str(entry, "auth", "")[0] == '\0') {
        if (ask_helper(store, entry != NULL ? key : server, out, err) < 0)
            return -(int)err->code;
        if (out->password != NULL || out->identity_token != NULL)
            return 0;
        kr_credentials_finish(out);
    }
    return json_is_object(entry) ? from_auths(entry, file, out, err) : 0;
}
