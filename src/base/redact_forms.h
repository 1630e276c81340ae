/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which a secret value can stand in a text. */
#ifndef KR_BASE_REDACT_FORMS_H
#define KR_BASE_REDACT_FORMS_H

#include <stddef.h>

/* Calls found() with each: the value itself, escaped as in JSON (with and without characters beyond
 * ASCII), in Python's repr() of text and of bytes, and in a URL; of a value of several lines also
 * each line that says something (plausible.h), in all those forms. A form may come more than once.
 */
void kr_redact_forms(const char *secret, void (*found)(void *data, const char *form, size_t n),
                     void *data);

#endif
