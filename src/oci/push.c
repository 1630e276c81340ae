/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/push.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "oci/manifest.h"
#include "oci/upload.h"

#include <stdio.h>
#include <string.h>

#define PARALLEL_DEFAULT 4
#define PARALLEL_MAX     16

struct run {
    struct kr_push *push;
    struct kr_upload *ups;
    size_t n;
};

static void report(const struct run *run)
{
    uint64_t done = 0, total = 0;

    if (run->push->progress == NULL)
        return;
    for (size_t i = 0; i < run->n; i++) {
        const struct kr_upload *up = &run->ups[i];

        if (up->step == KR_UP_DONE && up->fate != KR_BLOB_SENT)
            continue;
        total += up->blob->size;
        done += kr_upload_arrived(up);
    }
    run->push->progress(run->push->data, done, total);
}

struct sender {
    const struct run *run;
    struct kr_upload *up;
};

static void on_sent(void *data, uint64_t sent, uint64_t total)
{
    const struct sender *s = data;

    (void)total;
    if (s->up->step == KR_UP_PUT || s->up->step == KR_UP_PATCH)
        s->up->in_flight = sent;
    report(s->run);
}

/* Fills up to `limit` jobs with uploads whose time has come. *due: when the next one is (0: none
 * waits). */
static int gather(struct run *run, size_t limit, struct kr_http_job *jobs, struct sender *senders,
                  size_t *count, int64_t *due, struct kr_err *err)
{
    int64_t now = kr_http_now(kr_repo_http(run->push->to));

    *count = 0;
    *due = 0;
    for (size_t i = 0; i < run->n && *count < limit; i++) {
        struct kr_upload *up = &run->ups[i];

        if (up->step == KR_UP_DONE)
            continue;
        if (up->not_before_ms > now) {
            if (*due == 0 || up->not_before_ms < *due)
                *due = up->not_before_ms;
            continue;
        }
        jobs[*count] = (struct kr_http_job){.rc = 0};
        if (kr_upload_ask(up, &jobs[*count].req, err) < 0)
            return -(int)err->code;
        senders[*count] = (struct sender){run, up};
        jobs[*count].req.data = &senders[*count];
        jobs[*count].req.on_sent = on_sent;
        (*count)++;
    }
    return 0;
}

static int round_trip(struct run *run, size_t limit, bool *over, struct kr_err *err)
{
    struct kr_http_job jobs[PARALLEL_MAX];
    struct sender senders[PARALLEL_MAX];
    struct kr_http *http = kr_repo_http(run->push->to);
    size_t count;
    int64_t due;
    int rc = 0;

    if (gather(run, limit, jobs, senders, &count, &due, err) < 0)
        return -(int)err->code;
    *over = count == 0 && due == 0;
    if (count == 0)
        return due != 0 ? kr_http_sleep(http, due - kr_http_now(http), err) : 0;
    kr_http_many(http, jobs, count, count, 0);
    for (size_t i = 0; i < count; i++) {
        struct kr_upload *up = senders[i].up;

        if (jobs[i].rc == 0 && (up->step == KR_UP_PUT || up->step == KR_UP_PATCH))
            up->in_flight = jobs[i].req.body.size;
        if (rc == 0)
            rc = kr_upload_take(up, &jobs[i].res, jobs[i].rc, &jobs[i].err, err);
        kr_http_response_finish(&jobs[i].res);
    }
    report(run);
    return rc;
}

int kr_push_blobs(struct kr_push *push, const struct kr_blob *blobs, size_t n, struct kr_err *err)
{
    size_t limit = push->parallel == 0             ? PARALLEL_DEFAULT
                   : push->parallel > PARALLEL_MAX ? PARALLEL_MAX
                                                   : push->parallel;
    struct run run = {push, kr_calloc(n + 1, sizeof(struct kr_upload)), 0};
    bool over = false;
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        bool twice = false;

        for (size_t k = 0; k < run.n; k++)
            twice |= strcmp(run.ups[k].blob->digest, blobs[i].digest) == 0;
        if (!twice)
            kr_upload_init(&run.ups[run.n++], push, &blobs[i]);
    }
    /* The first request alone, unless one was answered: its refusal brings the token that all
     * others use. */
    if (n > 0 && !kr_repo_let_in(push->to))
        rc = round_trip(&run, 1, &over, err);
    while (rc == 0 && !over)
        rc = round_trip(&run, limit, &over, err);
    for (size_t i = 0; i < run.n; i++) {
        push->there += rc == 0 && run.ups[i].fate == KR_BLOB_THERE;
        push->mounted += rc == 0 && run.ups[i].fate == KR_BLOB_MOUNTED;
        push->sent += rc == 0 && run.ups[i].fate == KR_BLOB_SENT;
        kr_upload_finish(&run.ups[i]);
    }
    free(run.ups);
    return rc;
}

int kr_push_manifest(struct kr_repo *to, const char *what, const char *media_type, const char *text,
                     size_t n, struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *rest = kr_asprintf("manifests/%s", what), *url = kr_repo_url(to, rest);
    kr_auto_free char *type = kr_asprintf("Content-Type: %s", media_type);
    kr_auto_free char *name =
        kr_asprintf("push image %s/%s:%s", kr_repo_registry(to), kr_repo_name(to), what);
    const char *headers[] = {type, NULL}, *said;
    struct kr_http_request req = {
        .method = "PUT",
        .url = url,
        .headers = headers,
        .body = {.kind = KR_BODY_BYTES, .bytes = text, .size = n},
        .repeat = KR_REPEAT_SAFE,
    };
    char digest[KR_DIGEST_SIZE] = "sha256:";

    if (kr_repo_call(to, &req, &res, err) < 0)
        return kr_wrap(err, "%s", name);
    if (res.status != 201 && res.status != 200)
        return kr_repo_fail(to, &res, name, err);
    kr_sha256_hex(text, n, digest + 7);
    said = kr_http_header(&res, "docker-content-digest");
    if (said != NULL && strcmp(said, digest) != 0)
        return kr_fail(err, KR_E_REMOTE, "%s: the registry stored it as %s instead of %s", name,
                       said, digest);
    return 0;
}

/* An answer that may be about blobs: registries word and number it differently. */
static bool may_miss_blobs(const struct kr_err *err)
{
    int status = err->http_status;

    return status >= 400 && status < 500 && status != 401 && status != 403 && status != 408 &&
           status != 429;
}

static bool any_guess(const struct kr_blob *blobs, size_t n)
{
    bool any = false;

    for (size_t i = 0; i < n; i++)
        any |= blobs[i].guess != KR_BLOB_ASK;
    return any;
}

int kr_push_image(struct kr_push *push, struct kr_blob *blobs, size_t n, const char *what,
                  const char *manifest, struct kr_err *err)
{
    size_t size = strlen(manifest), moved;

    if (kr_push_blobs(push, blobs, n, err) < 0)
        return -(int)err->code;
    if (kr_push_manifest(push->to, what, KR_OCI_MANIFEST, manifest, size, err) == 0)
        return 0;
    if (!any_guess(blobs, n) || !may_miss_blobs(err))
        return -(int)err->code;
    kr_err_clear(err);
    for (size_t i = 0; i < n; i++)
        blobs[i].guess = KR_BLOB_ASK;
    moved = push->sent + push->mounted; /* they are found there now */
    push->there = 0;
    if (kr_push_blobs(push, blobs, n, err) < 0)
        return -(int)err->code;
    push->there -= moved < push->there ? moved : push->there;
    return kr_push_manifest(push->to, what, KR_OCI_MANIFEST, manifest, size, err);
}
