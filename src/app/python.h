/* SPDX-License-Identifier: Apache-2.0 */
/* The Python of the user, and ours that runs in it. */
#ifndef KR_APP_PYTHON_H
#define KR_APP_PYTHON_H

#include "app/app.h"
#include "app/python_find.h"

/* Runs `_boot.py <args>` with cwd dir; what it writes to stdout and stderr goes to the ui's log
 * lines (source "python"). args: NULL at the end. meanwhile: what to do while it runs, or NULL. */
int kr_python_boot(struct kr_app *app, const char *python, const char *dir, const char *const *args,
                   void (*meanwhile)(void), int *status, struct kr_err *err) KR_MUST_USE;

/* Runs `_boot.py <command>` with a question on its standard input; *answer, the caller's, is what
 * it wrote. */
int kr_python_ask(struct kr_app *app, const char *python, const char *command,
                  const json_t *question, json_t **answer, struct kr_err *err) KR_MUST_USE;

/* Fails with the command to run when this Python is too old or lacks pydantic 2. */
int kr_python_check(struct kr_app *app, const struct kr_python *python,
                    struct kr_err *err) KR_MUST_USE;

#endif
