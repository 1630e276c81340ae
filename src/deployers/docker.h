/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the docker deployer: one container per deployment, run as a Space would run it.
 *
 * The container `kourou-<slug>-<id>` carries labels with everything that has to be known about it,
 * so it is found and adopted whatever happened to our records. An update makes the next container
 * beside it
 * (`...-next`), sets the former one aside (`...-old`) and takes that back when the new one fails.
 * Secrets go into a file of a volume of the container's own, which neither `docker inspect` nor the
 * image shows. */
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

struct kr_docker {
    const struct kr_deployer_env *env;
    const struct kr_deployment *what;
    char *name, *next, *old; /* of containers */
    char address[64];        /* where published ports are reached */
    json_t *found;           /* what inspect says about `name`, or NULL: there is none */
};
int kr_docker_open(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   struct kr_docker *out, struct kr_err *err) KR_MUST_USE;
void kr_docker_close(struct kr_docker *docker);
#define kr_auto_docker kr_auto(kr_docker_close)

/* Looks again. */
int kr_docker_look(struct kr_docker *docker, struct kr_err *err) KR_MUST_USE;
bool kr_docker_is(const struct kr_docker *docker,
                  const char *status); /* "running", "exited", ... */
const char *kr_docker_label(const struct kr_docker *docker, const char *label); /* or NULL */
int kr_docker_port(const struct kr_docker *docker); /* of the container found, 0: none */
int kr_docker_do(const struct kr_docker *docker, const char *verb, const char *name,
                 const char *more,
                 struct kr_err *err) KR_MUST_USE; /* docker <verb> <name> [more] */
/* rm -f -v; absent already is fine. */
int kr_docker_remove(const struct kr_docker *docker, const char *name,
                     struct kr_err *err) KR_MUST_USE;

/* One look at the app behind a port. *detail (may be NULL) gets what it says about itself when it
 * is not ready; the caller frees. */
enum kr_local_health kr_docker_health(const struct kr_docker *docker, int port, char **detail);

/* Shows the last lines of a container's log. */
void kr_docker_show_end(const struct kr_docker *docker, const char *name);

/* docker_start.c: starts the container and waits until the app is healthy. */
int kr_docker_start(struct kr_docker *docker, const char *name, int port, int64_t timeout_ms,
                    struct kr_err *err) KR_MUST_USE;
/* What the deployment runs, and its container made anew in place of the former one. */
int kr_docker_replace(struct kr_docker *docker, int64_t timeout_ms, struct kr_err *err) KR_MUST_USE;
/* Image that the deployment runs: the finished one, or the setting parent_image with skip_build; or
 * NULL. */
const char *kr_docker_image(const struct kr_deployment *what);
void kr_docker_fingerprint(const struct kr_deployment *what, char hex[KR_SHA256_HEX]);

/* What to run: the deployment's own, or a rehearsal's. */
struct kr_docker_run {
    const char *container; /* its name */
    const char *image;
    int port;              /* of this machine */
    int inside;            /* port in the container when it has a network of its own */
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
