/* SPDX-License-Identifier: Apache-2.0 */
/* List commands: one grammar of filters, columns, sorting, pages and output formats for all. */
#ifndef KR_CLI_LISTING_H
#define KR_CLI_LISTING_H

#include "cli/cmd.h"

/* What makes one list differ from another. */
struct kr_listing {
    enum kr_entity entity;
    const char *columns;          /* default columns, comma-separated */
    const char *table;            /* those of a table that fits 80 columns: what tells most first;
                                     NULL: the same */
    const char *extra;            /* columns that `flatten` adds, comma-separated, or NULL */
    const char *plural;           /* "deployments", for messages; NULL: from the component kind */
    bool by_type;                 /* only components of the type in kr_cmd.kind */
    bool live;                    /* kr_deployments_list instead of kr_app_list */
    void (*flatten)(json_t *row); /* makes columns of nested values, in place; or NULL */
};

/* The struct of every list command; kr_list_opts point into it. */
struct kr_list_args {
    json_t *filters;
    const char *columns, *output, *sort_by, *logical;
    int64_t page, size;
};

/* The options of every list, in a table ended by a nameless row. */
extern const struct kr_opt kr_list_opts[];

/* run function of every list command. */
int kr_list_run(struct kr_cli *cli, const void *args, struct kr_err *err);

/* Fields that can be filters of the list; *count of them. Their names are option names. */
const struct kr_field *kr_list_field(const struct kr_cmd *cmd, size_t i);

/* All columns of a list as an array of names. Caller's. */
json_t *kr_list_columns(const struct kr_cmd *cmd) KR_MUST_USE;

#endif
