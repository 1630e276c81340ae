/* SPDX-License-Identifier: Apache-2.0 */
/* The stack group; export, import and register-secrets are in cmd_stack_io.c. */
#include "app/stack.h"

#include <string.h>

#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/listing.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/panel.h"
#include "cli/view.h"

struct stack_args {
    const char *name, *new_name, *output;
    const char *components[KR_COMPONENT_TYPE_COUNT];
    bool remove[KR_COMPONENT_TYPE_COUNT];
    json_t *labels, *env, *secrets, *remove_secrets;
    bool set, yes, recursive;
};

#define AT(field) offsetof(struct stack_args, field)

static json_t *chosen_components(const struct stack_args *args)
{
    json_t *chosen = json_object();

    for (size_t i = 0; i < KR_COMPONENT_TYPE_COUNT; i++) {
        if (args->components[i] != NULL)
            kr_json_set_str(chosen, kr_component_kinds[i].key, args->components[i]);
    }
    return chosen;
}

static void say_active(struct kr_cli *cli, const json_t *row)
{
    kr_say(cli, KR_NOTE_SUCCESS, "The active stack is '%s' now", kr_json_str(row, "name", ""));
}

static int run_register(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *components = chosen_components(args), *row = NULL;
    struct kr_stack_change what = {.components = components,
                                   .labels = args->labels,
                                   .env = args->env,
                                   .secrets = args->secrets};

    if (kr_stack_register(cli->app, args->name, &what, args->set, &row, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Registered the stack '%s'", args->name);
    if (args->set)
        say_active(cli, row);
    else
        kr_say(cli, KR_NOTE_INFO, "'%s stack set %s' makes it the active one", cli->prog,
               args->name);
    return 0;
}

static int run_update(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *components = chosen_components(args), *row = NULL;
    struct kr_stack_change what = {.components = components,
                                   .labels = args->labels,
                                   .env = args->env,
                                   .secrets = args->secrets,
                                   .remove_secrets = args->remove_secrets};

    if (json_object_size(components) == 0 && what.labels == NULL && what.env == NULL &&
        what.secrets == NULL && what.remove_secrets == NULL)
        return kr_fail(err, KR_E_USAGE, "there is nothing to change"),
               kr_hint(err, "name a component, --env, --secret or --remove-secret");
    if (kr_stack_update(cli->app, args->name, &what, &row, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Updated the stack '%s'", kr_json_str(row, "name", ""));
    return 0;
}

static int run_remove(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *remove = json_array(), *row = NULL;
    struct kr_stack_change what = {.remove = remove};

    for (size_t i = 0; i < KR_COMPONENT_TYPE_COUNT; i++) {
        if (args->remove[i])
            (void)json_array_append_new(remove, json_string(kr_component_kinds[i].key));
    }
    if (json_array_size(remove) == 0)
        return kr_fail(err, KR_E_USAGE, "name the kind of component to remove, like --deployer");
    if (kr_stack_update(cli->app, args->name, &what, &row, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Updated the stack '%s'", kr_json_str(row, "name", ""));
    return 0;
}

static int run_rename(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;

    if (kr_stack_rename(cli->app, args->name, args->new_name, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Renamed the stack '%s' to '%s'", args->name, args->new_name);
    return 0;
}

static int run_copy(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;

    if (kr_stack_copy(cli->app, args->name, args->new_name, NULL, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Copied the stack '%s' to '%s'", args->name, args->new_name);
    return 0;
}

static int run_set(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *row = NULL;

    if (kr_stack_set_active(cli->app, args->name, &row, err) < 0)
        return -(int)err->code;
    say_active(cli, row);
    return 0;
}

static int run_get(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *row = NULL;
    kr_auto_free char *line = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 || kr_stack_get(cli->app, NULL, &row, err) < 0)
        return -(int)err->code;
    if (format != KR_TABLE) {
        kr_out_row(cli, format, row);
        return 0;
    }
    line = kr_asprintf("%s\n", kr_json_str(row, "name", ""));
    kr_out_text(cli, line);
    return 0;
}

static int describe(struct kr_cli *cli, const json_t *row, struct kr_err *err)
{
    kr_auto_json json_t *head = json_object(), *names = json_object();
    kr_auto_free char *title = kr_asprintf("stack '%s'%s", kr_json_str(row, "name", ""),
                                           kr_json_bool(row, "active", false) ? " (active)" : "");
    static const char *const facts[] = {"id",     "user", "created", "updated",
                                        "labels", "env",  "secrets"};
    const char *key;
    json_t *value;

    for (size_t i = 0; i < KR_ARRAY_LEN(facts); i++) {
        value = json_object_get(row, facts[i]);
        if (value != NULL)
            kr_json_set(head, facts[i], json_incref(value));
    }
    json_object_foreach(json_object_get(row, "components"), key, value)
    {
        kr_auto_free char *text = kr_asprintf("%s (%s)", kr_json_str(value, "name", ""),
                                              kr_json_str(value, "flavor", ""));
        kr_json_set_str(names, key, text);
    }
    if (kr_panel_object(cli, title, head, err) < 0)
        return -(int)err->code;
    kr_out_text(cli, "\n");
    return kr_panel_pairs(cli, "component_type", "component_name", names, err);
}

static int run_describe(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_stack_get(cli->app, args->name, &row, err) < 0)
        return -(int)err->code;
    if (format == KR_TABLE)
        return describe(cli, row, err);
    kr_out_row(cli, format, row);
    return 0;
}

static int run_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct stack_args *args = data;
    kr_auto_json json_t *row = NULL;
    const char *name;

    cli->yes = args->yes;
    if (kr_stack_get(cli->app, args->name, &row, err) < 0)
        return -(int)err->code;
    name = kr_json_str(row, "name", args->name);
    if (kr_ask(cli, err, "Delete the stack '%s'%s?", name,
               args->recursive ? " and its components that no other stack has" : "") < 0)
        return -(int)err->code;
    if (kr_stack_delete(cli->app, kr_json_str(row, "id", args->name), args->recursive, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Deleted the stack '%s'", name);
    return 0;
}

#define COMPONENT(of_type, long_name, short_name, sentence, must)                                  \
    {                                                                                              \
        .name = long_name, .brief = short_name, .type = KR_OPT_STR, .metavar = "NAME",             \
        .required = must, .help = sentence, .complete = KR_COMPLETE_TYPE + (of_type),              \
        .offset = AT(components) + (of_type) * sizeof(const char *)                                \
    }
#define COMPONENTS(must)                                                                           \
    COMPONENT(KR_ARTIFACT_STORE, "artifact-store", "a", "Artifact store", must),                   \
        COMPONENT(KR_ORCHESTRATOR, "orchestrator", "o", "Orchestrator", must),                     \
        COMPONENT(KR_CONTAINER_REGISTRY, "container_registry", "c", "Container registry", false),  \
        COMPONENT(KR_IMAGE_BUILDER, "image_builder", "i", "Image builder", false),                 \
        COMPONENT(KR_DEPLOYER, "deployer", "D", "Deployer", false)

#define REFUSED_COMPONENTS                                                                         \
    KR_ROW_REFUSED("model_registry", "r", "model registries"),                                     \
        KR_ROW_REFUSED("step_operator", "s", "step operators"),                                    \
        KR_ROW_REFUSED("feature_store", "f", "feature stores"),                                    \
        KR_ROW_REFUSED("model_deployer", "d",                                                      \
                       "model deployers (deployers are given with --deployer)"),                   \
        KR_ROW_REFUSED("experiment_tracker", "e", "experiment trackers"),                          \
        KR_ROW_REFUSED("alerter", "al", "alerters"),                                               \
        KR_ROW_REFUSED("annotator", "an", "annotators"),                                           \
        KR_ROW_REFUSED("data_validator", "dv", "data validators")

static const struct kr_opt register_opts[] = {
    COMPONENTS(true),
    {.name = "set", .type = KR_OPT_FLAG, .help = "Make it the active stack", .offset = AT(set)},
    KR_ROW_SECRET(AT(secrets)),
    KR_ROW_ENV(AT(env), ""),
    KR_ROW_LABEL(AT(labels)),
    REFUSED_COMPONENTS,
    KR_ROW_REFUSED("provider", "p", "cloud providers to set up"),
    KR_ROW_REFUSED("connector", "sc", "service connectors"),
    {0},
};
static const struct kr_opt update_opts[] = {
    COMPONENTS(false),
    KR_ROW_SECRET(AT(secrets)),
    KR_ROW_REMOVE_SECRET(AT(remove_secrets)),
    KR_ROW_ENV(AT(env), "; KEY= removes it"),
    KR_ROW_LABEL(AT(labels)),
    REFUSED_COMPONENTS,
    {0},
};

#define REMOVE(of_type, long_name, short_name)                                                     \
    {                                                                                              \
        .name = long_name, .brief = short_name, .type = KR_OPT_FLAG,                               \
        .help = "Remove the component of this kind",                                               \
        .offset = AT(remove) + (of_type) * sizeof(bool)                                            \
    }
static const struct kr_opt remove_opts[] = {
    REMOVE(KR_CONTAINER_REGISTRY, "container_registry", "c"),
    REMOVE(KR_IMAGE_BUILDER, "image_builder", "i"),
    REMOVE(KR_DEPLOYER, "deployer", "D"),
    REFUSED_COMPONENTS,
    {0},
};
static const struct kr_opt output_opts[] = {
    KR_OPT_OUTPUT_ROW(struct stack_args, output),
    {0},
};
static const struct kr_opt delete_opts[] = {
    KR_ROW_YES(AT(yes)),
    {.name = "recursive",
     .brief = "r",
     .type = KR_OPT_FLAG,
     .help = "Delete its components too, unless another stack has them",
     .offset = AT(recursive)},
    {0},
};

#define NAME_ROW(sentence, may_be_left_out)                                                        \
    {                                                                                              \
        .name = "NAME", .help = sentence, .optional = may_be_left_out,                             \
        .complete = KR_COMPLETE_STACK, .offset = AT(name)                                          \
    }
static const struct kr_arg new_args[] = {
    {.name = "NAME", .help = "Name of the new stack", .offset = AT(name)},
    {0},
};
static const struct kr_arg name_args[] = {NAME_ROW("Name, id or unique prefix", false), {0}};
static const struct kr_arg maybe_args[] = {
    NAME_ROW("Name, id or unique prefix; the active stack without it", true), {0}};
static const struct kr_arg two_args[] = {
    NAME_ROW("Name, id or unique prefix", false),
    {.name = "NEW_NAME", .help = "The new name", .offset = AT(new_name)},
    {0},
};

static const struct kr_listing listing = {
    .entity = KR_STACK,
    .columns = "active,id,name,user,artifact_store,orchestrator,deployer",
    .table = "name,active,deployer,orchestrator,artifact_store,id",
    .plural = "stacks"};

#define STACK(verb, sentence)                                                                      \
    .path = "stack " verb, .help = sentence, .needs = KR_NEEDS_STORE,                              \
    .size = sizeof(struct stack_args)

static const struct kr_cmd rows[] = {
    {STACK("register", "Register a stack of components"), .opts = register_opts, .args = new_args,
     KR_EXAMPLES("stack register my_stack -D hub -a default -o default --set"),
     .run = run_register},
    {.path = "stack list",
     .help = "List stacks",
     .needs = KR_NEEDS_STORE,
     .size = sizeof(struct kr_list_args),
     KR_EXAMPLES("stack list", "stack list -c name,deployer"),
     .run = kr_list_run,
     .list = &listing},
    {STACK("get", "Show the name of the active stack"), .opts = output_opts,
     KR_EXAMPLES("stack get"), .run = run_get},
    {STACK("describe", "Show the components of a stack"), .opts = output_opts, .args = maybe_args,
     KR_EXAMPLES("stack describe", "stack describe default -o yaml"), .run = run_describe},
    {STACK("set", "Make a stack the active one"), .args = name_args,
     KR_EXAMPLES("stack set default"), .run = run_set},
    {STACK("update", "Exchange or add components of a stack"), .opts = update_opts,
     .args = maybe_args, KR_EXAMPLES("stack update hub_stack --container_registry=registry"),
     .run = run_update},
    {STACK("remove-component", "Take optional components out of a stack"), .opts = remove_opts,
     .args = maybe_args, KR_EXAMPLES("stack remove-component hub_stack --image_builder"),
     .run = run_remove},
    {STACK("rename", "Give a stack another name"), .args = two_args,
     KR_EXAMPLES("stack rename hub_stack spaces"), .run = run_rename},
    {STACK("copy", "Copy a stack"), .args = two_args, KR_EXAMPLES("stack copy default mine"),
     .run = run_copy},
    {STACK("delete", "Delete a stack"), .opts = delete_opts, .args = name_args,
     KR_EXAMPLES("stack delete hub_stack --yes"), .run = run_delete},
};

const struct kr_cmds kr_cmds_stack = KR_CMDS(rows);
