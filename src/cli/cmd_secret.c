/* SPDX-License-Identifier: Apache-2.0 */
/* The secret group. */
#include <string.h>
#include <strings.h>

#include "app/secret.h"
#include "base/alloc.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/yaml.h"
#include "cli/cmds.h"
#include "cli/listing.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/panel.h"
#include "cli/value.h"
#include "cli/view.h"
#include "core/name.h"

struct secret_args {
    const char *name, *new_name, *values, *filename, *output;
    json_t *fields, *remove;
    bool private_flag, interactive, yes, overwrite, force;
    int private_value;
};

#define AT(field) offsetof(struct secret_args, field)

/* From now on no message repeats these values. */
static void guard(const json_t *values)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
        kr_redact_add(json_string_value(value));
}

/* What --key=value and --values say together; the second wins. */
static int given_values(const struct secret_args *args, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *values = json_object(), *more = NULL;

    guard(args->fields);
    if (args->fields != NULL)
        kr_json_merge(values, args->fields);
    if (args->values != NULL) {
        if (kr_value_object("--values", args->values, &more, err) < 0)
            return -(int)err->code;
        guard(more);
        kr_json_merge(values, more);
    }
    if (args->interactive && json_object_size(values) > 0)
        return kr_fail(err, KR_E_USAGE,
                       "--interactive asks for the values: leave out --KEY=VALUE and --values");
    *out = kr_steal(&values);
    return 0;
}

/* Asks for one value and keeps it; an empty answer leaves the key out. */
static int ask_value(struct kr_cli *cli, const char *key, json_t *values, struct kr_err *err)
{
    kr_auto_free char *question = kr_asprintf("Value of '%s'", key), *text = NULL;
    json_t *value;

    if (kr_prompt(cli, question, true, &text, err) < 0)
        return -(int)err->code;
    if (text[0] == '\0')
        return 0;
    kr_redact_add(text);
    if (kr_value_string(question, text, &value, err) < 0)
        return -(int)err->code;
    kr_json_set(values, key, value);
    return 0;
}

static int ask_new(struct kr_cli *cli, json_t *values, struct kr_err *err)
{
    for (;;) {
        kr_auto_free char *key = NULL;

        if (kr_prompt(cli, "Key (empty to finish)", false, &key, err) < 0)
            return -(int)err->code;
        if (key[0] == '\0')
            return 0;
        if (kr_identifier_check("key", key, err) < 0 || ask_value(cli, key, values, err) < 0)
            return -(int)err->code;
    }
}

static char *key_names(const json_t *values)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 20);
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
        kr_buf_addf(&text, "%s%s", text.n > 0 ? ", " : "", key);
    return kr_buf_steal(&text);
}

static int run_create(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct secret_args *args = data;
    kr_auto_json json_t *values = NULL;
    kr_auto_free char *keys = NULL;

    if (given_values(args, &values, err) < 0)
        return -(int)err->code;
    if (args->interactive && ask_new(cli, values, err) < 0)
        return -(int)err->code;
    if (json_object_size(values) == 0)
        return kr_fail(err, KR_E_USAGE, "the secret '%s' would be empty", args->name),
               kr_hint(err, "give its values as --KEY=VALUE, --values or --interactive");
    if (kr_secret_create(cli->app, args->name, values, args->private_flag, NULL, err) < 0)
        return -(int)err->code;
    keys = key_names(values);
    kr_say(cli, KR_NOTE_SUCCESS, "Created the secret '%s' with the keys: %s", args->name, keys);
    return 0;
}

static int fetch(struct kr_cli *cli, const struct secret_args *args, json_t **row,
                 struct kr_err *err)
{
    if (kr_secret_get(cli->app, args->name, row, err) < 0)
        return -(int)err->code;
    if (args->private_value >= 0 &&
        kr_json_bool(*row, "private", false) != (args->private_value > 0))
        return kr_fail(err, KR_E_NOT_FOUND, "there is no %s secret '%s'",
                       args->private_value > 0 ? "private" : "public", args->name);
    return 0;
}

static int run_get(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct secret_args *args = data;
    kr_auto_json json_t *row = NULL;
    const json_t *values;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 || fetch(cli, args, &row, err) < 0)
        return -(int)err->code;
    cli->reveal = true; /* what was asked for */
    values = json_object_get(row, "values");
    if (format == KR_JSON || format == KR_YAML) {
        kr_out_row(cli, format, row);
        return 0;
    }
    if (format != KR_TABLE) {
        kr_out_row(cli, format, values);
        return 0;
    }
    kr_say(cli, KR_NOTE_INFO, "Secret '%s' (%s)", kr_json_str(row, "name", ""),
           kr_json_str(row, "id", ""));
    if (json_object_size(values) == 0) {
        kr_say(cli, KR_NOTE_WARN, "the secret has no values");
        return 0;
    }
    return kr_panel_pairs(cli, "key", "value", values, err);
}

/* A new value for each key the secret has; empty answers leave it as it is. */
static int ask_changes(struct kr_cli *cli, const struct secret_args *args, json_t *values,
                       struct kr_err *err)
{
    kr_auto_json json_t *row = NULL;
    const char *key;
    json_t *value;

    if (kr_secret_get(cli->app, args->name, &row, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_INFO, "An empty answer leaves a value as it is");
    json_object_foreach(json_object_get(row, "values"), key, value)
    {
        if (ask_value(cli, key, values, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int run_update(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct secret_args *args = data;
    kr_auto_json json_t *values = NULL;

    if (given_values(args, &values, err) < 0)
        return -(int)err->code;
    if (args->interactive && ask_changes(cli, args, values, err) < 0)
        return -(int)err->code;
    if (json_object_size(values) == 0 && args->remove == NULL && args->private_value < 0)
        return kr_fail(err, KR_E_USAGE, "there is nothing to change in the secret '%s'",
                       args->name),
               kr_hint(err, "give --KEY=VALUE, --values, --remove-keys or --private");
    if (kr_secret_update(cli->app, args->name, values, args->remove, args->private_value, NULL,
                         err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Updated the secret '%s'", args->name);
    return 0;
}

static int run_rename(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct secret_args *args = data;

    if (kr_secret_rename(cli->app, args->name, args->new_name, args->force, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Renamed the secret '%s' to '%s'", args->name, args->new_name);
    return 0;
}

static int run_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct secret_args *args = data;
    kr_auto_json json_t *row = NULL;
    const char *name;

    cli->yes = args->yes;
    if (kr_secret_get(cli->app, args->name, &row, err) < 0)
        return -(int)err->code;
    name = kr_json_str(row, "name", args->name);
    if (!args->force && kr_secret_check_unused(cli->app, row, false, err) < 0)
        return -(int)err->code; /* before it is asked */
    if (kr_ask(cli, err, "Delete the secret '%s'?", name) < 0)
        return -(int)err->code;
    if (kr_secret_delete(cli->app, kr_json_str(row, "id", args->name), args->force, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Deleted the secret '%s'", name);
    return 0;
}

static int run_export(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct secret_args *args = data;
    kr_auto_json json_t *row = NULL;
    kr_auto_buf struct kr_buf yaml = KR_BUF_INIT(16 << 20);
    kr_auto_free char *path = NULL;

    if (fetch(cli, args, &row, err) < 0)
        return -(int)err->code;
    path = args->filename != NULL ? kr_path_expand_home(args->filename)
                                  : kr_asprintf("%s.yaml", kr_json_str(row, "name", args->name));
    if (kr_path_exists(path) && !args->overwrite)
        return kr_fail(err, KR_E_EXISTS, "there is a file '%s' already", path),
               kr_hint(err, "pass --overwrite to replace it, or --filename for another");
    kr_yaml_write(json_object_get(row, "values"), &yaml);
    if (kr_buf_check(&yaml, err) < 0 || kr_file_write_atomic(path, yaml.p, yaml.n, 0600, err) < 0)
        return -(int)err->code;
    kr_say(
        cli, KR_NOTE_SUCCESS,
        "Wrote the values of '%s' to '%s'; '%s secret create NAME --values=@%s' reads them again",
        kr_json_str(row, "name", args->name), path, cli->prog, path);
    return 0;
}

#define NAME_ARG                                                                                   \
    {                                                                                              \
        .name = "NAME", .help = "Name, id or unique prefix of the secret",                         \
        .complete = KR_COMPLETE_SECRET, .offset = AT(name)                                         \
    }
#define VALUES_OPT                                                                                 \
    {                                                                                              \
        .name = "values", .brief = "v", .type = KR_OPT_STR, .metavar = "JSON|YAML|@FILE",          \
        .help = "Keys and values as JSON, YAML or a file of either", .offset = AT(values)          \
    }
#define INTERACTIVE_OPT                                                                            \
    {                                                                                              \
        .name = "interactive", .brief = "i", .type = KR_OPT_FLAG, .help = "Ask for the values",    \
        .offset = AT(interactive)                                                                  \
    }
#define PRIVATE_OPT(text)                                                                          \
    {                                                                                              \
        .name = "private", .brief = "p", .type = KR_OPT_BOOL, .help = text,                        \
        .offset = AT(private_value)                                                                \
    }

static const struct kr_arg new_args[] = {
    {.name = "NAME", .help = "Name of the new secret", .offset = AT(name)},
    {0},
};
static const struct kr_arg name_args[] = {NAME_ARG, {0}};

static const struct kr_opt create_opts[] = {
    {.name = "private",
     .brief = "p",
     .type = KR_OPT_FLAG,
     .help = "Only for its owner",
     .offset = AT(private_flag)},
    INTERACTIVE_OPT,
    VALUES_OPT,
    {0},
};
static const struct kr_opt get_opts[] = {
    PRIVATE_OPT("Only if the secret is private, or is not"),
    KR_OPT_OUTPUT_ROW(struct secret_args, output),
    {0},
};
static const struct kr_opt update_opts[] = {
    PRIVATE_OPT("Make it private, or public"),
    INTERACTIVE_OPT,
    VALUES_OPT,
    {.name = "remove-keys",
     .brief = "r",
     .type = KR_OPT_LIST,
     .metavar = "KEY",
     .help = "Key to remove",
     .offset = AT(remove)},
    {0},
};
#define FORCE_OPT                                                                                  \
    {                                                                                              \
        .name = "force", .type = KR_OPT_FLAG,                                                      \
        .help = "Also when components, stacks or deployments use it", .offset = AT(force)          \
    }

static const struct kr_opt rename_opts[] = {
    {.name = "new-name",
     .brief = "n",
     .type = KR_OPT_STR,
     .metavar = "NAME",
     .required = true,
     .help = "The new name",
     .offset = AT(new_name)},
    FORCE_OPT,
    {0},
};
static const struct kr_opt delete_opts[] = {
    FORCE_OPT,
    KR_ROW_YES(AT(yes)),
    {0},
};
static const struct kr_opt export_opts[] = {
    PRIVATE_OPT("Only if the secret is private, or is not"),
    {.name = "filename",
     .brief = "f",
     .type = KR_OPT_STR,
     .metavar = "FILE",
     .help = "File to write; NAME.yaml without it",
     .complete = KR_COMPLETE_FILE,
     .offset = AT(filename)},
    {.name = "overwrite",
     .brief = "ov",
     .type = KR_OPT_FLAG,
     .help = "Replace an existing file",
     .offset = AT(overwrite)},
    {0},
};

static const struct kr_listing listing = {
    .entity = KR_SECRET, .columns = "name,scope,user,created", .plural = "secrets"};

static const char *const create_examples[] = {
    "secret create hf_token --token=hf_aBcDeFgH",
    "secret create s3 --values='{\"key\": \"AKIA\", \"secret\": \"x\"}'", NULL};
static const char *const list_examples[] = {"secret list", "secret list --name=contains:hf -o json",
                                            NULL};
static const char *const get_examples[] = {"secret get hf_token", NULL};
static const char *const update_examples[] = {"secret update hf_token --token=hf_IjKlMnOp",
                                              "secret update hf_token --write=yes -r token", NULL};
static const char *const rename_examples[] = {"secret rename old_token --new-name=spare_token",
                                              NULL};
static const char *const delete_examples[] = {"secret delete old_token --yes", NULL};
static const char *const export_examples[] = {"secret export hf_token --filename=token.yaml", NULL};

#define SECRET .needs = KR_NEEDS_STORE, .size = sizeof(struct secret_args)
#define FREE_KEYS                                                                                  \
    .free_rule = KR_FREE_KEYS, .free_offset = AT(fields),                                          \
    .free_help =                                                                                   \
        "A value of the secret; - reads standard input, @FILE a file, @@ stands for a plain @"

static const struct kr_cmd rows[] = {
    {SECRET, .path = "secret create", .help = "Create a secret", .opts = create_opts,
     .args = new_args, FREE_KEYS, .examples = create_examples, .run = run_create,
     .more = "Values are encrypted at rest. Component attributes refer to them as {{NAME.KEY}}. "
             "--KEY=- < FILE and --interactive keep a value out of the history of the shell."},
    {.needs = KR_NEEDS_STORE,
     .path = "secret list",
     .help = "List secrets, without their values",
     .size = sizeof(struct kr_list_args),
     .examples = list_examples,
     .run = kr_list_run,
     .list = &listing},
    {SECRET, .path = "secret get", .help = "Show the values of a secret in clear", .opts = get_opts,
     .args = name_args, .examples = get_examples, .run = run_get},
    {SECRET, .path = "secret update", .help = "Add, change or remove values of a secret",
     .opts = update_opts, .args = name_args, FREE_KEYS, .examples = update_examples,
     .run = run_update},
    {SECRET, .path = "secret rename", .help = "Give a secret another name", .opts = rename_opts,
     .args = name_args, .examples = rename_examples, .run = run_rename},
    {SECRET, .path = "secret delete", .help = "Delete a secret", .opts = delete_opts,
     .args = name_args, .examples = delete_examples, .run = run_delete},
    {SECRET, .path = "secret export", .help = "Write the values of a secret to a YAML file",
     .opts = export_opts, .args = name_args, .examples = export_examples, .run = run_export},
};

const struct kr_cmds kr_cmds_secret = KR_CMDS(rows);
