/* SPDX-License-Identifier: Apache-2.0 */
/* A deployer brings a deployment to life somewhere. Users of deployers include this file;
 * implementations add deployer_impl.h. */
#ifndef KR_DEPLOYERS_DEPLOYER_H
#define KR_DEPLOYERS_DEPLOYER_H

#include "base/json.h"
#include "core/state.h"

#include <stdbool.h>
#include <stdint.h>

/* What the deployer may do with its surroundings; given by app, valid for one call. */
struct kr_deployer_env {
    void *data;
    /* Progress of long work; see struct kr_progress in app.h for the meaning. */
    void (*step)(void *data, const char *step, const char *text, int64_t done, int64_t total,
                 bool bytes, bool finished);
    void (*note)(void *data, bool warning, const char *text);
    void (*log_line)(void *data, const char *source, const char *line);
    /* Stores the deployment's metadata at once, so that a killed deploy can go on from here. */
    int (*save)(void *data, const json_t *metadata, struct kr_err *err);
    bool (*cancelled)(void *data);
    /* Puts the code into a folder, which is made for it, as it was deployed. *placed is false when
     * it is too large for that, which has been said then: the source root is what there is. */
    int (*place)(void *data, const char *folder, bool *placed, struct kr_err *err);
    int64_t until_ms;        /* monotonic: a look gives up then, and says for what; 0: never */
    const char *data_dir;    /* Kourou's data folder */
    const char *runtime_dir; /* holds kourou-serve, kourou-native, python/ */
    const char *prog;
    const char *store; /* names the store whose record this is: several can share a data folder */
};

/* A deployment as the deployer sees it. All borrowed. */
struct kr_deployment {
    const char *id, *name, *pipeline;
    const char *snapshot_id, *snapshot_name;
    const json_t *snapshot; /* the whole document with merged settings */
    /* this flavor's settings: typed, defaults filled in, references resolved */
    const json_t *settings;
    const json_t *environment; /* {"NAME":"value"} */
    const json_t *secrets;     /* {"NAME":"secret value"}; without the auth key */
    const char *auth_key;      /* NULL: none */
    const char *source_root;
    const char *machine; /* processor of where it runs ("arm64"); NULL: that of Spaces */
    const char *python;  /* interpreter for the local machine; NULL for native pipelines */
    const json_t *stack; /* components of the stack by key, references resolved (container_registry,
                            image_builder) */
    const json_t *allow_secrets; /* paths below source_root whose look-alikes of credentials are
                                    meant to be sent, or NULL */
    const char *image;      /* finished image "repository@sha256:...", or NULL: none was built */
    const json_t *metadata; /* what earlier calls saved; {} at first */
    bool adopt, dry_run, rehearse, prevent_build_reuse;
};

struct kr_deployment_status {
    enum kr_state state;
    char *url;        /* where the app answers, or NULL */
    char *page_url;   /* the page a person opens, or NULL */
    char *detail;     /* one line: stage, error text, or NULL */
    json_t *metadata; /* to be stored, or NULL: unchanged */
};
void kr_deployment_status_finish(struct kr_deployment_status *status);
#define kr_auto_status kr_auto(kr_deployment_status_finish)

struct kr_log_request {
    bool follow, build;
    bool image_shown; /* build: the log of the image's build was shown already */
    int64_t tail;     /* -1: all */
    void (*line)(void *data, const char *line);
    void *data;
};

struct kr_deployer; /* the table of a flavor */

/* What a deployer is given to run. */
enum kr_deployer_takes {
    KR_TAKES_UNKNOWN, /* it is not known yet who will run it */
    KR_TAKES_FOLDER,  /* the code where it lies: nothing is built or sent */
    KR_TAKES_IMAGE,   /* an image, which is built first */
    KR_TAKES_SOURCE   /* the code, which is built where it goes; or an image, as the setting
                         build_mode says */
};

/* What a flavor says of itself, for those who prepare what it runs. */
struct kr_deployer_traits {
    enum kr_deployer_takes takes;
    const char *image_readers; /* who else can read its images, for messages; NULL: nobody must */
    uint64_t source_max;       /* bytes of code that can be sent; 0: any */
    bool calls_hub;            /* works with the user's Hub token */
    /* Processor of where an image runs that is not pushed; NULL: any image is for Spaces. */
    int (*machine)(char machine[16], struct kr_err *err);
    void (*warm)(void); /* loads what its calls will need; NULL: nothing */
};

/* NULL: this build cannot deploy with that flavor. */
const struct kr_deployer *kr_deployer_find(const char *flavor);
char *
kr_deployer_names(void) KR_MUST_USE; /* those it can deploy with, comma-separated; caller frees */

/* Of a flavor; of nobody in particular when it is NULL or unknown. */
const struct kr_deployer_traits *kr_deployer_traits(const char *flavor);

/* NULL-safe fronts of the table. Each call may be repeated after any failure. */
/* Checks before anything is touched: stack complete, settings possible. */
int kr_deployer_validate(const struct kr_deployer *d, const struct kr_deployer_env *env,
                         const struct kr_deployment *what, struct kr_err *err) KR_MUST_USE;
/* Creates or updates in place and waits until it answers or timeout_ms passed. *changed: false when
 * everything was as wanted already. */
int kr_deployer_provision(const struct kr_deployer *d, const struct kr_deployer_env *env,
                          const struct kr_deployment *what, int64_t timeout_ms,
                          struct kr_deployment_status *status, bool *changed,
                          struct kr_err *err) KR_MUST_USE;
/* Whether what ran before is what there is after a provision that failed so. */
bool kr_deployer_keeps_former(const struct kr_deployer *d, enum kr_code code);
/* What provision would do, as JSON for people and scripts; sends nothing that changes anything. */
int kr_deployer_plan(const struct kr_deployer *d, const struct kr_deployer_env *env,
                     const struct kr_deployment *what, json_t **plan,
                     struct kr_err *err) KR_MUST_USE;
int kr_deployer_status(const struct kr_deployer *d, const struct kr_deployer_env *env,
                       const struct kr_deployment *what, struct kr_deployment_status *status,
                       struct kr_err *err) KR_MUST_USE;
int kr_deployer_logs(const struct kr_deployer *d, const struct kr_deployer_env *env,
                     const struct kr_deployment *what, const struct kr_log_request *request,
                     struct kr_err *err) KR_MUST_USE;
/* remove: everything goes; else it is stopped so that provision can bring it back. Absent already
 * is fine. */
int kr_deployer_deprovision(const struct kr_deployer *d, const struct kr_deployer_env *env,
                            const struct kr_deployment *what, bool remove, int64_t timeout_ms,
                            struct kr_err *err) KR_MUST_USE;
/* Ends what is left on this machine of deployments whose records are gone from env->store (known
 * says whether it has that id; it is asked after everything on this machine was listed): the store
 * was removed, or a forced delete could not do more. */
typedef bool (*kr_record_known)(void *data, const char *id);
void kr_deployers_sweep(const struct kr_deployer_env *env, kr_record_known known, void *data);

/* Whether it restarts in place (kr_deployer_restart), or has to be taken down and brought back. */
bool kr_deployer_restarts(const struct kr_deployer *d);
/* factory: what it runs is built anew first, without any cache. Waits as provision does. */
int kr_deployer_restart(const struct kr_deployer *d, const struct kr_deployer_env *env,
                        const struct kr_deployment *what, bool factory, int64_t timeout_ms,
                        struct kr_deployment_status *status, struct kr_err *err) KR_MUST_USE;

/* Before a call: looks how the app is, where that can be asked. One that sleeps is woken and waited
 * for; one that cannot answer is an error with its state and the cure. status->metadata: what the
 * headers depend on, or NULL. */
int kr_deployer_ready(const struct kr_deployer *d, const struct kr_deployer_env *env,
                      const struct kr_deployment *what, int64_t timeout_ms,
                      struct kr_deployment_status *status, struct kr_err *err) KR_MUST_USE;

/* Headers a client of the app must send: {"Name":"value"} (private Space: Hub token; auth key).
 * KR_E_NETWORK: it is known that the app does not run. */
int kr_deployer_headers(const struct kr_deployer *d, const struct kr_deployer_env *env,
                        const struct kr_deployment *what, json_t **headers,
                        struct kr_err *err) KR_MUST_USE;

#endif
