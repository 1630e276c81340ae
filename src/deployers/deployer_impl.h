/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployer flavor implements; NULL members mean "nothing to do" or "not possible here". */
#ifndef KR_DEPLOYERS_DEPLOYER_IMPL_H
#define KR_DEPLOYERS_DEPLOYER_IMPL_H

#include "core/deployer_flavors.h"
#include "deployers/deployer.h"

/* What a failed provision leaves of what ran before. */
enum kr_former {
    KR_FORMER_UNKNOWN,     /* parts of both, most likely */
    KR_FORMER_UNLESS_SLOW, /* that, as it was; what was too slow goes on starting */
    KR_FORMER_KEPT         /* that, as it was */
};

struct kr_deployer {
    const char *flavor;
    enum kr_former former;
    struct kr_deployer_traits traits;
    int (*validate)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                    struct kr_err *err);
    int (*provision)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                     int64_t timeout_ms, struct kr_deployment_status *status, bool *changed,
                     struct kr_err *err);
    int (*plan)(const struct kr_deployer_env *env, const struct kr_deployment *what, json_t **plan,
                struct kr_err *err);
    int (*status)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                  struct kr_deployment_status *status, struct kr_err *err);
    int (*logs)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                const struct kr_log_request *request, struct kr_err *err);
    int (*deprovision)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                       bool remove, int64_t timeout_ms, struct kr_err *err);
    /* NULL: it is taken down and brought back. */
    int (*restart)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   bool factory, int64_t timeout_ms, struct kr_deployment_status *status,
                   struct kr_err *err);
    int (*ready)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                 int64_t timeout_ms, struct kr_deployment_status *status, struct kr_err *err);
    int (*headers)(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   json_t **headers, struct kr_err *err);
    void (*sweep)(const struct kr_deployer_env *env, kr_record_known known, void *data);
};

#define KR_DEPLOYER_OF(id, name, integration, about)                                               \
    extern const struct kr_deployer kr_deployer_##id;
KR_DEPLOYER_FLAVORS(KR_DEPLOYER_OF)
#undef KR_DEPLOYER_OF

#endif
