/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for people. Own code: libsmartcols drops columns that do not fit and wraps inside
 * words. */
#ifndef KR_CLI_TABLE_H
#define KR_CLI_TABLE_H

#include "base/buf.h"
#include "cli/term.h"

#include <stdbool.h>
#include <stddef.h>

struct kr_table;

struct kr_table *kr_table_create(const struct kr_term *term) KR_MUST_USE;
void kr_table_destroy(struct kr_table *table);
KR_DEFINE_AUTO(struct kr_table *, kr_table_destroy);
#define kr_auto_table kr_auto(kr_table_destroy_p)

/* What happens to a column when the table is wider than the terminal: nothing, its texts are cut,
 * they are wrapped between words, or they are cut when that of the others does not help. Elsewhere
 * than on a terminal nothing is cut. */
enum kr_fit { KR_KEEP, KR_CUT, KR_WRAP, KR_CUT_LAST };

/* Columns come first. head is shown in capitals with spaces for '_'. */
void kr_table_column(struct kr_table *table, const char *head, enum kr_fit fit);
void kr_table_row(struct kr_table *table);
/* A cell of the newest row. Control characters are replaced. */
void kr_table_cell(struct kr_table *table, size_t column, const char *text, enum kr_style style);

/* Nothing is cut. */
void kr_table_whole(struct kr_table *table);
/* Where cutting does not help, the last columns are left out. */
void kr_table_drops(struct kr_table *table);
/* Was anything cut? Known once it was drawn. */
bool kr_table_is_cut(const struct kr_table *table);

/* Appends the drawn table, without white space at line ends. Returns the width of its widest
 * line. */
int kr_table_draw(struct kr_table *table, struct kr_buf *out);

#endif
