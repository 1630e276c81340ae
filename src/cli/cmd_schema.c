/* SPDX-License-Identifier: Apache-2.0 */
/* schema: every settings table of the program. */
#include <string.h>

#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/config_schema.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/table.h"
#include "core/name.h"
#include "core/schema.h"

struct schema_args {
    const char *table, *output;
    bool config_file;
};

enum { SHOWN_DEFAULT = 24 };

/* What is allowed, as far as a few words can say it. */
static char *range_of(const json_t *row)
{
    const json_t *low = json_object_get(row, "min"), *high = json_object_get(row, "max");

    if (kr_json_bool(row, "positive", false))
        return kr_strdup("above 0");
    if (!json_is_integer(low))
        return kr_strdup("");
    if (!json_is_integer(high))
        return kr_asprintf("%lld or more", (long long)json_integer_value(low));
    return kr_asprintf("%lld to %lld", (long long)json_integer_value(low),
                       (long long)json_integer_value(high));
}

/* A setting as flat texts: a line of a table, of CSV and TSV. */
static json_t *flat_row(const json_t *table, const json_t *row)
{
    kr_auto_free char *range = range_of(row), *help = NULL, *dflt = NULL;
    const char *ignored = kr_json_str(row, "ignored", NULL), *forms[] = {"type", "forms"};
    const json_t *value = json_object_get(row, "default");
    json_t *flat = json_object();

    kr_json_set_str(flat, "table", kr_json_str(table, "table", ""));
    kr_json_set_str(flat, "setting", kr_json_str(row, "name", ""));
    kr_json_set(flat, "type",
                json_incref(json_object_get(
                    row, forms[json_array_size(json_object_get(row, "forms")) > 0])));
    kr_json_set_str(flat, "range", range);
    kr_json_set(flat, "choices", json_incref(json_object_get(row, "choices")));
    dflt = json_is_null(value) ? kr_strdup("") : kr_json_canonical(value);
    kr_json_set_str(flat, "default", dflt);
    kr_json_set_str(flat, "reader", kr_json_str(row, "reader", NULL));
    kr_json_set_str(flat, "flavor", kr_json_str(row, "flavor", kr_json_str(table, "flavor", NULL)));
    if (ignored != NULL)
        help = kr_asprintf("%s (no effect: %s)", kr_json_str(row, "help", ""), ignored);
    kr_json_set_str(flat, "help", help != NULL ? help : kr_json_str(row, "help", ""));
    return flat;
}

static json_t *flat_rows(const json_t *tables)
{
    json_t *rows = json_array();
    const json_t *table, *row;
    size_t i, j;

    json_array_foreach(tables, i, table)
    {
        json_array_foreach(json_object_get(table, "rows"), j, row)(void)
            json_array_append_new(rows, flat_row(table, row));
    }
    return rows;
}

static int unknown_table(const json_t *tables, const char *name, struct kr_err *err)
{
    kr_auto_free const char **keys = kr_calloc(json_array_size(tables) + 1, sizeof(*keys));
    const json_t *table;
    const char *near;
    size_t i;

    json_array_foreach(tables, i, table) keys[i] = kr_json_str(table, "table", "");
    near = kr_name_nearest(name, keys, i);
    (void)kr_fail(err, KR_E_NOT_FOUND, "there is no settings table '%s'", name);
    if (near != NULL)
        return kr_hint(err, "did you mean '%s'?", near);
    return kr_hint(err, "without a name all tables are shown");
}

/* Leaves the table of that name alone. */
static int only(json_t *tables, const char *name, struct kr_err *err)
{
    for (size_t i = 0; i < json_array_size(tables); i++) {
        json_t *table = json_array_get(tables, i);

        if (strcmp(kr_json_str(table, "table", ""), name) != 0)
            continue;
        json_incref(table);
        (void)json_array_clear(tables);
        (void)json_array_append_new(tables, table);
        return 0;
    }
    return unknown_table(tables, name, err);
}

/* For the eye: choices stand where ranges do, and a long default does not push the rest away. */
static void shorten(json_t *row)
{
    const char *dflt = kr_json_str(row, "default", "");

    if (strcmp(kr_json_str(row, "type", ""), "choice") == 0)
        kr_json_set(row, "range", json_incref(json_object_get(row, "choices")));
    if (strlen(dflt) > SHOWN_DEFAULT) {
        kr_auto_free char *cut = kr_asprintf("%.*s...", SHOWN_DEFAULT - 3, dflt);

        kr_json_set_str(row, "default", cut);
    }
}

static void draw(struct kr_cli *cli, const json_t *columns, const json_t *rows, struct kr_buf *out)
{
    kr_auto_table struct kr_table *table = kr_table_create(&cli->out);
    const json_t *column;
    json_t *row;
    size_t i, j;

    json_array_foreach(columns, j, column)
        kr_table_column(table, json_string_value(column),
                        j + 1 == json_array_size(columns) ? KR_WRAP
                        : j > 0                           ? KR_CUT
                                                          : KR_CUT_LAST);
    json_array_foreach(rows, i, row)
    {
        shorten(row);
        kr_table_row(table);
        json_array_foreach(columns, j, column)
        {
            kr_auto_free char *text = kr_cell(json_object_get(row, json_string_value(column)));

            kr_table_cell(table, j, text, KR_PLAIN);
        }
    }
    (void)kr_table_draw(table, out);
}

/* On a terminal a table of settings is a table of its own, whose help has the room that is left. */
static void draw_each(struct kr_cli *cli, const json_t *tables, struct kr_buf *out)
{
    kr_auto_json json_t *columns = json_pack("[s, s, s, s]", "setting", "type", "default", "help");
    json_t *table, *row;
    size_t i, j;

    json_array_foreach((json_t *)(uintptr_t)tables, i, table)
    {
        kr_auto_json json_t *one = json_pack("[O]", table), *rows = flat_rows(one);

        json_array_foreach(rows, j, row)
        {
            kr_auto_free char *range = NULL, *help = NULL;

            shorten(row);
            range = kr_cell(json_object_get(row, "range"));
            help = kr_asprintf("%s [%s]", kr_json_str(row, "help", ""), range);
            if (range[0] != '\0')
                kr_json_set_str(row, "help", help);
        }
        kr_buf_addf(out, "%s%s%s%s\n", i > 0 ? "\n" : "", kr_style(&cli->out, KR_CYAN),
                    kr_json_str(table, "table", ""), kr_style(&cli->out, KR_PLAIN));
        draw(cli, columns, rows, out);
    }
}

static int run_schema(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct schema_args *args = data;
    kr_auto_json json_t *tables = kr_schema(), *rows = NULL, *columns = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(16 << 20);
    enum kr_format format;

    if (args->config_file) {
        kr_auto_free char *text = kr_strdup(kr_config_schema[0]);

        if (args->table != NULL)
            return kr_fail(err, KR_E_USAGE, "--config-file goes with no table");
        kr_out_text(cli, text);
        return 0;
    }
    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    if (args->table != NULL && only(tables, args->table, err) < 0)
        return -(int)err->code;
    if (format == KR_JSON || format == KR_YAML) {
        kr_auto_json json_t *doc = json_object();

        kr_json_set(doc, "tables", json_incref(tables));
        kr_out_value(cli, format, doc);
        return 0;
    }
    rows = flat_rows(tables);
    if (format != KR_TABLE) {
        columns = json_pack("[s, s, s, s, s, s, s, s, s]", "table", "setting", "type", "range",
                            "choices", "default", "flavor", "reader", "help");
        kr_out_rows(cli, format, columns, rows);
        return 0;
    }
    columns =
        json_pack("[s, s, s, s, s, s]", "table", "setting", "type", "range", "default", "help");
    if (cli->out.tty)
        draw_each(cli, tables, &out);
    else
        draw(cli, columns, rows, &out);
    if (kr_buf_check(&out, err) < 0)
        return -(int)err->code;
    kr_out(cli, &out);
    return 0;
}

static const struct kr_arg schema_args[] = {
    {.name = "TABLE",
     .optional = true,
     .help = "One table only, like docker, deployment, resources or deployer.huggingface",
     .offset = offsetof(struct schema_args, table)},
    {0},
};
static const struct kr_opt schema_opts[] = {
    {.name = "config-file",
     .type = KR_OPT_FLAG,
     .help = "Print the JSON schema of configuration files, with which editors complete and check",
     .offset = offsetof(struct schema_args, config_file)},
    KR_OPT_OUTPUT_ROW(struct schema_args, output),
    {0},
};

static const struct kr_cmd rows[] = {
    {.path = "schema",
     .help = "List every setting: its type, range, default, meaning and who reads it",
     .more =
         "The tables docker, deployment, resources and deployer.<flavor> are keys below "
         "`settings` in code and in configuration files; those of components are options of "
         "their register commands. A configuration file that begins with the line `# "
         "yaml-language-server: $schema=kourou.schema.json` is completed and checked by editors "
         "when that file lies beside it.",
     .opts = schema_opts,
     .args = schema_args,
     .size = sizeof(struct schema_args),
     KR_EXAMPLES("schema deployment", "schema --output json",
                 "schema --config-file > kourou.schema.json"),
     .run = run_schema},
};

const struct kr_cmds kr_cmds_schema = KR_CMDS(rows);
