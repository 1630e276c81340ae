/* SPDX-License-Identifier: Apache-2.0 */
/* One repository of one registry: the OCI distribution interface with its ways to log in. Answers
 * to challenges (none, basic, bearer token with scopes) are found on the first refusal and kept; a
 * token that expires in the middle is renewed. Plain HTTP is used for this machine and where it was
 * asked for. Credentials and tokens go to the registry and its token service only. */
#ifndef KR_OCI_REPO_H
#define KR_OCI_REPO_H

#include "net/http.h"
#include "oci/ref.h"

struct kr_repo_auth {
    const char *user, *password; /* NULL: what `docker login` stored */
    bool anonymous;              /* no credentials at all, as a stranger */
    bool plain_http;             /* allow http for a registry that is not this machine */
    /* certificates to trust besides the system's (then https in any case), or NULL */
    const char *ca_file;
};

struct kr_repo;

/* ref says registry and repository. push: rights to write are asked for. mount_from: another
 * repository of the same registry whose blobs are to be mounted, or NULL. auth may be NULL. No
 * request is made. http is borrowed. */
int kr_repo_open(struct kr_http *http, const struct kr_ref *ref, const struct kr_repo_auth *auth,
                 bool push, const char *mount_from, struct kr_repo **out,
                 struct kr_err *err) KR_MUST_USE;
void kr_repo_close(struct kr_repo *repo);
KR_DEFINE_AUTO(struct kr_repo *, kr_repo_close);
#define kr_auto_repo kr_auto(kr_repo_close_p)

struct kr_http *kr_repo_http(const struct kr_repo *repo);
const char *kr_repo_name(const struct kr_repo *repo);     /* "library/python" */
const char *kr_repo_registry(const struct kr_repo *repo); /* "docker.io" */

/* "<base>/v2/<name>/<rest>"; caller frees. */
char *kr_repo_url(const struct kr_repo *repo, const char *rest) KR_MUST_USE;

/* Fills req->authorization for req->url (nothing for another origin) and req->ca_file. The texts
 * live until the next call with this repo. */
void kr_repo_authorize(struct kr_repo *repo, struct kr_http_request *req);

/* After a 401: finds out what is wanted. true: the request is worth sending again. *tries is the
 * caller's count for this request, 0 at first. */
int kr_repo_refused(struct kr_repo *repo, const struct kr_http_response *res, int *tries,
                    bool *again, struct kr_err *err) KR_MUST_USE;

/* kr_http_call with authorization. An answer of any status is success, as there; the last 401
 * too. */
int kr_repo_call(struct kr_repo *repo, struct kr_http_request *req, struct kr_http_response *res,
                 struct kr_err *err) KR_MUST_USE;

struct kr_repo_ask {
    struct kr_repo *repo; /* all with the same client */
    struct kr_http_request req;
    struct kr_http_response res; /* the caller finishes it */
    int rc;                      /* as kr_repo_call's */
    struct kr_err err;
};

/* kr_repo_call for several at once. They are settled in their order; after one that failed the
 * others fail like it. */
void kr_repo_call_all(struct kr_repo_ask *asks, size_t n);

/* Whether kr_repo_call was answered and not refused: what the registry wants of us is known by
 * then. */
bool kr_repo_let_in(const struct kr_repo *repo);

/* After a call without an answer: adds what to do when the registry's certificate was the reason.
 * Returns -err->code. */
int kr_repo_no_answer(const struct kr_repo *repo, const struct kr_http_response *res,
                      struct kr_err *err);

/* Turns an answer that is no success into an error: what the registry said, what it means, what to
 * do next. `what` is the failed action ("push layer sha256:ab..."). Returns -err->code. */
int kr_repo_fail(const struct kr_repo *repo, const struct kr_http_response *res, const char *what,
                 struct kr_err *err);

/* Absolute address of a Location header: same origin rules as the client. NULL: none or not usable.
 * Caller frees. */
char *kr_repo_location(const struct kr_repo *repo, const struct kr_http_response *res) KR_MUST_USE;

#endif
