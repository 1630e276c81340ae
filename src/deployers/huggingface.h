/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the huggingface deployer: what its files share. */
#ifndef KR_DEPLOYERS_HUGGINGFACE_H
#define KR_DEPLOYERS_HUGGINGFACE_H

#include "deployers/deployer_impl.h"
#include "deployers/space.h"
#include "hub/space.h"
#include "pack/launch.h"

/* One call of a deployer function: the Hub, and what is asked of it. */
struct kr_hf {
    const struct kr_deployer_env *env;
    const struct kr_deployment *what;
    struct kr_hub *hub;
    json_t *metadata;     /* copy of what->metadata that grows and is saved */
    struct kr_gate *gate; /* what is sent has passed it; made by kr_hf_files */
};
int kr_hf_init(struct kr_hf *hf, const struct kr_deployer_env *env,
               const struct kr_deployment *what, struct kr_err *err) KR_MUST_USE;
void kr_hf_finish(struct kr_hf *hf);
#define kr_auto_hf kr_auto(kr_hf_finish)

/* "owner/name" of the Space as recorded, or NULL when there never was one. Borrowed. */
const char *kr_hf_space_id(const struct kr_hf *hf);

/* Records one fact and saves all of them at once. */
int kr_hf_save(struct kr_hf *hf, const char *key, json_t *value, struct kr_err *err) KR_MUST_USE;

void kr_hf_note(const struct kr_hf *hf, bool warning, const char *fmt, ...) KR_PRINTF(3, 4);
void kr_hf_step(const struct kr_hf *hf, const char *step, bool finished, const char *fmt, ...)
    KR_PRINTF(4, 5);

/* KR_E_CONFLICT when the Space has been renamed since. */
int kr_hf_check_moved(const struct kr_hf *hf, const char *asked, const struct kr_space *space,
                      struct kr_err *err) KR_MUST_USE;

/* Files to launch. *mode as settings and stack decide. open: strangers can read them. warnings are
 * shown as notes. */
int kr_hf_files(struct kr_hf *hf, const struct kr_space_want *want, bool open,
                struct kr_files *files, struct kr_err *err) KR_MUST_USE;
enum kr_launch_mode kr_hf_mode(const struct kr_deployment *what);

/* Starts a Space that is paused. When that is refused the error says that it is down, and how it
 * can be started. *moving: the answer shows the restart already. */
int kr_hf_start(struct kr_hf *hf, const char *id, bool *moving, struct kr_err *err) KR_MUST_USE;

/* KR_E_CONFLICT when the Space carries no marker of this deployment. */
int kr_hf_need_ours(struct kr_hf *hf, const char *id, struct kr_err *err) KR_MUST_USE;

int kr_hf_provision(const struct kr_deployer_env *env, const struct kr_deployment *what,
                    int64_t timeout_ms, struct kr_deployment_status *status, bool *changed,
                    struct kr_err *err);
/* As `restart` of the table. */
int kr_hf_restart(const struct kr_deployer_env *env, const struct kr_deployment *what, bool factory,
                  int64_t timeout_ms, struct kr_deployment_status *status, struct kr_err *err);
/* As `ready` of the table. */
int kr_hf_ready(const struct kr_deployer_env *env, const struct kr_deployment *what,
                int64_t timeout_ms, struct kr_deployment_status *status, struct kr_err *err);
/* One GET of a path of the app through its public address; 0: an answer of any status. */
int kr_hf_visit(struct kr_hf *hf, const struct kr_runtime *rt, bool is_private, const char *path,
                struct kr_http_response *res, struct kr_err *err) KR_MUST_USE;
int kr_hf_plan(const struct kr_deployer_env *env, const struct kr_deployment *what, json_t **plan,
               struct kr_err *err);

/* What to wait for. */
struct kr_hf_goal {
    const struct kr_space_want *want;
    const char *commit;              /* that shall serve */
    bool new_commit;                 /* it was made just now */
    bool expects_move;               /* something was changed just now */
    bool is_private;                 /* calls of the app carry the token of the Hub */
    bool move_seen;                  /* and seen to begin */
    bool created;                    /* the Space itself was: it has no verdict of before */
    const struct kr_runtime *before; /* as found before the change, or NULL */
    int64_t deadline_ms;             /* monotonic */
};

/* Waits until the commit serves and the app answers healthy through its public address; shows
 * stages and log lines as they come. status gets state, url and detail in any case. */
int kr_hf_wait(struct kr_hf *hf, const struct kr_hf_goal *goal, struct kr_deployment_status *status,
               struct kr_err *err) KR_MUST_USE;

#endif
