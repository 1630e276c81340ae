/* SPDX-License-Identifier: Apache-2.0 */
/* Every secret value that enters the program is registered here; everything that leaves it as text
 * (errors, logs, build output) passes kr_redact(). Values that say nothing (plausible.h) are not
 * replaced: they would blank out ordinary words. */
#ifndef KR_BASE_REDACT_H
#define KR_BASE_REDACT_H

#include <stddef.h>

/* Variable of a served app that names those of its variables, separated by commas, whose values the
 * server registers. The names are no secret: they stay readable in what both programs say. */
#define KR_SECRET_NAMES "KOUROU_SECRET_NAMES"

void kr_redact_add(const char *secret); /* copies; NULL and doubles are ignored; thread-safe */

/* Replaces each registered value in text, in place, by asterisks of the same length. */
void kr_redact(char *text, size_t n);

void kr_redact_clear(void); /* wipes and forgets all values */

#endif
