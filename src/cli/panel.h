/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of one thing, for people. */
#ifndef KR_CLI_PANEL_H
#define KR_CLI_PANEL_H

#include "cli/cmd.h"

/* Title (may be NULL) and one aligned line for each key; nested objects are indented below theirs.
 * Nulls and empty containers are left out. */
int kr_panel_object(struct kr_cli *cli, const char *title, const json_t *object,
                    struct kr_err *err) KR_MUST_USE;

/* A table of two columns from an object. */
int kr_panel_pairs(struct kr_cli *cli, const char *left, const char *right, const json_t *pairs,
                   struct kr_err *err) KR_MUST_USE;

struct kr_deployment_panel {
    bool show_secret, show_metadata, show_schema, no_truncate;
    bool after_deploy; /* shorter: no history */
};

/* State, addresses, how to call it, history. row as kr_deployment_get gives it. */
int kr_panel_deployment(struct kr_cli *cli, const json_t *row,
                        const struct kr_deployment_panel *what, struct kr_err *err) KR_MUST_USE;

#endif
