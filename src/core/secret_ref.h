/* SPDX-License-Identifier: Apache-2.0 */
/* {{name.key}} references in component attributes. */
#ifndef KR_CORE_SECRET_REF_H
#define KR_CORE_SECRET_REF_H

#include "base/json.h"

#include <stdbool.h>

/* Whether text is exactly one reference; name and key (may be NULL) are the caller's then. */
bool kr_secret_ref_parse(const char *text, char **name, char **key);

/* Looks one secret value up; *value is the caller's. Fails with KR_E_NOT_FOUND naming both. */
typedef int (*kr_secret_lookup)(void *data, const char *name, const char *key, char **value,
                                struct kr_err *err);

/* Copy of config with every reference replaced by its value. *out is the caller's. */
int kr_secret_refs_resolve(const json_t *config, kr_secret_lookup lookup, void *data, json_t **out,
                           struct kr_err *err) KR_MUST_USE;

#endif
