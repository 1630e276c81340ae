/* SPDX-License-Identifier: Apache-2.0 */
/* Flavors: implementations of a component kind, each with its table of attributes. */
#ifndef KR_CORE_FLAVOR_H
#define KR_CORE_FLAVOR_H

#include "core/component.h"
#include "core/setting.h"

struct kr_flavor {
    enum kr_component_type type;
    const char *name;
    const char *integration; /* "huggingface", or NULL when part of the core */
    const struct kr_settings_table *table;
    const char *about;
};

extern const struct kr_flavor kr_flavors[];
extern const size_t kr_flavor_count;

const struct kr_flavor *kr_flavor_find(enum kr_component_type type, const char *name);

/* Flavor names of a type, comma-separated, for messages. Caller frees. */
char *kr_flavor_names(enum kr_component_type type) KR_MUST_USE;

#endif
