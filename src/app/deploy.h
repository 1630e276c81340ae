/* SPDX-License-Identifier: Apache-2.0 */
/* From source to a running deployment. */
#ifndef KR_APP_DEPLOY_H
#define KR_APP_DEPLOY_H

#include "app/app.h"

struct kr_deploy_request {
    const char *source;          /* pkg.module.attr, or libfoo.so[:symbol]; NULL with snapshot */
    const char *snapshot;        /* name, id or prefix of a stored snapshot; NULL with source */
    const char *pipeline;        /* narrows the snapshot search */
    const char *name;            /* deployment name; NULL: the pipeline's */
    const char *config_file;     /* YAML, or NULL */
    const char *stack;           /* NULL: the active one */
    const char *python;          /* NULL: found */
    const char *build;           /* id or path of a build to use, or NULL */
    const char *build_mode;      /* overrides settings, or NULL */
    const json_t *allow_secrets; /* files that are sent whatever looks like a credential in them, or
NULL */
    int timeout_s;               /* 0: lcm_timeout */
    bool update, overtake, prevent_build_reuse, dry_run, adopt, rehearse;
    bool add_missing; /* packages that the code imports are added to its requirements */
};

/* *deployment: row as kr_deployment_get gives it (for dry_run: the plan). Running it again after
 * any failure or kill goes on. An unchanged deployment gives "unchanged": true in the row. */
int kr_deploy(struct kr_app *app, const struct kr_deploy_request *request, json_t **deployment,
              struct kr_err *err) KR_MUST_USE;

/* Compiles and stores without deploying. name may be NULL; replace moves a taken name. */
int kr_snapshot_create(struct kr_app *app, const struct kr_deploy_request *request,
                       const char *name, const char *description, bool replace, const json_t *tags,
                       json_t **row, struct kr_err *err) KR_MUST_USE;
int kr_snapshot_delete(struct kr_app *app, const char *ref, struct kr_err *err) KR_MUST_USE;
int kr_pipeline_delete(struct kr_app *app, const char *ref, struct kr_err *err) KR_MUST_USE;

#endif
