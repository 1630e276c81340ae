/* SPDX-License-Identifier: Apache-2.0 */
/* What Spaces can run on, and what it costs. */
#include "app/deployment.h"
#include "base/alloc.h"
#include "hub/runtime.h"

#include <math.h>
#include <string.h>

static char *accelerator_of(const json_t *item)
{
    const json_t *a = json_object_get(item, "accelerator");
    const char *number = kr_json_str(a, "quantity", "1");

    if (!json_is_object(a))
        return NULL;
    return kr_asprintf("%s x %s, %s", number, kr_json_str(a, "model", kr_json_str(a, "type", "?")),
                       kr_json_str(a, "vram", "?"));
}

/* Dollars in whole hundredths of a cent; the Hub gives them by the minute. */
static json_t *price_of(const json_t *item)
{
    const json_t *unit = json_object_get(item, "unitCostUSD");
    double each = json_is_number(unit) ? json_number_value(unit) : -1;

    if (each < 0)
        return json_null();
    if (strcmp(kr_json_str(item, "unitLabel", "minute"), "minute") == 0)
        each *= 60;
    return json_real(round(each * 10000) / 10000);
}

int kr_hardware_rows(json_t **rows, struct kr_err *err)
{
    kr_auto_hub struct kr_hub *hub = NULL;
    struct kr_hub_options options = {0};
    kr_auto_json json_t *list = NULL;
    json_t *made, *item;
    size_t i;

    if (kr_hub_open(&options, &hub, err) < 0 || kr_hardware_list(hub, &list, err) < 0)
        return -(int)err->code;
    made = json_array();
    json_array_foreach(list, i, item)
    {
        kr_auto_free char *accelerator = accelerator_of(item);
        json_t *row = json_object();

        kr_json_set_str(row, "name", kr_json_str(item, "name", "?"));
        kr_json_set_str(row, "cpu", kr_json_str(item, "cpu", NULL));
        kr_json_set_str(row, "ram", kr_json_str(item, "ram", NULL));
        kr_json_set_str(row, "accelerator", accelerator);
        kr_json_set(row, "usd_per_hour", price_of(item));
        (void)json_array_append_new(made, row);
    }
    *rows = made;
    return 0;
}
