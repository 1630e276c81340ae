/* SPDX-License-Identifier: Apache-2.0 */
/* Finds `timeout` and `run_name` at the top level of an invocation's body without parsing the
 * rest. */
#ifndef KR_SERVE_SCAN_H
#define KR_SERVE_SCAN_H

#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

#define KR_TIMEOUT_LEAST_MS 100 /* shorter ones count as this */
#define KR_RUN_NAME_MAX     255 /* characters; longer ones are refused */

struct kr_scan {
    int64_t timeout_ms;      /* 0: none, or not a positive number (the worker will say so) */
    struct kr_view run_name; /* the text between the quotes, as written; .p NULL without */
};

/* The closing quote of a JSON text whose contents begin at p, or end. */
const char *kr_scan_text(const char *p, const char *end);

/* Never fails: what cannot be understood is left to the worker's validation. */
void kr_scan_body(struct kr_view body, struct kr_scan *out);

#endif
