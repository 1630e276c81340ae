/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KR_APP_SECRET_H
#define KR_APP_SECRET_H

#include "app/app.h"

/* values: {"key":"value"}; the key and the name "name" are refused, keys are identifiers. */
int kr_secret_create(struct kr_app *app, const char *name, const json_t *values, bool private,
                     json_t **row, struct kr_err *err) KR_MUST_USE;

/* Row plus "values". Values are registered for redaction nowhere but in kr_secret_resolve. */
int kr_secret_get(struct kr_app *app, const char *ref, json_t **row,
                  struct kr_err *err) KR_MUST_USE;

/* private: -1 leaves it. remove: list of keys. */
int kr_secret_update(struct kr_app *app, const char *ref, const json_t *values,
                     const json_t *remove, int private, json_t **row,
                     struct kr_err *err) KR_MUST_USE;

/* One that is in use (secret_users.c) is left alone: KR_E_CONFLICT names who uses it. force: it is
 * done all the same, and they are named in a warning. */
int kr_secret_rename(struct kr_app *app, const char *ref, const char *name, bool force,
                     struct kr_err *err) KR_MUST_USE;
int kr_secret_delete(struct kr_app *app, const char *ref, bool force,
                     struct kr_err *err) KR_MUST_USE;
int kr_secret_check_unused(struct kr_app *app, const json_t *secret, bool force,
                           struct kr_err *err) KR_MUST_USE;

/* One value; registered for redaction. Usable as kr_secret_lookup with data = app. */
int kr_secret_resolve(void *app, const char *name, const char *key, char **value,
                      struct kr_err *err);

#endif
