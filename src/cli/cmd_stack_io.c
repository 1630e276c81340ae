/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks as files, and the secrets that a stack's components refer to. */
#include <string.h>
#include <unistd.h>

#include "app/component.h"
#include "app/secret.h"
#include "app/stack.h"
#include "base/alloc.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"
#include "base/yaml.h"
#include "cli/cmds.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/value.h"
#include "cli/view.h"
#include "core/secret_ref.h"

enum { FILE_LIMIT = 1 << 20 };

struct file_args {
    const char *name, *file;
    bool ignore_version, skip_existing;
};

#define AT(field) offsetof(struct file_args, field)

static int run_export(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct file_args *args = data;
    kr_auto_json json_t *doc = NULL;
    kr_auto_buf struct kr_buf yaml = KR_BUF_INIT(FILE_LIMIT);
    kr_auto_free char *path = NULL;
    const char *name;

    if (kr_stack_export(cli->app, args->name, &doc, err) < 0)
        return -(int)err->code;
    name = kr_json_str(doc, "stack_name", "stack");
    path = args->file != NULL ? kr_path_expand_home(args->file) : kr_asprintf("%s.yaml", name);
    kr_yaml_write(doc, &yaml);
    if (kr_buf_check(&yaml, err) < 0 || kr_file_write_atomic(path, yaml.p, yaml.n, 0600, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Wrote the stack '%s' to '%s'", name, path);
    return 0;
}

static bool is_file_name(const char *name)
{
    return kr_ends_with(name, ".yaml") || kr_ends_with(name, ".yml");
}

/* Imports; when the name is taken and somebody can be asked, under another one. */
static int import_as(struct kr_cli *cli, const json_t *doc, const char *name, bool ignore_version,
                     json_t **row, struct kr_err *err)
{
    kr_auto_free char *other = NULL;

    if (kr_stack_import(cli->app, doc, name, ignore_version, row, err) == 0)
        return 0;
    if (err->code != KR_E_EXISTS || isatty(STDIN_FILENO) != 1)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_WARN, "%s", err->msg);
    kr_err_clear(err);
    if (kr_prompt(cli, "Another name for the stack", false, &other, err) < 0)
        return -(int)err->code;
    return kr_stack_import(cli->app, doc, other, ignore_version, row, err);
}

static int run_import(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct file_args *args = data;
    kr_auto_json json_t *doc = NULL, *row = NULL;
    kr_auto_free char *path = NULL;
    bool named = args->name != NULL && !is_file_name(args->name);

    if (args->name == NULL && args->file == NULL)
        return kr_fail(err, KR_E_USAGE, "name the stack or the file to import");
    if (args->file != NULL)
        path = kr_path_expand_home(args->file);
    else
        path = named ? kr_asprintf("%s.yaml", args->name) : kr_path_expand_home(args->name);
    if (!kr_path_exists(path))
        return kr_fail(err, KR_E_NOT_FOUND, "there is no file '%s'", path),
               kr_hint(err, "--filename names another file");
    if (kr_yaml_read_file(path, FILE_LIMIT, &doc, err) < 0)
        return -(int)err->code;
    if (import_as(cli, doc, named ? args->name : NULL, args->ignore_version, &row, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Imported the stack '%s' from '%s'", kr_json_str(row, "name", ""),
           path);
    return 0;
}

/* Adds {"secret": {"key": true}} for each reference in the configuration of a component. */
static void collect_refs(const json_t *config, json_t *wanted)
{
    const char *attribute;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)config, attribute, value)
    {
        kr_auto_free char *name = NULL, *key = NULL;
        json_t *keys;

        if (!json_is_string(value) || !kr_secret_ref_parse(json_string_value(value), &name, &key))
            continue;
        keys = json_object_get(wanted, name);
        if (keys == NULL) {
            keys = json_object();
            kr_json_set(wanted, name, keys);
        }
        kr_json_set_bool(keys, key, true);
    }
}

static int stack_refs(struct kr_cli *cli, const char *ref, json_t *wanted, struct kr_err *err)
{
    kr_auto_json json_t *stack = NULL;
    const char *type;
    json_t *part;

    if (kr_stack_get(cli->app, ref, &stack, err) < 0)
        return -(int)err->code;
    json_object_foreach(json_object_get(stack, "components"), type, part)
    {
        const struct kr_component_kind *kind = kr_component_kind_find(type);
        kr_auto_json json_t *row = NULL;

        if (kind == NULL)
            continue;
        if (kr_component_get(cli->app, kind->type, kr_json_str(part, "id", ""), &row, err) < 0)
            return -(int)err->code;
        collect_refs(json_object_get(row, "config"), wanted);
    }
    return 0;
}

/* Asks for the keys of one secret and stores them; *done counts what was stored. */
static int fill_secret(struct kr_cli *cli, const char *name, const json_t *keys, bool skip,
                       int *done, struct kr_err *err)
{
    kr_auto_json json_t *row = NULL, *values = json_object();
    const json_t *have;
    const char *key;
    json_t *unused;

    if (kr_secret_get(cli->app, name, &row, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err);
    }
    have = json_object_get(row, "values");
    json_object_foreach((json_t *)(uintptr_t)keys, key, unused)
    {
        kr_auto_free char *question = NULL, *text = NULL;
        json_t *value;

        if (skip && json_object_get(have, key) != NULL)
            continue;
        question = kr_asprintf("Value of '%s' in the secret '%s'%s", key, name,
                               json_object_get(have, key) != NULL ? " (empty: as it is)" : "");
        if (kr_prompt(cli, question, true, &text, err) < 0)
            return -(int)err->code;
        if (text[0] == '\0')
            continue;
        kr_redact_add(text);
        if (kr_value_string(question, text, &value, err) < 0)
            return -(int)err->code;
        kr_json_set(values, key, value);
    }
    if (json_object_size(values) == 0)
        return 0;
    (*done)++;
    if (row != NULL)
        return kr_secret_update(cli->app, kr_json_str(row, "id", name), values, NULL, -1, NULL,
                                err);
    return kr_secret_create(cli->app, name, values, false, NULL, err);
}

static int run_register_secrets(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct file_args *args = data;
    kr_auto_json json_t *wanted = json_object();
    const char *name;
    json_t *keys;
    int done = 0;

    if (stack_refs(cli, args->name, wanted, err) < 0)
        return -(int)err->code;
    if (json_object_size(wanted) == 0) {
        kr_say(cli, KR_NOTE_INFO, "No component of the stack refers to a secret");
        return 0;
    }
    json_object_foreach(wanted, name, keys)
    {
        if (fill_secret(cli, name, keys, args->skip_existing, &done, err) < 0)
            return -(int)err->code;
    }
    kr_say(cli, KR_NOTE_SUCCESS, "Stored %d of the %zu secrets that the stack refers to", done,
           json_object_size(wanted));
    return 0;
}

static const struct kr_opt import_opts[] = {
    {.name = "filename",
     .brief = "f",
     .type = KR_OPT_STR,
     .metavar = "FILE",
     .complete = KR_COMPLETE_FILE,
     .help = "File to read; NAME.yaml without it",
     .offset = AT(file)},
    {.name = "ignore-version-mismatch",
     .type = KR_OPT_FLAG,
     .help = "Import what another version wrote",
     .offset = AT(ignore_version)},
    {0},
};
static const struct kr_opt secrets_opts[] = {
    {.name = "skip-existing",
     .type = KR_OPT_FLAG,
     .help = "Ask only for what is missing",
     .offset = AT(skip_existing)},
    {0},
};
static const struct kr_arg export_args[] = {
    {.name = "NAME",
     .help = "The stack; the active one without it",
     .optional = true,
     .complete = KR_COMPLETE_STACK,
     .offset = AT(name)},
    {.name = "FILE",
     .help = "File to write; NAME.yaml without it",
     .optional = true,
     .complete = KR_COMPLETE_FILE,
     .offset = AT(file)},
    {0},
};
static const struct kr_arg import_args[] = {
    {.name = "NAME",
     .help = "Name of the new stack, or a .yaml file",
     .optional = true,
     .complete = KR_COMPLETE_FILE,
     .offset = AT(name)},
    {0},
};
static const struct kr_arg stack_args[] = {
    {.name = "NAME",
     .help = "The stack; the active one without it",
     .optional = true,
     .complete = KR_COMPLETE_STACK,
     .offset = AT(name)},
    {0},
};

#define STACK(verb, sentence)                                                                      \
    .path = "stack " verb, .help = sentence, .needs = KR_NEEDS_STORE,                              \
    .size = sizeof(struct file_args)

static const struct kr_cmd rows[] = {
    {STACK("export", "Write a stack and its components to a YAML file"), .args = export_args,
     KR_EXAMPLES("stack export default default.yaml"), .run = run_export},
    {STACK("import", "Make a stack and its components from a YAML file"), .opts = import_opts,
     .args = import_args, KR_EXAMPLES("stack import imported --filename=exported.yaml"),
     .run = run_import},
    {STACK("register-secrets", "Ask for the secrets that a stack refers to"), .opts = secrets_opts,
     .args = stack_args, KR_EXAMPLES("stack register-secrets --skip-existing"),
     .run = run_register_secrets},
};

const struct kr_cmds kr_cmds_stack_io = KR_CMDS(rows);
