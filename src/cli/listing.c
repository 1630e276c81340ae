/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/listing.h"

#include <string.h>
#include <strings.h>

#include "app/deployment.h"
#include "base/alloc.h"
#include "base/view.h"
#include "cli/out.h"
#include "cli/table.h"
#include "core/state.h"

static const char *const operators[] = {"and", "or", NULL};

const struct kr_opt kr_list_opts[] = {
    {.name = "columns",
     .brief = "c",
     .type = KR_OPT_STR,
     .metavar = "\"A,B\"",
     .help = "Columns to show, or all",
     .complete = KR_COMPLETE_COLUMN,
     .offset = offsetof(struct kr_list_args, columns)},
    KR_OPT_OUTPUT_ROW(struct kr_list_args, output),
    {.name = "sort_by",
     .type = KR_OPT_STR,
     .metavar = "[asc:|desc:]FIELD",
     .help = "Order of the rows; newest first without it",
     .offset = offsetof(struct kr_list_args, sort_by)},
    {.name = "page",
     .type = KR_OPT_INT,
     .min = 1,
     .dflt = "1",
     .help = "Page to show",
     .offset = offsetof(struct kr_list_args, page)},
    {.name = "size",
     .type = KR_OPT_INT,
     .min = 1,
     .dflt = "20",
     .help = "Rows on a page",
     .offset = offsetof(struct kr_list_args, size)},
    {.name = "logical_operator",
     .type = KR_OPT_ENUM,
     .choices = operators,
     .dflt = "and",
     .help = "Whether a row must pass all filters or one of them",
     .offset = offsetof(struct kr_list_args, logical)},
    {0},
};

const struct kr_field *kr_list_field(const struct kr_cmd *cmd, size_t n)
{
    size_t count;
    const struct kr_field *fields = kr_entity_fields(cmd->list->entity, &count);

    for (size_t i = 0; i < count; i++) {
        if (fields[i].hidden || fields[i].kind == KR_FIELD_JSON ||
            (cmd->list->by_type && strcmp(fields[i].name, "type") == 0))
            continue;
        if (n-- == 0)
            return &fields[i];
    }
    return NULL;
}

static void add_words(json_t *list, const char *text)
{
    struct kr_view rest = kr_view_of(text), word;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, ',', &word);
        word = kr_view_trim(word);
        if (word.n > 0)
            (void)json_array_append_new(list, json_stringn(word.p, word.n));
    }
}

json_t *kr_list_columns(const struct kr_cmd *cmd)
{
    json_t *columns = json_array();
    size_t count;
    const struct kr_field *fields = kr_entity_fields(cmd->list->entity, &count);

    for (size_t i = 0; i < count; i++) {
        if (!fields[i].hidden)
            (void)json_array_append_new(columns, json_string(fields[i].name));
    }
    if (cmd->list->extra != NULL)
        add_words(columns, cmd->list->extra);
    return columns;
}

static bool same_column(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        char x = *a == ' ' || *a == '-' ? '_' : *a, y = *b == ' ' || *b == '-' ? '_' : *b;

        if (strncasecmp(&x, &y, 1) != 0)
            return false;
    }
    return *a == *b;
}

/* The columns asked for; unknown ones are left out with a warning. */
static json_t *chosen_columns(struct kr_cli *cli, const char *asked, const char *otherwise)
{
    kr_auto_json json_t *known = kr_list_columns(cli->cmd), *wanted = json_array();
    json_t *columns = json_array();
    const json_t *want, *have;
    size_t i, j;

    if (asked != NULL && strcasecmp(asked, "all") == 0) {
        json_decref(columns);
        return kr_steal(&known);
    }
    add_words(wanted, asked != NULL ? asked : otherwise);
    json_array_foreach(wanted, i, want)
    {
        bool found = false;

        json_array_foreach(known, j, have)
        {
            if (same_column(json_string_value(want), json_string_value(have))) {
                (void)json_array_append(columns, (json_t *)(uintptr_t)have);
                found = true;
                break;
            }
        }
        if (!found) {
            kr_auto_free char *names = kr_cell(known);
            kr_say(cli, KR_NOTE_WARN, "there is no column '%s'; columns are: %s",
                   json_string_value(want), names);
        }
    }
    if (json_array_size(columns) == 0)
        add_words(columns, otherwise);
    return columns;
}

static int fetch(struct kr_cli *cli, const struct kr_list_args *args, json_t **page,
                 struct kr_err *err)
{
    const struct kr_listing *list = cli->cmd->list;
    struct kr_query query = {.filters = args->filters,
                             .any = strcmp(args->logical, "or") == 0,
                             .sort_by = args->sort_by,
                             .page = args->page,
                             .size = args->size};
    kr_auto_json json_t *scope = NULL;

    if (list->live)
        return kr_deployments_list(cli->app, &query, page, err);
    if (list->by_type) {
        scope = json_object();
        kr_json_set_str(scope, "type", kr_component_kinds[cli->cmd->kind].key);
    }
    return kr_app_list(cli->app, list->entity, &query, scope, page, err);
}

/* Why a state could not be read is said whatever the format and the columns are. */
static void say_stale(struct kr_cli *cli, const json_t *rows)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const char *note = kr_json_str(row, "state_note", NULL);

        if (note != NULL)
            kr_say(cli, KR_NOTE_WARN, "'%s': %s", kr_json_str(row, "name", ""), note);
    }
}

/* Rows with the chosen columns only, in their order. */
static json_t *narrow(const json_t *rows, const json_t *columns, const struct kr_listing *list)
{
    json_t *out = json_array();
    const json_t *column;
    json_t *row;
    size_t i, j;

    json_array_foreach(rows, i, row)
    {
        json_t *slim = json_object();

        if (list->flatten != NULL)
            list->flatten(row);
        json_array_foreach(columns, j, column)
        {
            json_t *value = json_object_get(row, json_string_value(column));

            kr_json_set(slim, json_string_value(column), value ? json_incref(value) : json_null());
        }
        (void)json_array_append_new(out, slim);
    }
    return out;
}

static enum kr_style state_style(const char *text)
{
    switch (kr_state_parse(text)) {
    case KR_STATE_RUNNING:
        return KR_GREEN;
    case KR_STATE_PENDING:
        return KR_YELLOW;
    case KR_STATE_ERROR:
        return KR_RED;
    case KR_STATE_UNKNOWN:
    case KR_STATE_ABSENT:
    case KR_STATE_COUNT:
        break;
    }
    return KR_DIM;
}

/* How the rows are shown. */
struct look {
    bool brief; /* no columns were asked for: ids and times are shortened, everything may be cut */
    bool wide;  /* nothing is cut */
};

enum { SHORT_ID = 8, SHORT_TIME = 19 };

/* The first characters of an id are enough wherever one is asked for; times without fractions. */
static void shorten(char *text, const char *column)
{
    bool time = strcmp(column, "created") == 0 || strcmp(column, "updated") == 0 ||
                strcmp(column, "started") == 0;

    if (strcmp(column, "id") == 0 && strlen(text) > SHORT_ID)
        text[SHORT_ID] = '\0';
    if (time && strlen(text) > SHORT_TIME) {
        text[SHORT_TIME] = '\0';
        text[10] = ' ';
    }
}

static void draw_cell(struct kr_table *table, size_t at, const char *column, const json_t *value,
                      const struct look *look)
{
    kr_auto_free char *text = kr_cell(value);
    enum kr_style style = KR_PLAIN;

    if (look->brief)
        shorten(text, column);
    if (strcmp(column, "active") == 0) {
        kr_table_cell(table, at, json_is_true(value) ? "\u25cf" : "", KR_GREEN);
        return;
    }
    if (strcmp(column, "status") == 0)
        style = state_style(text);
    if (json_is_boolean(value))
        kr_table_cell(table, at, json_is_true(value) ? "yes" : "no", KR_PLAIN);
    else
        kr_table_cell(table, at, text, style);
}

static enum kr_fit fit_of(const char *column, const struct look *look)
{
    static const char *const kept[] = {"name",    "url",     "status", "active",
                                       "created", "updated", "started"};
    bool is_kept = kr_ends_with(column, "id");

    for (size_t i = 0; i < KR_ARRAY_LEN(kept); i++)
        is_kept = is_kept || strcmp(column, kept[i]) == 0;
    if (!is_kept)
        return KR_CUT;
    return look->brief && (strcmp(column, "name") == 0 || strcmp(column, "url") == 0) ? KR_CUT_LAST
                                                                                      : KR_KEEP;
}

static int draw(struct kr_cli *cli, const json_t *columns, const json_t *rows,
                const struct look *look, struct kr_err *err)
{
    kr_auto_table struct kr_table *table = kr_table_create(&cli->out);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(64 << 20);
    const json_t *column, *row;
    size_t i, j;
    int width;

    json_array_foreach(columns, i, column)
        kr_table_column(table, json_string_value(column), fit_of(json_string_value(column), look));
    json_array_foreach(rows, i, row)
    {
        kr_table_row(table);
        json_array_foreach(columns, j, column)
        {
            const char *name = json_string_value(column);

            draw_cell(table, j, name, json_object_get(row, name), look);
        }
    }
    if (look->wide)
        kr_table_whole(table);
    if (look->brief)
        kr_table_drops(table);
    width = kr_table_draw(table, &text);
    if (kr_buf_check(&text, err) < 0)
        return -(int)err->code;
    kr_out(cli, &text);
    if (cli->out.tty && cli->out.width > 0 && width > cli->out.width && !look->wide)
        kr_say(cli, KR_NOTE_INFO,
               "The table is wider than the terminal: --columns chooses columns, --output json or "
               "csv shows all of the text");
    else if (kr_table_is_cut(table))
        kr_say(cli, KR_NOTE_INFO, "Some texts are cut: '-o wide' shows them whole");
    return 0;
}

static const char *plural_of(const struct kr_cmd *cmd)
{
    return cmd->list->plural != NULL ? cmd->list->plural : kr_component_kinds[cmd->kind].plural;
}

static int draw_page(struct kr_cli *cli, const struct kr_list_args *args, const json_t *columns,
                     const json_t *rows, const json_t *pages, const struct look *look,
                     struct kr_err *err)
{
    int64_t total = kr_json_int(pages, "total", 0);

    if (json_array_size(rows) == 0) {
        if (total > 0)
            kr_say(cli, KR_NOTE_INFO, "Page %lld is empty: there are %lld %s in all",
                   (long long)args->page, (long long)total, plural_of(cli->cmd));
        else
            kr_say(cli, KR_NOTE_INFO, "No %s found%s", plural_of(cli->cmd),
                   json_object_size(args->filters) > 0 ? " for the applied filters" : "");
        return 0;
    }
    if (draw(cli, columns, rows, look, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_INFO, "Page `(%lld/%lld)`, `%lld` items found for the applied filters.",
           (long long)kr_json_int(pages, "index", 1),
           (long long)kr_json_int(pages, "total_pages", 1), (long long)total);
    return 0;
}

int kr_list_run(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct kr_list_args *args = data;
    kr_auto_json json_t *page = NULL, *columns = NULL, *rows = NULL;
    const json_t *pages;
    const struct kr_listing *list = cli->cmd->list;
    struct look look = {0};
    enum kr_format format;

    if (kr_format_of_list(args->output, &format, &look.wide, err) < 0)
        return -(int)err->code;
    look.brief = args->columns == NULL && format == KR_TABLE && !look.wide;
    if (fetch(cli, args, &page, err) < 0)
        return -(int)err->code;
    say_stale(cli, json_object_get(page, "items"));
    columns = chosen_columns(cli, args->columns,
                             look.brief && list->table != NULL ? list->table : list->columns);
    rows = narrow(json_object_get(page, "items"), columns, list);
    pages = json_object_get(page, "pagination");
    if (format == KR_TABLE)
        return draw_page(cli, args, columns, rows, pages, &look, err);
    if (format == KR_CSV || format == KR_TSV) {
        kr_out_rows(cli, format, columns, rows);
    } else {
        kr_auto_json json_t *doc = json_object();

        kr_json_set(doc, "items", json_incref(rows));
        kr_json_set(doc, "pagination", json_incref((json_t *)(uintptr_t)pages));
        kr_out_value(cli, format, doc);
    }
    return 0;
}
