/* SPDX-License-Identifier: Apache-2.0 */
/* What may reach a terminal. Names, logs and answers come from others and may hold codes that move
 * the cursor, set titles, link elsewhere or turn the order of letters around. Everything that is
 * printed for people goes through here: each piece when it is put into its place (kr_printable),
 * and each output as a whole, so that no piece can be forgotten (kr_screen). */
#ifndef KR_CLI_SCREEN_H
#define KR_CLI_SCREEN_H

#include "cli/term.h"

#include <stddef.h>

struct kr_buf;

/* One line of text without any code: escape sequences (7 and 8 bit; with the text of OSC, DCS and
 * their like) and marks of direction are left out, other controls and line ends become spaces, what
 * is not UTF-8 '?'. In place. */
void kr_printable(char *text);

/* The same for output of several lines: line ends and tabs stay, and with colours the codes of
 * kr_style(). Returns the new length; text is not terminated. */
size_t kr_screen(const struct kr_term *term, char *text, size_t n);

/* JSON text, which stays the same value: what kr_printable would take out is escaped. */
void kr_screen_json(const char *text, struct kr_buf *out);

#endif
