/* SPDX-License-Identifier: Apache-2.0 */
/* completion, and the hidden commands that shells and the installation call. */
#include <string.h>

#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/complete.h"
#include "cli/man.h"
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
        return kr_fail(err, KR_E_USAGE, "there is no completion for '%s', only for bash, zsh and fish",
                       args->shell);
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

static const struct kr_arg completion_args[] = {
    {.name = "SHELL", .help = "bash, zsh or fish",
     .offset = offsetof(struct completion_args, shell)},
    {0},
};
static const struct kr_arg words_args[] = {
    {.name = "WORD", .help = "Words behind the program's name", .optional = true, .many = true,
     .offset = offsetof(struct words_args, words)},
    {0},
};
static const struct kr_arg man_args[] = {
    {.name = "PAGE", .help = "kourou, or kourou-GROUP", .optional = true,
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
    {.path = "__man",
     .help = "Print a manual page",
     .args = man_args,
     .size = sizeof(struct man_args),
     .run = run_man,
     .hidden = true},
};

const struct kr_cmds kr_cmds_completion = KR_CMDS(rows);
