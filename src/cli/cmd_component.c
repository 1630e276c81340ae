/* SPDX-License-Identifier: Apache-2.0 */
/* The component groups: the same commands for each kind of component, told apart by
 * cli->cmd->kind. */
#include "app/component.h"

#include <string.h>

#include "base/alloc.h"
#include "base/redact.h"
#include "cli/cmds.h"
#include "cli/listing.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/panel.h"
#include "core/flavor.h"
#include "core/secret_ref.h"

struct component_args {
    const char *name, *new_name, *flavor, *output;
    json_t *attributes, *labels, *env, *secrets, *remove_secrets, *names, *label_names;
};

#define AT(field) offsetof(struct component_args, field)

static const struct kr_component_kind *kind_of(const struct kr_cli *cli)
{
    return &kr_component_kinds[cli->cmd->kind];
}

static enum kr_component_type type_of(const struct kr_cli *cli)
{
    return (enum kr_component_type)cli->cmd->kind;
}

/* Attributes that are secrets are not repeated by any message. */
static void guard(const struct kr_cli *cli, const char *flavor_name, const json_t *attributes)
{
    const struct kr_flavor *flavor = kr_flavor_find(type_of(cli), flavor_name);
    const char *key;
    json_t *value;

    if (flavor == NULL)
        return;
    json_object_foreach((json_t *)(uintptr_t)attributes, key, value)
    {
        const struct kr_setting *row = kr_setting_find(flavor->table, key);

        if (row != NULL && row->sensitive &&
            !kr_secret_ref_parse(json_string_value(value), NULL, NULL))
            kr_redact_add(json_string_value(value));
    }
}

static struct kr_component_change change_of(const struct component_args *args)
{
    return (struct kr_component_change){.attributes = args->attributes,
                                        .labels = args->labels,
                                        .env = args->env,
                                        .secrets = args->secrets,
                                        .remove_secrets = args->remove_secrets};
}

static int run_register(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;
    struct kr_component_change what = change_of(args);

    guard(cli, args->flavor, args->attributes);
    if (kr_component_register(cli->app, type_of(cli), args->name, args->flavor, &what, NULL, err) <
        0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Registered the %s '%s'", kind_of(cli)->title, args->name);
    return 0;
}

static int run_get(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    if (kr_component_get(cli->app, type_of(cli), NULL, &row, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_say(cli, KR_NOTE_WARN, "the active stack has no %s", kind_of(cli)->title);
        kr_err_clear(err);
        return 0;
    }
    kr_component_mask(row);
    if (format != KR_TABLE) {
        kr_out_row(cli, format, row);
    } else {
        kr_auto_free char *line = kr_asprintf("%s\n", kr_json_str(row, "name", ""));
        kr_out_text(cli, line);
    }
    return 0;
}

static int describe(struct kr_cli *cli, const json_t *row, struct kr_err *err)
{
    kr_auto_json json_t *head = json_object();
    kr_auto_free char *title =
        kr_asprintf("%s '%s'", kind_of(cli)->title, kr_json_str(row, "name", ""));
    static const char *const facts[] = {"id", "flavor", "user", "created", "updated", "secrets"};
    static const char *const parts[][2] = {
        {"config", "attribute"}, {"labels", "label"}, {"env", "environment variable"}};

    for (size_t i = 0; i < KR_ARRAY_LEN(facts); i++) {
        json_t *value = json_object_get(row, facts[i]);

        if (value != NULL)
            kr_json_set(head, facts[i], json_incref(value));
    }
    if (kr_panel_object(cli, title, head, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < KR_ARRAY_LEN(parts); i++) {
        const json_t *part = json_object_get(row, parts[i][0]);

        if (json_object_size(part) == 0)
            continue;
        kr_out_text(cli, "\n");
        if (kr_panel_pairs(cli, parts[i][1], "value", part, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int run_describe(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_component_get(cli->app, type_of(cli), args->name, &row, err) < 0)
        return -(int)err->code;
    kr_component_mask(row);
    if (format == KR_TABLE)
        return describe(cli, row, err);
    kr_out_row(cli, format, row);
    return 0;
}

/* Success of a command on NAME or, without one, the active stack's component. */
static void say_done(struct kr_cli *cli, const char *did, const json_t *row, const char *name)
{
    kr_say(cli, KR_NOTE_SUCCESS, "%s the %s '%s'", did, kind_of(cli)->title,
           kr_json_str(row, "name", name != NULL ? name : ""));
}

static int run_update(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;
    struct kr_component_change what = change_of(args);
    kr_auto_json json_t *row = NULL, *before = NULL;

    if (what.attributes == NULL && what.labels == NULL && what.env == NULL &&
        what.secrets == NULL && what.remove_secrets == NULL)
        return kr_fail(err, KR_E_USAGE, "there is nothing to change"),
               kr_hint(err, "give --KEY=VALUE, --label, --env, --secret or --remove-secret");
    if (kr_component_get(cli->app, type_of(cli), args->name, &before, err) < 0)
        return -(int)err->code;
    guard(cli, kr_json_str(before, "flavor", ""), args->attributes);
    if (kr_component_update(cli->app, type_of(cli), args->name, &what, &row, err) < 0)
        return -(int)err->code;
    say_done(cli, "Updated", row, args->name);
    return 0;
}

static int run_remove(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;
    kr_auto_json json_t *row = NULL;

    if (args->names == NULL && args->label_names == NULL)
        return kr_fail(err, KR_E_USAGE, "there is nothing to remove"),
               kr_hint(err, "name attributes, or labels with --label");
    if (kr_component_remove_attributes(cli->app, type_of(cli), args->name, args->names,
                                       args->label_names, &row, err) < 0)
        return -(int)err->code;
    say_done(cli, "Updated", row, args->name);
    return 0;
}

static int run_rename(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;

    if (kr_component_rename(cli->app, type_of(cli), args->name, args->new_name, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Renamed the %s '%s' to '%s'", kind_of(cli)->title, args->name,
           args->new_name);
    return 0;
}

static int run_copy(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;

    if (kr_component_copy(cli->app, type_of(cli), args->name, args->new_name, NULL, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Copied the %s '%s' to '%s'", kind_of(cli)->title, args->name,
           args->new_name);
    return 0;
}

static int run_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct component_args *args = data;

    if (kr_component_delete(cli->app, type_of(cli), args->name, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Deleted the %s '%s'", kind_of(cli)->title, args->name);
    return 0;
}

#define NAME_ARG(is_optional)                                                                      \
    {                                                                                              \
        .name = "NAME", .help = "Name, id or unique prefix" is_optional,                           \
        .optional = sizeof(is_optional) > 1, .complete = KR_COMPLETE_COMPONENT, .offset = AT(name) \
    }

static const struct kr_arg new_args[] = {
    {.name = "NAME", .help = "Name of the new component", .offset = AT(name)},
    {0},
};
static const struct kr_arg name_args[] = {NAME_ARG(""), {0}};
static const struct kr_arg maybe_args[] = {NAME_ARG("; that of the active stack without it"), {0}};
static const struct kr_arg two_args[] = {
    NAME_ARG(""),
    {.name = "NEW_NAME", .help = "The new name", .offset = AT(new_name)},
    {0},
};
static const struct kr_arg remove_args[] = {
    NAME_ARG(""),
    {.name = "ATTRIBUTE",
     .help = "Attributes to remove",
     .optional = true,
     .many = true,
     .offset = AT(names)},
    {0},
};

static const struct kr_opt register_opts[] = {
    {.name = "flavor",
     .brief = "f",
     .type = KR_OPT_STR,
     .required = true,
     .complete = KR_COMPLETE_FLAVOR,
     .help = "Which implementation",
     .offset = AT(flavor)},
    KR_ROW_LABEL(AT(labels)),
    KR_ROW_SECRET(AT(secrets)),
    KR_ROW_ENV(AT(env), ""),
    KR_ROW_REFUSED("connector", "c",
                   "service connectors (--KEY={{SECRET.KEY}} refers to a secret)"),
    KR_ROW_REFUSED("resource-id", "r",
                   "service connectors (--KEY={{SECRET.KEY}} refers to a secret)"),
    {0},
};
static const struct kr_opt update_opts[] = {
    KR_ROW_LABEL(AT(labels)),
    KR_ROW_SECRET(AT(secrets)),
    KR_ROW_REMOVE_SECRET(AT(remove_secrets)),
    KR_ROW_ENV(AT(env), "; KEY= removes it"),
    {0},
};
static const struct kr_opt remove_opts[] = {
    {.name = "label",
     .brief = "l",
     .type = KR_OPT_LIST,
     .metavar = "NAME",
     .help = "Label to remove",
     .offset = AT(label_names)},
    {0},
};
static const struct kr_opt output_opts[] = {
    KR_OPT_OUTPUT_ROW(struct component_args, output),
    {0},
};

static const struct kr_listing listing = {.entity = KR_COMPONENT,
                                          .columns = "id,name,flavor,user,created",
                                          .table = "name,flavor,user,created,id",
                                          .by_type = true};

#define ROW(type, group, verb, sentence)                                                           \
    .path = group " " verb, .help = sentence, .kind = (type), .needs = KR_NEEDS_STORE,             \
    .size = sizeof(struct component_args)
#define ATTRIBUTES                                                                                 \
    .free_rule = KR_FREE_ATTRIBUTES, .free_offset = AT(attributes),                                \
    .free_help = "An attribute of the flavor (see flavor describe); {{SECRET.KEY}} refers to a "   \
                 "secret, @FILE reads a file, - standard input"

/* All commands of one group. name: a component that the examples may use; attribute: one of it. */
#define GROUP(type, group, title, titles, name, set, unset, ...)                                   \
    {ROW(type, group, "register", "Register " title),                                              \
     .opts = register_opts,                                                                        \
     .args = new_args,                                                                             \
     ATTRIBUTES,                                                                                   \
     KR_EXAMPLES(__VA_ARGS__),                                                                     \
     .run = run_register},                                                                         \
        {.path = group " list",                                                                    \
         .help = "List " titles,                                                                   \
         .kind = (type),                                                                           \
         .needs = KR_NEEDS_STORE,                                                                  \
         .size = sizeof(struct kr_list_args),                                                      \
         KR_EXAMPLES(group " list", group " list --flavor=local --output json"),                   \
         .run = kr_list_run,                                                                       \
         .list = &listing},                                                                        \
        {ROW(type, group, "get", "Show the name of the one in the active stack"),                  \
         .opts = output_opts, KR_EXAMPLES(group " get"), .run = run_get},                          \
        {ROW(type, group, "describe", "Show attributes and labels of " title),                     \
         .opts = output_opts, .args = maybe_args, KR_EXAMPLES(group " describe " name),            \
         .run = run_describe},                                                                     \
        {ROW(type, group, "update", "Change attributes, labels or environment of " title),         \
         .opts = update_opts,                                                                      \
         .args = maybe_args,                                                                       \
         ATTRIBUTES,                                                                               \
         KR_EXAMPLES(group " update " name " " set),                                               \
         .run = run_update},                                                                       \
        {ROW(type, group, "remove-attribute", "Remove attributes or labels of " title),            \
         .opts = remove_opts, .args = remove_args,                                                 \
         KR_EXAMPLES(group " remove-attribute " name " " unset), .run = run_remove},               \
        {ROW(type, group, "rename", "Give " title " another name"), .args = two_args,              \
         KR_EXAMPLES(group " rename " name " renamed"), .run = run_rename},                        \
        {ROW(type, group, "copy", "Copy " title), .args = two_args,                                \
         KR_EXAMPLES(group " copy " name " copied"), .run = run_copy},                             \
    {                                                                                              \
        ROW(type, group, "delete", "Delete " title " that no stack and no deployment needs"),      \
            .args = name_args, KR_EXAMPLES(group " delete " name), .run = run_delete               \
    }

static const struct kr_cmd rows[] = {
    GROUP(KR_DEPLOYER, "deployer", "a deployer", "deployers", "hub", "--private=true",
          "space_hardware", "deployer register my_hub --flavor=huggingface --secret_name=hf_token",
          "deployer register my_local --flavor=local --port=8080"),
    GROUP(KR_ARTIFACT_STORE, "artifact-store", "an artifact store", "artifact stores", "bucket",
          "--path=s3://other-bucket/models", "--label team",
          "artifact-store register my_store --flavor=s3 --path=s3://my-bucket/models"),
    GROUP(KR_CONTAINER_REGISTRY, "container-registry", "a container registry",
          "container registries", "registry", "--default_repository=apps", "default_repository",
          "container-registry register public_registry --flavor=default --uri=docker.io/someone"),
    GROUP(KR_IMAGE_BUILDER, "image-builder", "an image builder", "image builders", "builder",
          "--label team=vision", "--label team",
          "image-builder register my_builder --flavor=local"),
    GROUP(KR_ORCHESTRATOR, "orchestrator", "an orchestrator", "orchestrators", "runner",
          "--label team=vision", "--label team",
          "orchestrator register my_orchestrator --flavor=local"),
};

const struct kr_cmds kr_cmds_component = KR_CMDS(rows);
