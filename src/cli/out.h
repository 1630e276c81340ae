/* SPDX-License-Identifier: Apache-2.0 */
/* Data on stdout: the five output formats, redaction, and the check that it arrived. */
#ifndef KR_CLI_OUT_H
#define KR_CLI_OUT_H

#include "base/buf.h"
#include "cli/cmd.h"

enum kr_format { KR_TABLE, KR_JSON, KR_YAML, KR_CSV, KR_TSV, KR_WIDE };

extern const char *const kr_format_names[]; /* NULL-terminated, in the order of the enum */

/* The -o/--output row for a command's options; NULL in the struct means: the default. */
#define KR_OPT_OUTPUT_ROW(args_type, field)                                                        \
    {                                                                                              \
        .name = "output", .brief = "o", .type = KR_OPT_ENUM, .choices = kr_format_names,           \
        .help = "Format of the output; $KOUROU_DEFAULT_OUTPUT, else table",                        \
        .offset = offsetof(args_type, field)                                                       \
    }

/* The format of a name; NULL: $KOUROU_DEFAULT_OUTPUT, $ZENML_DEFAULT_OUTPUT, table. "wide" is a
 * table, of which lists cut nothing (*wide). */
int kr_format_of(const char *name, enum kr_format *format, struct kr_err *err) KR_MUST_USE;
int kr_format_of_list(const char *name, enum kr_format *format, bool *wide,
                      struct kr_err *err) KR_MUST_USE;

/* Writes text for people to stdout (screen.h); registered secrets are blanked out unless
 * cli->reveal. The text is changed. */
void kr_out(struct kr_cli *cli, struct kr_buf *text);
void kr_out_text(struct kr_cli *cli, const char *text);
/* The same for what programs read: it is written as it is, but to a terminal. */
void kr_out_data(struct kr_cli *cli, struct kr_buf *text);

/* A value as JSON or YAML. */
void kr_out_value(struct kr_cli *cli, enum kr_format format, const json_t *value);

/* Rows as CSV or TSV: header and the given columns. */
void kr_out_rows(struct kr_cli *cli, enum kr_format format, const json_t *columns,
                 const json_t *rows);

/* One row of a describe command in any format but table. */
void kr_out_row(struct kr_cli *cli, enum kr_format format, const json_t *row);

/* Text of a cell: lists as "a, b", objects as "k=v, ...", null as "". Caller frees. */
char *kr_cell(const json_t *value) KR_MUST_USE;

/* Flushes stdout; what could not be written is an error. */
int kr_out_finish(struct kr_err *err) KR_MUST_USE;

/* What was printed is to be seen now; a failure is remembered for kr_out_finish(). */
void kr_out_flush(void);

/* Has the reader of stdout gone away? */
bool kr_out_is_unread(void);

/* A line on stderr through the live display: notes, warnings. */
void kr_say(struct kr_cli *cli, enum kr_note kind, const char *fmt, ...) KR_PRINTF(3, 4);

#endif
