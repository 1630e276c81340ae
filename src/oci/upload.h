/* SPDX-License-Identifier: Apache-2.0 */
/* One blob on its way into a registry, as a state machine: what to ask next, and what an answer
 * means. push.c runs several at once. */
#ifndef KR_OCI_UPLOAD_H
#define KR_OCI_UPLOAD_H

#include "base/digest.h"
#include "oci/push.h"

enum kr_upload_step {
    KR_UP_HEAD,   /* is it there? */
    KR_UP_START,  /* open an upload, or mount */
    KR_UP_FETCH,  /* get the next piece from the other registry */
    KR_UP_PUT,    /* all in one */
    KR_UP_PATCH,  /* the next chunk */
    KR_UP_STATUS, /* where does it stand? */
    KR_UP_FINISH, /* close the upload */
    KR_UP_DONE
};

struct kr_upload {
    struct kr_push *push;
    const struct kr_blob *blob;
    enum kr_upload_step step;
    enum kr_blob_fate fate;
    char *location;  /* of the open upload */
    uint64_t offset; /* what the registry has */
    uint64_t chunk;  /* of this upload: smaller after a 413 */
    bool chunked;
    int fd;              /* KR_BLOB_CACHE */
    struct kr_buf piece; /* KR_BLOB_REPO: bytes from piece_at on */
    uint64_t piece_at;
    struct kr_digest *hash; /* over the pieces so far */
    int tries;              /* of logging in, for the present request */
    int failures;           /* in a row without progress */
    int restarts;
    int64_t not_before_ms;
    uint64_t in_flight; /* bytes of the request that is out, for progress */
    /* of the request that is out */
    char *url;
    char lines[3][160];
    const char *headers[4];
};

void kr_upload_init(struct kr_upload *up, struct kr_push *push, const struct kr_blob *blob);
void kr_upload_finish(struct kr_upload *up);

/* Fills the request of the present step. What it points to lives until the answer is taken. */
int kr_upload_ask(struct kr_upload *up, struct kr_http_request *req,
                  struct kr_err *err) KR_MUST_USE;

/* Takes the answer (rc as of kr_http_send). Passing faults set not_before_ms; others are errors. */
int kr_upload_take(struct kr_upload *up, const struct kr_http_response *res, int rc,
                   struct kr_err *call_err, struct kr_err *err) KR_MUST_USE;

/* Bytes known to have arrived. */
uint64_t kr_upload_arrived(const struct kr_upload *up);

#endif
