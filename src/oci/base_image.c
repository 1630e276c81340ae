/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/base_image.h"

#include "base/alloc.h"
#include "base/view.h"
#include "oci/tar.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define OLDEST_MINOR 9
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void kr_base_python_finish(struct kr_base_python *python)
{
    free(python->bin);
    free(python->site);
    *python = (struct kr_base_python){0};
}

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

static const char *env_of(const struct kr_image *image, const char *name)
{
    const json_t *list = kr_json_at(image->config, "config", "Env", NULL);
    size_t n = strlen(name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *pair = json_string_value(json_array_get(list, i));

        if (pair != NULL && strncmp(pair, name, n) == 0 && pair[n] == '=')
            return pair + n + 1;
    }
    return NULL;
}

/* Minor version of "3.11.7"; -1: not Python 3. */
static int minor_of(const char *version)
{
    struct kr_view rest = kr_view_of(version), part;
    uint64_t major, minor;

    (void)kr_view_cut(&rest, '.', &part);
    if (!kr_view_u64(part, &major) || major != 3)
        return -1;
    (void)kr_view_cut(&rest, '.', &part);
    return kr_view_u64(part, &minor) && minor < 1000 ? (int)minor : -1;
}

enum libc { LIBC_UNKNOWN, LIBC_GLIBC, LIBC_MUSL };

/* What the commands that made the image say. */
static enum libc libc_of_history(const struct kr_image *image)
{
    const json_t *history = json_object_get(image->config, "history");

    for (size_t i = 0; i < json_array_size(history); i++) {
        const char *by = kr_json_str(json_array_get(history, i), "created_by", "");

        if (strstr(by, "apk add") != NULL || strstr(by, "apk --no-cache") != NULL ||
            strstr(by, "alpine") != NULL)
            return LIBC_MUSL;
        if (strstr(by, "apt-get ") != NULL || strstr(by, "debuerreotype") != NULL)
            return LIBC_GLIBC;
    }
    return LIBC_UNKNOWN;
}

/* Interpreters seen in the layers, by the folder they lie in. */
struct seen {
    struct {
        char *folder; /* "usr/local/bin" */
        int minor;
    } v[16];
    size_t n;
    bool musl, glibc, dist_packages;
};

static void see_python(struct seen *seen, const char *path)
{
    const char *slash = strrchr(path, '/');
    int minor;

    if (slash == NULL || !kr_starts_with(slash + 1, "python3."))
        return;
    minor = minor_of(slash + 7);
    if (minor < 0 || strspn(slash + 9, "0123456789") != strlen(slash + 9) ||
        seen->n == KR_ARRAY_LEN(seen->v))
        return;
    if (slash - path < 3 || strncmp(slash - 3, "bin", 3) != 0)
        return;
    seen->v[seen->n].folder = kr_strndup(path, (size_t)(slash - path));
    seen->v[seen->n++].minor = minor;
}

static bool on_entry(void *data, const char *path, const char *link)
{
    struct seen *seen = data;
    size_t n = strlen(path);

    (void)link;
    while (n > 0 && path[n - 1] == '/')
        n--;
    if (kr_starts_with(path, "lib/ld-musl-") || kr_starts_with(path, "usr/lib/ld-musl-"))
        seen->musl = true;
    if (strstr(path, "ld-linux-x86-64.so.2") != NULL)
        seen->glibc = true;
    if (strstr(path, "/python3/dist-packages") != NULL)
        seen->dist_packages = true;
    if (n == strlen(path))
        see_python(seen, path);
    return true;
}

static void seen_finish(struct seen *seen)
{
    for (size_t i = 0; i < seen->n; i++)
        free(seen->v[i].folder);
}

static int read_layers(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                       struct seen *seen, struct kr_err *err)
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
        if (kr_tar_list(fd, on_entry, seen, err) < 0)
            return kr_wrap(err, "layer %.19s", digest);
    }
    return 0;
}

/* The interpreter that PATH finds first. */
static void choose_python(const struct kr_image *image, const struct seen *seen,
                          struct kr_base_python *out)
{
    const char *path = env_of(image, "PATH");
    struct kr_view rest = kr_view_of(path != NULL ? path : DEFAULT_PATH), folder;
    bool more = true;

    while (more && out->bin == NULL) {
        more = kr_view_cut(&rest, ':', &folder);
        for (size_t i = 0; i < seen->n && folder.n > 1; i++) {
            struct kr_view below = {folder.p + 1, folder.n - 1};

            if (!kr_view_eq(below, seen->v[i].folder) || seen->v[i].minor < out->minor)
                continue;
            free(out->bin);
            out->bin = kr_view_dup(folder);
            out->minor = seen->v[i].minor;
        }
    }
}

/* Debian keeps what is not its own below /usr/local in dist-packages. */
static void set_site(struct kr_base_python *out, bool debian)
{
    size_t n = strlen(out->bin) - strlen("/bin");

    if (debian && strcmp(out->bin, "/usr/bin") == 0)
        out->site = kr_asprintf("/usr/local/lib/python3.%d/dist-packages", out->minor);
    else
        out->site = kr_asprintf("%.*s/lib/python3.%d/site-packages", (int)n, out->bin, out->minor);
}

static int refuse(const char *name, const char *why, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, "base image '%s' %s", name, why);
    return kr_hint(err,
                   "set the docker setting parent_image to an image with glibc and Python 3.9 or "
                   "newer (python:3.11-slim); native pipelines need no Python");
}

static int judge(const char *name, const struct kr_base_python *python, enum libc libc,
                 struct kr_err *err)
{
    kr_auto_free char *old =
        kr_asprintf("has Python 3.%d, older than 3.%d", python->minor, OLDEST_MINOR);

    if (python->bin == NULL)
        return refuse(name, "has no Python 3", err);
    if (python->minor < OLDEST_MINOR)
        return refuse(name, old, err);
    if (libc == LIBC_MUSL)
        return refuse(name, "uses musl instead of glibc, which few packages have wheels for", err);
    return 0;
}

static int from_note(const json_t *note, struct kr_base_python *out, enum libc *libc)
{
    if (!json_is_object(note))
        return -1;
    out->minor = (int)kr_json_int(note, "minor", 0);
    out->bin = kr_strdup(kr_json_str(note, "bin", NULL));
    out->site = kr_strdup(kr_json_str(note, "site", NULL));
    *libc = (enum libc)kr_json_int(note, "libc", LIBC_UNKNOWN);
    return 0;
}

static void keep_note(struct kr_cache *cache, const char *key, const struct kr_base_python *python,
                      enum libc libc)
{
    kr_auto_json json_t *note = json_object();

    kr_json_set_int(note, "minor", python->minor);
    kr_json_set_str(note, "bin", python->bin);
    kr_json_set_str(note, "site", python->site);
    kr_json_set_int(note, "libc", libc);
    kr_cache_set_note(cache, key, note);
}

int kr_base_find_python(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                        const char *name, struct kr_base_python *out, struct kr_err *err)
{
    const char *version = env_of(image, "PYTHON_VERSION");
    enum libc libc = libc_of_history(image);
    kr_auto(seen_finish) struct seen seen = {0};
    kr_auto_free char *key = kr_asprintf("python 1 %s", image->digest);
    kr_auto_json json_t *note = NULL;

    kr_base_python_finish(out);
    if (version != NULL && libc != LIBC_UNKNOWN && minor_of(version) >= 0) {
        out->minor = minor_of(version);
        out->bin = kr_strdup("/usr/local/bin");
        set_site(out, false);
        return judge(name, out, libc, err);
    }
    note = kr_cache_note(cache, key);
    if (from_note(note, out, &libc) < 0) {
        if (read_layers(repo, cache, image, &seen, err) < 0)
            return kr_wrap(err, "looking for Python in '%s'", name);
        choose_python(image, &seen, out);
        libc = seen.musl && !seen.glibc ? LIBC_MUSL : LIBC_GLIBC;
        if (out->bin != NULL)
            set_site(out, seen.dist_packages);
        keep_note(cache, key, out, libc);
    }
    return judge(name, out, libc, err);
}
