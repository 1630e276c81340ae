/* SPDX-License-Identifier: Apache-2.0 */
/* What decides whether an image has to be built again. */
#include "app/build.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "base/path.h"
#include "deployers/lifecycle.h"
#include "oci/inputs.h"
#include "oci/manifest.h"
#include "pack/dockerfile.h"
#include "pack/gate.h"
#include "pack/requirements.h"

#include <string.h>

static void add_some(json_t *all, const char *key, json_t *value)
{
    if (value != NULL)
        kr_json_set(all, key, json_incref(value));
}

/* -- base images ------------------------------------------------------------------------------- */

static bool on_cancelled(void *data)
{
    const struct kr_build *b = data;

    return kr_denv_cancelled(&b->target->env);
}

/* What the registry says a reference means now; "" when that cannot be found out. */
static void ask_registry(const struct kr_build *b, const char *reference,
                         char digest[KR_DIGEST_SIZE])
{
    const json_t *row = json_object_get(b->target->stack, "container_registry");
    kr_auto_http struct kr_http *http = kr_http_open("kourou/" KR_VERSION);
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    struct kr_repo_auth auth = {.user = NULL};
    struct kr_err ignored = KR_ERR_INIT;
    const char *uri = kr_json_str(json_object_get(row, "config"), "uri", "");

    digest[0] = '\0';
    http->policy = (struct kr_retry_policy)KR_RETRY_NONE;
    http->hooks.data = (void *)(uintptr_t)b;
    http->hooks.cancelled = on_cancelled;
    if (kr_ref_parse(reference, &ref, &ignored) < 0)
        return;
    if (kr_digest_valid(kr_ref_what(&ref))) {
        (void)snprintf(digest, KR_DIGEST_SIZE, "%s", kr_ref_what(&ref));
        return;
    }
    if (strlen(ref.registry) == strcspn(uri, "/") &&
        strncmp(ref.registry, uri, strlen(ref.registry)) == 0)
        auth = kr_registry_auth(row);
    if (kr_repo_open(http, &ref, &auth, false, NULL, &repo, &ignored) < 0 ||
        kr_manifest_head(repo, kr_ref_what(&ref), digest, &ignored) < 0)
        digest[0] = '\0';
}

/* What the engine has under the reference: the digest it was pulled by, else the id of what was
 * made there. Caller frees; NULL: nothing. */
static char *ask_engine(const char *reference)
{
    kr_auto_json json_t *found = NULL;
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    struct kr_err ignored = KR_ERR_INIT;
    const json_t *digests;

    if (kr_engine_inspect("image", reference, &found, &ignored) < 0 ||
        kr_ref_parse(reference, &ref, &ignored) < 0)
        return NULL;
    digests = json_object_get(found, "RepoDigests");
    for (size_t i = 0; i < json_array_size(digests); i++) {
        const char *name = json_string_value(json_array_get(digests, i));
        kr_auto_ref struct kr_ref pulled = KR_REF_INIT;

        if (name != NULL && kr_ref_parse(name, &pulled, &ignored) == 0 &&
            strcmp(pulled.registry, ref.registry) == 0 &&
            strcmp(pulled.repository, ref.repository) == 0)
            return kr_strdup(kr_ref_what(&pulled));
    }
    return kr_strdup(kr_json_str(found, "Id", ""));
}

/* What the base is for this builder. An engine goes on with what it has under a tag that has moved:
 * it is told to pull then. */
static char *base_digest(struct kr_build *b, const char *reference)
{
    bool engine = strcmp(b->builder, "daemonless") != 0;
    kr_auto_free char *here = engine ? ask_engine(reference) : NULL;
    char there[KR_DIGEST_SIZE];

    ask_registry(b, reference, there);
    if (there[0] == '\0')
        return here != NULL ? kr_steal(&here) : kr_strdup("");
    if (here != NULL && strcmp(here, there) != 0)
        (void)json_array_append_new(b->moved, json_string(reference));
    return kr_strdup(there);
}

static void add_dockerfile(struct kr_build *b, const char *text, json_t *bases)
{
    kr_auto_json json_t *names = kr_dockerfile_bases(text);
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        kr_auto_free char *digest = NULL;

        if (json_object_get(bases, json_string_value(name)) != NULL)
            continue;
        digest = base_digest(b, json_string_value(name));
        kr_json_set_str(bases, json_string_value(name), digest);
    }
}

/* Of the Dockerfile that is built, and of the user's own that is built before it. */
static int add_bases(struct kr_build *b, const struct kr_files *files, json_t *all,
                     struct kr_err *err)
{
    const struct kr_file *made = kr_files_find(files, "Dockerfile");
    const char *own = kr_json_str(b->docker, "dockerfile", NULL);
    kr_auto_json json_t *bases = json_object();
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(KR_DOCKERFILE_MAX);

    json_decref(b->moved);
    b->moved = json_array();
    if (made != NULL && made->bytes != NULL)
        add_dockerfile(b, made->bytes, bases);
    if (own != NULL && kr_json_str(b->docker, "build_context_root", NULL) != NULL) {
        kr_auto_free char *path = kr_path_join(b->launch.root, own);

        if (kr_file_read(path, &text, err) < 0)
            return kr_wrap(err, "docker setting dockerfile");
        add_dockerfile(b, kr_buf_str(&text), bases);
    }
    kr_json_set(all, "bases", json_incref(bases));
    return 0;
}

/* -- wheels and sources of this machine -------------------------------------------------------- */

static const char *text_of(const struct kr_files *files, const char *path)
{
    const struct kr_file *file = kr_files_find(files, path);

    return file != NULL ? file->bytes : NULL;
}

static int add_local_inputs(const struct kr_build *b, const struct kr_files *files, json_t *all,
                            struct kr_err *err)
{
    kr_auto_cache struct kr_cache *cache = NULL;
    kr_auto_json json_t *args = NULL;
    struct kr_inputs inputs = {.requirements = text_of(files, ".kourou/requirements.txt"),
                               .constraints = text_of(files, ".kourou/constraints.txt"),
                               .environment = b->launch.variables};
    char digest[KR_DIGEST_SIZE];
    size_t count;

    if (kr_requirements_args(b->docker, &args, err) < 0)
        return -(int)err->code;
    inputs.args = args;
    if (kr_cache_open(b->cache, 0, &cache, err) < 0 ||
        kr_inputs_digest(cache, &inputs, digest, &count, err) < 0)
        return -(int)err->code;
    kr_json_set_str(all, "inputs", digest);
    return 0;
}

/* -- all of it --------------------------------------------------------------------------------- */

int kr_build_key(struct kr_build *b, char key[KR_SHA256_HEX], struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0}, context = {0};
    kr_auto_json json_t *warnings = json_array(), *all = json_object();
    const char *folder = kr_json_str(b->docker, "build_context_root", NULL);
    char digest[7 + KR_SHA256_HEX];
    kr_auto_free char *text = NULL;
    struct kr_launch in = b->launch;

    in.cache_dir = b->cache;
    if (folder == NULL) {
        if (kr_launch_files(&in, &files, warnings, err) < 0)
            return -(int)err->code;
    } else {
        kr_auto_free char *root = kr_path_join(in.root, folder);

        if (kr_launch_source(&in, &files, warnings, err) < 0 ||
            kr_build_context(b, root, &context, warnings, err) < 0)
            return -(int)err->code;
        kr_json_set(all, "docker", json_incref((json_t *)(uintptr_t)b->docker));
    }
    kr_files_digest(&files, digest);
    kr_json_set_str(all, "files", digest);
    kr_files_digest(&context, digest);
    kr_json_set_str(all, "context", digest);
    kr_json_set_str(all, "builder", b->builder);
    kr_json_set_str(all, "name", b->name);
    add_some(all, "options", json_object_get(b->docker, "build_config"));
    add_some(all, "older_options", json_object_get(b->docker, "build_options"));
    if (b->config != NULL)
        kr_json_set(all, "config", json_incref((json_t *)(uintptr_t)b->config));
    if (add_bases(b, &files, all, err) < 0 || add_local_inputs(b, &files, all, err) < 0)
        return -(int)err->code;
    text = kr_json_canonical(all);
    kr_sha256_hex(text, strlen(text), key);
    return 0;
}
