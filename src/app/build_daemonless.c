/* SPDX-License-Identifier: Apache-2.0 */
/* The image builder `daemonless`: what the settings say, as layers. */
#include "app/build.h"
#include "app/needs.h"

#include "base/alloc.h"
#include "deployers/lifecycle.h"
#include "oci/build.h"
#include "pack/bundle.h"
#include "pack/dockerfile.h"
#include "pack/gate.h"
#include "pack/requirements.h"

#include <string.h>

enum { MEGABYTE = 1 << 20 };

static void on_step(void *data, const char *step, const char *text, uint64_t done, uint64_t total,
                    bool bytes, bool finished)
{
    const struct kr_build *b = data;
    bool push = strcmp(step, "push") == 0, base = strcmp(step, "base") == 0;
    kr_auto_free char *line = kr_asprintf("%s%s",
                                          push   ? "Pushing "
                                          : base ? "Looking at base image "
                                                 : "",
                                          text);

    kr_denv_step(&b->target->env, step, line, (int64_t)done, (int64_t)total, bytes, finished);
}

static void on_line(void *data, const char *line)
{
    const struct kr_build *b = data;

    kr_denv_log_line(&b->target->env, "build", line);
}

static bool on_cancelled(void *data)
{
    const struct kr_build *b = data;

    return kr_denv_cancelled(&b->target->env);
}

static bool is_native(const struct kr_build *b)
{
    return strcmp(kr_json_str(json_object_get(b->launch.snapshot, "pipeline"), "kind", "python"),
                  "native") == 0;
}

static char *base_of(const struct kr_build *b)
{
    const char *parent = kr_json_str(b->docker, "parent_image", NULL);
    const json_t *python = json_object_get(b->launch.snapshot, "python");

    return parent != NULL ? kr_strdup(parent)
                          : kr_default_base(is_native(b), kr_json_str(python, "version", NULL));
}

static int installer_env(const struct kr_build *b, const json_t *names, json_t *out,
                         struct kr_err *err)
{
    const json_t *item;
    size_t i;

    json_array_foreach(names, i, item)
    {
        const char *name = json_string_value(item), *value;
        bool secret;

        if (kr_needs_variable(b->target, name, &value, &secret, err) < 0)
            return -(int)err->code;
        kr_json_set_str(out, name, value);
    }
    return 0;
}

static void warn(const struct kr_build *b, const json_t *warnings)
{
    const json_t *item;
    size_t i;

    json_array_foreach(warnings, i, item)
        kr_denv_note(&b->target->env, true, "%s", json_string_value(item));
}

/* Logins: the registry's own for the target, and for a base image of the same registry. */
static void set_logins(const struct kr_build *b, struct kr_image_build *what)
{
    const json_t *row = json_object_get(b->target->stack, "container_registry");
    const char *uri = kr_json_str(json_object_get(row, "config"), "uri", "");
    size_t n = strcspn(uri, "/");

    what->target_auth = kr_registry_auth(row);
    if (strncmp(what->base, uri, n) == 0 && what->base[n] == '/')
        what->base_auth = what->target_auth;
}

/* Empty texts mean nothing to install. */
static const char *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* 0 is the default there; who wants no cache says 0 megabytes, and keeps less than any layer. */
static uint64_t cache_bytes(const json_t *config)
{
    int64_t megabytes = kr_json_int(config, "cache_size_mb", -1);

    return megabytes < 0 ? 0 : megabytes == 0 ? 1 : (uint64_t)megabytes * MEGABYTE;
}

int kr_build_daemonless(const struct kr_build *b, char **image, struct kr_err *err)
{
    kr_auto_files struct kr_files code = {0}, runtime = {0};
    kr_auto_requirements struct kr_requirements reqs = {0};
    kr_auto_json json_t *warnings = json_array(), *variables = json_object();
    kr_auto_json json_t *entry = kr_launch_entrypoint(&b->launch);
    kr_auto_free char *snapshot = kr_launch_snapshot(b->launch.snapshot), *base = base_of(b);
    kr_auto_http struct kr_http *http = kr_http_open("kourou/" KR_VERSION);
    kr_auto_image_built struct kr_image_built built = {.reference = NULL};
    struct kr_requirements_in wanted = {b->launch.root, b->docker, b->launch.snapshot,
                                        b->launch.python};
    struct kr_launch launch = b->launch;
    char sent[16], added[16];
    struct kr_image_build what = {.http = http,
                                  .cache_dir = b->cache,
                                  .base = base,
                                  .target = b->name,
                                  .native = is_native(b),
                                  .runtime = &runtime,
                                  .code = &code,
                                  .snapshot = snapshot,
                                  .python = b->launch.python,
                                  .environment = json_object_get(b->docker, "environment"),
                                  .entrypoint = entry,
                                  .user = kr_json_str(b->docker, "user", NULL),
                                  .installer_env = variables,
                                  .fresh = b->target->what.prevent_build_reuse,
                                  .data = (void *)(uintptr_t)b,
                                  .step = on_step,
                                  .line = on_line,
                                  .cancelled = on_cancelled};

    http->hooks.data = (void *)(uintptr_t)b;
    http->hooks.cancelled = on_cancelled;
    launch.context = true;
    if (kr_launch_source(&launch, &code, warnings, err) < 0 ||
        kr_gate_hold_all(b->gate, &code, err) < 0 ||
        kr_gate_values(b->gate, "snapshot.json", b->launch.snapshot, err) < 0 ||
        kr_launch_runtime(&b->launch, &runtime, err) < 0 ||
        kr_requirements_collect(&wanted, &reqs, warnings, err) < 0 ||
        installer_env(b, reqs.variables, variables, err) < 0)
        return -(int)err->code;
    if (json_object_size(kr_engine_build_options(b->docker, "build_config")) > 0)
        (void)json_array_append_new(
            warnings, json_string("the docker setting build_options has no effect with the "
                                  "image builder 'daemonless', which runs no docker build"));
    warn(b, warnings);
    set_logins(b, &what);
    what.requirements = text_or_null(reqs.text);
    what.constraints = text_or_null(reqs.constraints);
    what.installer_args = reqs.installer_args;
    what.uv = reqs.uv;
    what.zstd = strcmp(kr_json_str(b->config, "compression", "gzip"), "zstd") == 0;
    what.cache_max = cache_bytes(b->config);
    if (kr_image_build(&what, &built, err) < 0)
        return -(int)err->code;
    kr_denv_note(&b->target->env, false, "%s added to %s, %s sent",
                 kr_size_text(built.bytes_added, added), base,
                 kr_size_text(built.bytes_sent, sent));
    *image = kr_steal(&built.reference);
    return 0;
}
