/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <ctype.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/out.h"

struct kr_table {
    struct libscols_table *lib;
    struct libscols_line *row;
    struct kr_term term;
};

struct kr_table *kr_table_create(const struct kr_term *term)
{
    struct kr_table *table = kr_calloc(1, sizeof(*table));

    table->term = *term;
    table->lib = scols_new_table();
    if (table->lib == NULL)
        abort();
    (void)scols_table_set_termforce(table->lib, SCOLS_TERMFORCE_ALWAYS);
    (void)scols_table_set_termwidth(table->lib, (size_t)kr_term_table_width(term));
    (void)scols_table_set_column_separator(table->lib, "  ");
    (void)scols_table_enable_colors(table->lib, term->colour);
    (void)scols_table_enable_nowrap(table->lib, 1);
    return table;
}

void kr_table_destroy(struct kr_table *table)
{
    if (table == NULL)
        return;
    scols_unref_table(table->lib);
    free(table);
}

void kr_table_column(struct kr_table *table, const char *head, bool may_shrink)
{
    kr_auto_free char *name = kr_strdup(head);

    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : (char)toupper((unsigned char)*c);
    if (scols_table_new_column(table->lib, name, 0, may_shrink ? SCOLS_FL_TRUNC : 0) == NULL)
        abort();
}

void kr_table_row(struct kr_table *table)
{
    table->row = scols_table_new_line(table->lib, NULL);
    if (table->row == NULL)
        abort();
}

void kr_table_cell(struct kr_table *table, size_t column, const char *text, enum kr_style style)
{
    kr_auto_free char *safe = kr_strdup(text);

    kr_printable(safe);
    if (scols_line_set_data(table->row, column, safe) != 0)
        abort();
    if (style != KR_PLAIN && table->term.colour)
        (void)scols_cell_set_color(scols_line_get_cell(table->row, column),
                                   kr_style(&table->term, style));
}

int kr_table_draw(struct kr_table *table, struct kr_buf *out, int *width, struct kr_err *err)
{
    kr_auto_free char *text = NULL;
    const char *line, *end;

    if (scols_print_table_to_string(table->lib, &text) != 0)
        return kr_fail(err, KR_E_SYSTEM, "the table cannot be drawn");
    for (line = text; *line != '\0'; line = *end != '\0' ? end + 1 : end) {
        size_t n;

        end = line + strcspn(line, "\n");
        for (n = (size_t)(end - line); n > 0 && line[n - 1] == ' ';)
            n--;
        if (width != NULL) {
            kr_auto_free char *one = kr_strndup(line, n);
            int columns = kr_term_columns(one);

            *width = columns > *width ? columns : *width;
        }
        if (line == text)
            kr_buf_adds(out, kr_style(&table->term, KR_BOLD));
        kr_buf_add(out, line, n);
        if (line == text)
            kr_buf_adds(out, kr_style(&table->term, KR_PLAIN));
        kr_buf_addc(out, '\n');
    }
    return 0;
}
