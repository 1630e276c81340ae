/* SPDX-License-Identifier: Apache-2.0 */
/* Preupload and commit. */
#include "hub/push.h"

#include "base/alloc.h"
#include "base/view.h"
#include "base/base64.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    BATCH = 256,            /* files in one preupload */
    SAMPLE = 512,           /* bytes of a file that the Hub looks at */
    CHUNK = 48 * 1024,      /* a multiple of three: no padding inside */
    COMMIT_IDLE_MS = 180000 /* the Hub works up to a minute on a commit */
};

static json_t *preupload_file(const struct kr_file *file, struct kr_err *err)
{
    kr_auto_buf struct kr_buf sample = KR_BUF_INIT(2 * SAMPLE);
    char bytes[SAMPLE];
    size_t n = file->size < SAMPLE ? (size_t)file->size : SAMPLE;
    struct kr_source source;
    json_t *item;
    int rc;

    rc = kr_source_open(&source, file, err);
    if (rc == 0)
        rc = kr_source_read(&source, file, 0, bytes, n, err);
    kr_source_close(&source);
    if (rc < 0)
        return NULL;
    kr_base64_add(&sample, bytes, n);
    item = json_object();
    kr_json_set_str(item, "path", file->path);
    kr_json_set_int(item, "size", (int64_t)file->size);
    kr_json_set_str(item, "sample", kr_buf_str(&sample));
    return item;
}

static struct kr_change *find_change(struct kr_change *changes, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++) {
        if (changes[i].file != NULL && strcmp(changes[i].path, path) == 0)
            return &changes[i];
    }
    return NULL;
}

static void take_modes(const json_t *body, struct kr_change *changes, size_t n, char head[41])
{
    const json_t *item;
    size_t i;

    (void)snprintf(head, 41, "%s", kr_json_str(body, "commitOid", ""));
    json_array_foreach(json_object_get(body, "files"), i, item)
    {
        const char *path = kr_json_str(item, "path", "");
        struct kr_change *c = find_change(changes, n, path);

        if (c == NULL)
            continue;
        /* The object store refuses empty objects, whatever the answer says. */
        c->lfs = c->file->size != 0 && strcmp(kr_json_str(item, "uploadMode", ""), "lfs") == 0;
        c->ignored = kr_json_bool(item, "shouldIgnore", false);
    }
}

/* What is launched was decided here, not by a .gitignore that lies in the Space: a rule file
 * without rules replaces it for this question. */
#define NO_IGNORE "# decided by the sender\n"

static int preupload_batch(struct kr_hub *hub, const char *space, struct kr_change *changes,
                           size_t n, char head[41], struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("announce the files to Space %s", space);
    kr_auto_free char *path = kr_asprintf("/api/spaces/%s/preupload/main", space);
    kr_auto_json json_t *body = json_object(), *answer = NULL;
    json_t *files = json_array(), *item;
    struct kr_hub_call call = {.doing = doing,
                               .method = "POST",
                               .path = path,
                               .json = body,
                               .repeat = KR_REPEAT_SAFE,
                               .space = space};

    kr_json_set(body, "files", files);
    kr_json_set_str(body, "gitIgnore", NO_IGNORE);
    for (size_t i = 0; i < n; i++) {
        if (changes[i].file == NULL)
            continue;
        item = preupload_file(changes[i].file, err);
        if (item == NULL)
            return -(int)err->code;
        if (json_array_append_new(files, item) != 0)
            abort();
    }
    if (json_array_size(files) == 0)
        return 0;
    if (kr_hub_json(hub, &call, &answer, err) < 0)
        return -(int)err->code;
    take_modes(answer, changes, n, head);
    return 0;
}

int kr_preupload(struct kr_hub *hub, const char *space, struct kr_change *changes, size_t n,
                 char head[41], struct kr_err *err)
{
    head[0] = '\0';
    for (size_t at = 0; at < n; at += BATCH) {
        if (preupload_batch(hub, space, changes + at, n - at < BATCH ? n - at : BATCH, head, err) <
            0)
            return -(int)err->code;
    }
    return 0;
}

static void write_line(FILE *out, const char *key, json_t *value)
{
    kr_auto_json json_t *line = json_object();
    kr_auto_free char *text = NULL;

    kr_json_set_str(line, "key", key);
    kr_json_set(line, "value", value);
    text = kr_json_canonical(line);
    (void)fprintf(out, "%s\n", text);
}

/* The contents go into the line in pieces: memory stays small whatever the size. What is sent must
 * still be what was listed. */
static int write_file(FILE *out, const struct kr_file *file, struct kr_err *err)
{
    kr_auto_free char *chunk = kr_malloc(CHUNK), *path = NULL;
    kr_auto_json json_t *name = json_string(file->path);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(2 * CHUNK);
    struct kr_digest *digest = kr_digest_create(KR_SHA256);
    char hex[KR_SHA256_HEX];
    struct kr_source source;
    int rc = kr_source_open(&source, file, err);

    path = kr_json_canonical(name != NULL ? name : json_null());
    (void)fprintf(out,
                  "{\"key\":\"file\",\"value\":{\"path\":%s,\"encoding\":\"base64\",\"content\":\"",
                  path);
    for (uint64_t at = 0; rc == 0 && at < file->size; at += CHUNK) {
        size_t n = file->size - at < CHUNK ? (size_t)(file->size - at) : CHUNK;

        rc = kr_source_read(&source, file, at, chunk, n, err);
        if (rc < 0)
            break;
        kr_digest_update(digest, chunk, n);
        kr_buf_reset(&text);
        kr_base64_add(&text, chunk, n);
        (void)fwrite(text.p, 1, text.n, out);
    }
    (void)fputs("\"}}\n", out);
    kr_source_close(&source);
    kr_digest_finish(digest, hex);
    if (rc == 0 && strcmp(hex, file->sha256) != 0) {
        (void)kr_fail(err, KR_E_INVALID, "%s has changed while it was being deployed",
                      file->disk != NULL ? file->disk : file->path);
        rc = kr_hint(err, "run the command again");
    }
    return rc;
}

static void write_lfs(FILE *out, const struct kr_file *file)
{
    json_t *value = json_object();

    kr_json_set_str(value, "path", file->path);
    kr_json_set_str(value, "algo", "sha256");
    kr_json_set_str(value, "oid", file->sha256);
    kr_json_set_int(value, "size", (int64_t)file->size);
    write_line(out, "lfsFile", value);
}

static void write_deletion(FILE *out, const char *path)
{
    json_t *value = json_object();

    kr_json_set_str(value, "path", path);
    write_line(out, "deletedFile", value);
}

/* Deletions stand first: "a" may give way to "a/b". */
static int write_commit(FILE *out, const char *parent, const char *message,
                        const struct kr_change *changes, size_t n, struct kr_err *err)
{
    json_t *header = json_object();

    kr_json_set_str(header, "summary", message);
    kr_json_set_str(header, "description", "");
    if (parent[0] != '\0')
        kr_json_set_str(header, "parentCommit", parent);
    write_line(out, "header", header);
    for (size_t i = 0; i < n; i++) {
        if (changes[i].kind == KR_CHANGE_DELETE)
            write_deletion(out, changes[i].path);
    }
    for (size_t i = 0; i < n; i++) {
        if (changes[i].file == NULL || changes[i].ignored)
            continue;
        if (changes[i].lfs)
            write_lfs(out, changes[i].file);
        else if (write_file(out, changes[i].file, err) < 0)
            return -(int)err->code;
    }
    if (fflush(out) != 0 || ferror(out))
        return kr_fail_errno(err, errno, "temporary file for the commit");
    return 0;
}

struct doubt {
    const char *space, *parent;
    const struct kr_change *changes;
    size_t n;
    char head[41];
};

/* Does the branch hold the changes, although no answer said so? */
static int look_at_head(struct kr_hub *hub, void *data, struct kr_err *err)
{
    struct doubt *d = data;
    kr_auto_space struct kr_space now = {0};
    kr_auto_tree struct kr_tree tree = {0};

    if (kr_space_get(hub, d->space, &now, err) < 0)
        return -(int)err->code;
    if (now.sha == NULL || strcmp(now.sha, d->parent) == 0)
        return 0;
    if (kr_tree_get(hub, d->space, now.sha, &tree, err) < 0)
        return -(int)err->code;
    (void)snprintf(d->head, sizeof(d->head), "%s", now.sha);
    return kr_tree_holds(&tree, d->changes, d->n) ? 1 : 0;
}

static void tell_sent(void *data, uint64_t sent, uint64_t total)
{
    kr_hub_progress(data, "commit", "Sending the commit", sent, total, true, sent == total);
}

static int take_commit(struct kr_hub *hub, const struct kr_hub_call *call,
                       const struct kr_http_response *res, struct doubt *doubt, char oid[41],
                       struct kr_err *err)
{
    kr_auto_json json_t *body = NULL;
    struct kr_err why = KR_ERR_INIT;
    int landed;

    if (res->status >= 200 && res->status < 300) {
        if (kr_hub_parse(call, res, &body, err) < 0)
            return -(int)err->code;
        (void)snprintf(oid, 41, "%s", kr_json_str(body, "commitOid", ""));
        if (oid[0] != '\0')
            return 0;
    }
    if (res->status == 412 ||
        oid[0] == '\0') { /* the first of two attempts may have won the race */
        landed = res->status == 412 || res->status < 300 ? look_at_head(hub, doubt, &why) : 0;
        if (landed == 1) {
            memcpy(oid, doubt->head, sizeof(doubt->head));
            return 0;
        }
    }
    if (res->status >= 200 && res->status < 300)
        return kr_fail(err, KR_E_REMOTE, "%s: the answer has no \"commitOid\"", call->doing);
    return kr_hub_problem(hub, call, res, err);
}

int kr_commit(struct kr_hub *hub, const char *space, const char *parent, const char *message,
              const struct kr_change *changes, size_t n, char oid[41], struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("commit to Space %s", space);
    kr_auto_free char *path = kr_asprintf("/api/spaces/%s/commit/main", space);
    kr_auto_file FILE *body = tmpfile();
    struct doubt doubt = {.space = space, .parent = parent, .changes = changes, .n = n};
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_hub_call call = {.doing = doing,
                               .method = "POST",
                               .path = path,
                               .type = "application/x-ndjson",
                               .space = space,
                               .idle_ms = COMMIT_IDLE_MS,
                               .on_sent = tell_sent,
                               .data = hub};
    bool was_lost;
    long size;

    oid[0] = '\0';
    if (body == NULL)
        return kr_fail_errno(err, errno, "temporary file for the commit");
    if (write_commit(body, parent, message, changes, n, err) < 0)
        return -(int)err->code;
    size = ftell(body);
    if (size < 0)
        return kr_fail_errno(err, errno, "temporary file for the commit");
    call.body =
        (struct kr_http_body){.kind = KR_BODY_FD, .fd = fileno(body), .size = (uint64_t)size};
    if (kr_hub_once(hub, &call, look_at_head, &doubt, &res, &was_lost, err) < 0)
        return -(int)err->code;
    if (was_lost) {
        memcpy(oid, doubt.head, sizeof(doubt.head));
        return 0;
    }
    return take_commit(hub, &call, &res, &doubt, oid, err);
}
