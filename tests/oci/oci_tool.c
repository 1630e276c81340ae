/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for the tests against real registries: each takes one JSON file and prints one JSON
 * object; a failure prints {"error","hint","code","status"} and exits 1. */
#include "base/alloc.h"
#include "base/digest.h"
#include "base/path.h"
#include "oci/build.h"
#include "oci/cache.h"
#include "oci/check.h"
#include "oci/credentials.h"
#include "oci/manifest.h"
#include "oci/push.h"
#include "oci/tree.h"
#include "pack/launch.h"

#include <stdio.h>
#include <string.h>

static struct kr_repo_auth auth_of(const json_t *in, const char *key)
{
    const json_t *a = json_object_get(in, key);

    return (struct kr_repo_auth){.user = kr_json_str(a, "user", NULL),
                                 .password = kr_json_str(a, "password", NULL),
                                 .anonymous = kr_json_bool(a, "anonymous", false),
                                 .plain_http = kr_json_bool(a, "plain_http", false),
                                 .ca_file = kr_json_str(a, "ca_file", NULL)};
}

/* {"target": reference, "file": path, "cache", "chunk"}: the file becomes a blob of the
 * repository. */
static int push_file(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err)
{
    struct kr_repo_auth auth = auth_of(in, "auth");
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    kr_auto_cache struct kr_cache *cache = NULL;
    kr_auto_cache_writer struct kr_cache_writer *writer = NULL;
    kr_auto_buf struct kr_buf text = KR_BUF_INIT((size_t)1 << 30);
    struct kr_push push = {.chunk = (uint64_t)kr_json_int(in, "chunk", 0)};
    struct kr_blob blob = {.source = KR_BLOB_CACHE};
    char digest[KR_DIGEST_SIZE];

    if (kr_ref_parse(kr_json_str(in, "target", ""), &ref, err) < 0 ||
        kr_repo_open(http, &ref, &auth, true, NULL, &repo, err) < 0 ||
        kr_cache_open(kr_json_str(in, "cache", ""), 0, &cache, err) < 0 ||
        kr_file_read(kr_json_str(in, "file", ""), &text, err) < 0 ||
        kr_cache_writer_open(cache, &writer, err) < 0 ||
        kr_cache_write(writer, text.p, text.n, err) < 0 ||
        kr_cache_publish(kr_steal(&writer), NULL, digest, &blob.size, err) < 0)
        return -(int)err->code;
    blob.digest = digest;
    push.to = repo;
    push.cache = cache;
    if (kr_push_blobs(&push, &blob, 1, err) < 0)
        return -(int)err->code;
    kr_json_set_str(out, "digest", digest);
    kr_json_set_int(out, "bytes_sent", (int64_t)push.bytes_sent);
    kr_json_set_int(out, "there", (int64_t)push.there);
    return 0;
}

static int get_image(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err)
{
    struct kr_repo_auth auth = auth_of(in, "auth");
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    kr_auto_image struct kr_image image = {0};

    if (kr_ref_parse(kr_json_str(in, "image", ""), &ref, err) < 0 ||
        kr_repo_open(http, &ref, &auth, false, NULL, &repo, err) < 0 ||
        kr_image_get(repo, kr_ref_what(&ref), &image, err) < 0)
        return -(int)err->code;
    kr_json_set_str(out, "digest", image.digest);
    kr_json_set(out, "manifest", json_incref(image.manifest));
    kr_json_set(out, "config", json_incref(image.config));
    return 0;
}

static int check(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err)
{
    struct kr_repo_auth way = auth_of(in, "auth");
    char digest[KR_DIGEST_SIZE];

    if (kr_image_check_public(http, kr_json_str(in, "image", ""), &way, digest, err) < 0)
        return -(int)err->code;
    kr_json_set_str(out, "digest", digest);
    return 0;
}

static int credentials(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err)
{
    kr_auto_credentials struct kr_credentials c = {0};

    (void)http;
    if (kr_credentials_find(kr_json_str(in, "registry", ""), &c, err) < 0)
        return -(int)err->code;
    kr_json_set_str(out, "user", c.user);
    kr_json_set_str(out, "password", c.password);
    kr_json_set_str(out, "identity_token", c.identity_token);
    return 0;
}

static void on_line(void *data, const char *line)
{
    (void)data;
    (void)fprintf(stderr, "%s\n", line);
}

static int build(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err)
{
    kr_auto_files struct kr_files code = {0}, runtime = {0};
    kr_auto_image_built struct kr_image_built built = {.reference = NULL};
    struct kr_image_build what = {.http = http,
                                  .cache_dir = kr_json_str(in, "cache", ""),
                                  .base = kr_json_str(in, "base", ""),
                                  .target = kr_json_str(in, "target", ""),
                                  .base_auth = auth_of(in, "base_auth"),
                                  .target_auth = auth_of(in, "target_auth"),
                                  .native = kr_json_bool(in, "native", false),
                                  .runtime = &runtime,
                                  .code = &code,
                                  .snapshot = kr_json_str(in, "snapshot", "{}"),
                                  .requirements = kr_json_str(in, "requirements", NULL),
                                  .constraints = kr_json_str(in, "constraints", NULL),
                                  .installer_args = json_object_get(in, "installer_args"),
                                  .installer_env = json_object_get(in, "installer_env"),
                                  .uv = kr_json_bool(in, "uv", false),
                                  .python = kr_json_str(in, "python", NULL),
                                  .environment = json_object_get(in, "environment"),
                                  .entrypoint = json_object_get(in, "entrypoint"),
                                  .user = kr_json_str(in, "user", NULL),
                                  .zstd = kr_json_bool(in, "zstd", false),
                                  .fresh = kr_json_bool(in, "fresh", false),
                                  .line = on_line};

    if (kr_tree_read(kr_json_str(in, "code", ""), NULL, &code, err) < 0 ||
        kr_tree_read(kr_json_str(in, "runtime", ""), NULL, &runtime, err) < 0 ||
        kr_image_build(&what, &built, err) < 0)
        return -(int)err->code;
    kr_json_set_str(out, "digest", built.digest);
    kr_json_set_str(out, "reference", built.reference);
    kr_json_set_int(out, "bytes_sent", (int64_t)built.bytes_sent);
    kr_json_set_int(out, "bytes_added", (int64_t)built.bytes_added);
    kr_json_set_int(out, "sent", (int64_t)built.blobs_sent);
    kr_json_set_int(out, "mounted", (int64_t)built.blobs_mounted);
    kr_json_set_int(out, "there", (int64_t)built.blobs_there);
    kr_json_set_bool(out, "unchanged", built.unchanged);
    return 0;
}

/* {"root","runtime","snapshot": object, "to", "space", "mode"}: writes the launched tree to a
 * folder, without executable bits, as the Hub hands it to its builder. */
static int launch(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_json json_t *warnings = json_array();
    struct kr_launch what = {.root = kr_json_str(in, "root", ""),
                             .runtime_dir = kr_json_str(in, "runtime", ""),
                             .cache_dir = kr_json_str(in, "cache", NULL),
                             .python = kr_json_str(in, "python", NULL),
                             .snapshot = json_object_get(in, "snapshot"),
                             .id = "id-1",
                             .name = "try",
                             .image = kr_json_str(in, "image", NULL),
                             .mode = kr_json_str(in, "image", NULL) != NULL ? KR_LAUNCH_IMAGE
                                     : kr_json_bool(in, "skip", false)      ? KR_LAUNCH_SKIP_BUILD
                                                                            : KR_LAUNCH_SOURCE,
                             .app_port = 7860,
                             .space = true};

    (void)http;
    if (kr_launch_files(&what, &files, warnings, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < files.n; i++)
        files.v[i].executable = false;
    kr_json_set(out, "entrypoint", kr_launch_entrypoint(&what));
    kr_json_set(out, "warnings", json_incref(warnings));
    return kr_tree_write(kr_json_str(in, "to", ""), &files, err);
}

static const struct {
    const char *name;
    int (*run)(struct kr_http *http, const json_t *in, json_t *out, struct kr_err *err);
} commands[] = {
    {"push-file", push_file},     {"get-image", get_image}, {"check", check},
    {"credentials", credentials}, {"build", build},         {"launch", launch},
};

int main(int argc, char **argv)
{
    kr_auto_http struct kr_http *http = kr_http_open("kourou-test");
    kr_auto_json json_t *in = NULL, *out = json_object();
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *text = NULL;
    int rc = -1;

    http->policy.first_ms = 10;
    if (argc != 3 || kr_json_read_file(argv[2], (size_t)1 << 24, &in, &err) < 0)
        return 2;
    for (size_t i = 0; i < KR_ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            rc = commands[i].run(http, in, out, &err);
    }
    if (rc < 0) {
        (void)json_object_clear(out);
        kr_json_set_str(out, "error", err.msg);
        kr_json_set_str(out, "hint", err.hint);
        kr_json_set_str(out, "code", kr_code_name(err.code));
        kr_json_set_int(out, "status", err.http_status);
    }
    text = kr_json_pretty(out);
    return puts(text) < 0 || rc < 0 ? 1 : 0;
}
