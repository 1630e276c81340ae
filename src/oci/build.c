/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/build.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "core/image_layout.h"
#include "oci/assemble.h"
#include "oci/base_image.h"
#include "oci/base_python.h"
#include "oci/inputs.h"
#include "oci/interpreter.h"
#include "oci/push.h"
#include "oci/tree.h"
#include "oci/wheels.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYERS_MAX       3
#define BELOW_ROOT(path) (&(path)[1]) /* paths of archives have no leading slash */

struct build {
    const struct kr_image_build *in;
    bool fresh;
    struct kr_cache *cache;
    struct kr_ref base_ref, target_ref;
    struct kr_repo *base, *target;
    struct kr_image image;
    struct kr_base_python python;
    char local_python[32]; /* version, or "" */
    size_t local_inputs;   /* files of this machine that the requirements name */
    uint32_t uid, gid;
    struct kr_layer layers[LAYERS_MAX];
    const char *titles[LAYERS_MAX];
    size_t layer_count;
    bool new_code;                    /* the code layer was made in this build */
    char base_digest[KR_DIGEST_SIZE]; /* what the tags mean now; "": not known */
    char target_digest[KR_DIGEST_SIZE];
    char *config, *manifest;
};

void kr_image_built_finish(struct kr_image_built *built)
{
    free(built->reference);
    *built = (struct kr_image_built){.reference = NULL};
}

static void build_finish(struct build *b)
{
    kr_cache_close(b->cache);
    kr_ref_finish(&b->base_ref);
    kr_ref_finish(&b->target_ref);
    kr_repo_close(b->base);
    kr_repo_close(b->target);
    kr_image_finish(&b->image);
    kr_base_python_finish(&b->python);
    free(b->config);
    free(b->manifest);
}

static void say(const struct build *b, const char *step, const char *text, uint64_t done,
                uint64_t total, bool finished)
{
    if (b->in->step != NULL)
        b->in->step(b->in->data, step, text, done, total, total != 0, finished);
}

const char *kr_image_build_cannot(const json_t *docker)
{
    if (json_array_size(json_object_get(docker, "apt_packages")) > 0)
        return "apt_packages run commands inside the image";
    if (json_is_string(json_object_get(docker, "dockerfile")))
        return "dockerfile runs commands inside the image";
    if (json_is_string(json_object_get(docker, "local_project_install_command")))
        return "local_project_install_command runs inside the image";
    return NULL;
}

static int parse_user(const char *text, uint32_t *uid, uint32_t *gid, struct kr_err *err)
{
    struct kr_view rest, part;
    uint64_t first, second;

    *uid = *gid = KR_IMAGE_UID;
    if (text == NULL)
        return 0;
    rest = kr_view_of(text);
    if (!kr_view_cut(&rest, ':', &part))
        rest = part;
    if (!kr_view_u64(part, &first) || !kr_view_u64(rest, &second) || first > UINT32_MAX ||
        second > UINT32_MAX) {
        (void)kr_fail(err, KR_E_INVALID,
                      "user: '%s' is not a number, and the builder 'daemonless' "
                      "cannot look names up inside the image",
                      text);
        return kr_hint(err, "give a number, or use an image builder of flavor local");
    }
    *uid = (uint32_t)first;
    *gid = (uint32_t)second;
    return 0;
}

static int open_all(struct build *b, struct kr_err *err)
{
    const struct kr_image_build *in = b->in;
    bool same;

    if (parse_user(in->user, &b->uid, &b->gid, err) < 0 ||
        kr_ref_parse(in->base, &b->base_ref, err) < 0 ||
        kr_ref_parse(in->target, &b->target_ref, err) < 0 ||
        kr_cache_open(in->cache_dir, in->cache_max, &b->cache, err) < 0)
        return -(int)err->code;
    same = strcmp(b->base_ref.registry, b->target_ref.registry) == 0;
    return kr_repo_open(in->http, &b->base_ref, &in->base_auth, false, NULL, &b->base, err) < 0 ||
                   kr_repo_open(in->http, &b->target_ref, &in->target_auth, true,
                                same ? b->base_ref.repository : NULL, &b->target, err) < 0
               ? -(int)err->code
               : 0;
}

/* What such a file says stays as it is. A script that chooses a Python, as version managers put
 * them in the path, may choose another one next time. */
static bool is_program(const char *path)
{
    kr_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char magic[4];

    return fd >= 0 && read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
           memcmp(magic, "\177ELF", sizeof(magic)) == 0;
}

/* The version of the user's Python. Starting it takes longer than all the rest of a build after a
 * change of code, so it is asked once for each file of a Python. */
static int local_python(struct build *b, struct kr_err *err)
{
    kr_auto_free char *key = NULL;
    kr_auto_json json_t *known = NULL, *note = NULL;
    struct stat st;

    if (stat(b->in->python, &st) < 0 ||
        !is_program(b->in->python)) /* the first: a name, found in PATH */
        return kr_python_version(b->in->python, b->local_python, err);
    key = kr_asprintf("python 1 %s %llu %llu %lld.%09ld", b->in->python,
                      (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    known = kr_cache_note(b->cache, key);
    (void)snprintf(b->local_python, sizeof(b->local_python), "%s",
                   kr_json_str(known, "version", ""));
    if (b->local_python[0] != '\0')
        return 0;
    if (kr_python_version(b->in->python, b->local_python, err) < 0)
        return -(int)err->code;
    note = json_object();
    kr_json_set_str(note, "version", b->local_python);
    kr_cache_set_note(b->cache, key, note);
    return 0;
}

/* What both tags mean, in one round. Not to learn that of the target is no error: pushing will say
 * it. */
static int look_at_tags(struct build *b, struct kr_err *err)
{
    const char *base = kr_ref_what(&b->base_ref);
    struct kr_manifest_ask asks[] = {{.repo = b->base, .what = base},
                                     {.repo = b->target, .what = kr_ref_what(&b->target_ref)}};
    bool fixed = kr_digest_valid(base);

    kr_manifest_heads(fixed ? &asks[1] : asks, fixed ? 1 : 2);
    if (asks[0].rc < 0) {
        *err = asks[0].err;
        return kr_wrap(err, "base image");
    }
    if (asks[1].rc < 0 && asks[1].err.code == KR_E_CANCELLED) {
        *err = asks[1].err;
        return -(int)err->code;
    }
    (void)snprintf(b->base_digest, sizeof(b->base_digest), "%s", fixed ? base : asks[0].digest);
    (void)snprintf(b->target_digest, sizeof(b->target_digest), "%s", asks[1].digest);
    return 0;
}

static int look_at_base(struct build *b, struct kr_err *err)
{
    say(b, "base", b->in->base, 0, 0, false);
    if (look_at_tags(b, err) < 0)
        return -(int)err->code;
    if (kr_base_get(b->base, b->cache, b->base_digest, &b->image, err) < 0)
        return kr_wrap(err, "base image");
    if (!b->in->native && kr_base_find_python(b->base, b->cache, &b->image, b->in->environment,
                                              b->in->base, &b->python, err) < 0)
        return -(int)err->code;
    if (!b->in->native && b->in->python != NULL && local_python(b, err) < 0)
        return -(int)err->code;
    say(b, "base", b->in->base, 0, 0, true);
    return 0;
}

static bool same_python(const struct build *b)
{
    char wanted[16];

    (void)snprintf(wanted, sizeof(wanted), "3.%d.", b->python.minor);
    return kr_starts_with(b->local_python, wanted);
}

static struct kr_layer *next_layer(struct build *b, const char *title)
{
    b->titles[b->layer_count] = title;
    return &b->layers[b->layer_count++];
}

/* Packs the runtime; python/ gets byte code when this machine's Python is of the image's
 * version. */
static int pack_runtime(struct build *b, struct kr_layer *layer, struct kr_err *err)
{
    kr_auto_files struct kr_files compiled = {0};
    kr_auto_free char *dir = NULL;
    const struct kr_files *files = b->in->runtime;
    struct kr_tar_part parts[] = {
        {.prefix = BELOW_ROOT(KR_IMAGE_RUNTIME)},
        {.prefix = BELOW_ROOT(KR_IMAGE_HOME), .uid = b->uid, .gid = b->gid},
        {.prefix = BELOW_ROOT(KR_IMAGE_HOME "/.cache"), .uid = b->uid, .gid = b->gid},
        {.prefix = BELOW_ROOT(KR_IMAGE_HF_HOME), .uid = b->uid, .gid = b->gid},
        {.prefix = BELOW_ROOT(KR_IMAGE_DATA), .uid = b->uid, .gid = b->gid},
    };
    bool made;
    int rc = 0;

    if (!b->in->native && same_python(b)) {
        if (kr_tree_temp(b->in->cache_dir, &dir, err) < 0)
            return -(int)err->code;
        rc = kr_tree_write(dir, files, err);
        if (rc == 0)
            rc = kr_python_compile(b->in->python, dir, KR_IMAGE_RUNTIME, b->in->cancelled,
                                   b->in->data, err);
        if (rc == 0)
            rc = kr_tree_read(dir, NULL, &compiled, err);
        files = &compiled;
    }
    parts[0].files = files;
    if (rc == 0)
        rc = kr_layer_make(b->cache, parts, KR_ARRAY_LEN(parts), b->in->zstd, layer, &made, err);
    if (dir != NULL)
        (void)!kr_remove_tree(dir, NULL);
    return rc;
}

static int runtime_layer(struct build *b, struct kr_err *err)
{
    struct kr_layer *layer = next_layer(b, "runtime");
    char digest[7 + KR_SHA256_HEX];
    kr_auto_free char *key = NULL;
    kr_auto_json json_t *old = NULL, *note = NULL;

    kr_files_digest(b->in->runtime, digest);
    key = kr_asprintf("runtime 1 %s %s python %s uid %u:%u", kr_packer_version(b->in->zstd), digest,
                      !b->in->native && same_python(b) ? b->local_python : "none", b->uid, b->gid);
    old = kr_cache_note(b->cache, key);
    if (kr_layer_of_note(b->cache, old, layer))
        return 0;
    if (pack_runtime(b, layer, err) < 0)
        return kr_wrap(err, "runtime layer");
    note = kr_layer_note(layer);
    kr_cache_set_note(b->cache, key, note);
    return 0;
}

/* Everything that decides about the packages, but for what the index offers: that is asked again
 * only when a fresh build is wanted. */
static int requirements_key(struct build *b, char **key, struct kr_err *err)
{
    const struct kr_image_build *in = b->in;
    struct kr_inputs inputs = {in->requirements, in->constraints, in->installer_args,
                               in->installer_env};
    kr_auto_free char *args =
        in->installer_args != NULL ? kr_json_canonical(in->installer_args) : kr_strdup("[]");
    kr_auto_free char *all = kr_asprintf("%s\n--\n%s\n--\n%s\n--\n%s %s", in->requirements,
                                         in->constraints != NULL ? in->constraints : "", args,
                                         b->python.executable, b->python.purelib);
    char hex[KR_SHA256_HEX], local[KR_DIGEST_SIZE];

    if (kr_inputs_digest(b->cache, &inputs, local, &b->local_inputs, err) < 0)
        return -(int)err->code;
    kr_sha256_hex(all, strlen(all), hex);
    *key = kr_asprintf("requirements 2 %s %s %s local %s base %s inputs %s",
                       kr_packer_version(in->zstd), in->uv ? "uv" : "pip", hex, b->local_python,
                       b->image.digest, local);
    return 0;
}

static bool is_there(const void *data, const char *folder)
{
    return kr_base_tree_at(data, folder, NULL, NULL) == KR_BASE_FOLDER;
}

/* Into the places that the base's links lead to: an entry for a folder would take the place of a
 * link. */
static int pack_over_base(struct build *b, struct kr_files *files, struct kr_layer *layer,
                          struct kr_err *err)
{
    kr_auto_base_tree struct kr_base_tree tree;
    struct kr_tar_part part = {
        .prefix = "", .files = files, .fixed_prefix = true, .there = is_there, .data = &tree};
    bool made;

    kr_base_tree_init(&tree);
    if (kr_base_read(b->base, b->cache, &b->image, &tree, err) < 0)
        return kr_wrap(err, "base image");
    for (size_t i = 0; i < files->n; i++) {
        char *place = kr_base_tree_place(&tree, files->v[i].path);

        free(files->v[i].path);
        files->v[i].path = place;
    }
    kr_files_sort(files);
    return kr_layer_make(b->cache, &part, 1, b->in->zstd, layer, &made, err);
}

static int pack_requirements(struct build *b, struct kr_layer *layer, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_free char *dir = NULL;
    struct kr_wheels wheels = {.python = b->in->python,
                               .requirements = b->in->requirements,
                               .constraints = b->in->constraints != NULL ? b->in->constraints : "",
                               .args = b->in->installer_args,
                               .environment = b->in->installer_env,
                               .uv = b->in->uv,
                               .local = b->local_inputs > 0,
                               .target = &b->python,
                               .temp_dir = b->in->cache_dir,
                               .data = b->in->data,
                               .line = b->in->line,
                               .cancelled = b->in->cancelled};
    int rc = kr_wheels_install(&wheels, &dir, &files, err);

    if (rc == 0)
        rc = pack_over_base(b, &files, layer, err);
    if (dir != NULL)
        (void)!kr_remove_tree(dir, NULL);
    return rc;
}

static int requirements_layer(struct build *b, struct kr_err *err)
{
    struct kr_layer *layer;
    kr_auto_free char *key = NULL;
    kr_auto_json json_t *old = NULL, *note = NULL;

    if (b->in->native || b->in->requirements == NULL || b->in->requirements[0] == '\0')
        return 0;
    layer = next_layer(b, "requirements");
    if (requirements_key(b, &key, err) < 0)
        return kr_wrap(err, "requirements");
    old = b->fresh ? NULL : kr_cache_note(b->cache, key);
    if (kr_layer_of_note(b->cache, old, layer))
        return 0;
    say(b, "requirements", "Installing requirements", 0, 0, false);
    if (pack_requirements(b, layer, err) < 0)
        return kr_wrap(err, "requirements");
    note = kr_layer_note(layer);
    kr_cache_set_note(b->cache, key, note);
    say(b, "requirements", "Installing requirements", 0, 0, true);
    return 0;
}

static int code_layer(struct build *b, struct kr_err *err)
{
    kr_auto_files struct kr_files snapshot = {0};
    struct kr_tar_part parts[] = {
        {.prefix = BELOW_ROOT(KR_IMAGE_APP), .files = b->in->code, .uid = b->uid, .gid = b->gid},
        {.prefix = BELOW_ROOT(KR_IMAGE_RUNTIME), .files = &snapshot, .fixed_prefix = true},
    };

    if (kr_files_add_bytes(&snapshot, "snapshot.json", b->in->snapshot, strlen(b->in->snapshot),
                           false, err) < 0 ||
        kr_layer_make(b->cache, parts, KR_ARRAY_LEN(parts), b->in->zstd, next_layer(b, "code"),
                      &b->new_code, err) < 0)
        return kr_wrap(err, "code layer");
    return 0;
}

/* The user of the container has no entry in /etc/passwd, which nothing here may write: libraries
 * that ask for a name find it in the environment. */
static json_t *environment_of(const struct build *b)
{
    static const char *const defaults[][2] = {
        {"HOME", KR_IMAGE_HOME},
        {"HF_HOME", KR_IMAGE_HF_HOME},
        {"KOUROU_SERVE_DATA_DIR", KR_IMAGE_DATA},
        {"LOGNAME", "kourou"},
        {"PYTHONUNBUFFERED", "1"},
        {"USER", "kourou"},
    };
    json_t *env = json_object();

    for (size_t i = 0; i < KR_ARRAY_LEN(defaults); i++) {
        if (!(b->in->native && kr_starts_with(defaults[i][0], "PYTHON")) &&
            !(b->in->user != NULL && strcmp(defaults[i][1], "kourou") == 0))
            kr_json_set_str(env, defaults[i][0], defaults[i][1]);
    }
    kr_json_merge(env, b->in->environment != NULL ? b->in->environment : json_null());
    return env;
}

static void assemble(struct build *b)
{
    kr_auto_json json_t *env = environment_of(b);
    char user[32];
    struct kr_assembly what = {.base = &b->image,
                               .layers = b->layers,
                               .titles = b->titles,
                               .layer_count = b->layer_count,
                               .environment = env,
                               .entrypoint = b->in->entrypoint,
                               .user = user,
                               .working_dir = KR_IMAGE_APP};

    (void)snprintf(user, sizeof(user), "%u:%u", b->uid, b->gid);
    kr_assemble(&what, &b->config, &b->manifest);
}

struct pushing {
    const struct build *b;
};

static void on_progress(void *data, uint64_t done, uint64_t total)
{
    const struct pushing *p = data;

    say(p->b, "push", p->b->in->target, done, total, false);
}

/* What was pushed, by the digest of its manifest: while a tag of the repository has that digest,
 * its blobs are there. */
static char *pushed_key(const char *digest)
{
    return kr_asprintf("pushed 1 %s", digest);
}

static void keep_pushed(const struct build *b, const char *digest, const struct kr_blob *blobs,
                        size_t n)
{
    kr_auto_free char *key = pushed_key(digest);
    kr_auto_json json_t *note = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(note, json_string(blobs[i].digest));
    kr_cache_set_note(b->cache, key, note);
}

/* Only a guess: the registry has the last word when the manifest is put. */
static void guess(const struct build *b, struct kr_blob *blobs, size_t n)
{
    kr_auto_free char *key = pushed_key(b->target_digest);
    kr_auto_json json_t *note = b->target_digest[0] != '\0' ? kr_cache_note(b->cache, key) : NULL;
    struct kr_blob *code = &blobs[b->layer_count - 1], *config = &blobs[b->layer_count];
    const json_t *known;
    size_t k;

    /* The config is as new as the code in it, which is the last layer. */
    code->guess = config->guess = b->new_code ? KR_BLOB_NEW : KR_BLOB_ASK;
    json_array_foreach(note, k, known)
    {
        for (size_t i = 0; i < n; i++) {
            if (strcmp(blobs[i].digest,
                       json_string_value(known) != NULL ? json_string_value(known) : "") == 0)
                blobs[i].guess = KR_BLOB_KNOWN;
        }
    }
}

static struct kr_blob *blob_list(const struct build *b, const char *config_digest, size_t *n)
{
    const json_t *base = json_object_get(b->image.manifest, "layers");
    struct kr_blob *blobs = kr_calloc(json_array_size(base) + LAYERS_MAX + 1, sizeof(*blobs));

    *n = 0;
    for (size_t i = 0; i < b->layer_count; i++)
        blobs[(*n)++] = (struct kr_blob){
            .digest = b->layers[i].digest, .size = b->layers[i].size, .source = KR_BLOB_CACHE};
    blobs[(*n)++] = (struct kr_blob){.digest = config_digest,
                                     .size = strlen(b->config),
                                     .source = KR_BLOB_BYTES,
                                     .bytes = b->config};
    for (size_t i = 0; i < json_array_size(base); i++) {
        const json_t *d = json_array_get(base, i);

        blobs[(*n)++] = (struct kr_blob){.digest = kr_json_str(d, "digest", ""),
                                         .size = (uint64_t)kr_json_int(d, "size", 0),
                                         .source = KR_BLOB_REPO};
    }
    return blobs;
}

static int push(struct build *b, struct kr_image_built *out, struct kr_err *err)
{
    bool same = strcmp(b->base_ref.registry, b->target_ref.registry) == 0;
    struct pushing progress = {b};
    struct kr_push p = {.to = b->target,
                        .cache = b->cache,
                        .from = b->base,
                        .mount_from = same ? b->base_ref.repository : NULL,
                        .parallel = 8,
                        .data = &progress,
                        .progress = on_progress};
    char digest[KR_DIGEST_SIZE] = "sha256:";
    kr_auto_free struct kr_blob *blobs = NULL;
    size_t n;
    int rc;

    kr_sha256_hex(b->config, strlen(b->config), digest + 7);
    blobs = blob_list(b, digest, &n);
    guess(b, blobs, n);
    rc = kr_push_image(&p, blobs, n, kr_ref_what(&b->target_ref), b->manifest, err);
    out->bytes_sent += p.bytes_sent;
    out->blobs_sent = p.sent;
    out->blobs_mounted = p.mounted;
    out->blobs_there = p.there;
    if (rc == 0)
        keep_pushed(b, out->digest, blobs, n);
    return rc;
}

static int build_once(struct build *b, struct kr_image_built *out, struct kr_err *err)
{
    if (open_all(b, err) < 0 || look_at_base(b, err) < 0 || runtime_layer(b, err) < 0 ||
        requirements_layer(b, err) < 0 || code_layer(b, err) < 0)
        return -(int)err->code;
    assemble(b);
    memcpy(out->digest, "sha256:", 7);
    kr_sha256_hex(b->manifest, strlen(b->manifest), out->digest + 7);
    out->bytes_added = 0;
    for (size_t i = 0; i < b->layer_count; i++)
        out->bytes_added += b->layers[i].size;
    out->unchanged = strcmp(b->target_digest, out->digest) == 0;
    if (!out->unchanged && push(b, out, err) < 0)
        return -(int)err->code;
    say(b, "push", b->in->target, 0, 0, true);
    free(out->reference);
    out->reference = kr_ref_with_digest(&b->target_ref, out->digest);
    return 0;
}

int kr_image_build(const struct kr_image_build *in, struct kr_image_built *out, struct kr_err *err)
{
    bool damaged = true;
    int rc = 0;

    /* A layer that was damaged in the cache is gone from there once it was looked at, and is made
     * again. */
    for (size_t attempt = 0; damaged && attempt <= LAYERS_MAX; attempt++) {
        struct build b = {.in = in, .fresh = in->fresh && attempt == 0};

        kr_err_clear(err);
        rc = build_once(&b, out, err);
        build_finish(&b);
        damaged = rc < 0 && err->code == KR_E_NOT_FOUND && err->http_status == 0;
    }
    return rc;
}
