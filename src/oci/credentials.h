/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials for a registry, as `docker login` leaves them behind. */
#ifndef KR_OCI_CREDENTIALS_H
#define KR_OCI_CREDENTIALS_H

#include "base/err.h"

struct kr_credentials {
    char *user;
    char *password;       /* registered for redaction */
    char *identity_token; /* instead of both: exchanged for tokens; registered for redaction */
    char *origin;         /* where they came from, for messages: "docker-credential-pass" */
};
void kr_credentials_finish(struct kr_credentials *c);
#define kr_auto_credentials kr_auto(kr_credentials_finish)

/* Looks the registry ("docker.io", "localhost:5000") up in config.json of $DOCKER_CONFIG or
 * ~/.docker: its credHelpers entry, credsStore, then auths. None found is success with empty
 * fields. A helper that fails for any other reason than "not found" is an error. */
int kr_credentials_find(const char *registry, struct kr_credentials *out,
                        struct kr_err *err) KR_MUST_USE;

#endif
