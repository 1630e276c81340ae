/* SPDX-License-Identifier: Apache-2.0 */
/* A complete snapshot document from a source: compiled, settings merged, digest of the code
 * added. */
#ifndef KR_APP_MAKE_H
#define KR_APP_MAKE_H

#include "app/deploy.h"
#include "base/digest.h"

struct kr_made {
    json_t *document;
    json_t *
        auth_key; /* of the settings: text, {{secret.key}}, or null; plain text is in no snapshot */
    json_t *needs; /* what the code loads and reads on import (pack/needs.h); in no snapshot */
    char digest[KR_SHA256_HEX + 7];
    char *source_root;
    char *python; /* NULL for native pipelines */
};
void kr_made_finish(struct kr_made *made);
#define kr_auto_made kr_auto(kr_made_finish)

/* deployer: row of the component whose flavor and configuration take part in the merge. stack: row
 * with its components, or NULL; code that would not fit into a Space is refused by its size then,
 * before any of it is read. Code that needs what is not sent is KR_E_INVALID. */
int kr_make(struct kr_app *app, const struct kr_deploy_request *request, const char *root,
            const json_t *stack, const json_t *deployer, struct kr_made *out,
            struct kr_err *err) KR_MUST_USE;

/* Digest of the code below root as it is now ("sha256:..."). KR_E_LIMIT when there is too much of
 * it. */
int kr_code_digest(struct kr_app *app, const char *root, const json_t *document,
                   char digest[KR_SHA256_HEX + 7], struct kr_err *err) KR_MUST_USE;

struct kr_snapshot_label {
    const char *name, *description; /* NULL: unnamed */
    const json_t *tags;
    bool replace; /* the name is taken from the snapshot that has it */
};

/* The stored row: an equal unnamed one is found again, not stored twice. label NULL: unnamed. */
int kr_made_store(struct kr_app *app, const struct kr_made *made, const json_t *stack,
                  const struct kr_snapshot_label *label, json_t **row,
                  struct kr_err *err) KR_MUST_USE;

#endif
