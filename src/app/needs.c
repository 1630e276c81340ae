/* SPDX-License-Identifier: Apache-2.0 */
#include "app/needs.h"

#include "pack/launch.h"
#include "pack/machine.h"
#include "pack/needs.h"
#include "pack/requirements.h"

#include <stdio.h>
#include <string.h>

static const json_t *docker_of(const struct kr_target *target)
{
    return kr_json_at(target->what.snapshot, "settings", "docker", NULL);
}

int kr_needs_variable(const struct kr_target *target, const char *name, const char **value,
                      bool *secret, struct kr_err *err)
{
    *value = kr_json_str(json_object_get(docker_of(target), "environment"), name, NULL);
    if (*value == NULL)
        *value = kr_json_str(target->what.environment, name, NULL);
    *secret = *value == NULL;
    if (*secret)
        *value = kr_json_str(target->what.secrets, name, NULL);
    if (*value != NULL)
        return 0;
    (void)kr_fail(err, KR_E_NOT_FOUND,
                  "the requirements use ${%s}, which is neither a variable nor a secret of the "
                  "deployment",
                  name);
    return kr_hint(err,
                   "%s secret create <name> --%s=..., then name that secret in the pipeline's "
                   "secrets; what is no secret goes into its environment",
                   target->app->prog, name);
}

static int check_variables(const struct kr_target *target, const json_t *names, struct kr_err *err)
{
    const json_t *item;
    const char *value;
    bool secret;
    size_t i;

    json_array_foreach(names, i, item)
    {
        if (kr_needs_variable(target, json_string_value(item), &value, &secret, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int check_requirements(const struct kr_target *target, struct kr_err *err)
{
    struct kr_requirements_in in = {target->what.source_root, docker_of(target),
                                    target->what.snapshot, target->what.python};
    kr_auto_requirements struct kr_requirements reqs = {0};
    kr_auto_json json_t *warnings = json_array(); /* said again when they are installed */

    if (kr_requirements_collect(&in, &reqs, warnings, err) < 0)
        return -(int)err->code;
    return check_variables(target, reqs.variables, err);
}

/* What stays on an engine is for its processor; what is pushed can be pulled by anybody. */
static void choose_machine(const struct kr_target *target, char machine[16])
{
    struct kr_err ignored = KR_ERR_INIT; /* no engine: the deploy says that in its own words */

    if (kr_target_traits(target)->machine == NULL ||
        json_object_get(target->stack, "container_registry") != NULL ||
        kr_target_traits(target)->machine(machine, &ignored) < 0)
        (void)snprintf(machine, 16, "%s", KR_MACHINE_DEFAULT);
}

int kr_needs_check(struct kr_target *target, char machine[16], struct kr_err *err)
{
    struct kr_launch launch = {.root = target->what.source_root,
                               .runtime_dir = target->app->runtime_dir,
                               .machine = machine,
                               .snapshot = target->what.snapshot};

    (void)snprintf(machine, 16, "%s", KR_MACHINE_DEFAULT);
    if (kr_target_traits(target)->takes == KR_TAKES_FOLDER || target->what.image != NULL)
        return 0; /* a finished image has all it needs */
    choose_machine(target, machine);
    if (kr_launch_check_machine(&launch, err) < 0)
        return -(int)err->code;
    if (kr_json_bool(docker_of(target), "skip_build", false))
        return 0;
    return check_requirements(target, err);
}

int kr_needs_code(struct kr_app *app, const struct kr_made *made, bool stays,
                  const struct kr_files *sent, const json_t *left_out, struct kr_err *err)
{
    const json_t *docker = kr_json_at(made->document, "settings", "docker", NULL), *item;
    const char *named = kr_dockerignore_setting(docker, "build_config");
    kr_auto_dockerignore struct kr_dockerignore *rules = NULL;
    kr_auto_json json_t *warnings = json_array();
    struct kr_needs in = {.root = made->source_root,
                          .needs = made->needs,
                          .sent = sent,
                          .left_out = left_out,
                          .rules_name = named != NULL ? named : ".dockerignore",
                          .only_warn = stays,
                          .prog = app->prog};
    size_t i;
    int rc;

    if (made->needs == NULL)
        return 0;
    if (!stays && kr_dockerignore_load(made->source_root, docker, true, &rules, err) < 0)
        return -(int)err->code;
    in.rules = rules;
    rc = kr_needs_files(&in, warnings, err);
    json_array_foreach(warnings, i, item) kr_note(app, KR_NOTE_WARN, "%s", json_string_value(item));
    return rc;
}
