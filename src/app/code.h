/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the code of deployed snapshots, <data>/code/<digest>/, so that there is something to go
 * back to. */
#ifndef KR_APP_CODE_H
#define KR_APP_CODE_H

#include "app/app.h"
#include "core/files.h"

enum { KR_CODE_KEEP_MAX = 64 << 20 }; /* bytes of code that are kept */

/* Folder with the snapshot's code: its source root when the code there is unchanged, else the copy
 * that was kept, else the source root as it is now with a warning (exact: an error). *root is
 * replaced. */
int kr_code_root(struct kr_app *app, const json_t *snapshot, bool exact, char **root,
                 struct kr_err *err) KR_MUST_USE;

/* Keeps a copy of the code below root, unless it is large, and removes copies that no deployment
 * refers to any more. Failing is no error. */
void kr_code_keep(struct kr_app *app, const char *root, const json_t *document);

/* code_place.c: puts the snapshot's code below root (kr_code_root) into folder. What the ignore
 * rules leave out of it, and files of data that are too large to copy, become links to where they
 * lie, so that what the code reads is there. What was in folder goes. *placed: false when the code
 * is too large, which was said. */
int kr_code_place(struct kr_app *app, const json_t *snapshot, const char *root, const char *folder,
                  bool *placed, struct kr_err *err) KR_MUST_USE;

/* The kept copy's folder, or NULL. Caller frees. */
char *kr_code_kept(struct kr_app *app, const json_t *document) KR_MUST_USE;

/* The files of the code below root; *same: they are those of the snapshot. */
int kr_code_collect(struct kr_app *app, const char *root, const json_t *document,
                    struct kr_files *files, bool *same, struct kr_err *err) KR_MUST_USE;
int kr_code_copy(const struct kr_files *files, const char *folder, struct kr_err *err) KR_MUST_USE;
/* The library of a native pipeline below its root; NULL: it is Python. Caller frees. */
char *kr_code_library(const json_t *document) KR_MUST_USE;

/* Removes copies that no deployment refers to. */
void kr_code_prune(struct kr_app *app);

#endif
