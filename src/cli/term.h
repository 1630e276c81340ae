/* SPDX-License-Identifier: Apache-2.0 */
/* What a standard stream is: terminal or not, how wide, colours or not. */
#ifndef KR_CLI_TERM_H
#define KR_CLI_TERM_H

#include <stdbool.h>

struct kr_term {
    bool tty;
    bool live;   /* terminal whose cursor can be moved: TERM is not dumb */
    bool colour; /* live and no NO_COLOR, no CLICOLOR=0; or CLICOLOR_FORCE */
    int width;   /* columns; 0: not known */
};

struct kr_term kr_term_of(int fd);

/* Width of tables: the terminal's (80 when it does not say), unless the environment sets another.
 * Away from a terminal there is no limit: nothing that programs read is cut. */
int kr_term_table_width(const struct kr_term *term);

/* Columns that UTF-8 text takes on a terminal; control characters count nothing. */
int kr_term_columns(const char *text);

/* Escape sequences, or "" without colours. */
enum kr_style { KR_PLAIN, KR_BOLD, KR_DIM, KR_RED, KR_GREEN, KR_YELLOW, KR_CYAN };
const char *kr_style(const struct kr_term *term, enum kr_style style);

#endif
