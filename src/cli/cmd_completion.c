/* SPDX-License-Identifier: Apache-2.0 */
/* completion, and the hidden commands that shells and the installation call. */
#include <string.h>

#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/complete.h"
#include "cli/man.h"
#include "cli/opt.h"
#include "cli/out.h"

struct completion_args {
    const char *shell;
};

struct words_args {
    json_t *words;
};

struct man_args {
    const char *page;
};

static int run_completion(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct completion_args *args = data;
    kr_auto_free char *script = kr_complete_script(args->shell, cli->prog);

    if (script == NULL)
        return kr_fail(err, KR_E_USAGE,
                       "there is no completion for '%s', only for bash, zsh and fish", args->shell);
    kr_out_text(cli, script);
    return 0;
}

static int run_complete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct words_args *args = data;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    size_t count = json_array_size(args->words);
    kr_auto_free char **words = kr_calloc(count + 1, sizeof(*words));

    (void)err;
    for (size_t i = 0; i < count; i++)
        words[i] = (char *)(uintptr_t)json_string_value(json_array_get(args->words, i));
    kr_complete(cli, words, (int)count, &out);
    kr_out(cli, &out);
    return 0;
}

static int run_man(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct man_args *args = data;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4 << 20);
    const struct kr_group *group = NULL;

    if (args->page != NULL && strcmp(args->page, "kourou") != 0) {
        const char *name = strncmp(args->page, "kourou-", 7) == 0 ? args->page + 7 : args->page;

        group = kr_group_find(name);
        if (group == NULL || group->heading == NULL)
            return kr_fail(err, KR_E_USAGE, "there is no manual page '%s'", args->page);
    }
    kr_man(group, &out);
    kr_out(cli, &out);
    return 0;
}

/* One option as the tests and the documentation see it. */
static json_t *option_row(const struct kr_opt *opt)
{
    kr_auto_free char *metavar = kr_opt_metavar(opt);
    json_t *row = json_object();

    kr_json_set_str(row, "name", opt->name);
    kr_json_set_str(row, "alias", opt->alias);
    kr_json_set_str(row, "brief", opt->brief);
    kr_json_set_str(row, "default", opt->dflt);
    kr_json_set_str(row, "metavar", metavar);
    kr_json_set_str(row, "help", opt->help);
    kr_json_set_bool(row, "value", kr_opt_takes_value(opt));
    kr_json_set_bool(row, "filter", opt->type == KR_OPT_FILTER);
    kr_json_set_bool(row, "refused", opt->type == KR_OPT_REFUSED);
    return row;
}

static json_t *command_row(const struct kr_cmd *cmd)
{
    kr_auto_opts struct kr_opts opts = {0};
    json_t *row = json_object(), *options = json_array(), *args = json_array();
    json_t *examples = json_array();

    kr_opts_of(cmd, &opts);
    for (size_t i = 0; i < opts.count; i++)
        (void)json_array_append_new(options, option_row(&opts.rows[i]));
    for (const struct kr_arg *arg = cmd->args; arg != NULL && arg->name != NULL; arg++)
        (void)json_array_append_new(
            args, json_pack("{s:s, s:s, s:b, s:b}", "name", arg->name, "help", arg->help,
                            "optional", arg->optional, "many", arg->many));
    for (const char *const *e = cmd->examples; e != NULL && *e != NULL; e++)
        (void)json_array_append_new(examples, json_string(*e));
    kr_json_set_str(row, "path", cmd->path);
    kr_json_set_str(row, "help", cmd->help);
    kr_json_set_bool(row, "free", cmd->free_rule != KR_FREE_NONE);
    kr_json_set(row, "options", options);
    kr_json_set(row, "arguments", args);
    kr_json_set(row, "examples", examples);
    return row;
}

static int run_table(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    kr_auto_json json_t *rows = json_array();
    const struct kr_cmd *cmd;

    (void)data;
    (void)err;
    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (!cmd->hidden)
            (void)json_array_append_new(rows, command_row(cmd));
    }
    kr_out_value(cli, KR_JSON, rows);
    return 0;
}

static const struct kr_arg completion_args[] = {
    {.name = "SHELL",
     .help = "bash, zsh or fish",
     .offset = offsetof(struct completion_args, shell)},
    {0},
};
static const struct kr_arg words_args[] = {
    {.name = "WORD",
     .help = "Words behind the program's name",
     .optional = true,
     .many = true,
     .offset = offsetof(struct words_args, words)},
    {0},
};
static const struct kr_arg man_args[] = {
    {.name = "PAGE",
     .help = "kourou, or kourou-GROUP",
     .optional = true,
     .offset = offsetof(struct man_args, page)},
    {0},
};
static const char *const completion_examples[] = {"completion bash", NULL};

static const struct kr_cmd rows[] = {
    {.path = "completion",
     .help = "Print the completion script of a shell",
     .more = "bash: put `source <({prog} completion bash)` into ~/.bashrc\n"
             "zsh: put `source <({prog} completion zsh)` into ~/.zshrc\n"
             "fish: put `{prog} completion fish | source` into ~/.config/fish/config.fish",
     .args = completion_args,
     .examples = completion_examples,
     .size = sizeof(struct completion_args),
     .run = run_completion},
    {.path = "__complete",
     .help = "Candidates for the last word",
     .args = words_args,
     .size = sizeof(struct words_args),
     .run = run_complete,
     .hidden = true},
    {.path = "__table",
     .help = "Print all commands with their options as JSON",
     .run = run_table,
     .hidden = true},
    {.path = "__man",
     .help = "Print a manual page",
     .args = man_args,
     .size = sizeof(struct man_args),
     .run = run_man,
     .hidden = true},
};

const struct kr_cmds kr_cmds_completion = KR_CMDS(rows);
