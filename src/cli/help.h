/* SPDX-License-Identifier: Apache-2.0 */
/* Help pages, made from the command tables. */
#ifndef KR_CLI_HELP_H
#define KR_CLI_HELP_H

#include "base/buf.h"
#include "cli/cmd.h"

/* Appends the page of a command, of a group, or of the whole program (both NULL). */
void kr_help(const char *prog, const struct kr_cmd *cmd, const struct kr_group *group,
             const struct kr_term *term, struct kr_buf *out);

/* "kourou deployer register [OPTIONS] NAME [--KEY=VALUE ...]" */
void kr_help_usage(const char *prog, const struct kr_cmd *cmd, struct kr_buf *out);

/* "  -o, --output <metavar>" as it stands in front of an option's sentence. Caller frees. */
char *kr_help_option(const struct kr_opt *opt) KR_MUST_USE;

/* The sentence with default and "required" behind it. Caller frees. */
char *kr_help_sentence(const struct kr_opt *opt) KR_MUST_USE;

/* `text` with every "{prog}" replaced. Caller frees. */
char *kr_help_expand(const char *text, const char *prog) KR_MUST_USE;

#endif
