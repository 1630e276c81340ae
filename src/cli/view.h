/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees on stderr while a command works: notes, one live line for the current step,
 * log lines as they come. On a terminal the live line is redrawn in place; elsewhere each step is a
 * plain line when it begins and one when it ends. Nothing here writes to stdout. */
#ifndef KR_CLI_VIEW_H
#define KR_CLI_VIEW_H

#include "cli/cmd.h"

struct kr_view_state;

struct kr_view_state *kr_view_create(struct kr_cli *cli) KR_MUST_USE;
void kr_view_destroy(struct kr_view_state *view); /* takes the live line away */

/* The callbacks for use cases. */
void kr_view_ui(struct kr_view_state *view, struct kr_ui *ui);

void kr_view_note(struct kr_view_state *view, enum kr_note kind, const char *text);
/* Takes the live line away so that something else can be printed; it comes back with the
 * next progress. */
void kr_view_clear(struct kr_view_state *view);

/* First Ctrl-C: kr_view_interrupted() is true from then on. Second, or first with at_once: the
 * process ends with 130. */
void kr_view_catch_interrupt(bool at_once);
bool kr_view_interrupted(void);
int kr_view_signal(void); /* the first such signal (SIGTERM counts too), or 0 */

/* Asks a question unless --yes was given. 0: go on; KR_E_CANCELLED: declined. Without a terminal
 * and
 * --yes it is an error that names --yes. */
int kr_ask(struct kr_cli *cli, struct kr_err *err, const char *fmt, ...)
    KR_PRINTF(3, 4) KR_MUST_USE;

/* A line typed at the terminal. secret: not echoed. *text is the caller's; KR_E_INVALID without
 * one. */
int kr_prompt(struct kr_cli *cli, const char *question, bool secret, char **text,
              struct kr_err *err) KR_MUST_USE;

#endif
