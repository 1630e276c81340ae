/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the code of deployed snapshots, <data>/code/<digest>/, so that there is something to go
 * back to. */
#ifndef KR_APP_CODE_H
#define KR_APP_CODE_H

#include "app/app.h"

/* Folder with the snapshot's code: its source root when the code there is unchanged, else the copy
 * that was kept, else the source root as it is now with a warning (exact: an error). *root is
 * replaced. */
int kr_code_root(struct kr_app *app, const json_t *snapshot, bool exact, char **root,
                 struct kr_err *err) KR_MUST_USE;

/* Keeps a copy of the code below root, unless it is large, and removes copies that no deployment
 * refers to any more. Failing is no error. */
void kr_code_keep(struct kr_app *app, const char *root, const json_t *document);

/* The kept copy's folder, or NULL. Caller frees. */
char *kr_code_kept(struct kr_app *app, const json_t *document) KR_MUST_USE;

/* Removes copies that no deployment refers to. */
void kr_code_prune(struct kr_app *app);

#endif
