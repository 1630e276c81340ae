/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opt.h"

#include <string.h>

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "cli/listing.h"
#include "cli/value.h"
#include "core/name.h"

static void add_row(struct kr_opts *opts, const struct kr_opt *row)
{
    opts->rows = kr_reallocarray(opts->rows, opts->count + 2, sizeof(*row));
    opts->rows[opts->count++] = *row;
    opts->rows[opts->count] = (struct kr_opt){0};
}

void kr_opts_of(const struct kr_cmd *cmd, struct kr_opts *out)
{
    *out = (struct kr_opts){0};
    for (const struct kr_opt *row = cmd->opts; row != NULL && row->name != NULL; row++)
        add_row(out, row);
    if (cmd->list == NULL)
        return;
    for (const struct kr_opt *row = kr_list_opts; row->name != NULL; row++)
        add_row(out, row);
    for (size_t i = 0; kr_list_field(cmd, i) != NULL; i++) {
        const struct kr_field *field = kr_list_field(cmd, i);

        add_row(out, &(struct kr_opt){.name = field->name,
                                      .type = KR_OPT_FILTER,
                                      .help = field->kind == KR_FIELD_TIME ? "Filter by time"
                                                                           : "Filter by value",
                                      .metavar = "[OP:]VALUE",
                                      .offset = offsetof(struct kr_list_args, filters)});
    }
}

void kr_opts_finish(struct kr_opts *opts)
{
    free(opts->rows);
    *opts = (struct kr_opts){0};
}

static bool same_name(const char *name, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char a = name[i] == '_' ? '-' : name[i], b = word[i] == '_' ? '-' : word[i];

        if (a != b || a == '\0')
            return false;
    }
    return name[n] == '\0';
}

bool kr_opt_is(const struct kr_opt *opt, const char *word, size_t n)
{
    return same_name(opt->name, word, n) || (opt->alias != NULL && same_name(opt->alias, word, n));
}

const struct kr_opt *kr_opt_find(const struct kr_opts *opts, const char *word, size_t n)
{
    for (size_t i = 0; i < opts->count; i++) {
        if (kr_opt_is(&opts->rows[i], word, n))
            return &opts->rows[i];
    }
    return NULL;
}

bool kr_opt_takes_value(const struct kr_opt *opt)
{
    return opt->type != KR_OPT_FLAG;
}

char *kr_opt_metavar(const struct kr_opt *opt)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);

    if (opt->metavar != NULL)
        return kr_strdup(opt->metavar);
    switch (opt->type) {
    case KR_OPT_FLAG:
        return kr_strdup("");
    case KR_OPT_INT:
        return kr_strdup("INTEGER");
    case KR_OPT_BOOL:
        return kr_strdup("true|false");
    case KR_OPT_FILE:
        return kr_strdup("FILE");
    case KR_OPT_PAIRS:
        return kr_strdup("KEY=VALUE");
    case KR_OPT_ENUM:
        for (const char *const *c = opt->choices; *c != NULL; c++)
            kr_buf_addf(&text, "%s%s", c == opt->choices ? "" : "|", *c);
        return kr_buf_steal(&text);
    case KR_OPT_STR:
    case KR_OPT_LIST:
    case KR_OPT_FILTER:
    case KR_OPT_REFUSED:
        break;
    }
    return kr_strdup("TEXT");
}

void kr_args_destroy(const struct kr_cmd *cmd, void *args)
{
    kr_auto_opts struct kr_opts opts = {0};

    if (args == NULL)
        return;
    kr_opts_of(cmd, &opts);
    for (size_t i = 0; i < opts.count; i++) {
        json_t **slot = (json_t **)(void *)((char *)args + opts.rows[i].offset);

        if (opts.rows[i].type == KR_OPT_LIST || opts.rows[i].type == KR_OPT_PAIRS ||
            opts.rows[i].type == KR_OPT_FILTER) {
            json_decref(*slot);
            *slot = NULL; /* filters share one slot */
        }
    }
    for (const struct kr_arg *arg = cmd->args; arg != NULL && arg->name != NULL; arg++) {
        if (arg->many)
            json_decref(*(json_t **)(void *)((char *)args + arg->offset));
    }
    if (cmd->free_rule != KR_FREE_NONE)
        json_decref(*(json_t **)(void *)((char *)args + cmd->free_offset));
    free(args);
}
