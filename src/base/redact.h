/* SPDX-License-Identifier: Apache-2.0 */
/* Every secret value that enters the program is registered here; everything that leaves it as text
 * (errors, logs, build output) passes the redaction: whole texts through kr_redact(), text that
 * comes in pieces through a kr_redactor.
 *
 * What is replaced, byte by byte with asterisks: each value; of a value of several lines also each
 * of its lines; and both as they look inside a JSON string, in Python's repr() and in a URL. Where
 * values overlap or begin with one another, every byte of each of them is replaced. A value longer
 * than KR_REDACT_BLOCK is looked for in blocks of that size, so a part of it is found too, and no
 * more than a block is ever held back. Values and lines that say nothing (plausible.h) are not
 * replaced: they would blank out ordinary words.
 *
 * The time is linear in the text, whatever values there are; without values there is no cost. */
#ifndef KR_BASE_REDACT_H
#define KR_BASE_REDACT_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* Variable of a served app that names those of its variables, separated by commas, whose values the
 * server registers. The names are no secret: they stay readable in what both programs say. */
#define KR_SECRET_NAMES "KOUROU_SECRET_NAMES"

enum { KR_REDACT_BLOCK = 512 };

void kr_redact_add(const char *secret); /* copies; NULL and doubles are ignored; thread-safe */

/* Replaces what is registered in text, in place, by asterisks of the same length. */
void kr_redact(char *text, size_t n);

/* As kr_redact(), for a text that may end in the middle of a value: what is left of one at the end
 * (half of it, or 16 bytes) is replaced too. */
void kr_redact_cut(char *text, size_t n);

/* Each registered value, while nobody can add one: each() must not come back here. */
void kr_redact_each(void (*each)(void *data, const char *value, size_t n), void *data);

void kr_redact_clear(void); /* wipes and forgets all values */

/* A text that comes in pieces, cut anywhere. The answer is that of kr_redact_cut() for the whole,
 * however it was cut. Values that are registered meanwhile count from the next piece on. */
struct kr_redactor {
    struct kr_buf held; /* the last bytes: they may belong to a value that is not complete */
    uint32_t at;        /* state of the matcher after them */
    uint64_t edition;   /* of the values that it was made for */
};

void kr_redactor_init(struct kr_redactor *r);
/* Adds to out what can be said now; what is held back is shorter than KR_REDACT_BLOCK. */
void kr_redactor_feed(struct kr_redactor *r, const char *bytes, size_t n, struct kr_buf *out);
void kr_redactor_end(struct kr_redactor *r, struct kr_buf *out); /* the rest; ready for another */
void kr_redactor_finish(struct kr_redactor *r);

#endif
