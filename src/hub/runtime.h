/* SPDX-License-Identifier: Apache-2.0 */
/* What a Space is doing, and the calls that change it. */
#ifndef KR_HUB_RUNTIME_H
#define KR_HUB_RUNTIME_H

#include "hub/hub.h"

/* The list is open: a stage we do not know is KR_STAGE_UNKNOWN with its text in stage_name. */
enum kr_stage {
    KR_STAGE_UNKNOWN,
    KR_STAGE_NO_APP_FILE,
    KR_STAGE_CONFIG_ERROR,
    KR_STAGE_BUILDING,
    KR_STAGE_BUILD_ERROR,
    KR_STAGE_APP_STARTING,
    KR_STAGE_RUNNING,
    KR_STAGE_RUNNING_BUILDING,
    KR_STAGE_RUNNING_APP_STARTING,
    KR_STAGE_RUNTIME_ERROR,
    KR_STAGE_DELETING,
    KR_STAGE_STOPPED,
    KR_STAGE_PAUSED,
    KR_STAGE_SLEEPING,
    KR_STAGE_COUNT
};

enum kr_stage kr_stage_parse(const char *name);
bool kr_stage_is_moving(enum kr_stage stage); /* building or starting: goes on by itself */
bool kr_stage_is_error(enum kr_stage stage);  /* CONFIG_, BUILD_, RUNTIME_ERROR, NO_APP_FILE */
bool kr_stage_serves(enum kr_stage stage);    /* some container answers, perhaps the old one */
bool kr_stage_sleeps(enum kr_stage stage);    /* SLEEPING, STOPPED: a visit to the app wakes it */

struct kr_runtime {
    enum kr_stage stage;
    char *stage_name;         /* as the Hub wrote it; never NULL after success */
    char *sha;                /* commit of the container that serves; NULL: not said */
    char *error;              /* errorMessage, may have several lines; or NULL */
    char *hardware;           /* current; NULL when nothing runs */
    char *hardware_requested; /* or NULL */
    char *domain;             /* host of the app without scheme, verbatim; or NULL */
    char *storage;            /* legacy tier; or NULL */
    int64_t sleep_s;          /* seconds until it sleeps; -1: never or not said */
    int replicas;             /* running now; -1: not said */
    int replicas_requested;   /* -1: not said, -2: "auto" */
    bool dev_mode;
    json_t *volumes; /* list, or NULL */
};
void kr_runtime_finish(struct kr_runtime *rt);
#define kr_auto_runtime kr_auto(kr_runtime_finish)

/* Reads any shape without failing: what is missing or of another type is "not said". */
void kr_runtime_read(const json_t *obj, struct kr_runtime *out);

int kr_runtime_get(struct kr_hub *hub, const char *space, struct kr_runtime *out,
                   struct kr_err *err) KR_MUST_USE;

/* Many at once, for lists: 8 side by side, no repeats. What has no answer after limit_ms carries
 * its error. The caller finishes each rt. */
struct kr_runtime_job {
    const char *space;
    struct kr_runtime rt;
    struct kr_err err;
    int rc;
};
void kr_runtime_get_many(struct kr_hub *hub, struct kr_runtime_job *jobs, size_t n,
                         int64_t limit_ms);

/* Where the app answers: scheme of the endpoint, host as the runtime says. NULL when it says
 * nothing. Caller frees. */
char *kr_runtime_url(const struct kr_hub *hub, const struct kr_runtime *rt) KR_MUST_USE;

/* The calls below give the new runtime; out may be NULL. Each looks, after an answer that got lost,
 * whether it took effect before it is sent again. */
int kr_space_pause(struct kr_hub *hub, const char *space, struct kr_runtime *out,
                   struct kr_err *err) KR_MUST_USE;
/* The only way out of PAUSED. factory: rebuilds without the layer cache. */
int kr_space_restart(struct kr_hub *hub, const char *space, bool factory, struct kr_runtime *out,
                     struct kr_err *err) KR_MUST_USE;
/* Restarts the Space. sleep_s: 0 leaves it, -1 never sleeps. */
int kr_space_set_hardware(struct kr_hub *hub, const char *space, const char *flavor,
                          int64_t sleep_s, struct kr_runtime *out, struct kr_err *err) KR_MUST_USE;
int kr_space_set_sleep(struct kr_hub *hub, const char *space, int64_t sleep_s,
                       struct kr_runtime *out, struct kr_err *err) KR_MUST_USE;

int kr_space_set_dev_mode(struct kr_hub *hub, const char *space, bool on, struct kr_runtime *out,
                          struct kr_err *err) KR_MUST_USE;

/* Replaces the whole list [{"type","source","mountPath",...}]; an empty one removes all. */
int kr_space_set_volumes(struct kr_hub *hub, const char *space, const json_t *volumes,
                         struct kr_err *err) KR_MUST_USE;
/* Do two lists mount the same? Defaults filled in, order ignored; NULL is the empty list. */
bool kr_volumes_equal(const json_t *a, const json_t *b);

/* Legacy tiers, withdrawn by the Hub; NULL removes. */
int kr_space_set_storage(struct kr_hub *hub, const char *space, const char *tier,
                         struct kr_err *err) KR_MUST_USE;

/* [{"name","prettyName","cpu","ram","unitCostUSD",...}]. Needs no token. */
int kr_hardware_list(struct kr_hub *hub, json_t **out, struct kr_err *err) KR_MUST_USE;

#endif
