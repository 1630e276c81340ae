/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment wants its Space to be, and what the Space's stage says about it: pure
 * functions, no network. */
#ifndef KR_DEPLOYERS_SPACE_H
#define KR_DEPLOYERS_SPACE_H

#include "deployers/deployer.h"
#include "hub/runtime.h"

/* Name of the secret that carries the auth key into the app. */
#define KR_SPACE_AUTH_SECRET "KOUROU_AUTH_KEY"

/* The Space a deployment asks for. */
struct kr_space_want {
    char *id; /* "owner/name" */
    int app_port;
    const char *visibility;              /* borrowed; NULL: not asked for */
    const char *hardware;                /* borrowed; NULL: leave it as it is */
    const char *storage;                 /* borrowed; the documented tier, NULL: none */
    int64_t sleep_s;                     /* -1: never, 0: not asked for */
    int dev_mode;                        /* 1, 0; -1: not asked for */
    const char *region, *resource_group; /* borrowed; count when a Space is made; or NULL */
    const json_t *volumes;               /* borrowed; list, or NULL: not asked for */
    json_t *variables;                   /* {"NAME":"value"} */
    json_t *secrets;                     /* {"NAME":"value"}: with the auth key */
};
void kr_space_want_finish(struct kr_space_want *want);
#define kr_auto_space_want kr_auto(kr_space_want_finish)

/* user: the token's owner, used when no organization is set; NULL checks all but the owner. Fails
 * on a name the Hub refuses, on a key that is variable and secret at once, and on keys the Hub
 * refuses. */
int kr_space_want_init(struct kr_space_want *want, const struct kr_deployment *what,
                       const char *user, struct kr_err *err) KR_MUST_USE;

enum kr_space_verdict {
    KR_SPACE_WAIT,   /* on its way */
    KR_SPACE_UP,     /* the container of our commit serves */
    KR_SPACE_FAILED, /* broken until somebody acts */
    KR_SPACE_PAUSED, /* only a restart revives it */
    KR_SPACE_ASLEEP, /* a visit to the app wakes it */
};

/* One look at the runtime, and what is known about our change. */
struct kr_space_look {
    enum kr_stage stage;
    const char *sha;      /* commit of the serving container, or NULL: not said */
    const char *want_sha; /* the commit that shall serve */
    bool new_commit;      /* want_sha is of just now: seeing it serve proves the move */
    bool expects_move;    /* we changed something since, so a stage of before is stale */
    bool move_seen;       /* a stage or build log since then belonged to our change */
    int64_t since_ms;     /* time since our last change */
    bool is_news;         /* this end was not there before our change */
    bool has_error;       /* the Hub gives an error with it: counts for stages we do not know */
};

/* The stage changes later than the commit or call that causes it: an old verdict counts only once
 * it can be ours, or after this long. A restart without a commit shows sooner. */
enum { KR_SPACE_GRACE_MS = 120000, KR_SPACE_SETTLE_MS = 15000 };

enum kr_space_verdict kr_space_judge(const struct kr_space_look *look);

/* A Space that does not serve, and what could be found out about it. All borrowed. */
struct kr_space_fault {
    const char *id, *page, *prog, *name; /* page: its address on the Hub; name: of the deployment */
    const struct kr_runtime *rt;
    const char *cause;       /* line of its log that names the cause, or NULL */
    const char *log;         /* "build" or "run": the log that was asked for; NULL: none */
    const char *log_problem; /* why that could not be read, or NULL */
    bool deploying;          /* the cure is to run the same command again */
};

/* KR_E_REMOTE with stage, reason and the cure, whatever of it is known. */
int kr_space_explain(const struct kr_space_fault *fault, struct kr_err *err);

/* State for lists: what a person means by running, pending, error, absent. */
enum kr_state kr_space_state(enum kr_stage stage);

/* The line of a failed build's log that names the cause, skipping cache noise, or NULL.
 * Borrowed. */
const char *kr_space_error_line(const char *const *lines, size_t count);

/* Port that a server announced in a log line ("Uvicorn running on http://0.0.0.0:8000"), or 0;
 * *loopback: it listens on 127.0.0.1 only. */
int kr_space_port_in_line(const char *line, bool *loopback);

/* The volume that replaces a storage tier nobody can get any more, as a sentence. Caller frees. */
char *kr_space_storage_hint(const char *tier, const char *space) KR_MUST_USE;

#endif
