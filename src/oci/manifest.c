/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/manifest.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "base/view.h"

#include <string.h>

#define LAYERS_MAX 512

static const char *const accept_manifest[] = {"Accept: " KR_OCI_MANIFEST, "Accept: " KR_OCI_INDEX,
                                              "Accept: " KR_DOCKER_MANIFEST,
                                              "Accept: " KR_DOCKER_INDEX, NULL};

void kr_image_finish(struct kr_image *image)
{
    json_decref(image->manifest);
    json_decref(image->config);
    *image = (struct kr_image){0};
}

bool kr_descriptor_valid(const json_t *d)
{
    return json_is_object(d) && kr_digest_valid(kr_json_str(d, "digest", "")) &&
           json_is_integer(json_object_get(d, "size")) && kr_json_int(d, "size", -1) >= 0;
}

/* The header is only an early word: what counts is the digest of the bytes. */
static int check_digest(const struct kr_repo *repo, const struct kr_http_response *res,
                        const char *wanted, char digest[KR_DIGEST_SIZE], struct kr_err *err)
{
    memcpy(digest, "sha256:", 7);
    kr_sha256_hex(kr_buf_str(&res->body), res->body.n, digest + 7);
    if (wanted != NULL && strcmp(wanted, digest) != 0)
        return kr_fail(err, KR_E_REMOTE, "%s gave other bytes for %s (they are %s)",
                       kr_repo_registry(repo), wanted, digest);
    return 0;
}

static int get_manifest(struct kr_repo *repo, const char *what, json_t **doc,
                        char digest[KR_DIGEST_SIZE], struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *rest = kr_asprintf("manifests/%s", what), *url = kr_repo_url(repo, rest);
    kr_auto_free char *name =
        kr_asprintf("image %s/%s%c%s", kr_repo_registry(repo), kr_repo_name(repo),
                    kr_digest_valid(what) ? '@' : ':', what);
    struct kr_http_request req = {
        .method = "GET", .url = url, .headers = accept_manifest, .max_body = KR_MANIFEST_MAX};

    if (kr_repo_call(repo, &req, &res, err) < 0)
        return kr_wrap(err, "%s", name);
    if (res.status != 200)
        return kr_repo_fail(repo, &res, name, err);
    if (check_digest(repo, &res, kr_digest_valid(what) ? what : NULL, digest, err) < 0 ||
        kr_json_parse(kr_buf_str(&res.body), res.body.n, name, doc, err) < 0)
        return -(int)err->code;
    if (!json_is_object(*doc) || kr_json_int(*doc, "schemaVersion", 0) != 2)
        return kr_fail(err, KR_E_INVALID, "%s has a manifest of an old or unknown format", name);
    return 0;
}

/* "linux/amd64", with the variant where there is one. Caller frees. */
static char *platform_text(const json_t *p)
{
    const char *variant = kr_json_str(p, "variant", "");

    return kr_asprintf("%s/%s%s%s", kr_json_str(p, "os", "?"), kr_json_str(p, "architecture", "?"),
                       variant[0] != '\0' ? "/" : "", variant);
}

static bool platform_fits(const json_t *p)
{
    const char *variant = kr_json_str(p, "variant", "");

    return strcmp(kr_json_str(p, "os", ""), "linux") == 0 &&
           strcmp(kr_json_str(p, "architecture", ""), "amd64") == 0 &&
           (variant[0] == '\0' || strcmp(variant, "v1") == 0);
}

/* The entry of an index for our platform; entries of attestations have the platform
 * unknown/unknown. */
static int choose(const json_t *index, const char *what, const char **digest, struct kr_err *err)
{
    const json_t *list = json_object_get(index, "manifests");
    kr_auto_buf struct kr_buf others = KR_BUF_INIT(4096);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i), *p = json_object_get(entry, "platform");
        kr_auto_free char *text = platform_text(p);

        if (!kr_descriptor_valid(entry))
            return kr_fail(err, KR_E_REMOTE, "the index of image '%s' is damaged", what);
        if (platform_fits(p)) {
            *digest = kr_json_str(entry, "digest", "");
            return 0;
        }
        if (strcmp(kr_json_str(p, "os", ""), "unknown") != 0)
            kr_buf_addf(&others, "%s%s", others.n > 0 ? ", " : "", text);
    }
    return kr_fail(err, KR_E_INVALID, "image '%s' has nothing for linux/amd64 (it has %s)", what,
                   others.n > 0 ? kr_buf_str(&others) : "no platform at all");
}

static int check_manifest(const json_t *doc, const char *what, struct kr_err *err)
{
    const json_t *layers = json_object_get(doc, "layers");
    bool ok = kr_descriptor_valid(json_object_get(doc, "config")) && json_is_array(layers) &&
              json_array_size(layers) <= LAYERS_MAX;

    for (size_t i = 0; ok && i < json_array_size(layers); i++)
        ok = kr_descriptor_valid(json_array_get(layers, i));
    return ok ? 0 : kr_fail(err, KR_E_REMOTE, "the manifest of image '%s' is damaged", what);
}

int kr_blob_get(struct kr_repo *repo, const char *digest, struct kr_buf *out, struct kr_err *err)
{
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_free char *rest = kr_asprintf("blobs/%s", digest), *url = kr_repo_url(repo, rest);
    kr_auto_free char *name = kr_asprintf("blob %s of %s", digest, kr_repo_name(repo));
    struct kr_http_request req = {.method = "GET", .url = url, .max_body = out->max};
    char got[KR_DIGEST_SIZE];

    if (kr_repo_call(repo, &req, &res, err) < 0)
        return kr_wrap(err, "%s", name);
    if (res.status != 200)
        return kr_repo_fail(repo, &res, name, err);
    if (check_digest(repo, &res, digest, got, err) < 0)
        return -(int)err->code;
    kr_buf_add(out, kr_buf_str(&res.body), res.body.n);
    return kr_buf_check(out, err);
}

static int get_config(struct kr_repo *repo, const char *what, struct kr_image *image,
                      struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(KR_CONFIG_MAX);
    const char *digest = kr_json_str(json_object_get(image->manifest, "config"), "digest", "");
    const json_t *diff_ids;
    kr_auto_free char *platform = NULL;

    if (kr_blob_get(repo, digest, &text, err) < 0)
        return -(int)err->code;
    if (kr_json_parse(kr_buf_str(&text), text.n, "image config", &image->config, err) < 0)
        return kr_wrap(err, "image '%s'", what);
    platform = platform_text(image->config);
    if (!platform_fits(image->config))
        return kr_fail(err, KR_E_INVALID, "image '%s' is for %s, not linux/amd64", what, platform);
    diff_ids = kr_json_at(image->config, "rootfs", "diff_ids", NULL);
    if (json_array_size(diff_ids) != json_array_size(json_object_get(image->manifest, "layers")))
        return kr_fail(err, KR_E_REMOTE, "the config of image '%s' does not fit its layers", what);
    return 0;
}

int kr_image_get(struct kr_repo *repo, const char *what, struct kr_image *out, struct kr_err *err)
{
    kr_auto_image struct kr_image image = {0};
    kr_auto_json json_t *index = NULL;
    const char *digest = NULL;

    if (get_manifest(repo, what, &image.manifest, image.digest, err) < 0)
        return -(int)err->code;
    if (json_is_array(json_object_get(image.manifest, "manifests"))) {
        index = kr_steal(&image.manifest);
        if (choose(index, what, &digest, err) < 0 ||
            get_manifest(repo, digest, &image.manifest, image.digest, err) < 0)
            return -(int)err->code;
    }
    if (check_manifest(image.manifest, what, err) < 0 || get_config(repo, what, &image, err) < 0)
        return -(int)err->code;
    kr_image_finish(out);
    *out = image;
    image = (struct kr_image){0};
    return 0;
}

static int take_head(struct kr_manifest_ask *ask, struct kr_repo_ask *call)
{
    kr_auto_free char *name = kr_asprintf("image %s:%s", kr_repo_name(ask->repo), ask->what);
    const char *said;

    ask->err = call->err;
    if (call->rc < 0)
        return kr_wrap(&ask->err, "%s", name);
    if (call->res.status != 200)
        return kr_repo_fail(ask->repo, &call->res, name, &ask->err);
    said = kr_http_header(&call->res, "docker-content-digest");
    if (said == NULL || !kr_digest_valid(said))
        return kr_fail(&ask->err, KR_E_REMOTE, "%s did not say the digest of %s",
                       kr_repo_registry(ask->repo), name);
    (void)snprintf(ask->digest, KR_DIGEST_SIZE, "%s", said);
    return 0;
}

void kr_manifest_heads(struct kr_manifest_ask *asks, size_t n)
{
    struct kr_repo_ask calls[KR_MANIFEST_ASKS_MAX] = {{.repo = NULL}};
    char *urls[KR_MANIFEST_ASKS_MAX];

    for (size_t i = 0; i < n; i++) {
        kr_auto_free char *rest = kr_asprintf("manifests/%s", asks[i].what);

        urls[i] = kr_repo_url(asks[i].repo, rest);
        calls[i].repo = asks[i].repo;
        calls[i].req =
            (struct kr_http_request){.method = "HEAD", .url = urls[i], .headers = accept_manifest};
    }
    kr_repo_call_all(calls, n);
    for (size_t i = 0; i < n; i++) {
        asks[i].rc = take_head(&asks[i], &calls[i]);
        kr_http_response_finish(&calls[i].res);
        free(urls[i]);
    }
}

int kr_manifest_head(struct kr_repo *repo, const char *what, char digest[KR_DIGEST_SIZE],
                     struct kr_err *err)
{
    struct kr_manifest_ask ask = {.repo = repo, .what = what};

    kr_manifest_heads(&ask, 1);
    (void)snprintf(digest, KR_DIGEST_SIZE, "%s", ask.digest);
    if (ask.rc < 0 && err != NULL)
        *err = ask.err;
    return ask.rc;
}
