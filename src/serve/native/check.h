/* SPDX-License-Identifier: Apache-2.0 */
/* Checks values against declared fields and collects what is wrong in the shape of a 422 answer. */
#ifndef KR_SERVE_NATIVE_CHECK_H
#define KR_SERVE_NATIVE_CHECK_H

#include "serve/value.h"

#include <kourou/pipeline.h>

struct kr_problems {
    struct kr_buf *out; /* items of the "detail" list */
    size_t n;
};

/* loc: "\"body\",\"parameters\"" and so on, without brackets. */
void kr_problem(struct kr_problems *problems, const char *type, const char *loc,
                struct kr_view name, const char *message, struct kr_view input);

/* False after problems were added. */
bool kr_check_value(const struct kr_field *field, enum kr_value_kind kind, struct kr_view value,
                    const char *loc, struct kr_problems *problems);

#endif
