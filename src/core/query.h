/* SPDX-License-Identifier: Apache-2.0 */
/* What a list command asks for. */
#ifndef KR_CORE_QUERY_H
#define KR_CORE_QUERY_H

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_query {
    json_t *filters;     /* {"field": ["op:value" or "value", ...]}, or NULL; owned by the caller */
    bool any;            /* --logical_operator or: one filter is enough */
    const char *sort_by; /* "asc:field", "desc:field" or NULL (desc:created) */
    int64_t page;        /* from 1 */
    int64_t size;        /* rows a page; 0: all */
    bool hidden;         /* hidden fields too */
};

#endif
