/* SPDX-License-Identifier: Apache-2.0 */
/* Large files: batch, transfers to wherever the Hub says, completion, verification. The token goes
 * to the Hub's own batch and verify routes, never to the store. */
#include "hub/push.h"

#include "base/alloc.h"
#include "base/view.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256, SIDE_BY_SIDE = 4, TRANSFER_IDLE_MS = 120000, TRIES = 2 };

#define LFS_TYPE "application/vnd.git-lfs+json"

/* One PUT: a whole object, or a slice of it. */
struct part {
    const struct kr_file *file;
    char *url;
    uint64_t offset, size;
    char *etag; /* of the answer, with its quotes */
    struct upload *upload;
    uint64_t sent;
};

struct object {
    const struct kr_file *file;
    size_t first, count; /* its parts */
    char *complete;      /* multipart: address that joins the parts */
    char *verify;        /* or NULL */
};

struct upload {
    struct kr_hub *hub;
    const char *space;
    struct part *parts;
    size_t part_count;
    struct object *objects;
    size_t object_count;
    uint64_t sent, total;
};

static void upload_finish(struct upload *u)
{
    for (size_t i = 0; i < u->part_count; i++) {
        free(u->parts[i].url);
        free(u->parts[i].etag);
    }
    for (size_t i = 0; i < u->object_count; i++) {
        free(u->objects[i].complete);
        free(u->objects[i].verify);
    }
    free(u->parts);
    free(u->objects);
}

static void add_part(struct upload *u, const struct kr_file *file, const char *url, uint64_t offset,
                     uint64_t size)
{
    u->parts = kr_reallocarray(u->parts, u->part_count + 1, sizeof(*u->parts));
    u->parts[u->part_count++] =
        (struct part){.file = file, .url = kr_strdup(url), .offset = offset, .size = size};
}

/* Part addresses stand under "1", "2", ... or "00001", ... beside chunk_size. */
static const char *part_url(const json_t *header, uint64_t number)
{
    const char *key;
    json_t *value;
    uint64_t k;

    json_object_foreach((json_t *)(uintptr_t)header, key, value)
    {
        if (kr_view_u64(kr_view_of(key), &k) && k == number && json_is_string(value))
            return json_string_value(value);
    }
    return NULL;
}

static size_t count_parts(const json_t *header)
{
    const char *key;
    json_t *value;
    uint64_t k;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)header, key, value)
    {
        n += kr_view_u64(kr_view_of(key), &k);
    }
    return n;
}

static int plan_multipart(struct upload *u, struct object *o, const json_t *header,
                          const char *chunk_text, struct kr_err *err)
{
    uint64_t chunk, count, size = o->file->size;

    if (!kr_view_u64(kr_view_of(chunk_text), &chunk) || chunk == 0)
        return kr_fail(err, KR_E_REMOTE, "upload of %s: the Hub gave chunk_size '%.40s'",
                       o->file->path, chunk_text);
    count = size / chunk + (size % chunk != 0);
    if (count_parts(header) != count)
        return kr_fail(err, KR_E_REMOTE,
                       "upload of %s: the Hub gave %zu parts where %llu are needed", o->file->path,
                       count_parts(header), (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        const char *url = part_url(header, i + 1);
        uint64_t left = size - i * chunk;

        if (url == NULL)
            return kr_fail(err, KR_E_REMOTE, "upload of %s: the Hub gave no address for part %llu",
                           o->file->path, (unsigned long long)i + 1);
        add_part(u, o->file, url, i * chunk, left < chunk ? left : chunk);
        o->count++;
    }
    return 0;
}

static char *action_url(const struct kr_hub *hub, const json_t *action)
{
    const char *href = kr_json_str(action, "href", NULL);

    return href != NULL ? kr_hub_rehost(hub, href) : NULL;
}

/* What the batch answer asks for one object; nothing when the store has it. */
static int plan_object(struct upload *u, const struct kr_file *file, const json_t *item,
                       struct kr_err *err)
{
    const json_t *upload = kr_json_at(item, "actions", "upload", NULL);
    const json_t *error = json_object_get(item, "error");
    const char *chunk = kr_json_str(json_object_get(upload, "header"), "chunk_size", NULL);
    kr_auto_free char *href = action_url(u->hub, upload);
    struct object *o;

    if (json_is_object(error))
        return kr_fail(err, KR_E_REMOTE, "upload of %s: the Hub refuses it: %s (%lld)", file->path,
                       kr_json_str(error, "message", "no reason given"),
                       (long long)kr_json_int(error, "code", 0));
    if (upload == NULL)
        return 0;
    if (href == NULL)
        return kr_fail(err, KR_E_REMOTE, "upload of %s: the Hub gave no address", file->path);
    u->objects = kr_reallocarray(u->objects, u->object_count + 1, sizeof(*u->objects));
    o = &u->objects[u->object_count++];
    *o = (struct object){.file = file, .first = u->part_count};
    o->verify = action_url(u->hub, kr_json_at(item, "actions", "verify", NULL));
    u->total += file->size;
    if (chunk != NULL) {
        o->complete = kr_steal(&href);
        return plan_multipart(u, o, json_object_get(upload, "header"), chunk, err);
    }
    add_part(u, file, href, 0, file->size);
    o->count = 1;
    return 0;
}

static const json_t *find_object(const json_t *list, const char *oid)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (strcmp(kr_json_str(item, "oid", ""), oid) == 0)
            return item;
    }
    return NULL;
}

static json_t *batch_body(const struct kr_file *const *files, size_t n)
{
    json_t *body = json_object(), *objects = json_array(), *item;

    kr_json_set_str(body, "operation", "upload");
    kr_json_set(body, "transfers", json_pack("[s,s]", "basic", "multipart"));
    kr_json_set_str(body, "hash_algo", "sha256");
    kr_json_set(body, "ref", json_pack("{s:s}", "name", "main"));
    kr_json_set(body, "objects", objects);
    for (size_t i = 0; i < n; i++) {
        item = json_object();
        kr_json_set_str(item, "oid", files[i]->sha256);
        kr_json_set_int(item, "size", (int64_t)files[i]->size);
        if (json_array_append_new(objects, item) != 0)
            abort();
    }
    return body;
}

static int ask_batch(struct upload *u, const struct kr_file *const *files, size_t n,
                     struct kr_err *err)
{
    kr_auto_free char *doing =
        kr_asprintf("prepare the upload of large files to Space %s", u->space);
    kr_auto_free char *path = kr_asprintf("/spaces/%s.git/info/lfs/objects/batch", u->space);
    kr_auto_json json_t *body = batch_body(files, n), *answer = NULL;
    const json_t *list, *item;
    struct kr_hub_call call = {.doing = doing,
                               .method = "POST",
                               .path = path,
                               .json = body,
                               .type = LFS_TYPE,
                               .accept = LFS_TYPE,
                               .repeat = KR_REPEAT_SAFE,
                               .space = u->space};

    if (kr_hub_json(u->hub, &call, &answer, err) < 0)
        return -(int)err->code;
    list = json_object_get(answer, "objects");
    for (size_t i = 0; i < n; i++) {
        item = find_object(list, files[i]->sha256);
        if (item == NULL)
            return kr_fail(err, KR_E_REMOTE, "%s: the answer leaves out %s", doing, files[i]->path);
        if (plan_object(u, files[i], item, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static void tell_sent(void *data, uint64_t sent, uint64_t total)
{
    struct part *p = data;
    struct upload *u = p->upload;

    (void)total;
    u->sent = u->sent - p->sent + sent; /* a repeat begins again at 0 */
    p->sent = sent;
    kr_hub_progress(u->hub, "upload", "Uploading large files", u->sent, u->total, true,
                    u->sent == u->total);
}

static int take_answer(struct part *p, const struct kr_http_response *res, struct kr_err *err)
{
    const char *etag = kr_http_header(res, "etag");
    kr_auto_free char *host = kr_url_host(p->url), *text = NULL;

    if (res->status >= 200 && res->status < 300) {
        p->etag = kr_strdup(etag);
        return 0;
    }
    text = kr_hub_message(res);
    (void)kr_fail(err, res->status == 413 ? KR_E_LIMIT : KR_E_REMOTE,
                  "upload of %s: %s answered %d: %.300s", p->file->path, host, res->status, text);
    err->http_status = res->status;
    return kr_hint(err, "run the command again: what was uploaded is not sent twice");
}

/* Up to SIDE_BY_SIDE transfers at once; those that failed in passing are repeated one by one. */
static int send_group(struct upload *u, struct part *parts, size_t n, struct kr_err *err)
{
    struct kr_source sources[SIDE_BY_SIDE];
    struct kr_http_job jobs[SIDE_BY_SIDE] = {0};
    int rc = 0;
    size_t opened;

    for (opened = 0; opened < n && rc == 0; opened++) {
        struct part *p = &parts[opened];

        p->upload = u;
        rc = kr_source_open(&sources[opened], p->file, err);
        if (rc < 0)
            continue; /* counts as opened: it is closed below */
        jobs[opened].req =
            (struct kr_http_request){.method = "PUT",
                                     .url = p->url,
                                     .body = kr_source_body(&sources[opened], p->offset, p->size),
                                     .idle_ms = TRANSFER_IDLE_MS,
                                     .data = p,
                                     .on_sent = tell_sent};
    }
    if (rc == 0)
        kr_http_many(u->hub->http, jobs, n, SIDE_BY_SIDE, 0);
    for (size_t i = 0; i < opened && rc == 0; i++) {
        struct kr_http_response *res = &jobs[i].res;

        rc = kr_http_go_on(u->hub->http, &jobs[i].req, res, jobs[i].rc, &jobs[i].err, err);
        if (rc < 0)
            (void)kr_wrap(err, "upload of %s", parts[i].file->path);
        else
            rc = take_answer(&parts[i], res, err);
    }
    for (size_t i = 0; i < opened; i++) {
        kr_source_close(&sources[i]);
        kr_http_response_finish(&jobs[i].res);
    }
    return rc;
}

static int complete(struct upload *u, const struct object *o, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("complete the upload of %s", o->file->path);
    kr_auto_json json_t *body = json_object();
    json_t *parts = json_array(), *item;
    struct kr_hub_call call = {.doing = doing,
                               .method = "POST",
                               .path = o->complete,
                               .json = body,
                               .type = LFS_TYPE,
                               .accept = LFS_TYPE,
                               .repeat = KR_REPEAT_SAFE,
                               .no_token = true}; /* the address itself is signed */

    kr_json_set_str(body, "oid", o->file->sha256);
    kr_json_set(body, "parts", parts);
    for (size_t i = 0; i < o->count; i++) {
        const char *etag = u->parts[o->first + i].etag;

        if (etag == NULL || etag[0] == '\0')
            return kr_fail(err, KR_E_REMOTE, "%s: the store gave no ETag for part %zu", doing,
                           i + 1);
        item = json_object();
        kr_json_set_int(item, "partNumber", (json_int_t)i + 1);
        kr_json_set_str(item, "etag", etag);
        if (json_array_append_new(parts, item) != 0)
            abort();
    }
    return kr_hub_json(u->hub, &call, NULL, err);
}

static int verify(struct upload *u, const struct object *o, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("verify the upload of %s", o->file->path);
    kr_auto_json json_t *body = json_object();
    struct kr_hub_call call = {.doing = doing,
                               .method = "POST",
                               .path = o->verify,
                               .json = body,
                               .type = LFS_TYPE,
                               .accept = LFS_TYPE,
                               .repeat = KR_REPEAT_SAFE};

    kr_json_set_str(body, "oid", o->file->sha256);
    kr_json_set_int(body, "size", (int64_t)o->file->size);
    return kr_hub_json(u->hub, &call, NULL, err);
}

static int upload_batch(struct kr_hub *hub, const char *space, const struct kr_file *const *files,
                        size_t n, uint64_t *sent, struct kr_err *err)
{
    struct upload u = {.hub = hub, .space = space};
    int rc = ask_batch(&u, files, n, err);

    for (size_t at = 0; at < u.part_count && rc == 0; at += SIDE_BY_SIDE) {
        size_t left = u.part_count - at;

        rc = send_group(&u, &u.parts[at], left < SIDE_BY_SIDE ? left : SIDE_BY_SIDE, err);
    }
    for (size_t i = 0; i < u.object_count && rc == 0; i++) {
        if (u.objects[i].complete != NULL)
            rc = complete(&u, &u.objects[i], err);
        if (rc == 0 && u.objects[i].verify != NULL)
            rc = verify(&u, &u.objects[i], err);
        if (rc == 0)
            *sent += u.objects[i].file->size;
    }
    upload_finish(&u);
    return rc;
}

/* Signed addresses run out, and a completion whose answer got lost fails the second time: a fresh
 * batch tells what is still missing. */
static bool is_worth_another(const struct kr_err *why)
{
    return why->http_status >= 400 && why->http_status < 500 && why->code != KR_E_PLAN &&
           why->http_status != 413 && why->http_status != 401;
}

static int by_digest(const void *a, const void *b)
{
    const struct kr_file *const *x = a, *const *y = b;

    return strcmp((*x)->sha256, (*y)->sha256);
}

int kr_lfs_upload(struct kr_hub *hub, const char *space, const struct kr_file *const *files,
                  size_t n, uint64_t *sent, struct kr_err *err)
{
    const struct kr_file **unique = kr_calloc(n + 1, sizeof(*unique));
    size_t count = 0;
    int rc = 0;

    if (n != 0)
        memcpy(unique, files, n * sizeof(*unique));
    qsort(unique, n, sizeof(*unique), by_digest);
    for (size_t i = 0; i < n; i++) {
        if (count == 0 || strcmp(unique[count - 1]->sha256, unique[i]->sha256) != 0)
            unique[count++] = unique[i];
    }
    for (size_t at = 0; at < count && rc == 0; at += BATCH) {
        size_t part = count - at < BATCH ? count - at : BATCH;

        for (int tried = 1;; tried++) {
            struct kr_err why = KR_ERR_INIT;

            rc = upload_batch(hub, space, unique + at, part, sent, &why);
            if (rc == 0 || tried == TRIES || !is_worth_another(&why)) {
                if (rc < 0 && err != NULL)
                    *err = why;
                break;
            }
        }
    }
    free(unique);
    return rc;
}
