/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include <string.h>

#include "app/integration.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/view.h"
#include "cli/listing.h"
#include "cli/opt.h"
#include "core/flavor.h"

struct completion {
    struct kr_cli *cli;
    const struct kr_cmd *cmd;
    char *const *words; /* behind the command's path, the current one last */
    int count;
    const char *current;
    const char *before; /* "--option=" when a value behind '=' is completed, else "" */
    struct kr_buf *out;
};

static void offer(struct completion *c, const char *word, const char *help)
{
    if (!kr_starts_with(word, c->current))
        return;
    kr_buf_addf(c->out, "%s%s", c->before, word);
    if (help != NULL && help[0] != '\0')
        kr_buf_addf(c->out, "\t%s", help);
    kr_buf_addc(c->out, '\n');
}

static bool names_are_wanted(void)
{
    return !kr_env_truthy("KOUROU_CLI_DISABLE_DYNAMIC_COMPLETION") &&
           !kr_env_truthy("ZENML_CLI_DISABLE_DYNAMIC_COMPLETION");
}

/* Every name that begins as the current word: of a part of them, a shell would insert what only
 * that part has in common. */
static void offer_names(struct completion *c, enum kr_entity entity, int type)
{
    kr_auto_json json_t *filters = NULL, *scope = NULL, *page = NULL;
    struct kr_query query = {.sort_by = "asc:name", .page = 1, .size = 0};
    struct kr_ui ui = {0};
    struct kr_err err = KR_ERR_INIT;
    const json_t *item;
    size_t i;

    if (!names_are_wanted())
        return;
    if (c->cli->app == NULL && kr_app_open(c->cli->prog, &ui, &c->cli->app, &err) < 0)
        return;
    if (c->current[0] != '\0') {
        filters = json_pack("{s:[o]}", "name", json_sprintf("startswith:%s", c->current));
        query.filters = filters;
    }
    if (type >= 0)
        scope = json_pack("{s:s}", "type", kr_component_kinds[type].key);
    if (kr_store_list(c->cli->app->store, entity, &query, scope, &page, &err) < 0)
        return;
    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        const char *name = kr_json_str(item, "name", NULL);

        if (name == NULL && entity == KR_BUILD)
            name = kr_json_str(item, "id", NULL);
        if (name != NULL && strpbrk(name, "\t\n") == NULL)
            offer(c, name,
                  entity == KR_DEPLOYMENT  ? kr_json_str(item, "status", NULL)
                  : entity == KR_COMPONENT ? kr_json_str(item, "flavor", NULL)
                                           : NULL);
    }
}

static void offer_flavors(struct completion *c)
{
    for (size_t i = 0; i < kr_flavor_count; i++) {
        if ((int)kr_flavors[i].type == c->cmd->kind)
            offer(c, kr_flavors[i].name, NULL);
    }
}

/* The last name of "a,b,c" is the one being typed. */
static void offer_columns(struct completion *c)
{
    kr_auto_json json_t *columns = NULL;
    const char *comma = strrchr(c->current, ',');
    kr_auto_free char *head = NULL;
    const json_t *column;
    size_t i;

    if (c->cmd->list == NULL)
        return;
    head = kr_strndup(c->current, comma != NULL ? (size_t)(comma - c->current) + 1 : 0);
    columns = kr_list_columns(c->cmd);
    json_array_foreach(columns, i, column)
    {
        kr_auto_free char *word = kr_asprintf("%s%s", head, json_string_value(column));
        offer(c, word, NULL);
    }
    if (comma == NULL)
        offer(c, "all", NULL);
}

static void offer_integrations(struct completion *c)
{
    kr_auto_json json_t *rows = kr_integrations_all();
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row) offer(c, kr_json_str(row, "integration", ""), NULL);
}

static void offer_kind(struct completion *c, int kind)
{
    static const enum kr_entity entities[] = {
        [KR_COMPLETE_STACK] = KR_STACK,           [KR_COMPLETE_COMPONENT] = KR_COMPONENT,
        [KR_COMPLETE_SECRET] = KR_SECRET,         [KR_COMPLETE_PIPELINE] = KR_PIPELINE,
        [KR_COMPLETE_SNAPSHOT] = KR_SNAPSHOT,     [KR_COMPLETE_BUILD] = KR_BUILD,
        [KR_COMPLETE_DEPLOYMENT] = KR_DEPLOYMENT,
    };

    if (kind >= KR_COMPLETE_TYPE)
        offer_names(c, KR_COMPONENT, kind - KR_COMPLETE_TYPE);
    else if (kind == KR_COMPLETE_FILE || kind == KR_COMPLETE_DIR)
        kr_buf_adds(c->out, kind == KR_COMPLETE_FILE ? ":files\n" : ":dirs\n");
    else if (kind == KR_COMPLETE_FLAVOR)
        offer_flavors(c);
    else if (kind == KR_COMPLETE_INTEGRATION)
        offer_integrations(c);
    else if (kind == KR_COMPLETE_COLUMN)
        offer_columns(c);
    else if (kind != KR_COMPLETE_NONE)
        offer_names(c, entities[kind], kind == KR_COMPLETE_COMPONENT ? c->cmd->kind : -1);
}

static void offer_value(struct completion *c, const struct kr_opt *opt)
{
    if (opt->type == KR_OPT_ENUM) {
        for (const char *const *choice = opt->choices; *choice != NULL; choice++)
            offer(c, *choice, NULL);
    } else if (opt->type == KR_OPT_BOOL) {
        offer(c, "true", NULL);
        offer(c, "false", NULL);
    } else {
        offer_kind(c, opt->type == KR_OPT_FILE ? (int)KR_COMPLETE_FILE : opt->complete);
    }
}

/* The flavor named earlier on the line. */
static const struct kr_flavor *flavor_of_line(const struct completion *c)
{
    for (int i = 0; i + 1 < c->count; i++) {
        const char *word = c->words[i], *name = NULL;

        if (kr_starts_with(word, "--flavor="))
            name = word + strlen("--flavor=");
        else if (strcmp(word, "--flavor") == 0 || strcmp(word, "-f") == 0)
            name = c->words[i + 1];
        if (name != NULL)
            return kr_flavor_find((enum kr_component_type)c->cmd->kind, name);
    }
    return NULL;
}

static void offer_options(struct completion *c, const struct kr_opts *opts)
{
    const struct kr_flavor *flavor;

    for (size_t i = 0; i < opts->count; i++) {
        kr_auto_free char *word = kr_asprintf("--%s", opts->rows[i].name);

        if (opts->rows[i].type != KR_OPT_REFUSED)
            offer(c, word, opts->rows[i].help);
    }
    offer(c, "--quiet", "Only warnings, errors and the result");
    offer(c, "--verbose", "Also what is done on the way");
    offer(c, "--help", "Show the help page");
    flavor = c->cmd->free_rule == KR_FREE_ATTRIBUTES ? flavor_of_line(c) : NULL;
    for (size_t i = 0; flavor != NULL && flavor->table != NULL && i < flavor->table->count; i++) {
        kr_auto_free char *word = kr_asprintf("--%s=", flavor->table->rows[i].name);

        offer(c, word, flavor->table->rows[i].help);
    }
}

static const struct kr_opt *option_named(const struct kr_opts *opts, const char *word)
{
    if (kr_starts_with(word, "--"))
        return kr_opt_find(opts, word + 2, strlen(word + 2));
    for (size_t i = 0; word[0] == '-' && i < opts->count; i++) {
        if (opts->rows[i].brief != NULL && strcmp(opts->rows[i].brief, word + 1) == 0)
            return &opts->rows[i];
    }
    return NULL;
}

static void offer_argument(struct completion *c, const struct kr_opts *opts)
{
    const struct kr_arg *arg = c->cmd->args;
    int words = 0;

    for (int i = 0; i + 1 < c->count; i++) {
        const struct kr_opt *opt = option_named(opts, c->words[i]);

        if (opt != NULL && kr_opt_takes_value(opt))
            i++;
        else if (c->words[i][0] != '-')
            words++;
    }
    for (; arg != NULL && arg->name != NULL && !arg->many && words > 0; words--)
        arg++;
    if (arg != NULL && arg->name != NULL)
        offer_kind(c, arg->complete);
}

static void complete_command(struct completion *c)
{
    kr_auto_opts struct kr_opts opts = {0};
    const struct kr_opt *opt;
    const char *eq = strchr(c->current, '=');
    kr_auto_free char *before = NULL;

    kr_opts_of(c->cmd, &opts);
    opt = c->count > 1 ? option_named(&opts, c->words[c->count - 2]) : NULL;
    if (opt != NULL && kr_opt_takes_value(opt)) {
        offer_value(c, opt);
        return;
    }
    if (kr_starts_with(c->current, "--") && eq != NULL) {
        opt = kr_opt_find(&opts, c->current + 2, (size_t)(eq - c->current) - 2);
        before = kr_strndup(c->current, (size_t)(eq - c->current) + 1);
        c->before = before;
        c->current = eq + 1;
        if (opt != NULL && kr_opt_takes_value(opt))
            offer_value(c, opt);
        else if (strcmp(before, "--secret_name=") == 0)
            offer_names(c, KR_SECRET, -1);
        c->before = "";
        return;
    }
    if (c->current[0] == '-')
        offer_options(c, &opts);
    else
        offer_argument(c, &opts);
}

static void complete_path(struct completion *c, const char *group)
{
    const struct kr_cmd *cmd;
    const struct kr_group *sub;
    const char *word;

    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (!cmd->hidden && kr_cmd_is_below(cmd->path, group, &word))
            offer(c, word, cmd->help);
    }
    for (size_t i = 0; (sub = kr_group_at(i)) != NULL; i++) {
        if (kr_cmd_is_below(sub->path, group, &word))
            offer(c, word, sub->help);
    }
    if (c->current[0] == '-') {
        offer(c, "--help", "Show the help page");
        offer(c, "--version", "Show the version");
    }
}

void kr_complete(struct kr_cli *cli, char *const *words, int count, struct kr_buf *out)
{
    struct completion c = {.cli = cli, .before = "", .current = "", .out = out};
    struct kr_err err = KR_ERR_INIT;
    const struct kr_group *group;
    int used;

    if (count > 0)
        c.current = words[count - 1];
    if (kr_cmd_resolve(cli->prog, words, count > 0 ? count - 1 : 0, &c.cmd, &group, &used, &err) <
        0)
        return;
    if (c.cmd == NULL) {
        complete_path(&c, group != NULL ? group->path : NULL);
        return;
    }
    c.words = words + used;
    c.count = count - used;
    complete_command(&c);
}
