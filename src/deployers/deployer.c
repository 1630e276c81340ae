/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/deployer_impl.h"

#include "base/alloc.h"

#include <string.h>

static const struct kr_deployer *const builtin[] = {
#define ONE(id, name, integration, about) &kr_deployer_##id,
    KR_DEPLOYER_FLAVORS(ONE)
#undef ONE
};

const struct kr_deployer *kr_deployer_find(const char *flavor)
{
    for (size_t i = 0; flavor != NULL && i < KR_ARRAY_LEN(builtin); i++) {
        if (strcmp(builtin[i]->flavor, flavor) == 0)
            return builtin[i];
    }
    return NULL;
}

char *kr_deployer_names(void)
{
    char *names = kr_strdup(builtin[0]->flavor);

    for (size_t i = 1; i < KR_ARRAY_LEN(builtin); i++) {
        char *longer = kr_asprintf("%s, %s", names, builtin[i]->flavor);

        free(names);
        names = longer;
    }
    return names;
}

const struct kr_deployer_traits *kr_deployer_traits(const char *flavor)
{
    static const struct kr_deployer_traits unknown = {.takes = KR_TAKES_UNKNOWN};
    const struct kr_deployer *d = kr_deployer_find(flavor);

    return d != NULL ? &d->traits : &unknown;
}

void kr_deployment_status_finish(struct kr_deployment_status *status)
{
    free(status->url);
    free(status->page_url);
    free(status->detail);
    json_decref(status->metadata);
    *status = (struct kr_deployment_status){.state = KR_STATE_UNKNOWN};
}

static int not_possible(const struct kr_deployer *d, const char *what, struct kr_err *err)
{
    return kr_fail(err, KR_E_INVALID, "the deployer flavor '%s' cannot %s",
                   d != NULL ? d->flavor : "?", what);
}

int kr_deployer_validate(const struct kr_deployer *d, const struct kr_deployer_env *env,
                         const struct kr_deployment *what, struct kr_err *err)
{
    return d != NULL && d->validate != NULL ? d->validate(env, what, err) : 0;
}

int kr_deployer_provision(const struct kr_deployer *d, const struct kr_deployer_env *env,
                          const struct kr_deployment *what, int64_t timeout_ms,
                          struct kr_deployment_status *status, bool *changed, struct kr_err *err)
{
    *status = (struct kr_deployment_status){.state = KR_STATE_UNKNOWN};
    *changed = false;
    if (d == NULL || d->provision == NULL)
        return not_possible(d, "deploy", err);
    return d->provision(env, what, timeout_ms, status, changed, err);
}

bool kr_deployer_keeps_former(const struct kr_deployer *d, enum kr_code code)
{
    return d != NULL && (d->former == KR_FORMER_KEPT ||
                         (d->former == KR_FORMER_UNLESS_SLOW && code != KR_E_TIMEOUT));
}

int kr_deployer_plan(const struct kr_deployer *d, const struct kr_deployer_env *env,
                     const struct kr_deployment *what, json_t **plan, struct kr_err *err)
{
    *plan = NULL;
    if (d == NULL || d->plan == NULL)
        return not_possible(d, "say beforehand what it would do", err);
    return d->plan(env, what, plan, err);
}

int kr_deployer_status(const struct kr_deployer *d, const struct kr_deployer_env *env,
                       const struct kr_deployment *what, struct kr_deployment_status *status,
                       struct kr_err *err)
{
    *status = (struct kr_deployment_status){.state = KR_STATE_UNKNOWN};
    if (d == NULL || d->status == NULL)
        return not_possible(d, "say how a deployment is", err);
    return d->status(env, what, status, err);
}

int kr_deployer_logs(const struct kr_deployer *d, const struct kr_deployer_env *env,
                     const struct kr_deployment *what, const struct kr_log_request *request,
                     struct kr_err *err)
{
    if (d == NULL || d->logs == NULL)
        return not_possible(d, "show logs", err);
    return d->logs(env, what, request, err);
}

int kr_deployer_deprovision(const struct kr_deployer *d, const struct kr_deployer_env *env,
                            const struct kr_deployment *what, bool remove, int64_t timeout_ms,
                            struct kr_err *err)
{
    if (d == NULL || d->deprovision == NULL)
        return not_possible(d, "take a deployment down", err);
    return d->deprovision(env, what, remove, timeout_ms, err);
}

void kr_deployers_sweep(const struct kr_deployer_env *env, kr_record_known known, void *data)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(builtin); i++) {
        if (builtin[i]->sweep != NULL)
            builtin[i]->sweep(env, known, data);
    }
}

bool kr_deployer_restarts(const struct kr_deployer *d)
{
    return d != NULL && d->restart != NULL;
}

int kr_deployer_restart(const struct kr_deployer *d, const struct kr_deployer_env *env,
                        const struct kr_deployment *what, bool factory, int64_t timeout_ms,
                        struct kr_deployment_status *status, struct kr_err *err)
{
    return d->restart(env, what, factory, timeout_ms, status, err);
}

int kr_deployer_ready(const struct kr_deployer *d, const struct kr_deployer_env *env,
                      const struct kr_deployment *what, int64_t timeout_ms,
                      struct kr_deployment_status *status, struct kr_err *err)
{
    *status = (struct kr_deployment_status){.state = KR_STATE_UNKNOWN};
    return d != NULL && d->ready != NULL ? d->ready(env, what, timeout_ms, status, err) : 0;
}

int kr_deployer_headers(const struct kr_deployer *d, const struct kr_deployer_env *env,
                        const struct kr_deployment *what, json_t **headers, struct kr_err *err)
{
    kr_auto_free char *bearer = NULL;

    *headers = NULL;
    if (d != NULL && d->headers != NULL)
        return d->headers(env, what, headers, err);
    *headers = json_object();
    if (what->auth_key != NULL) {
        bearer = kr_asprintf("Bearer %s", what->auth_key);
        kr_json_set_str(*headers, "Authorization", bearer);
    }
    return 0;
}
