/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <string.h>

#include "base/alloc.h"
#include "base/view.h"
#include "cli/opt.h"

enum { LEFT_MAX = 30, WIDTH = 80, WIDTH_MAX = 100 };

struct page {
    const char *prog;
    const struct kr_term *term;
    struct kr_buf *out;
    int width;
};

static void spaces(struct kr_buf *out, int n)
{
    for (int i = 0; i < n; i++)
        kr_buf_addc(out, ' ');
}

/* Words of text, wrapped; the first line goes on where the output stands (column `at`). */
static void wrap(struct page *page, const char *text, int indent, int at)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " \n");
        kr_auto_free char *word = kr_strndup(text, n);
        int columns = kr_term_columns(word);

        if (at > indent && at + 1 + columns > page->width) {
            kr_buf_addc(page->out, '\n');
            at = 0;
        }
        if (at < indent) {
            spaces(page->out, indent - at);
            at = indent;
        } else if (at > indent && n > 0) {
            kr_buf_addc(page->out, ' ');
            at++;
        }
        kr_buf_adds(page->out, word);
        at += columns;
        text += n;
        if (*text == '\n') {
            kr_buf_addc(page->out, '\n');
            at = 0;
        }
        text += *text != '\0' ? 1 : 0;
    }
    kr_buf_addc(page->out, '\n');
}

static void heading(struct page *page, const char *text)
{
    kr_buf_addf(page->out, "\n%s%s:%s\n", kr_style(page->term, KR_BOLD), text,
                kr_style(page->term, KR_PLAIN));
}

/* "  left   sentence", the sentence in a column of its own. */
static void entry(struct page *page, const char *left, const char *text, int column)
{
    int at = kr_term_columns(left);

    kr_buf_adds(page->out, left);
    if (at + 2 > column) {
        kr_buf_addc(page->out, '\n');
        at = 0;
    }
    wrap(page, text, column, at);
}

char *kr_help_expand(const char *text, const char *prog)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);
    const char *at;

    while ((at = strstr(text, "{prog}")) != NULL) {
        kr_buf_add(&out, text, (size_t)(at - text));
        kr_buf_adds(&out, prog);
        text = at + strlen("{prog}");
    }
    kr_buf_adds(&out, text);
    return kr_buf_steal(&out);
}

char *kr_help_option(const struct kr_opt *opt)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096);
    kr_auto_free char *metavar = kr_opt_metavar(opt);

    if (opt->brief != NULL)
        kr_buf_addf(&out, "  -%s, --%s", opt->brief, opt->name);
    else
        kr_buf_addf(&out, "  --%s", opt->name);
    if (opt->alias != NULL)
        kr_buf_addf(&out, ", --%s", opt->alias);
    if (metavar[0] != '\0')
        kr_buf_addf(&out, " %s", metavar);
    return kr_buf_steal(&out);
}

char *kr_help_sentence(const struct kr_opt *opt)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(8192);

    if (opt->type == KR_OPT_REFUSED)
        kr_buf_addf(&out, "Not usable: %s", opt->help);
    else
        kr_buf_adds(&out, opt->help);
    if (opt->type == KR_OPT_LIST || opt->type == KR_OPT_PAIRS)
        kr_buf_adds(&out, " (may be repeated)");
    if (opt->dflt != NULL)
        kr_buf_addf(&out, " [default: %s]", opt->dflt);
    if (opt->required)
        kr_buf_adds(&out, " [required]");
    return kr_buf_steal(&out);
}

void kr_help_usage(const char *prog, const struct kr_cmd *cmd, struct kr_buf *out)
{
    kr_buf_addf(out, "%s %s [OPTIONS]", prog, cmd->path);
    for (const struct kr_arg *arg = cmd->args; arg != NULL && arg->name != NULL; arg++)
        kr_buf_addf(out, " %s%s%s%s", arg->optional ? "[" : "", arg->name, arg->many ? "..." : "",
                    arg->optional ? "]" : "");
    if (cmd->free_rule != KR_FREE_NONE)
        kr_buf_adds(out, " [--KEY=VALUE]...");
}

static int left_column(const struct kr_opts *opts)
{
    int widest = 12;

    for (size_t i = 0; i < opts->count; i++) {
        kr_auto_free char *left = kr_help_option(&opts->rows[i]);
        int n = kr_term_columns(left);

        if (n > widest && n <= LEFT_MAX)
            widest = n;
    }
    return widest + 2;
}

static bool is_taken(const struct kr_opts *opts, const char *brief)
{
    for (size_t i = 0; i < opts->count; i++) {
        if (opts->rows[i].brief != NULL && strcmp(opts->rows[i].brief, brief) == 0)
            return true;
    }
    return false;
}

/* What every command takes. */
static void common_options(struct page *page, const struct kr_opts *opts, int column)
{
    entry(page, is_taken(opts, "q") ? "  --quiet" : "  -q, --quiet",
          "Only warnings, errors and the result", column);
    entry(page, is_taken(opts, "v") ? "  --verbose" : "  -v, --verbose",
          "Also what is done on the way", column);
    entry(page, "  -h, --help", "Show this page", column);
}

static void options(struct page *page, const struct kr_opts *opts, bool filters, int column)
{
    bool any = false;

    for (size_t i = 0; i < opts->count; i++) {
        kr_auto_free char *left = NULL, *text = NULL;

        if ((opts->rows[i].type == KR_OPT_FILTER) != filters)
            continue;
        if (!any)
            heading(page, filters ? "Filters" : "Options");
        any = true;
        left = kr_help_option(&opts->rows[i]);
        text = kr_help_sentence(&opts->rows[i]);
        entry(page, left, text, column);
    }
    if (filters && any)
        wrap(
            page,
            "A filter's value may begin with an operator: equals, notequals, contains, startswith, "
            "endswith, oneof (a JSON list), gt, gte, lt, lte. Without one it means equals.",
            2, 0);
    if (!filters && !any)
        heading(page, "Options");
    if (!filters)
        common_options(page, opts, column);
}

static void command_page(struct page *page, const struct kr_cmd *cmd)
{
    kr_auto_opts struct kr_opts opts = {0};
    kr_auto_free char *more = NULL;
    int column;

    kr_opts_of(cmd, &opts);
    column = left_column(&opts);
    kr_buf_adds(page->out, "Usage: ");
    kr_help_usage(page->prog, cmd, page->out);
    kr_buf_adds(page->out, "\n\n");
    wrap(page, cmd->help, 2, 0);
    if (cmd->more != NULL) {
        more = kr_help_expand(cmd->more, page->prog);
        kr_buf_addc(page->out, '\n');
        wrap(page, more, 2, 0);
    }
    if (cmd->args != NULL)
        heading(page, "Arguments");
    for (const struct kr_arg *arg = cmd->args; arg != NULL && arg->name != NULL; arg++) {
        kr_auto_free char *left = kr_asprintf("  %s", arg->name);
        entry(page, left, arg->help, column);
    }
    if (cmd->free_rule != KR_FREE_NONE) {
        if (cmd->args == NULL)
            heading(page, "Arguments");
        entry(page, "  --KEY=VALUE", cmd->free_help, column);
    }
    options(page, &opts, false, column);
    options(page, &opts, true, column);
    if (cmd->examples != NULL)
        heading(page, cmd->examples[1] != NULL ? "Examples" : "Example");
    for (const char *const *e = cmd->examples; e != NULL && *e != NULL; e++)
        kr_buf_addf(page->out, "  %s %s\n", page->prog, *e);
}

/* Commands and groups directly below `group`, aligned. */
static void listing(struct page *page, const char *group)
{
    const struct kr_cmd *cmd;
    const struct kr_group *sub;
    const char *word;
    int column = 4;

    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (!cmd->hidden && kr_cmd_is_below(cmd->path, group, &word) &&
            (int)strlen(word) + 4 > column)
            column = (int)strlen(word) + 4;
    }
    for (size_t i = 0; group != NULL && (sub = kr_group_at(i)) != NULL; i++) {
        if (kr_cmd_is_below(sub->path, group, &word) && (int)strlen(word) + 4 > column)
            column = (int)strlen(word) + 4;
    }
    heading(page, "Commands");
    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (!cmd->hidden && kr_cmd_is_below(cmd->path, group, &word)) {
            kr_auto_free char *left = kr_asprintf("  %s", word);
            entry(page, left, cmd->help, column);
        }
    }
    for (size_t i = 0; (sub = kr_group_at(i)) != NULL; i++) {
        if (group != NULL && kr_cmd_is_below(sub->path, group, &word)) {
            kr_auto_free char *left = kr_asprintf("  %s", word);
            entry(page, left, sub->help, column);
        }
    }
}

static void group_page(struct page *page, const struct kr_group *group)
{
    kr_buf_addf(page->out, "Usage: %s %s COMMAND [OPTIONS] [ARGUMENTS]...\n\n", page->prog,
                group->path);
    wrap(page, group->help, 2, 0);
    listing(page, group->path);
    kr_buf_addf(page->out, "\n'%s help %s COMMAND' explains a command.\n", page->prog, group->path);
}

static void root_page(struct page *page)
{
    const struct kr_group *group, *other;

    kr_buf_addf(page->out, "Usage: %s COMMAND [OPTIONS] [ARGUMENTS]...\n\n", page->prog);
    wrap(page,
         "Launch machine-learning pipelines into Hugging Face Spaces, Docker or this machine, as "
         "HTTP services.",
         2, 0);
    for (size_t i = 0; (group = kr_group_at(i)) != NULL; i++) {
        bool first = group->heading != NULL;

        for (size_t j = 0; j < i && first; j++) {
            other = kr_group_at(j);
            first = other->heading == NULL || strcmp(other->heading, group->heading) != 0;
        }
        if (!first)
            continue;
        heading(page, group->heading);
        for (size_t j = i; (other = kr_group_at(j)) != NULL; j++) {
            if (other->heading != NULL && strcmp(other->heading, group->heading) == 0) {
                kr_auto_free char *left = kr_asprintf("  %s", other->path);
                entry(page, left, other->help, 22);
            }
        }
    }
    listing(page, NULL);
    heading(page, "Options");
    entry(page, "  -v, --version", "Show the version", 22);
    entry(page, "  -h, --help", "Show this page", 22);
    heading(page, "Example");
    kr_buf_addf(page->out, "  %s pipeline deploy --name my_deployment my_module.my_pipeline\n",
                page->prog);
    kr_buf_addf(page->out, "\n'%s help GROUP COMMAND' explains a command.\n", page->prog);
}

void kr_help(const char *prog, const struct kr_cmd *cmd, const struct kr_group *group,
             const struct kr_term *term, struct kr_buf *out)
{
    struct page page = {.prog = prog, .term = term, .out = out};

    page.width = term->width <= 0 ? WIDTH : term->width < WIDTH_MAX ? term->width : WIDTH_MAX;
    if (page.width < 50)
        page.width = 50;
    if (cmd != NULL)
        command_page(&page, cmd);
    else if (group != NULL)
        group_page(&page, group);
    else
        root_page(&page);
}
