/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a deployment to a snapshot: checks first, then the record, then the work. What deploy,
 * provision and rollback have in common. */
#ifndef KR_APP_ROLLOUT_H
#define KR_APP_ROLLOUT_H

#include "app/make.h"

struct kr_rollout {
    const json_t *existing; /* record, or NULL: a new deployment */
    const json_t *fields; /* of the record as wanted: name, pipeline, stack_id, deployer_id, flavor,
                             auth_key */
    /* a snapshot that is not stored yet, with the stack it was made for; or */
    const struct kr_made *made;
    const json_t *stack;
    const json_t *snapshot; /* the record of one that is */
    const char *image;      /* finished image, or NULL */
    /* paths below the source root that may hold look-alikes of credentials; NULL: as recorded */
    const json_t *allow_secrets;
    const char *verb; /* for the history: "deploy", "provision", "rollback" */
    bool keep_root;   /* only code that equals the snapshot's will do */
    int timeout_s;    /* 0: lcm_timeout */
    bool dry_run, adopt, rehearse, prevent_build_reuse;
};

/* Call it while holding the deployment's lock. *row: as kr_deployment_get gives it, with
 * "unchanged" when nothing was to be done; with dry_run the plan. */
int kr_rollout(struct kr_app *app, const struct kr_rollout *what, json_t **row,
               struct kr_err *err) KR_MUST_USE;

/* Exclusive work on a deployment name. */
int kr_deployment_lock(struct kr_app *app, const char *name, int *fd,
                       struct kr_err *err) KR_MUST_USE;

#endif
