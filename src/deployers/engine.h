/* SPDX-License-Identifier: Apache-2.0 */
/* A Docker engine through the docker program: DOCKER_HOST, contexts and logins count as it reads
 * them. Secrets never go onto its command line. */
#ifndef KR_DEPLOYERS_ENGINE_H
#define KR_DEPLOYERS_ENGINE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/view.h"
#include "base/words.h"
#include "deployers/deployer.h"

/* The options that docker settings give for a build, by the newer spelling (below key) or the older
 * one; or NULL. */
const json_t *kr_engine_build_options(const json_t *docker, const char *key);

struct kr_login {
    const char *registry; /* "docker.io", "localhost:5000" */
    const char *user, *password;
};

/* One call of the docker program. */
struct kr_engine_call {
    struct kr_words words;        /* without the program */
    const struct kr_login *login; /* used instead of the user's own logins, or NULL */
    bool buildkit;                /* a build: with BuildKit */
    const char *input;            /* for stdin, or NULL */
    size_t input_len;
    int timeout_ms;   /* 0: none */
    int64_t until_ms; /* monotonic: the call is given up then at the latest; 0: never */
    /* gets the output as log lines of "docker", with line NULL; Ctrl-C ends the call; or NULL:
     * clearing up goes on to its end */
    const struct kr_deployer_env *env;
    const char *source;                         /* name of the log lines: "build"; NULL: "docker" */
    void (*line)(void *data, const char *line); /* gets each line of either stream, or NULL */
    void *data;
};
void kr_engine_call_finish(struct kr_engine_call *call);
#define kr_auto_call kr_auto(kr_engine_call_finish)

/* Runs it. A status other than 0 is an error with what the program said last; KR_E_NOT_FOUND when
 * it said that there is no such thing, KR_E_CONFLICT when a port is taken. out: its standard output
 * when it is not shown line by line, or NULL. `what` is the failed action, for the message. */
int kr_engine_run(struct kr_engine_call *call, const char *what, struct kr_buf *out,
                  struct kr_err *err) KR_MUST_USE;

/* The line of a program's output that names the cause of its failure. */
struct kr_view kr_engine_cause(const char *text);

/* Whether there is a program and an engine that answers. *buildkit (may be NULL): the program can
 * use BuildKit. */
int kr_engine_check(bool *buildkit, struct kr_err *err) KR_MUST_USE;

/* Processor of the engine's machine, as Docker names it ("arm64"). */
int kr_engine_machine(char machine[16], struct kr_err *err) KR_MUST_USE;

/* The first object that `docker <kind> inspect <name>` gives. KR_E_NOT_FOUND: there is none. */
int kr_engine_inspect(const char *kind, const char *name, json_t **out,
                      struct kr_err *err) KR_MUST_USE;

/* Like kr_engine_inspect for containers by these names (NULL-terminated): an array of those that
 * there are. until_ms: as in struct kr_engine_call. */
int kr_engine_containers(const char *const *names, int64_t until_ms, json_t **out,
                         struct kr_err *err) KR_MUST_USE;

/* The image is on this engine afterwards: pulled when it is not there. */
int kr_engine_need_image(const struct kr_deployer_env *env, const char *image,
                         const struct kr_login *login, struct kr_err *err) KR_MUST_USE;

/* IP address of the engine's machine: 127.0.0.1, or what DOCKER_HOST or the context names. */
int kr_engine_address(char address[64], struct kr_err *err) KR_MUST_USE;

/* The host that a value of DOCKER_HOST names ("tcp://user@[::1]:2375", "engine:2375"), NULL: this
 * machine. Caller frees. */
char *kr_engine_host_of(const char *url);

/* Whether an address is reached by programs of this machine alone: 127.0.0.0/8, ::1, and those that
 * mean "every address of this machine". */
bool kr_engine_is_near(const char *address);

/* docker_args.c: appends settings that are options of docker: {"mem_limit": "1g"} gives
 * --memory=1g. setting: its name, for messages. */
int kr_engine_options(const json_t *values, const char *setting, struct kr_words *words,
                      struct kr_err *err) KR_MUST_USE;

/* Login for the stack's container registry from its resolved row ("config" with "uri", "login"), or
 * false. */
bool kr_engine_login(const json_t *stack, struct kr_login *out, char registry[256]);

#endif
