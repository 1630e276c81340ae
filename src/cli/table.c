/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/out.h"
#include "cli/screen.h"

enum { GAP = 2, LEAST = 8, LEAST_WRAPPED = 24 };

struct cell {
    char *text;
    enum kr_style style;
};

struct column {
    char *head;
    enum kr_fit fit;
    int width;
};

struct kr_table {
    struct kr_term term;
    struct column *columns;
    size_t width;
    struct cell *cells; /* width for each row */
    size_t rows;
    size_t shown; /* columns that are drawn: the last ones may be dropped */
    bool whole, drops, is_cut;
};

struct kr_table *kr_table_create(const struct kr_term *term)
{
    struct kr_table *table = kr_calloc(1, sizeof(*table));

    table->term = *term;
    return table;
}

void kr_table_destroy(struct kr_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->width; i++)
        free(table->columns[i].head);
    for (size_t i = 0; i < table->rows * table->width; i++)
        free(table->cells[i].text);
    free(table->columns);
    free(table->cells);
    free(table);
}

void kr_table_column(struct kr_table *table, const char *head, enum kr_fit fit)
{
    char *name = kr_strdup(head);

    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : (char)toupper((unsigned char)*c);
    table->columns = kr_reallocarray(table->columns, table->width + 1, sizeof(*table->columns));
    table->columns[table->width++] =
        (struct column){.head = name, .fit = fit, .width = kr_term_columns(name)};
}

void kr_table_row(struct kr_table *table)
{
    size_t n = table->rows * table->width;

    table->cells = kr_reallocarray(table->cells, n + table->width + 1, sizeof(*table->cells));
    memset(table->cells + n, 0, table->width * sizeof(*table->cells));
    table->rows++;
}

void kr_table_cell(struct kr_table *table, size_t column, const char *text, enum kr_style style)
{
    struct cell *cell = &table->cells[(table->rows - 1) * table->width + column];
    int width;

    cell->text = kr_strdup(text);
    kr_printable(cell->text);
    cell->style = style;
    width = kr_term_columns(cell->text);
    if (width > table->columns[column].width)
        table->columns[column].width = width;
}

/* Bytes of text that fit into so many columns; with words, up to the last space that fits. */
static size_t fitting(const char *text, int columns, bool words)
{
    size_t n = 0, good = 0, space = 0;

    while (text[n] != '\0') {
        size_t next = n + 1;
        char *head;
        int taken;

        while (((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        head = kr_strndup(text, next);
        taken = kr_term_columns(head);
        free(head);
        if (taken > columns)
            break;
        n = next;
        good = n;
        if (text[n] == ' ' || text[n] == '\0')
            space = n;
    }
    if (words && text[good] != '\0' && space > 0)
        return space;
    return good > 0 || text[0] == '\0' ? good : strlen(text);
}

/* Takes from the widest column of these that may be narrower until the table fits or none is left.
 * Gives what is still too much. */
static int shrink_columns(struct kr_table *table, bool last, int excess)
{
    while (excess > 0) {
        struct column *widest = NULL;

        for (size_t i = 0; i < table->width; i++) {
            struct column *c = &table->columns[i];
            int room = c->fit == KR_WRAP ? LEAST_WRAPPED : LEAST;
            int least = kr_term_columns(c->head) > room ? kr_term_columns(c->head) : room;

            if (c->fit != KR_KEEP && (c->fit == KR_CUT_LAST) == last && c->width > least &&
                (widest == NULL || c->width > widest->width))
                widest = c;
        }
        if (widest == NULL)
            break;
        widest->width--;
        excess--;
        table->is_cut = true;
    }
    return excess;
}

static void shrink(struct kr_table *table)
{
    int excess = -GAP - kr_term_table_width(&table->term);

    table->shown = table->width;
    for (size_t i = 0; i < table->width; i++)
        excess += table->columns[i].width + GAP;
    if (table->whole)
        return;
    excess = shrink_columns(table, true, shrink_columns(table, false, excess));
    for (; table->drops && excess > 0 && table->shown > 1; table->shown--)
        excess -= table->columns[table->shown - 1].width + GAP;
}

/* One piece of a cell. Spaces are owed until something follows them: no line ends with one. */
static void put(struct kr_table *table, struct kr_buf *out, const char *piece, enum kr_style style,
                int *owed)
{
    if (piece[0] == '\0')
        return;
    for (; *owed > 0; (*owed)--)
        kr_buf_addc(out, ' ');
    if (style != KR_PLAIN)
        kr_buf_adds(out, kr_style(&table->term, style));
    kr_buf_adds(out, piece);
    if (style != KR_PLAIN)
        kr_buf_adds(out, kr_style(&table->term, KR_PLAIN));
}

/* Draws the next line of a row; rest[] are the texts that are left. Returns whether any are. */
static bool draw_line(struct kr_table *table, struct kr_buf *out, const char **rest,
                      const struct cell *cells, int *widest)
{
    bool more = false;
    int owed = 0, start = 0;

    for (size_t i = 0; i < table->shown; i++) {
        const struct column *column = &table->columns[i];
        int all = kr_term_columns(rest[i]);
        size_t n = strlen(rest[i]);
        kr_auto_free char *piece = NULL;

        if (all > column->width && (column->fit == KR_CUT || column->fit == KR_CUT_LAST)) {
            kr_auto_free char *head =
                kr_strndup(rest[i], fitting(rest[i], column->width - 1, false));

            piece = kr_asprintf("%s\u2026", head);
        } else if (all > column->width && column->fit == KR_WRAP) {
            n = fitting(rest[i], column->width, true);
            piece = kr_strndup(rest[i], n);
        } else {
            piece = kr_strdup(rest[i]);
        }
        rest[i] += n;
        rest[i] += strspn(rest[i], " ");
        more = more || rest[i][0] != '\0';
        put(table, out, piece, cells != NULL ? cells[i].style : KR_PLAIN, &owed);
        owed += column->width + GAP - kr_term_columns(piece);
        if (piece[0] != '\0' && start + kr_term_columns(piece) > *widest)
            *widest = start + kr_term_columns(piece);
        start += column->width + GAP;
    }
    kr_buf_addc(out, '\n');
    return more;
}

void kr_table_whole(struct kr_table *table)
{
    table->whole = true;
}

void kr_table_drops(struct kr_table *table)
{
    table->drops = true;
}

bool kr_table_is_cut(const struct kr_table *table)
{
    return table->is_cut;
}

int kr_table_draw(struct kr_table *table, struct kr_buf *out)
{
    kr_auto_free const char **rest = kr_calloc(table->width + 1, sizeof(*rest));
    int widest = 0;

    shrink(table);
    for (size_t i = 0; i < table->width; i++)
        rest[i] = table->columns[i].head;
    kr_buf_adds(out, kr_style(&table->term, KR_BOLD));
    (void)draw_line(table, out, rest, NULL, &widest);
    if (table->term.colour && out->n > 0) { /* back to plain before the line's end */
        out->n--;
        kr_buf_adds(out, kr_style(&table->term, KR_PLAIN));
        kr_buf_addc(out, '\n');
    }
    for (size_t row = 0; row < table->rows; row++) {
        const struct cell *cells = &table->cells[row * table->width];

        for (size_t i = 0; i < table->width; i++)
            rest[i] = cells[i].text != NULL ? cells[i].text : "";
        while (draw_line(table, out, rest, cells, &widest))
            continue;
    }
    return widest;
}
