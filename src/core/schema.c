/* SPDX-License-Identifier: Apache-2.0 */
#include "core/schema.h"

#include "base/alloc.h"
#include "base/view.h"
#include "core/flavor.h"

#include <string.h>

static void set_words(json_t *row, const char *key, const char *const *words)
{
    json_t *list = json_array();

    for (; words != NULL && *words != NULL; words++)
        (void)json_array_append_new(list, json_string(*words));
    kr_json_set(row, key, list);
}

static void set_forms(json_t *row, const char *forms)
{
    struct kr_view rest = kr_view_of(forms != NULL ? forms : ""), form;
    json_t *list = json_array();
    bool more = forms != NULL;

    while (more) {
        kr_auto_free char *word = NULL;

        more = kr_view_cut(&rest, ' ', &form);
        word = kr_view_dup(form);
        (void)json_array_append_new(list, json_string(word));
    }
    kr_json_set(row, "forms", list);
}

json_t *kr_schema_row(const struct kr_setting *row)
{
    bool ranged = row->type == KR_SET_INT && row->max > row->min;
    json_t *out = json_object();

    kr_json_set_str(out, "name", row->name);
    kr_json_set_str(out, "type", kr_setting_type_name(row->type));
    kr_json_set(out, "min", ranged ? json_integer(row->min) : json_null());
    kr_json_set(out, "max", ranged && row->max != INT64_MAX ? json_integer(row->max) : json_null());
    kr_json_set_bool(out, "positive", row->positive);
    set_words(out, "choices", row->choices);
    kr_json_set(out, "default", kr_setting_default(row));
    kr_json_set_str(out, "help", row->help);
    kr_json_set_str(out, "reader", row->reader);
    kr_json_set_str(out, "ignored", row->ignored);
    kr_json_set_str(out, "flavor", row->only);
    kr_json_set_bool(out, "required", row->required);
    kr_json_set_bool(out, "sensitive", row->sensitive);
    kr_json_set_bool(out, "component_only", row->component_only);
    kr_json_set_bool(out, "filled", row->filled);
    kr_json_set_bool(out, "given_only", row->given_only);
    set_forms(out, row->forms);
    kr_json_set_str(out, "map", row->inner != NULL ? row->inner->key : NULL);
    return out;
}

static bool has_table(const json_t *tables, const char *key)
{
    const json_t *table;
    size_t i;

    json_array_foreach(tables, i, table)
    {
        if (strcmp(kr_json_str(table, "table", ""), key) == 0)
            return true;
    }
    return false;
}

static void add_table(json_t *tables, const struct kr_settings_table *table, const char *key,
                      const char *kind, const struct kr_flavor *flavor)
{
    json_t *out, *rows;

    if (has_table(tables, key))
        return;
    out = json_object();
    rows = json_array();
    kr_json_set_str(out, "table", key);
    kr_json_set_str(out, "kind", kind);
    kr_json_set_str(out, "flavor", flavor != NULL ? flavor->name : NULL);
    kr_json_set_str(out, "title", table->title);
    kr_json_set_str(out, "about", flavor != NULL ? flavor->about : NULL);
    for (size_t i = 0; i < table->count; i++)
        (void)json_array_append_new(rows, kr_schema_row(&table->rows[i]));
    kr_json_set(out, "rows", rows);
    (void)json_array_append_new(tables, out);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].inner != NULL)
            add_table(tables, table->rows[i].inner, table->rows[i].inner->key, "map", NULL);
    }
}

json_t *kr_schema(void)
{
    const struct kr_settings_table *const general[] = {&kr_docker_settings, &kr_deployment_settings,
                                                       &kr_resource_settings};
    json_t *tables = json_array();

    for (size_t i = 0; i < KR_ARRAY_LEN(general); i++)
        add_table(tables, general[i], general[i]->key, "settings", NULL);
    for (size_t i = 0; i < kr_flavor_count; i++) {
        const struct kr_flavor *flavor = &kr_flavors[i];
        const char *kind = kr_component_kinds[flavor->type].key;
        kr_auto_free char *key = kr_asprintf("%s.%s", kind, flavor->name);

        add_table(tables, flavor->table, key, kind, flavor);
    }
    return tables;
}
