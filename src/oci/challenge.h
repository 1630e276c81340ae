/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers. */
#ifndef KR_OCI_CHALLENGE_H
#define KR_OCI_CHALLENGE_H

#include "base/attrs.h"

#include <stdbool.h>

enum kr_challenge_kind { KR_CHALLENGE_NONE, KR_CHALLENGE_BASIC, KR_CHALLENGE_BEARER };

struct kr_challenge {
    enum kr_challenge_kind kind;
    char *realm;   /* address of the token service */
    char *service; /* or NULL */
    char *scope;   /* or NULL */
    char *error;   /* "insufficient_scope", "invalid_token", or NULL */
};
void kr_challenge_finish(struct kr_challenge *c);
#define kr_auto_challenge kr_auto(kr_challenge_finish)

/* Reads one header; several challenges in it are allowed, bearer is preferred to basic. Anything
 * that is not understood gives KR_CHALLENGE_NONE. *out is finished first. */
void kr_challenge_parse(const char *header, struct kr_challenge *out);

#endif
