/* SPDX-License-Identifier: Apache-2.0 */
/* Managing deployments. */
#ifndef KR_APP_DEPLOYMENT_H
#define KR_APP_DEPLOYMENT_H

#include "app/app.h"

/* Page of deployments with live state: one look per deployment, in parallel, bounded by time; rows
 * that could not be read have the status "unknown" and say why in "state_note". */
int kr_deployments_list(struct kr_app *app, const struct kr_query *query, json_t **page,
                        struct kr_err *err) KR_MUST_USE;

/* Row with live state, schemas, hints for calling it ("invoke_example", "curl_example"), history;
 * auth key in clear only with show_secret (else masked). */
int kr_deployment_get(struct kr_app *app, const char *ref, bool show_secret, json_t **row,
                      struct kr_err *err) KR_MUST_USE;

/* The same from the record alone, for who has just looked. */
int kr_deployment_recorded(struct kr_app *app, const char *ref, json_t **row,
                           struct kr_err *err) KR_MUST_USE;

int kr_deployment_refresh(struct kr_app *app, const char *ref, json_t **row,
                          struct kr_err *err) KR_MUST_USE;
/* allow_secrets: as in kr_deploy_request; NULL: those of the deploy. */
int kr_deployment_provision(struct kr_app *app, const char *ref, const char *snapshot,
                            const char *pipeline, const json_t *allow_secrets, bool overtake,
                            int timeout_s, json_t **row, struct kr_err *err) KR_MUST_USE;
int kr_deployment_deprovision(struct kr_app *app, const char *ref, int timeout_s,
                              struct kr_err *err) KR_MUST_USE;
/* force: the record goes even when deprovisioning fails. */
int kr_deployment_delete(struct kr_app *app, const char *ref, bool force, int timeout_s,
                         struct kr_err *err) KR_MUST_USE;

/* factory: built anew without any cache, where the deployer builds in place. */
int kr_deployment_restart(struct kr_app *app, const char *ref, bool factory, int timeout_s,
                          json_t **row, struct kr_err *err) KR_MUST_USE;

/* The Hub's hardware: [{"name","cpu","ram","accelerator","usd_per_hour"}]. */
int kr_hardware_rows(json_t **rows, struct kr_err *err) KR_MUST_USE;

/* parameters: {"name":"text from the command line"}, typed by the input schema here. *answer: the
 * parsed response body. A failed pipeline is 0 with *ok false; transport and HTTP errors are
 * errors. */
int kr_deployment_invoke(struct kr_app *app, const char *ref, const json_t *parameters,
                         int timeout_s, json_t **answer, bool *ok, struct kr_err *err) KR_MUST_USE;

struct kr_logs_request {
    bool follow;
    bool build;   /* the build log, where the deployer has one */
    int64_t tail; /* -1: all */
    void (*line)(void *data, const char *line);
    void *data;
};
int kr_deployment_logs(struct kr_app *app, const char *ref, const struct kr_logs_request *request,
                       struct kr_err *err) KR_MUST_USE;

/* What a redeploy of source (NULL: the recorded one) would change; back to the previous
 * snapshot. */
int kr_deployment_diff(struct kr_app *app, const char *ref, json_t **changes,
                       struct kr_err *err) KR_MUST_USE;
int kr_deployment_rollback(struct kr_app *app, const char *ref, const json_t *allow_secrets,
                           int timeout_s, json_t **row, struct kr_err *err) KR_MUST_USE;

#endif
