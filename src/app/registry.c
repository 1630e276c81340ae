/* SPDX-License-Identifier: Apache-2.0 */
/* Container registries: their logins, and whether strangers can pull from them. */
#include "app/build.h"

#include "app/component.h"
#include "app/secret.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/view.h"
#include "core/secret_ref.h"
#include "oci/check.h"

#include <string.h>

int kr_registry_login(struct kr_app *app, json_t *registry, struct kr_err *err)
{
    const char *secret =
        kr_json_str(json_object_get(registry, "config"), "authentication_secret", NULL);
    kr_auto_free char *user = NULL, *password = NULL;
    json_t *login;

    if (secret == NULL)
        return 0;
    if (kr_secret_resolve(app, secret, "username", &user, err) < 0 ||
        kr_secret_resolve(app, secret, "password", &password, err) < 0)
        return kr_wrap(err, "authentication_secret of the container registry '%s'",
                       kr_json_str(registry, "name", "?"));
    login = json_object();
    kr_json_set_str(login, "username", user);
    kr_json_set_str(login, "password", password);
    kr_json_set(registry, "login", login);
    explicit_bzero(password, strlen(password));
    return 0;
}

struct kr_repo_auth kr_registry_auth(const json_t *registry)
{
    const json_t *config = json_object_get(registry, "config"),
                 *login = json_object_get(registry, "login");

    return (struct kr_repo_auth){.user = kr_json_str(login, "username", NULL),
                                 .password = kr_json_str(login, "password", NULL),
                                 .plain_http = kr_json_bool(config, "insecure", false),
                                 .ca_file = kr_json_str(config, "ca_file", NULL)};
}

static bool is_loopback(const char *registry)
{
    return kr_starts_with(registry, "localhost") || kr_starts_with(registry, "127.") ||
           kr_starts_with(registry, "[::1]");
}

/* -- the ways out ------------------------------------------------------------------------------ */

/* Where a repository is made public. Caller frees. */
static char *settings_page(const struct kr_ref *ref)
{
    const char *slash = strchr(ref->repository, '/');
    int owner = slash != NULL ? (int)(slash - ref->repository) : 0;

    if (strcmp(ref->registry, "docker.io") == 0)
        return kr_asprintf("https://hub.docker.com/repository/docker/%s/settings", ref->repository);
    if (strcmp(ref->registry, "ghcr.io") == 0 && slash != NULL)
        return kr_asprintf("https://github.com/users/%.*s/packages/container/%s/settings", owner,
                           ref->repository, slash + 1);
    return kr_asprintf("the settings of %s at %s", ref->repository, ref->registry);
}

static void show_ways(struct kr_app *app, const struct kr_target *target, const struct kr_ref *ref)
{
    const json_t *registry = json_object_get(target->stack, "container_registry");
    const char *source =
        kr_json_str(json_object_get(target->what.snapshot, "pipeline"), "source", "<source>");
    const char *stack_id = kr_json_str(target->row, "stack_id", NULL), *stack = "";
    kr_auto_json json_t *row = NULL;
    kr_auto_free char *page = settings_page(ref);
    kr_auto_free char *again =
        kr_asprintf("%s pipeline deploy --name %s %s", app->prog, target->what.name, source);
    struct kr_err ignored = KR_ERR_INIT;

    if (stack_id != NULL &&
        kr_store_find(app->store, KR_STACK, stack_id, NULL, &row, &ignored) == 0)
        stack = kr_json_str(row, "name", "");
    kr_note(app, KR_NOTE_WARN,
            "the Hub pulls images without credentials, and %s/%s is not public; there "
            "are four ways out:",
            ref->registry, ref->repository);
    kr_note(app, KR_NOTE_INFO, "1. make the repository public (%s), then: %s", page, again);
    kr_note(app, KR_NOTE_INFO,
            "2. use a public registry%s%s%s: %s container-registry register "
            "public_registry --flavor=default --uri=docker.io/<user> && %s stack update "
            "%s -c public_registry && %s",
            registry != NULL ? " instead of '" : "",
            registry != NULL ? kr_json_str(registry, "name", "?") : "", registry != NULL ? "'" : "",
            app->prog, app->prog, stack, again);
    kr_note(app, KR_NOTE_INFO, "3. let the Space build from the source: %s --build-mode=source",
            again);
    kr_note(app, KR_NOTE_INFO,
            "4. run a public image that has the requirements already, with the docker "
            "settings skip_build: true and parent_image: <image> in a file: %s --config <file>",
            again);
}

int kr_registry_check_public(struct kr_app *app, const struct kr_target *target, const char *image,
                             struct kr_err *err)
{
    struct kr_repo_auth way =
        kr_registry_auth(json_object_get(target->stack, "container_registry"));
    const char *endpoint = kr_env_get("HF_ENDPOINT");
    kr_auto_http struct kr_http *http = kr_http_open("kourou/" KR_VERSION);
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    char digest[KR_DIGEST_SIZE];

    if (kr_ref_parse(image, &ref, err) < 0)
        return -(int)err->code;
    if (is_loopback(ref.registry) && (endpoint == NULL || !kr_starts_with(endpoint, "http://")))
        kr_note(app, KR_NOTE_WARN, "the registry %s is on this machine: the Hub cannot reach it",
                ref.registry);
    if (way.ca_file != NULL && endpoint == NULL)
        way.ca_file = NULL; /* the Hub does not have it */
    else if (way.ca_file != NULL)
        kr_note(app, KR_NOTE_WARN,
                "the registry %s is trusted here because of its ca_file: the builder of the Hub "
                "has to trust it too",
                ref.registry);
    if (kr_image_check_public(http, image, &way, digest, err) == 0)
        return 0;
    if (err->code == KR_E_NETWORK && way.ca_file == NULL && err->hint[0] != '\0' &&
        strstr(err->hint, "ca_file") != NULL) {
        err->hint[0] = '\0';
        return kr_hint(
            err, "the Hub trusts public certificate authorities only; --build-mode=source lets the "
                 "Space build from the source");
    }
    if (err->code != KR_E_AUTH && err->code != KR_E_NOT_FOUND)
        return -(int)err->code;
    show_ways(app, target, &ref);
    err->hint[0] = '\0'; /* the registry's advice is about logging in, which the Hub cannot */
    return kr_hint(err, "at once: --build-mode=source lets the Space build from the source");
}

/* -- on demand --------------------------------------------------------------------------------- */

static void add(json_t *rows, const char *check, const char *status, const char *detail,
                const char *hint)
{
    json_t *row = json_object();

    kr_json_set_str(row, "check", check);
    kr_json_set_str(row, "status", status);
    kr_json_set_str(row, "detail", detail);
    kr_json_set_str(row, "hint", hint);
    (void)json_array_append_new(rows, row);
}

static void add_failure(json_t *rows, const char *check, const struct kr_err *err)
{
    add(rows, check, "fail", err->msg, err->hint[0] != '\0' ? err->hint : NULL);
}

/* The image that was built last for this registry; caller frees, NULL: none. */
static char *last_image(struct kr_app *app, const char *uri)
{
    kr_auto_json json_t *page = NULL;
    struct kr_err ignored = KR_ERR_INIT;
    const json_t *item;
    size_t i, n = strlen(uri);

    if (kr_store_list(app->store, KR_BUILD, NULL, NULL, &page, &ignored) < 0)
        return NULL;
    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        const char *image = kr_json_str(item, "image", "");

        if (strncmp(image, uri, n) == 0 && image[n] == '/')
            return kr_strdup(image);
    }
    return NULL;
}

static void check_image(struct kr_app *app, struct kr_http *http, const char *image,
                        const struct kr_repo_auth *way, json_t *rows)
{
    struct kr_err why = KR_ERR_INIT;
    kr_auto_free char *detail = NULL, *hint = NULL;
    char digest[KR_DIGEST_SIZE];

    if (kr_image_check_public(http, image, way, digest, &why) < 0) {
        if (why.code == KR_E_AUTH || why.code == KR_E_NOT_FOUND) {
            hint = kr_asprintf(
                "Spaces pull without credentials: make it public, or let the Space build from "
                "the source (%s pipeline deploy --build-mode=source)",
                app->prog);
            add(rows, "public image", "fail", why.msg, hint);
        } else {
            add_failure(rows, "public image", &why);
        }
        return;
    }
    detail = kr_asprintf("%s can be pulled by anybody (%.19s)", image, digest);
    add(rows, "public image", "ok", detail, NULL);
}

int kr_registry_checks(struct kr_app *app, const char *ref, const char *image, json_t **rows,
                       struct kr_err *err)
{
    kr_auto_json json_t *row = NULL, *config = NULL;
    kr_auto_http struct kr_http *http = kr_http_open("kourou/" KR_VERSION);
    struct kr_repo_auth auth;
    struct kr_err why = KR_ERR_INIT;
    kr_auto_free char *found = NULL, *registry = NULL;
    const char *uri;

    if (kr_component_get(app, KR_CONTAINER_REGISTRY, ref, &row, err) < 0 ||
        kr_secret_refs_resolve(json_object_get(row, "config"), kr_secret_resolve, app, &config,
                               err) < 0)
        return -(int)err->code;
    kr_json_set(row, "config", json_incref(config));
    uri = kr_json_str(config, "uri", "");
    registry = kr_strndup(uri, strcspn(uri, "/"));
    *rows = json_array();
    if (kr_registry_login(app, row, &why) < 0) {
        add_failure(*rows, "login", &why);
        return 0;
    }
    auth = kr_registry_auth(row);
    if (kr_registry_check(http, registry, &auth, &why) < 0)
        add_failure(*rows, "registry", &why);
    else
        add(*rows, "registry", "ok", registry, NULL);
    if (image == NULL)
        image = found = last_image(app, uri);
    if (image != NULL)
        check_image(app, http, image, &auth, *rows);
    else
        add(*rows, "public image", "warn", "no image was built for this registry yet",
            "name one with --image");
    return 0;
}
