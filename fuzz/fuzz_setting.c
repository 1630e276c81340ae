/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of all tables: what was checked once passes again and stays the same; merging does not
 * fail on what was checked. The first byte chooses the table, the rest is JSON. */
#include "fuzz.h"

#include "core/flavor.h"

static const struct kr_settings_table *table_of(uint8_t which)
{
    static const struct kr_settings_table *const general[] = {
        &kr_docker_settings, &kr_deployment_settings, &kr_resource_settings};

    if (which % 8 < KR_ARRAY_LEN(general))
        return general[which % 8];
    return kr_flavors[which % kr_flavor_count].table;
}

static void check(const struct kr_settings_table *table, const json_t *value)
{
    kr_auto_json json_t *made = NULL, *again = NULL, *plain = NULL;

    if (table == NULL || kr_settings_check(table, value, "input", &made, fuzz_err()) < 0)
        return;
    FUZZ_CHECK(kr_settings_check(table, made, "again", &again, fuzz_err()) == 0);
    FUZZ_CHECK(json_equal(made, again));
    plain = kr_settings_public(table, made);
    FUZZ_CHECK(json_is_object(plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);
    kr_auto_json json_t *value = NULL, *merged = NULL, *expanded = NULL;
    struct kr_settings_layer layer = {.where = "input"};

    if (kr_json_parse((const char *)in.p, in.n, "input", &value, fuzz_err()) < 0)
        return 0;
    fuzz_any(kr_settings_expand_env(value, "input", &expanded, fuzz_err()));
    if (!json_is_object(value))
        return 0;
    check(table_of(which), value);
    layer.settings = value;
    if (kr_settings_merge(which >= 128 ? "huggingface" : "local", NULL, &layer, 1, NULL, &merged,
                          fuzz_err()) == 0)
        FUZZ_CHECK(json_is_object(json_object_get(merged, "deployment")));
    return 0;
}
