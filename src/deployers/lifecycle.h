/* SPDX-License-Identifier: Apache-2.0 */
/* What all flavors share: talking to the user through the env, waiting with a limit, addresses of
 * the app's endpoints, a digest of what was asked for. */
#ifndef KR_DEPLOYERS_LIFECYCLE_H
#define KR_DEPLOYERS_LIFECYCLE_H

#include "base/digest.h"
#include "base/redact.h"
#include "deployers/deployer.h"

/* NULL-safe fronts of the env's callbacks. */
void kr_denv_step(const struct kr_deployer_env *env, const char *step, const char *text,
                  int64_t done, int64_t total, bool bytes, bool finished);
void kr_denv_note(const struct kr_deployer_env *env, bool warning, const char *fmt, ...)
    KR_PRINTF(3, 4);
void kr_denv_log_line(const struct kr_deployer_env *env, const char *source, const char *line);
int kr_denv_save(const struct kr_deployer_env *env, const json_t *metadata,
                 struct kr_err *err) KR_MUST_USE;
bool kr_denv_cancelled(const struct kr_deployer_env *env);
int kr_denv_place(const struct kr_deployer_env *env, const char *folder, bool *placed,
                  struct kr_err *err) KR_MUST_USE;

/* One look at something that is waited for. Gives KR_WAIT_DONE, KR_WAIT_MORE, or a negative code
 * with *err filled when waiting makes no sense any more. It may change *next_ms, the pause until
 * the next look. */
enum { KR_WAIT_DONE = 1, KR_WAIT_MORE = 0 };
typedef int (*kr_wait_look)(void *data, int64_t *next_ms, struct kr_err *err);

struct kr_wait {
    int64_t timeout_ms;        /* of the wait as a whole */
    int64_t first_ms, most_ms; /* pause between looks: grows by half from the first to the most */
    const char *what;          /* for messages: "deployment 'digits'" */
    char *const *why;          /* NULL, or what the last look found, which is shown when it lasts */
};

/* KR_E_TIMEOUT when time is over, KR_E_CANCELLED when the user pressed Ctrl-C. */
int kr_wait_for(const struct kr_deployer_env *env, const struct kr_wait *wait, kr_wait_look look,
                void *data, struct kr_err *err) KR_MUST_USE;

/* Path of an endpoint of the app by its setting ("health_url_path"), with the prefixes of the
 * deployment settings before it. Caller frees. */
char *kr_endpoint_path(const json_t *snapshot, const char *setting, const char *dflt) KR_MUST_USE;

/* "http://127.0.0.1:8000" + path of the endpoint. Caller frees. */
char *kr_endpoint_url(const char *base, const json_t *snapshot, const char *setting,
                      const char *dflt) KR_MUST_USE;

/* Whether the app can be invoked, as its server itself says: no endpoint of the user's and no
 * setting changes that path or takes its place. Servers of former versions do not know it. */
#define KR_READY_PATH "/.kourou/health"

/* Whether an answer on that path is the server's own: 200, or 503 with the reason. */
bool kr_ready_says(int status, const char *body, size_t n);

/* Whether the default endpoint of that name ("health", "invoke") is switched on. */
bool kr_endpoint_on(const json_t *snapshot, const char *name);

/* Value of the app's variable KR_SECRET_NAMES (base/redact.h) for these secrets. NULL: there are
 * none. Caller frees. */
char *kr_secret_names(const json_t *secrets) KR_MUST_USE;

/* Digest of everything that makes a difference to the running app: snapshot, settings, environment,
 * secrets, auth key. Equal digests mean that nothing is to be done. Secret values enter through the
 * digest only. */
void kr_deployment_fingerprint(const struct kr_deployment *what, char hex[KR_SHA256_HEX]);

#endif
