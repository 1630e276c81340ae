/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets and variables of a Space. Each change restarts it, so only differences are sent; secrets
 * can never be read back, so what we set is remembered by digest (the record). */
#ifndef KR_HUB_VARS_H
#define KR_HUB_VARS_H

#include "hub/hub.h"

enum kr_var_kind { KR_VARIABLE, KR_SECRET };

/* {"KEY":{"value","description","updatedAt"}}; secrets come without values. */
int kr_vars_list(struct kr_hub *hub, const char *space, enum kr_var_kind kind, json_t **out,
                 struct kr_err *err) KR_MUST_USE;
int kr_vars_set(struct kr_hub *hub, const char *space, enum kr_var_kind kind, const char *key,
                const char *value, struct kr_err *err) KR_MUST_USE;
/* A key that is not there is fine. */
int kr_vars_delete(struct kr_hub *hub, const char *space, enum kr_var_kind kind, const char *key,
                   struct kr_err *err) KR_MUST_USE;

/* A letter, then letters, digits and '_'. */
int kr_vars_check_key(const char *key, struct kr_err *err) KR_MUST_USE;

struct kr_var_change {
    enum kr_var_kind kind;
    bool remove;
    char *key;
    char *value; /* NULL when removed; secrets are wiped when the plan is finished */
};

struct kr_vars_plan {
    struct kr_var_change *v; /* removals first */
    size_t n;
    json_t *record; /* what to remember once all changes are made; {} counts as "nothing known" */
};
void kr_vars_plan_finish(struct kr_vars_plan *plan);
#define kr_auto_vars_plan kr_auto(kr_vars_plan_finish)

/* What has to change. Pure: sends nothing.
 *  wanted_*  {"KEY":"value"} or NULL
 *  remote_*  as kr_vars_list gives it; NULL for a Space that is being created with all of it
 *  record    plan->record of the last time, or NULL
 * Removed is only what the record says was ours; what others set is left alone. A secret is sent
 * when its digest differs, is not known, or the Hub's updatedAt says that somebody changed it
 * since. KR_E_INVALID: a bad key, a key wanted as both, or wanted as one and set by others as the
 * other (the Space would go to CONFIG_ERROR). */
int kr_vars_plan(const json_t *wanted_secrets, const json_t *wanted_variables,
                 const json_t *remote_secrets, const json_t *remote_variables, const json_t *record,
                 struct kr_vars_plan *plan, struct kr_err *err) KR_MUST_USE;

/* Sends the changes in order. */
int kr_vars_apply(struct kr_hub *hub, const char *space, const struct kr_vars_plan *plan,
                  struct kr_err *err) KR_MUST_USE;

#endif
