/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/man.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/view.h"
#include "cli/help.h"
#include "cli/opt.h"

static const char prog[] = "kourou";

/* Text where troff sees letters only: no escapes, no requests at line starts. */
static void text(struct kr_buf *out, const char *words)
{
    for (const char *c = words; *c != '\0'; c++) {
        bool starts_line = c == words || c[-1] == '\n';

        if (starts_line && (*c == '.' || *c == '\''))
            kr_buf_adds(out, "\\&");
        if (*c == '\\')
            kr_buf_adds(out, "\\e");
        else if (*c == '-')
            kr_buf_adds(out, "\\-");
        else
            kr_buf_addc(out, *c);
    }
    kr_buf_addc(out, '\n');
}

static void item(struct kr_buf *out, const char *left, const char *sentence)
{
    kr_buf_adds(out, ".TP\n");
    text(out, left + strspn(left, " "));
    text(out, sentence);
}

static void command(struct kr_buf *out, const struct kr_cmd *cmd)
{
    kr_auto_opts struct kr_opts opts = {0};
    kr_auto_buf struct kr_buf usage = KR_BUF_INIT(4096);

    kr_opts_of(cmd, &opts);
    kr_help_usage(prog, cmd, &usage);
    kr_buf_addf(out, ".SS %s %s\n", prog, cmd->path);
    text(out, kr_buf_str(&usage));
    kr_buf_adds(out, ".PP\n");
    text(out, cmd->help);
    if (cmd->more != NULL) {
        kr_auto_free char *more = kr_help_expand(cmd->more, prog);
        kr_buf_adds(out, ".PP\n");
        text(out, more);
    }
    for (const struct kr_arg *arg = cmd->args; arg != NULL && arg->name != NULL; arg++)
        item(out, arg->name, arg->help);
    if (cmd->free_rule != KR_FREE_NONE)
        item(out, "--KEY=VALUE", cmd->free_help);
    for (size_t i = 0; i < opts.count; i++) {
        kr_auto_free char *left = kr_help_option(&opts.rows[i]);
        kr_auto_free char *sentence = kr_help_sentence(&opts.rows[i]);

        item(out, left, sentence);
    }
    for (const char *const *e = cmd->examples; e != NULL && *e != NULL; e++) {
        kr_auto_free char *line = kr_asprintf("%s %s", prog, *e);

        kr_buf_addf(out, ".PP\n%s.EX\n", e == cmd->examples ? "Example:\n" : "");
        text(out, line);
        kr_buf_adds(out, ".EE\n");
    }
}

static void header(struct kr_buf *out, const char *name, const char *sentence)
{
    kr_auto_free char *upper = kr_strdup(name);

    for (char *c = upper; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    kr_buf_addf(out, ".TH %s 1 \"\" \"Kourou %s\" \"User Commands\"\n.SH NAME\n", upper,
                KR_VERSION);
    kr_buf_addf(out, "%s \\- ", name);
    text(out, sentence);
}

static void group_page(const struct kr_group *group, struct kr_buf *out)
{
    kr_auto_free char *name = kr_asprintf("%s-%s", prog, group->path);
    kr_auto_free char *usage =
        kr_asprintf("%s %s COMMAND [OPTIONS] [ARGUMENTS]...", prog, group->path);
    const struct kr_cmd *cmd;
    size_t n = strlen(group->path);

    header(out, name, group->help);
    kr_buf_adds(out, ".SH SYNOPSIS\n");
    text(out, usage);
    kr_buf_adds(out, ".SH COMMANDS\n");
    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (!cmd->hidden && strncmp(cmd->path, group->path, n) == 0 && cmd->path[n] == ' ')
            command(out, cmd);
    }
    kr_buf_addf(out, ".SH SEE ALSO\n.BR %s (1)\n", prog);
}

static void exit_status(struct kr_buf *out)
{
    kr_buf_adds(out, ".SH EXIT STATUS\n");
    item(out, "0", "Success; also a question that was answered with no.");
    item(out, "1", "Failure; one line on standard error says what, where and what next.");
    item(out, "2", "The command line makes no sense.");
}

static void environment(struct kr_buf *out)
{
    static const char *const variables[][2] = {
        {"KOUROU_HOME", "Folder of configuration and data; else the XDG folders are used."},
        {"KOUROU_STORE_URL", "Another store file."},
        {"KOUROU_ENCRYPTION_KEY", "Key of the secrets in the store; else a key file is used."},
        {"KOUROU_DEFAULT_OUTPUT, ZENML_DEFAULT_OUTPUT", "Default of --output."},
        {"KOUROU_CLI_COLUMN_WIDTH, ZENML_CLI_COLUMN_WIDTH", "Width of tables and help pages."},
        {"HF_TOKEN, HF_TOKEN_PATH, HF_HOME, HF_ENDPOINT", "As the official Hub client has them."},
        {"NO_COLOR, CLICOLOR=0", "No colours."},
        {"CLICOLOR_FORCE", "Colours away from terminals too, unless NO_COLOR is set."},
    };

    kr_buf_adds(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < KR_ARRAY_LEN(variables); i++)
        item(out, variables[i][0], variables[i][1]);
}

void kr_man(const struct kr_group *group, struct kr_buf *out)
{
    const struct kr_cmd *cmd;
    const char *word;

    if (group != NULL) {
        group_page(group, out);
        return;
    }
    header(out, prog, "launch machine-learning pipelines as HTTP services");
    kr_buf_adds(out, ".SH SYNOPSIS\n");
    text(out, "kourou COMMAND [OPTIONS] [ARGUMENTS]...");
    kr_buf_adds(out, ".SH GROUPS\n");
    for (size_t i = 0; (group = kr_group_at(i)) != NULL; i++) {
        if (group->heading != NULL)
            item(out, group->path, group->help);
    }
    kr_buf_adds(out, ".SH COMMANDS\n");
    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (!cmd->hidden && kr_cmd_is_below(cmd->path, NULL, &word))
            command(out, cmd);
    }
    exit_status(out);
    environment(out);
    kr_buf_adds(out, ".SH SEE ALSO\n");
    for (size_t i = 0, n = 0; (group = kr_group_at(i)) != NULL; i++) {
        if (group->heading != NULL)
            kr_buf_addf(out, "%s.BR %s-%s (1)", n++ > 0 ? ",\n" : "", prog, group->path);
    }
    kr_buf_addc(out, '\n');
}
