/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/upload.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/view.h"
#include "net/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_DEFAULT ((uint64_t)32 << 20)
#define CHUNK_SMALL   ((uint64_t)4 << 20)
#define PIECE_MAX     ((uint64_t)16 << 20)
#define FAILURES_MAX  6
#define RESTARTS_MAX  5
#define SMALL_MAX                                                                                  \
    ((uint64_t)64 << 10) /* so little is sent sooner than it is asked for or gone on with */

void kr_upload_init(struct kr_upload *up, struct kr_push *push, const struct kr_blob *blob)
{
    *up = (struct kr_upload){.push = push, .blob = blob, .step = KR_UP_HEAD, .fd = -1};
    up->chunk = push->chunk != 0 ? push->chunk : CHUNK_DEFAULT;
    if (blob->source == KR_BLOB_REPO && up->chunk > PIECE_MAX)
        up->chunk = PIECE_MAX;
    up->chunked = blob->source == KR_BLOB_REPO || blob->size > up->chunk;
    kr_buf_init(&up->piece, PIECE_MAX);
    if (blob->guess == KR_BLOB_KNOWN) {
        up->fate = KR_BLOB_THERE;
        up->step = KR_UP_DONE;
    } else if (blob->guess == KR_BLOB_NEW && blob->size <= SMALL_MAX) {
        up->step = KR_UP_START;
    }
}

void kr_upload_finish(struct kr_upload *up)
{
    if (up->fd >= 0)
        (void)close(up->fd);
    kr_digest_destroy(up->hash);
    kr_buf_finish(&up->piece);
    free(up->location);
    free(up->url);
    *up = (struct kr_upload){.fd = -1};
}

uint64_t kr_upload_arrived(const struct kr_upload *up)
{
    if (up->step == KR_UP_DONE)
        return up->blob->size;
    return up->offset + up->in_flight < up->blob->size ? up->offset + up->in_flight
                                                       : up->blob->size;
}

/* Begins again with a new upload. */
static void restart(struct kr_upload *up)
{
    free(up->location);
    up->location = NULL;
    up->offset = 0;
    up->piece_at = 0;
    kr_buf_reset(&up->piece);
    kr_digest_destroy(up->hash);
    up->hash = NULL;
    up->restarts++;
    up->step = KR_UP_HEAD;
}

/* The step that moves bytes from the present offset on. */
static enum kr_upload_step next_transfer(const struct kr_upload *up)
{
    uint64_t piece_end = up->piece_at + up->piece.n;

    if (up->offset == up->blob->size && (up->chunked || up->blob->size == 0))
        return KR_UP_FINISH;
    if (!up->chunked)
        return up->offset == 0 ? KR_UP_PUT : KR_UP_PATCH;
    if (up->blob->source == KR_BLOB_REPO && up->offset >= piece_end)
        return KR_UP_FETCH;
    return KR_UP_PATCH;
}

static int open_source(struct kr_upload *up, struct kr_err *err)
{
    uint64_t size;

    if (up->blob->source != KR_BLOB_CACHE || up->fd >= 0)
        return 0;
    return kr_cache_read(up->push->cache, up->blob->digest, &up->fd, &size, err);
}

static void set_body(struct kr_upload *up, struct kr_http_request *req, uint64_t n)
{
    static const char type[] = "Content-Type: application/octet-stream";

    up->headers[0] = type;
    up->headers[1] = NULL;
    req->headers = up->headers;
    req->body.size = n;
    if (up->blob->source == KR_BLOB_CACHE) {
        req->body.kind = KR_BODY_FD;
        req->body.fd = up->fd;
        req->body.offset = up->offset;
        return;
    }
    req->body.kind = KR_BODY_BYTES;
    req->body.bytes = up->blob->source == KR_BLOB_BYTES ? (const char *)up->blob->bytes + up->offset
                                                        : up->piece.p + (up->offset - up->piece_at);
}

static char *finish_url(const struct kr_upload *up)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(65536);

    kr_buf_addf(&text, "%s%cdigest=", up->location, strchr(up->location, '?') != NULL ? '&' : '?');
    kr_url_encode(&text, up->blob->digest, "");
    return kr_buf_steal(&text);
}

static void ask_start(struct kr_upload *up, struct kr_http_request *req)
{
    kr_auto_buf struct kr_buf rest = KR_BUF_INIT(4096);

    kr_buf_adds(&rest, "blobs/uploads/");
    if (up->push->mount_from != NULL && up->blob->source == KR_BLOB_REPO && up->restarts == 0) {
        kr_buf_adds(&rest, "?mount=");
        kr_url_encode(&rest, up->blob->digest, "");
        kr_buf_adds(&rest, "&from=");
        kr_url_encode(&rest, up->push->mount_from, "");
    }
    req->method = "POST";
    req->body = (struct kr_http_body){.kind = KR_BODY_BYTES, .bytes = "", .size = 0};
    up->url = kr_repo_url(up->push->to, kr_buf_str(&rest));
}

static void ask_patch(struct kr_upload *up, struct kr_http_request *req)
{
    uint64_t n = up->blob->size - up->offset;

    if (n > up->chunk)
        n = up->chunk;
    if (up->blob->source == KR_BLOB_REPO && n > up->piece_at + up->piece.n - up->offset)
        n = up->piece_at + up->piece.n - up->offset;
    set_body(up, req, n);
    (void)snprintf(up->lines[0], sizeof(up->lines[0]), "Content-Range: %" PRIu64 "-%" PRIu64,
                   up->offset, up->offset + n - 1);
    up->headers[1] = up->lines[0];
    up->headers[2] = NULL;
    req->method = "PATCH";
    up->url = kr_strdup(up->location);
}

static void ask_fetch(struct kr_upload *up, struct kr_http_request *req)
{
    kr_auto_free char *rest = kr_asprintf("blobs/%s", up->blob->digest);
    uint64_t left = up->blob->size - up->offset, n = left < up->chunk ? left : up->chunk;

    (void)snprintf(up->lines[0], sizeof(up->lines[0]), "Range: bytes=%" PRIu64 "-%" PRIu64,
                   up->offset, up->offset + n - 1);
    up->headers[0] = up->lines[0];
    up->headers[1] = NULL;
    req->headers = up->headers;
    req->method = "GET";
    req->max_body = (size_t)n;
    up->url = kr_repo_url(up->push->from, rest);
}

int kr_upload_ask(struct kr_upload *up, struct kr_http_request *req, struct kr_err *err)
{
    kr_auto_free char *blob = kr_asprintf("blobs/%s", up->blob->digest);

    free(up->url);
    up->url = NULL;
    up->in_flight = 0;
    *req = (struct kr_http_request){.method = "GET", .repeat = KR_REPEAT_SAFE};
    if ((up->step == KR_UP_PUT || up->step == KR_UP_PATCH) && open_source(up, err) < 0)
        return -(int)err->code;
    switch (up->step) {
    case KR_UP_HEAD:
        req->method = "HEAD";
        up->url = kr_repo_url(up->push->to, blob);
        break;
    case KR_UP_START:
        ask_start(up, req);
        break;
    case KR_UP_FETCH:
        ask_fetch(up, req);
        break;
    case KR_UP_PUT:
        set_body(up, req, up->blob->size);
        req->method = "PUT";
        up->url = finish_url(up);
        break;
    case KR_UP_PATCH:
        ask_patch(up, req);
        break;
    case KR_UP_STATUS:
        up->url = kr_strdup(up->location);
        req->no_redirects = true;
        break;
    case KR_UP_FINISH:
        req->method = "PUT";
        req->body = (struct kr_http_body){.kind = KR_BODY_BYTES, .bytes = "", .size = 0};
        up->url = finish_url(up);
        break;
    case KR_UP_DONE:
        break;
    }
    /* Every step may come twice: a lost upload is begun anew and found there. But a connection that
     * turns out dead is not to cost a large body twice. */
    if (req->body.size > SMALL_MAX)
        req->repeat = KR_REPEAT_NEVER;
    req->url = up->url;
    kr_repo_authorize(up->step == KR_UP_FETCH ? up->push->from : up->push->to, req);
    return 0;
}

static char *what_of(const struct kr_upload *up)
{
    return kr_asprintf("%s %.19s of %s/%s", up->step == KR_UP_FETCH ? "fetch blob" : "push blob",
                       up->blob->digest, kr_repo_registry(up->push->to),
                       kr_repo_name(up->push->to));
}

static void wait_more(struct kr_upload *up, const struct kr_http_response *res)
{
    const struct kr_retry_policy *policy = &kr_repo_http(up->push->to)->policy;
    int64_t ms = policy->first_ms << (up->failures < 6 ? up->failures - 1 : 5);
    int64_t asked = res != NULL && res->status == 429
                        ? kr_retry_after_parse(kr_http_header(res, "retry-after"), kr_wall_ms())
                        : -1;

    if (ms > policy->most_ms)
        ms = policy->most_ms;
    if (asked > ms)
        ms = asked;
    up->not_before_ms = kr_http_now(kr_repo_http(up->push->to)) + ms;
}

/* Where to go on after a passing fault: a transfer asks where it stands, all else is repeated. */
static void after_fault(struct kr_upload *up)
{
    if ((up->step == KR_UP_PUT || up->step == KR_UP_PATCH || up->step == KR_UP_FINISH) &&
        up->location != NULL)
        up->step = KR_UP_STATUS;
}

static bool is_passing(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

static int give_up(struct kr_upload *up, const struct kr_http_response *res, int rc,
                   struct kr_err *call_err, struct kr_err *err)
{
    kr_auto_free char *what = what_of(up);

    if (rc < 0) {
        *err = *call_err;
        (void)kr_repo_no_answer(up->step == KR_UP_FETCH ? up->push->from : up->push->to, res, err);
        return kr_wrap(err, "%s", what);
    }
    return kr_repo_fail(up->step == KR_UP_FETCH ? up->push->from : up->push->to, res, what, err);
}

static int take_fault(struct kr_upload *up, const struct kr_http_response *res, int rc,
                      struct kr_err *call_err, struct kr_err *err)
{
    bool hopeless =
        rc < 0 && (res->failure == KR_HTTP_HOPELESS || res->failure == KR_HTTP_CANCELLED);

    if (hopeless || ++up->failures > FAILURES_MAX)
        return give_up(up, res, rc, call_err, err);
    after_fault(up);
    wait_more(up, res);
    return 0;
}

/* "0-<last>" or "bytes=0-<last>"; false when it says nothing usable. */
static bool range_end(const struct kr_http_response *res, uint64_t *next)
{
    const char *text = kr_http_header(res, "range");
    const char *dash = text != NULL ? strchr(text, '-') : NULL;
    uint64_t last;

    if (dash == NULL || !kr_view_u64(kr_view_trim(kr_view_of(dash + 1)), &last))
        return false;
    *next = last + 1;
    return true;
}

static int take_location(struct kr_upload *up, const struct kr_http_response *res,
                         struct kr_err *err)
{
    char *location = kr_repo_location(up->push->to, res);

    if (location == NULL && up->location != NULL)
        return 0;
    if (location == NULL)
        return kr_fail(err, KR_E_REMOTE, "%s opened an upload without saying where",
                       kr_repo_registry(up->push->to));
    free(up->location);
    up->location = location;
    return 0;
}

static void advance(struct kr_upload *up, uint64_t offset)
{
    if (offset > up->offset)
        up->failures = 0;
    up->offset = offset;
    up->step = next_transfer(up);
}

static int take_start(struct kr_upload *up, const struct kr_http_response *res, struct kr_err *err)
{
    if (res->status == 201) {
        up->fate = KR_BLOB_MOUNTED;
        up->step = KR_UP_DONE;
        return 0;
    }
    if (res->status != 202)
        return give_up(up, res, 0, NULL, err);
    if (take_location(up, res, err) < 0)
        return -(int)err->code;
    advance(up, 0);
    return 0;
}

static int take_fetch(struct kr_upload *up, const struct kr_http_response *res, struct kr_err *err)
{
    uint64_t left = up->blob->size - up->offset, want = left < up->chunk ? left : up->chunk;

    if ((res->status != 206 &&
         !(res->status == 200 && up->offset == 0 && want == up->blob->size)) ||
        res->body.n != want)
        return res->status == 206 || res->status == 200
                   ? kr_fail(err, KR_E_REMOTE, "%s gave another part of %s than asked for",
                             kr_repo_registry(up->push->from), up->blob->digest)
                   : give_up(up, res, 0, NULL, err);
    if (up->hash == NULL)
        up->hash = kr_digest_create(KR_SHA256);
    kr_digest_update(up->hash, res->body.p, res->body.n);
    up->piece_at = up->offset;
    kr_buf_reset(&up->piece);
    kr_buf_add(&up->piece, res->body.p, res->body.n);
    up->step = KR_UP_PATCH;
    if (up->offset + want == up->blob->size) {
        char hex[KR_SHA256_HEX];

        kr_digest_finish(up->hash, hex);
        up->hash = NULL;
        if (strcmp(hex, up->blob->digest + 7) != 0)
            return kr_fail(err, KR_E_REMOTE, "%s gave other bytes for %s",
                           kr_repo_registry(up->push->from), up->blob->digest);
    }
    return 0;
}

/* Uploads that the registry has forgotten, or does not want to go on with, begin again. */
static int take_lost_upload(struct kr_upload *up, const struct kr_http_response *res,
                            struct kr_err *err)
{
    if (up->restarts >= RESTARTS_MAX)
        return give_up(up, res, 0, NULL, err);
    restart(up);
    return 0;
}

static int take_put(struct kr_upload *up, const struct kr_http_response *res, struct kr_err *err)
{
    const char *digest = kr_http_header(res, "docker-content-digest");

    if (res->status == 201 || res->status == 204) {
        if (digest != NULL && strcmp(digest, up->blob->digest) != 0)
            return kr_fail(err, KR_E_REMOTE, "%s stored %s as %s", kr_repo_registry(up->push->to),
                           up->blob->digest, digest);
        up->fate = KR_BLOB_SENT;
        up->step = KR_UP_DONE;
        return 0;
    }
    if (res->status == 413 && up->chunk > CHUNK_SMALL) { /* a proxy on the way has a limit */
        up->chunk = CHUNK_SMALL;
        up->chunked = true;
        return take_lost_upload(up, res, err);
    }
    if (res->status == 404 || res->status == 400 || res->status == 416)
        return take_lost_upload(up, res, err);
    return give_up(up, res, 0, NULL, err);
}

static int take_patch(struct kr_upload *up, const struct kr_http_response *res, uint64_t sent,
                      struct kr_err *err)
{
    uint64_t next = up->offset + sent;

    if (res->status == 416) {
        up->step = KR_UP_STATUS;
        return ++up->failures > FAILURES_MAX ? give_up(up, res, 0, NULL, err) : 0;
    }
    if (res->status != 202 && res->status != 204)
        return take_put(up, res, err);
    if (take_location(up, res, err) < 0)
        return -(int)err->code;
    (void)range_end(res, &next);
    /* A registry that takes chunks and keeps nothing of them would be sent the same one for
     * ever. */
    if (next > up->blob->size || next <= up->offset)
        return take_lost_upload(up, res, err);
    up->chunked = true; /* what was begun by PATCH is closed by an empty PUT */
    advance(up, next);
    return 0;
}

static int take_status(struct kr_upload *up, const struct kr_http_response *res, struct kr_err *err)
{
    uint64_t next = 0;

    if (res->status != 204 && res->status != 200 && res->status != 202)
        return take_lost_upload(up, res, err);
    if (take_location(up, res, err) < 0)
        return -(int)err->code;
    /* "0-0" is said for no byte and for one: the upload is begun anew then. A piece that is no
     * longer in memory cannot be sent again either. */
    if (!range_end(res, &next) || next <= 1 || next > up->blob->size ||
        (up->blob->source == KR_BLOB_REPO && next < up->piece_at))
        return take_lost_upload(up, res, err);
    up->chunked = true;
    advance(up, next);
    return 0;
}

int kr_upload_take(struct kr_upload *up, const struct kr_http_response *res, int rc,
                   struct kr_err *call_err, struct kr_err *err)
{
    uint64_t sent = up->step == KR_UP_PATCH || up->step == KR_UP_PUT ? up->in_flight : 0;
    struct kr_repo *asked = up->step == KR_UP_FETCH ? up->push->from : up->push->to;
    bool again = false;

    up->in_flight = 0;
    up->push->bytes_sent += sent;
    if (rc < 0 || is_passing(res->status))
        return take_fault(up, res, rc, call_err, err);
    if (res->status == 401) {
        if (kr_repo_refused(asked, res, &up->tries, &again, err) < 0)
            return -(int)err->code;
        if (!again)
            return give_up(up, res, 0, NULL, err);
        after_fault(up);
        return 0;
    }
    up->tries = 0;
    switch (up->step) {
    case KR_UP_HEAD:
        up->fate = up->restarts > 0 ? KR_BLOB_SENT : KR_BLOB_THERE;
        up->step = res->status == 200 ? KR_UP_DONE : KR_UP_START;
        return res->status == 200 || res->status == 404 ? 0 : give_up(up, res, 0, NULL, err);
    case KR_UP_START:
        return take_start(up, res, err);
    case KR_UP_FETCH:
        return take_fetch(up, res, err);
    case KR_UP_PATCH:
        return take_patch(up, res, sent, err);
    case KR_UP_STATUS:
        return take_status(up, res, err);
    case KR_UP_PUT:
    case KR_UP_FINISH:
        return take_put(up, res, err);
    case KR_UP_DONE:
        break;
    }
    return 0;
}
