/* SPDX-License-Identifier: Apache-2.0 */
/* The options a command has, and the parser that fills the command's struct from argv. */
#ifndef KR_CLI_OPT_H
#define KR_CLI_OPT_H

#include "cli/cmd.h"

/* All options of a command: its own and, for list commands, those every list has and one filter for
 * each field of the entity. Rows end with a nameless one. Free with kr_opts_finish. */
struct kr_opts {
    struct kr_opt *rows;
    size_t count;
};
void kr_opts_of(const struct kr_cmd *cmd, struct kr_opts *out);
void kr_opts_finish(struct kr_opts *opts);
#define kr_auto_opts kr_auto(kr_opts_finish)

/* Whether a word names the option: "--" is not part of the word; '-' and '_' are the same. */
bool kr_opt_is(const struct kr_opt *opt, const char *word, size_t n);
const struct kr_opt *kr_opt_find(const struct kr_opts *opts, const char *word, size_t n);
bool kr_opt_takes_value(const struct kr_opt *opt);
/* "FILE", "INTEGER", "[a|b]", ... Caller frees. */
char *kr_opt_metavar(const struct kr_opt *opt) KR_MUST_USE;

/* What every command takes besides its own options. -q and -v are an option's own short name where
 * the command has one. */
enum kr_wish {
    KR_WISH_RUN = 0,
    KR_WISH_HELP = 1,    /* -h, --help */
    KR_WISH_VERSION = 2, /* --version */
    KR_WISH_QUIET = 4,   /* -q, --quiet: warnings, errors and the result alone */
    KR_WISH_VERBOSE = 8, /* -v, --verbose: also what is done on the way */
};
enum { KR_WISH_PAGE = KR_WISH_HELP | KR_WISH_VERSION };
/* The wish that a word names, or KR_WISH_RUN. */
enum kr_wish kr_wish_of(const char *word);

/* Parses the words after the command's path into a new struct of cmd->size bytes (*args; release
 * with kr_args_destroy). *wish has a bit for each enum kr_wish among them; with one of KR_WISH_PAGE
 * *args is NULL. Values of free arguments are blanked out in argv once they are copied: they may be
 * secrets, and argv is what other users of the machine can see. */
int kr_args_parse(const char *prog, const struct kr_cmd *cmd, char **argv, int argc, void **args,
                  unsigned *wish, struct kr_err *err) KR_MUST_USE;
void kr_args_destroy(const struct kr_cmd *cmd, void *args);

#endif
