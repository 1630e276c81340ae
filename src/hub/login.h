/* SPDX-License-Identifier: Apache-2.0 */
/* Logins as `hf auth login` keeps them: the file stored_tokens beside the token's file. */
#ifndef KR_HUB_LOGIN_H
#define KR_HUB_LOGIN_H

#include "hub/hub.h"

/* Path of stored_tokens beside a token's file. Caller frees. */
char *kr_logins_path(const char *token_path) KR_MUST_USE;

/* {"name":{"key":"value"}} in the file's order. KR_E_INVALID: not such a file, which is then never
 * written. */
int kr_logins_parse(const char *text, size_t n, json_t **out, struct kr_err *err) KR_MUST_USE;
/* The same as the official client writes it. Caller frees. */
char *kr_logins_text(const json_t *logins) KR_MUST_USE;

/* The login whose token this is, or that replaced it last; *name is borrowed. NULL: none. */
const json_t *kr_logins_find(const json_t *logins, const char *token, const char **name);

/* When it expires, in seconds since 1970; 0: not said. */
int64_t kr_login_expires(const json_t *login);

/* KR_E_AUTH when it has expired. */
int kr_login_check(const json_t *login, const char *name, struct kr_err *err) KR_MUST_USE;

/* Refreshes the login of a token's file when less than a day of it is left, as the official client
 * does: under its lock, so that of several at once one does it and the others take its token. A
 * refresh that fails is a note as long as the token is good. *token is replaced. */
int kr_hub_login_refresh(struct kr_hub *hub, const char *token_path, char **token,
                         struct kr_err *err) KR_MUST_USE;

#endif
