/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/base_image.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

int kr_base_get(struct kr_repo *repo, struct kr_cache *cache, const char *what,
                struct kr_image *out, struct kr_err *err)
{
    char digest[KR_DIGEST_SIZE];
    kr_auto_free char *key = NULL;
    kr_auto_json json_t *note = NULL, *made = NULL;

    if (kr_digest_valid(what))
        (void)snprintf(digest, sizeof(digest), "%s", what);
    else if (kr_manifest_head(repo, what, digest, err) < 0)
        return -(int)err->code;
    key = kr_asprintf("image 1 linux/amd64 %s", digest);
    note = kr_cache_note(cache, key);
    if (json_is_object(json_object_get(note, "manifest")) &&
        json_is_object(json_object_get(note, "config"))) {
        kr_image_finish(out);
        (void)snprintf(out->digest, sizeof(out->digest), "%s", kr_json_str(note, "digest", ""));
        out->manifest = json_incref(json_object_get(note, "manifest"));
        out->config = json_incref(json_object_get(note, "config"));
        return 0;
    }
    if (kr_image_get(repo, digest, out, err) < 0)
        return -(int)err->code;
    made = json_object();
    kr_json_set_str(made, "digest", out->digest);
    kr_json_set(made, "manifest", json_incref(out->manifest));
    kr_json_set(made, "config", json_incref(out->config));
    kr_cache_set_note(cache, key, made);
    return 0;
}

static int on_data(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    return kr_cache_write(data, bytes, n, err);
}

/* A repeat of the download begins at the start again. */
static void on_begin(void *data, const struct kr_http_response *res)
{
    struct kr_err ignored = KR_ERR_INIT; /* the digest at the end tells */

    (void)res;
    (void)!kr_cache_rewind(data, &ignored);
}

int kr_blob_to_cache(struct kr_repo *repo, struct kr_cache *cache, const char *digest,
                     struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_cache_writer struct kr_cache_writer *writer = NULL;
    kr_auto_free char *rest = kr_asprintf("blobs/%s", digest), *url = kr_repo_url(repo, rest);
    kr_auto_free char *what = kr_asprintf("blob %.19s of %s", digest, kr_repo_name(repo));
    struct kr_http_request req = {
        .method = "GET", .url = url, .on_data = on_data, .on_begin = on_begin};
    char got[KR_DIGEST_SIZE];
    uint64_t size;

    if (kr_cache_has(cache, digest, UINT64_MAX))
        return 0;
    if (kr_cache_writer_open(cache, &writer, err) < 0)
        return -(int)err->code;
    req.data = writer;
    if (kr_repo_call(repo, &req, &res, err) < 0)
        return kr_wrap(err, "%s", what);
    if (res.status != 200)
        return kr_repo_fail(repo, &res, what, err);
    return kr_cache_publish(kr_steal(&writer), digest, got, &size, err);
}

int kr_base_read(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                 struct kr_base_tree *out, struct kr_err *err)
{
    const json_t *layers = json_object_get(image->manifest, "layers");

    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *digest = kr_json_str(json_array_get(layers, i), "digest", "");
        kr_auto_fd int fd = -1;
        uint64_t size;

        /* Twice: an entry damaged on disk is found when it is opened, and fetched anew. */
        for (int attempt = 0; fd < 0; attempt++) {
            struct kr_err why = KR_ERR_INIT;

            if (kr_blob_to_cache(repo, cache, digest, err) < 0)
                return -(int)err->code;
            if (kr_cache_read(cache, digest, &fd, &size, &why) < 0 && attempt == 1) {
                *err = why;
                return -(int)err->code;
            }
        }
        if (kr_base_tree_add(out, fd, err) < 0)
            return kr_wrap(err, "layer %.19s", digest);
    }
    return 0;
}
