/* SPDX-License-Identifier: Apache-2.0 */
/* Integrations: names for sets of requirements, as `required_integrations` and `integration
 * requirements` use them. */
#ifndef KR_PACK_INTEGRATION_H
#define KR_PACK_INTEGRATION_H

#include "base/attrs.h"

#include <stddef.h>

struct kr_integration {
    const char *name;
    const char *requirements[8]; /* NULL-terminated; empty: part of Kourou itself */
};

extern const struct kr_integration kr_integrations[]; /* sorted by name */
extern const size_t kr_integration_count;

const struct kr_integration *kr_integration_find(const char *name);

#endif
