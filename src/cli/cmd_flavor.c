/* SPDX-License-Identifier: Apache-2.0 */
/* What a component group says about its kind: explain, flavor list, flavor describe. */
#include <string.h>

#include "app/deployment.h"
#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/table.h"
#include "core/flavor.h"
#include "core/name.h"

struct flavor_args {
    const char *name, *output;
};

static int run_explain(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    kr_auto_free char *text = kr_asprintf("%s\n", kr_component_kinds[cli->cmd->kind].about);

    (void)data;
    (void)err;
    kr_out_text(cli, text);
    return 0;
}

/* Rows as a table, or in the format asked for. columns: an array of names. */
static int show_rows(struct kr_cli *cli, enum kr_format format, const json_t *columns,
                     const json_t *rows, struct kr_err *err)
{
    kr_auto_table struct kr_table *table = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(16 << 20);
    const json_t *column, *row;
    size_t i, j;

    if (format == KR_CSV || format == KR_TSV) {
        kr_out_rows(cli, format, columns, rows);
        return 0;
    }
    table = kr_table_create(&cli->out);
    json_array_foreach(columns, i, column) kr_table_column(
        table, json_string_value(column), i + 1 == json_array_size(columns) ? KR_WRAP : KR_KEEP);
    json_array_foreach(rows, i, row)
    {
        kr_table_row(table);
        json_array_foreach(columns, j, column)
        {
            const json_t *value = json_object_get(row, json_string_value(column));
            kr_auto_free char *text = kr_cell(value);
            bool flag = strcmp(json_string_value(column), "required") == 0;

            kr_table_cell(table, j, !flag ? text : json_is_true(value) ? "yes" : "", KR_PLAIN);
        }
    }
    (void)kr_table_draw(table, &out);
    if (kr_buf_check(&out, err) < 0)
        return -(int)err->code;
    kr_out(cli, &out);
    return 0;
}

static int run_list(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct flavor_args *args = data;
    kr_auto_json json_t *rows = json_array(), *columns = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < kr_flavor_count; i++) {
        const struct kr_flavor *flavor = &kr_flavors[i];

        if ((int)flavor->type != cli->cmd->kind)
            continue;
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:s?, s:s?}", "name", flavor->name, "integration",
                            flavor->integration, "about", flavor->about));
    }
    if (format == KR_JSON || format == KR_YAML) {
        kr_auto_json json_t *doc = json_object();
        int n = (int)json_array_size(rows);

        kr_json_set(doc, "items", json_incref(rows));
        kr_json_set(doc, "pagination",
                    json_pack("{s:i, s:i, s:i, s:i}", "index", 1, "max_size", n, "total_pages", 1,
                              "total", n));
        kr_out_value(cli, format, doc);
        return 0;
    }
    columns = json_pack("[s, s, s]", "name", "integration", "about");
    return show_rows(cli, format, columns, rows, err);
}

/* One attribute as a row: what it is, its default, what is allowed. */
static json_t *attribute_row(const struct kr_setting *setting)
{
    kr_auto_free char *help = NULL;
    json_t *row = json_object();

    kr_json_set_str(row, "attribute", setting->name);
    kr_json_set_str(row, "type", kr_setting_type_name(setting->type));
    kr_json_set(row, "default", kr_setting_default(setting));
    kr_json_set_bool(row, "required", setting->required);
    kr_json_set_bool(row, "sensitive", setting->sensitive);
    if (setting->choices != NULL) {
        json_t *choices = json_array();

        for (const char *const *c = setting->choices; *c != NULL; c++)
            (void)json_array_append_new(choices, json_string(*c));
        kr_json_set(row, "choices", choices);
    }
    if (setting->ignored != NULL)
        help = kr_asprintf("%s (no effect: %s)", setting->help, setting->ignored);
    kr_json_set_str(row, "help", help != NULL ? help : setting->help);
    kr_json_set_str(row, "reader", setting->reader);
    return row;
}

static int unknown_flavor(int type, const char *name, struct kr_err *err)
{
    kr_auto_free char *names = kr_flavor_names((enum kr_component_type)type);
    kr_auto_free const char **words = kr_calloc(kr_flavor_count, sizeof(*words));
    const char *nearest;
    size_t n = 0;

    for (size_t i = 0; i < kr_flavor_count; i++) {
        if ((int)kr_flavors[i].type == type)
            words[n++] = kr_flavors[i].name;
    }
    nearest = kr_name_nearest(name, words, n);
    (void)kr_fail(err, KR_E_NOT_FOUND, "there is no %s flavor '%s'; there are: %s",
                  kr_component_kinds[type].title, name, names);
    if (nearest != NULL)
        (void)kr_hint(err, "did you mean '%s'?", nearest);
    return -KR_E_NOT_FOUND;
}

static int run_describe(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct flavor_args *args = data;
    const struct kr_flavor *flavor;
    kr_auto_json json_t *rows = json_array(), *columns = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    flavor = kr_flavor_find((enum kr_component_type)cli->cmd->kind, args->name);
    if (flavor == NULL)
        return unknown_flavor(cli->cmd->kind, args->name, err);
    for (size_t i = 0; flavor->table != NULL && i < flavor->table->count; i++)
        (void)json_array_append_new(rows, attribute_row(&flavor->table->rows[i]));
    if (format == KR_JSON || format == KR_YAML) {
        kr_auto_json json_t *doc =
            json_pack("{s:s, s:s, s:s?, s:s?, s:O}", "name", flavor->name, "type",
                      kr_component_kinds[cli->cmd->kind].key, "integration", flavor->integration,
                      "about", flavor->about, "attributes", rows);
        kr_out_value(cli, format, doc);
        return 0;
    }
    if (format == KR_TABLE && flavor->about != NULL) {
        kr_auto_free char *about =
            kr_asprintf("%s\n%s", flavor->about, json_array_size(rows) > 0 ? "\n" : "");
        kr_out_text(cli, about);
    }
    if (format == KR_TABLE && json_array_size(rows) == 0) {
        kr_say(cli, KR_NOTE_INFO, "It has no attributes");
        return 0;
    }
    columns = json_pack("[s, s, s, s, s]", "attribute", "type", "default", "required", "help");
    return show_rows(cli, format, columns, rows, err);
}

static int run_hardware(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct flavor_args *args = data;
    kr_auto_json json_t *rows = NULL, *columns = NULL;
    enum kr_format format;
    json_t *row;
    size_t i;

    if (kr_format_of(args->output, &format, err) < 0 || kr_hardware_rows(&rows, err) < 0)
        return -(int)err->code;
    if (format == KR_JSON || format == KR_YAML) {
        kr_out_value(cli, format, rows);
        return 0;
    }
    json_array_foreach(rows, i, row)
    {
        json_t *price = json_object_get(row, "usd_per_hour");

        if (json_is_number(price))
            kr_json_set(row, "usd_per_hour", json_sprintf("%.2f", json_number_value(price)));
    }
    columns = json_pack("[s, s, s, s, s]", "name", "cpu", "ram", "accelerator", "usd_per_hour");
    return show_rows(cli, format, columns, rows, err);
}

static const struct kr_arg flavor_args[] = {
    {.name = "NAME",
     .help = "Name of the flavor",
     .complete = KR_COMPLETE_FLAVOR,
     .offset = offsetof(struct flavor_args, name)},
    {0},
};
static const struct kr_opt output_opts[] = {
    KR_OPT_OUTPUT_ROW(struct flavor_args, output),
    {0},
};

#define GROUP(of_type, group, title, name)                                                         \
    {.path = group " explain",                                                                     \
     .help = "Say what " title " is for",                                                          \
     .kind = (of_type),                                                                            \
     KR_EXAMPLES(group " explain"),                                                                \
     .run = run_explain},                                                                          \
        {.path = group " flavor list",                                                             \
         .help = "List the flavors",                                                               \
         .kind = (of_type),                                                                        \
         .opts = output_opts,                                                                      \
         .size = sizeof(struct flavor_args),                                                       \
         KR_EXAMPLES(group " flavor list"),                                                        \
         .run = run_list},                                                                         \
    {                                                                                              \
        .path = group " flavor describe", .help = "Show the attributes of a flavor",               \
        .kind = (of_type), .opts = output_opts, .args = flavor_args,                               \
        .size = sizeof(struct flavor_args), KR_EXAMPLES(group " flavor describe " name),           \
        .run = run_describe                                                                        \
    }

static const struct kr_cmd rows[] = {
    {.path = "deployer hardware",
     .help = "List the hardware that Spaces can run on, with its price",
     .more =
         "These are the values of the setting space_hardware. Asked from the Hub; a token is not "
         "needed.",
     .opts = output_opts,
     .size = sizeof(struct flavor_args),
     KR_EXAMPLES("deployer hardware", "deployer hardware --output json"),
     .run = run_hardware},
    GROUP(KR_DEPLOYER, "deployer", "a deployer", "huggingface"),
    GROUP(KR_ARTIFACT_STORE, "artifact-store", "an artifact store", "s3"),
    GROUP(KR_CONTAINER_REGISTRY, "container-registry", "a container registry", "default"),
    GROUP(KR_IMAGE_BUILDER, "image-builder", "an image builder", "local"),
    GROUP(KR_ORCHESTRATOR, "orchestrator", "an orchestrator", "local"),
};

const struct kr_cmds kr_cmds_flavor = KR_CMDS(rows);
