/* SPDX-License-Identifier: Apache-2.0 */
/* Could a stranger pull this image? The builder of a Space pulls without credentials. */
#ifndef KR_OCI_CHECK_H
#define KR_OCI_CHECK_H

#include "oci/manifest.h"

/* Asks the registry, without any credentials, for the manifest (of linux/amd64), the config and the
 * first byte of every layer. digest: of that manifest. Errors: KR_E_AUTH or KR_E_NOT_FOUND when it
 * is not public or not there (many registries do not tell these apart), KR_E_INVALID for another
 * platform, KR_E_REMOTE and KR_E_NETWORK otherwise. Of way (or NULL) plain_http and ca_file
 * count. */
int kr_image_check_public(struct kr_http *http, const char *image, const struct kr_repo_auth *way,
                          char digest[KR_DIGEST_SIZE], struct kr_err *err) KR_MUST_USE;

/* Whether the registry answers and takes the credentials: GET /v2/ with login. auth may be NULL. */
int kr_registry_check(struct kr_http *http, const char *registry, const struct kr_repo_auth *auth,
                      struct kr_err *err) KR_MUST_USE;

#endif
