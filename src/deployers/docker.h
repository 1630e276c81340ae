/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the docker deployer: containers of a deployment, run as a Space would run them.
 *
 *   kourou-<slug>-<id>          runs the app
 *   kourou-<slug>-<id>-next     an update that has not come up yet
 *   kourou-<slug>-<id>-old-...  a former one that finishes its calls
 *   kourou-<slug>-<id>-gate     holds the published port (src/serve/gate.h): the others take it
 * from there, over a socket in a volume, so that no call is lost between them
 *
 * They carry labels with everything that has to be known about them, so they are found and adopted
 * whatever happened to our records, and nothing without those labels is ever touched. Secrets go
 * into a file of a volume of the container's own, which neither `docker inspect` nor the image
 * shows. */
#ifndef KR_DEPLOYERS_DOCKER_H
#define KR_DEPLOYERS_DOCKER_H

#include "base/digest.h"
#include "deployers/deployer_impl.h"
#include "deployers/engine.h"
#include "deployers/local.h"

#define KR_DOCKER_PORT     7860 /* inside, as in a Space */
#define KR_DOCKER_SECRETS  "/run/kourou"
#define KR_DOCKER_ENV_FILE KR_DOCKER_SECRETS "/env.json"

#define KR_LABEL_ID          "kourou.deployment.id"
#define KR_LABEL_NAME        "kourou.deployment.name"
#define KR_LABEL_PORT        "kourou.port"
#define KR_LABEL_FINGERPRINT "kourou.fingerprint"
#define KR_LABEL_INSTANCE    "kourou.instance" /* what answers says this in x-kourou-instance */
#define KR_LABEL_SNAPSHOT    "kourou.snapshot.id"
#define KR_LABEL_GATE        "kourou.gate" /* of a gate: the deployment's id */
#define KR_LABEL_GATE_KEY    "kourou.gate.key"

#define KR_GATE_FOLDER "/run/kourou-gate" /* the volume, in all of them */
#define KR_GATE_SOCKET KR_GATE_FOLDER "/socket"

struct kr_docker {
    const struct kr_deployer_env *env;
    const struct kr_deployment *what;
    char *name, *next, *gate; /* of containers */
    char address[64];         /* where published ports are reached */
    bool far;                 /* the engine is on another machine */
    json_t *found;            /* what inspect says about `name`, or NULL: there is none */
    json_t *gate_found;       /* likewise about `gate` */
    const char *foreign;      /* one of the names, when somebody else has it; or NULL */
};
int kr_docker_open(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   struct kr_docker *out, struct kr_err *err) KR_MUST_USE;
void kr_docker_close(struct kr_docker *docker);
#define kr_auto_docker kr_auto(kr_docker_close)

/* Looks again. */
int kr_docker_look(struct kr_docker *docker, struct kr_err *err) KR_MUST_USE;
/* "running", "exited", ... */
bool kr_container_is(const json_t *container, const char *status);
const char *kr_container_label(const json_t *container, const char *label); /* or NULL */
int kr_docker_port(const struct kr_docker *docker); /* that the gate holds, 0: none */
int kr_docker_do(const struct kr_docker *docker, const char *verb, const char *name,
                 const char *more,
                 struct kr_err *err) KR_MUST_USE; /* docker <verb> <name> [more] */
/* rm -f -v; absent already is fine. A container that is not the deployment's own is an error. */
int kr_docker_remove(const struct kr_docker *docker, const char *name,
                     struct kr_err *err) KR_MUST_USE;
/* All containers of the deployment but the gate: an array of what inspect says. */
int kr_docker_all(const struct kr_docker *docker, json_t **out, struct kr_err *err) KR_MUST_USE;
/* docker stop, with time for the calls that run. */
int kr_docker_stop(const struct kr_docker *docker, const char *name,
                   struct kr_err *err) KR_MUST_USE;
/* "unless-stopped", by run_args or the setting. Caller frees. */
char *kr_docker_restart_policy(const struct kr_deployment *what) KR_MUST_USE;
int kr_docker_set_restart(const struct kr_docker *docker, const char *name, const char *policy,
                          struct kr_err *err) KR_MUST_USE;

/* One look at the app behind the gate: healthy is only what says that it is this container (NULL:
 * whoever answers). *detail (may be NULL) gets what it says about itself when it is not ready; the
 * caller frees. */
enum kr_local_health kr_docker_health(const struct kr_docker *docker, const json_t *container,
                                      int port, char **detail);
/* Whether the engine says that the container found runs behind a gate that publishes the port, and
 * what answers there says that it is that container. Nothing is sent to anything else. */
int kr_docker_identify(const struct kr_docker *docker, struct kr_err *err) KR_MUST_USE;

/* Shows the last lines of a container's log. Gives the cause as the server named it (NULL: it named
 * none; the caller frees). */
char *kr_docker_show_end(const struct kr_docker *docker, const char *name);

/* docker_gate.c: a gate of the deployment runs and publishes a port. *made: it is a new one. */
int kr_docker_need_gate(struct kr_docker *docker, bool *made, struct kr_err *err) KR_MUST_USE;
/* Whether the engine publishes what a container was made to publish, at `port`. */
int kr_docker_published(const json_t *container, int port, struct kr_err *err) KR_MUST_USE;
/* The gate, its volume and its image go. */
int kr_docker_remove_gate(struct kr_docker *docker, struct kr_err *err) KR_MUST_USE;
/* Address that ports are published at. */
const char *kr_docker_bind(const struct kr_docker *docker);

/* docker_log.c */
int kr_docker_logs(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   const struct kr_log_request *request, struct kr_err *err);
/* Keeps the end of the log of a container that is about to go. */
void kr_docker_keep_log(const struct kr_docker *docker, const char *name);
void kr_docker_forget_log(const struct kr_docker *docker);

/* docker_start.c: starts the container and waits until the app is healthy. */
int kr_docker_start(struct kr_docker *docker, const char *name, int port, int64_t timeout_ms,
                    struct kr_err *err) KR_MUST_USE;
/* What the deployment runs, in a new container that takes over from the former one. */
int kr_docker_replace(struct kr_docker *docker, int64_t timeout_ms, struct kr_err *err) KR_MUST_USE;
/* What a command that was cut off left behind is put right. */
int kr_docker_reconcile(struct kr_docker *docker, struct kr_err *err) KR_MUST_USE;
/* Image that the deployment runs: the finished one, or the setting parent_image with skip_build; or
 * NULL. */
const char *kr_docker_image(const struct kr_deployment *what);
void kr_docker_fingerprint(const struct kr_deployment *what, char hex[KR_SHA256_HEX]);

/* docker_user.c: whom the container runs as, by run_args, the docker settings, or as in a Space:
 * "1000:1000", "app". Caller frees. */
char *kr_docker_user(const struct kr_deployment *what) KR_MUST_USE;
/* Finds the numbers of that user in a container that was made, and gives the user an entry in its
 * /etc/passwd where there is none. */
int kr_docker_find_user(const struct kr_docker *docker, const char *container, const char *user,
                        bool read_only, uint32_t *uid, uint32_t *gid,
                        struct kr_err *err) KR_MUST_USE;

/* What to run: the deployment's own, or a rehearsal's. */
struct kr_docker_run {
    const char *container; /* its name */
    const char *image;
    int port;              /* of this machine; with a gate: the gate's */
    int inside;            /* port in the container when it has a network of its own */
    const char *instance;  /* what it calls itself; NULL: it has no gate and publishes the port */
    bool as_made;          /* the image's own entry point is used */
    bool copy_code;        /* skip_build: runtime and code are put into the container */
    const json_t *secrets; /* {"NAME":"value"} with the auth key */
    const char *fingerprint;
    const char *network; /* NULL: the engine's default, or what run_args say */
    bool rehearsal; /* without the limits of the pipeline's resources: this machine may lack them */
};
/* Makes the container, with its secrets, without starting it. */
int kr_docker_create(const struct kr_docker *docker, const struct kr_docker_run *run,
                     struct kr_err *err) KR_MUST_USE;

/* Secrets as the app gets them, with the auth key. */
json_t *kr_docker_secrets(const struct kr_deployment *what) KR_MUST_USE;

/* Whether run_args give the container the network of the machine: nothing is published then. */
bool kr_docker_host_network(const json_t *run_args);
/* A value of run_args, whichever way its name is spelled; NULL: not given. */
const json_t *kr_docker_run_arg(const json_t *run_args, const char *option);

/* No new privileges and no capabilities, as far as run_args do not ask for them. */
void kr_docker_privileges(const json_t *run_args, struct kr_words *words);

/* rehearse.c: builds the files that are about to be launched, runs them as a Space would, and calls
 * the app once. variables, secrets: {"NAME":"value"}, the latter with the auth key. Nothing of it
 * is left behind. */
struct kr_files;
int kr_rehearse(const struct kr_deployer_env *env, const struct kr_deployment *what,
                const struct kr_files *files, int app_port, const json_t *variables,
                const json_t *secrets, int64_t timeout_ms, struct kr_err *err) KR_MUST_USE;

#endif
