/* SPDX-License-Identifier: Apache-2.0 */
/* A deployment as its deployer sees it, put together from the records: settings with references
 * resolved, environment, secrets, key. Secret values live here and nowhere else, for one call. */
#ifndef KR_APP_TARGET_H
#define KR_APP_TARGET_H

#include "app/app.h"
#include "deployers/deployer.h"

struct kr_build_log;

struct kr_target {
    struct kr_app *app;
    json_t *row;      /* the deployment's record */
    json_t *snapshot; /* the snapshot's record, NULL when there is none any more */
    json_t *settings, *environment, *secrets, *stack, *metadata;
    char *auth_key; /* resolved */
    char *source_root;
    char *image;
    const struct kr_deployer *deployer;
    struct kr_deployer_env env;
    struct kr_deployment what;
    bool quiet;                     /* no progress, notes, log lines: looks from other threads */
    struct kr_build_log *build_log; /* gets what is shown while an image is built, or NULL */
};

/* What the call needs: to look, listen, call (settings and key), or to bring it about (all). */
enum kr_target_depth { KR_TARGET_LOOK, KR_TARGET_FULL };

/* row: a full record (kr_store_find), with "snapshot_row" when the snapshot is not the stored one;
 * that and "deployer_row" spare looking them up. The deployer is NULL-safe but may be one that this
 * build lacks: checked for KR_TARGET_FULL. *out refers to itself: it must stay where it is. */
int kr_target_init(struct kr_app *app, const json_t *row, enum kr_target_depth depth,
                   struct kr_target *out, struct kr_err *err) KR_MUST_USE;
void kr_target_finish(struct kr_target *target);
#define kr_auto_target kr_auto(kr_target_finish)

/* What the deployer of the record says of itself, also when this build lacks it. */
const struct kr_deployer_traits *kr_target_traits(const struct kr_target *target);

/* The deployer of a flavor, or an error that says what this build can do. */
int kr_deployer_need(const char *flavor, const struct kr_deployer **out,
                     struct kr_err *err) KR_MUST_USE;

/* Full record of a deployment by name, id or prefix. */
int kr_deployment_row(struct kr_app *app, const char *ref, json_t **row,
                      struct kr_err *err) KR_MUST_USE;

/* Whether the user who runs this made it. */
bool kr_deployment_is_mine(const json_t *row);

/* The deployer component that a deployment was made with, or the flavor alone when it is gone. */
int kr_deployment_deployer(struct kr_app *app, const json_t *row, json_t **component,
                           struct kr_err *err) KR_MUST_USE;

/* What is left on this machine of deployments that the store does not know any more goes. */
void kr_deployments_sweep(struct kr_app *app);

/* A line of the deployment's history. */
int kr_event_add(struct kr_app *app, const char *deployment_id, const char *what,
                 const char *detail, struct kr_err *err) KR_MUST_USE;

/* Text of a setting that may be a {{secret.key}} reference. *out is the caller's; NULL for null. */
int kr_text_resolve(struct kr_app *app, const json_t *value, char **out,
                    struct kr_err *err) KR_MUST_USE;

bool kr_cancelled(const struct kr_app *app);

#endif
