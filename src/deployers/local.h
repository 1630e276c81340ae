/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the local deployer: one kourou-serve per deployment, detached, in a folder of its own.
 *
 *   <data>/deployments/<id>/  snapshot.<generation>.json  ctl.<generation>  port.<generation>
 *                             code.<generation>/ (what is served; not with auto_reload)
 *                             server.log (rotated: server.log.1, ...)  data/ (journal of runs)
 *
 * Each start is a generation. An update starts the next generation, which takes the listening
 * socket over from the live one. Metadata is saved before and after each step, and a server can
 * always be found by the deployment id in its arguments, so nothing is lost when we are killed in
 * between. */
#ifndef KR_DEPLOYERS_LOCAL_H
#define KR_DEPLOYERS_LOCAL_H

#include "base/digest.h"
#include "base/id.h"
#include "deployers/lifecycle.h"
#include "deployers/process.h"

#define KR_LOCAL_PROGRAM "kourou-serve"

struct kr_local_server {
    int64_t generation; /* 0: there is none */
    struct kr_process process;
    int port;
    char address[64];
    char fingerprint[KR_SHA256_HEX];
    char instance[72]; /* what has to answer, by its header; "": whoever does */
};

struct kr_local {
    const struct kr_deployer_env *env;
    const struct kr_deployment *what;
    char *dir;
    struct kr_local_server live; /* answers, or did when we last looked */
    struct kr_local_server next; /* a start that has not been seen ready */
    int64_t generation;          /* of the last start */
    int port;                    /* that the deployment had last */
    bool stopped;                /* by deprovision */
    char boot[KR_UUID_SIZE];     /* of the machine when it was last started */
};

/* local_state.c */
void kr_local_open(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   struct kr_local *out);
void kr_local_close(struct kr_local *local);
#define kr_auto_local kr_auto(kr_local_close)
json_t *kr_local_metadata(const struct kr_local *local) KR_MUST_USE;
int kr_local_save(const struct kr_local *local, struct kr_err *err) KR_MUST_USE;
/* Finds out what really runs: a start of ours that was cut off becomes live or is ended. Call it
 * only while holding the deployment's lock. */
int kr_local_reconcile(struct kr_local *local, struct kr_err *err) KR_MUST_USE;
/* Every server of this deployment ends. */
int kr_local_stop_all(struct kr_local *local, int64_t grace_ms, struct kr_err *err) KR_MUST_USE;
char *kr_local_file(const struct kr_local *local, const char *stem, int64_t generation,
                    const char *suffix) KR_MUST_USE;
/* Files of generations other than the live and the next one go. */
void kr_local_tidy(const struct kr_local *local, bool all);
void kr_local_boot_id(char boot[KR_UUID_SIZE]);

enum kr_local_health {
    KR_LOCAL_SILENT,   /* no answer */
    KR_LOCAL_STARTING, /* answers, not ready yet */
    KR_LOCAL_BROKEN,   /* its workers cannot start */
    KR_LOCAL_HEALTHY
};
/* The folder says which store it belongs to, for kr_local_sweep. */
int kr_local_sign(const struct kr_local *local, struct kr_err *err) KR_MUST_USE;
void kr_local_sweep(const struct kr_deployer_env *env, kr_record_known known, void *data);

/* One look at a server. *detail (may be NULL) gets what it says about itself when it is not ready;
 * the caller frees. */
enum kr_local_health kr_local_look(const struct kr_local *local,
                                   const struct kr_local_server *server, int64_t timeout_ms,
                                   char **detail);

/* Address that reaches a server which listens on `address` (0.0.0.0 is no destination).
 * Borrowed. */
const char *kr_local_reachable(const char *address);

/* local_port.c: the port for the next start. *busy_note (caller frees) says why it is not the
 * wanted one. */
int kr_local_choose_port(const struct kr_local *local, int *port, char **busy_note,
                         struct kr_err *err) KR_MUST_USE;
/* Fails when only one port will do and somebody else has it. */
int kr_local_check_port(const struct kr_local *local, struct kr_err *err) KR_MUST_USE;

/* After a start that failed: somebody else has its port now, and another one will do. */
bool kr_local_port_lost(const struct kr_local *local);

/* local_start.c: starts the next generation and waits until it serves, then it is the live one. */
int kr_local_start(struct kr_local *local, int64_t timeout_ms, struct kr_err *err) KR_MUST_USE;
char *kr_local_program(const struct kr_deployer_env *env) KR_MUST_USE;

/* local_log.c */
int kr_local_logs(const struct kr_deployer_env *env, const struct kr_deployment *what,
                  const struct kr_log_request *request, struct kr_err *err);
int64_t kr_local_log_end(const struct kr_local *local); /* size of the log */
/* After a start that failed: shows what the last attempt wrote behind offset `from`, and gives the
 * cause as the server named it (NULL: it named none; the caller frees). */
char *kr_local_log_show(const struct kr_local *local, int64_t from) KR_MUST_USE;
/* Shows what is written from now on, until Ctrl-C or the live server's end. */
void kr_local_log_watch(const struct kr_local *local);

#endif
