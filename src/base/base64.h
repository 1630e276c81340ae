/* SPDX-License-Identifier: Apache-2.0 */
/* Base 64 with padding and without line breaks. */
#ifndef KR_BASE_BASE64_H
#define KR_BASE_BASE64_H

#include "base/buf.h"

void kr_base64_add(struct kr_buf *out, const void *bytes, size_t n);

/* Standard or URL-safe alphabet, padding optional; false on anything else. Appends to out. */
bool kr_base64_decode(struct kr_buf *out, const char *text, size_t n);

#endif
