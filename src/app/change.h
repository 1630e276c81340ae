/* SPDX-License-Identifier: Apache-2.0 */
/* What changes of components and stacks have in common. */
#ifndef KR_APP_CHANGE_H
#define KR_APP_CHANGE_H

#include "app/app.h"
#include "core/component.h"

/* The runtime part of a change; members may be NULL. */
struct kr_runtime_change {
    const json_t *labels;         /* {"k":"v"} */
    const json_t *env;            /* {"K":"v"}; "" removes */
    const json_t *secrets;        /* ["name"] */
    const json_t *remove_secrets; /* ["name"] */
};

/* Puts labels, env and secrets of row (or of nothing, when NULL) with the change applied into
 * changes. A secret that does not exist is KR_E_NOT_FOUND. */
int kr_change_runtime(struct kr_app *app, const json_t *row, const struct kr_runtime_change *what,
                      json_t *changes, struct kr_err *err) KR_MUST_USE;

/* Row again after a change; row may be NULL. */
int kr_change_reload(struct kr_app *app, enum kr_entity entity, const char *id, json_t **row,
                     struct kr_err *err) KR_MUST_USE;

/* Ends the transaction in which a change read and wrote, so that two at once keep both: with rc 0
 * it is committed and *made becomes *row (row may be NULL, then made is not used), else it is
 * undone. Gives rc, or the error of the commit. */
int kr_change_end(struct kr_app *app, int rc, json_t **made, json_t **row,
                  struct kr_err *err) KR_MUST_USE;

/* Fails with KR_E_CONFLICT when deployments that are not absent match scope (a field of deployments
 * and its value). `what` for the message: "the deployer 'd'". */
int kr_change_refuse_in_use(struct kr_app *app, const char *field, const char *id, const char *what,
                            struct kr_err *err) KR_MUST_USE;

/* Names of the rows of a page, comma-separated. Caller frees. */
char *kr_change_names(const json_t *page) KR_MUST_USE;

#endif
