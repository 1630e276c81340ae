/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that aborts when memory is gone. Sizes that come from outside are checked against a
 * limit before they get here, so no peer can cause the abort. */
#ifndef KR_BASE_ALLOC_H
#define KR_BASE_ALLOC_H

#include "base/attrs.h"

#include <stddef.h>

void *kr_malloc(size_t size) KR_MUST_USE;
void *kr_calloc(size_t count, size_t size) KR_MUST_USE;
void *kr_reallocarray(void *old, size_t count, size_t size) KR_MUST_USE;
char *kr_strdup(const char *text) KR_MUST_USE; /* NULL gives NULL */
char *kr_strndup(const char *text, size_t n) KR_MUST_USE;
char *kr_asprintf(const char *fmt, ...) KR_PRINTF(1, 2) KR_MUST_USE;

#endif
