/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/launch.h"

#include "base/alloc.h"
#include "base/encoding.h"
#include "base/path.h"
#include "base/view.h"
#include "core/image_layout.h"
#include "pack/bundle.h"
#include "pack/digest_cache.h"
#include "pack/dockerignore.h"
#include "pack/dockerfile.h"
#include "pack/gate.h"
#include "pack/machine.h"
#include "pack/requirements.h"
#include "pack/space_readme.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define OWN_FILE_MAX ((size_t)1 << 20)

const char *kr_launch_mode_name(enum kr_launch_mode mode)
{
    return mode == KR_LAUNCH_SOURCE ? "source" : mode == KR_LAUNCH_IMAGE ? "image" : "skip_build";
}

static const json_t *docker_settings(const struct kr_launch *in)
{
    return kr_json_at(in->snapshot, "settings", "docker", NULL);
}

static bool is_native(const struct kr_launch *in)
{
    return strcmp(kr_json_str(json_object_get(in->snapshot, "pipeline"), "kind", "python"),
                  "native") == 0;
}

/* A text that was made here. No secret that the user wrote into settings or code may be in it. */
static int add_made(const struct kr_launch *in, struct kr_files *out, const char *path,
                    const char *text, struct kr_err *err)
{
    const json_t *documents[] = {in->snapshot, in->settings, in->variables};

    if (kr_gate_made(in->gate, path, text, documents, KR_ARRAY_LEN(documents), err) < 0)
        return -(int)err->code;
    return kr_files_add_bytes(out, path, text, strlen(text), false, err);
}

char *kr_launch_snapshot(const json_t *snapshot)
{
    static const char *const kept[] = {"deployment", "resources"};
    kr_auto_json json_t *copy = json_copy((json_t *)(uintptr_t)snapshot);
    json_t *settings = json_object();

    for (size_t i = 0; i < KR_ARRAY_LEN(kept); i++) {
        json_t *value = kr_json_at(snapshot, "settings", kept[i], NULL);

        if (value != NULL)
            kr_json_set(settings, kept[i], json_incref(value));
    }
    kr_json_set(copy, "settings", settings);
    return kr_json_canonical(copy);
}

json_t *kr_launch_entrypoint(const struct kr_launch *in)
{
    const struct {
        const char *option, *value;
    } pairs[] = {
        {"--deployment-id", in->id},
        {"--deployment-name", in->name},
        /* In a Space these would be a commit and a build where nothing else has changed. */
        {"--snapshot-id", in->space ? NULL : in->snapshot_id},
        {"--snapshot-name", in->space ? NULL : in->snapshot_name},
        {"--python", is_native(in) ? NULL : "python3"},
    };
    json_t *words = json_pack("[s,s,s,s,s,s,s,s]", KR_IMAGE_SERVE, "--snapshot", KR_IMAGE_SNAPSHOT,
                              "--root", KR_IMAGE_APP, "--host", "0.0.0.0", "--port");

    (void)json_array_append_new(words, json_sprintf("%d", in->app_port));
    (void)json_array_append_new(words, json_string("--data-dir"));
    (void)json_array_append_new(words, json_string(KR_IMAGE_DATA));
    for (size_t i = 0; i < KR_ARRAY_LEN(pairs); i++) {
        if (pairs[i].value == NULL)
            continue;
        (void)json_array_append_new(words, json_string(pairs[i].option));
        (void)json_array_append_new(words, json_string(pairs[i].value));
    }
    if (in->space)
        (void)json_array_append_new(words, json_string("--space"));
    return words;
}

/* A file of this machine under a path of ours, through the memory of digests. */
static int add_through(const struct kr_launch *in, struct kr_digest_cache *cache,
                       struct kr_files *out, const char *path, const char *disk, bool executable,
                       struct kr_err *err)
{
    kr_auto_free char *own_path = kr_strdup(path), *own_disk = kr_strdup(disk);
    struct kr_file file = {.path = own_path, .disk = own_disk, .executable = executable};
    struct kr_sift how = kr_gate_sift(in->gate, false);
    struct kr_sifted sifted;
    struct stat st;

    if (stat(disk, &st) < 0)
        return kr_fail_errno(err, errno, "%s", disk);
    if (!S_ISREG(st.st_mode))
        return kr_fail(err, KR_E_INVALID, "%s is not a file", disk);
    if (kr_digest_cache_get(cache, disk, &st, &how, &file, &sifted, err) < 0)
        return -(int)err->code;
    kr_gate_found(in->gate, path, &sifted.hits);
    return kr_files_add_known(out, &file, err);
}

static int copy_under(struct kr_files *out, const char *prefix, const struct kr_files *from,
                      struct kr_err *err)
{
    for (size_t i = 0; i < from->n; i++) {
        struct kr_file file = from->v[i];
        kr_auto_free char *path = kr_path_join(prefix, file.path);

        file.path = path;
        if ((file.bytes != NULL
                 ? kr_files_add_bytes(out, path, file.bytes, file.size, file.executable, err)
                 : kr_files_add_known(out, &file, err)) < 0)
            return -(int)err->code;
    }
    return 0;
}

static const char *machine_of(const struct kr_launch *in)
{
    return in->machine != NULL ? in->machine : KR_MACHINE_DEFAULT;
}

static int add_program(const struct kr_launch *in, struct kr_digest_cache *cache, const char *name,
                       struct kr_files *out, struct kr_err *err)
{
    kr_auto_free char *disk = NULL, *path = kr_path_join("bin", name);

    if (kr_machine_program(in->runtime_dir, name, machine_of(in), &disk, err) < 0)
        return -(int)err->code;
    return add_through(in, cache, out, path, disk, true, err);
}

int kr_launch_runtime(const struct kr_launch *launch, struct kr_files *out, struct kr_err *err)
{
    /* What is installed here is nobody's secret, whatever a value looks like. */
    struct kr_launch own = *launch, *in = &own;
    kr_auto_free char *python = kr_path_join(in->runtime_dir, "python");
    kr_auto_digest_cache struct kr_digest_cache *cache =
        kr_digest_cache_open(in->cache_dir, in->runtime_dir);
    struct kr_bundle what = {.root = python, .cache_dir = in->cache_dir};
    kr_auto_json json_t *warnings = json_array();
    kr_auto_files struct kr_files package = {0};

    own.gate = NULL;
    if (is_native(in) && add_program(in, cache, "kourou-native", out, err) < 0)
        return kr_wrap(err, "runtime");
    if (add_program(in, cache, "kourou-serve", out, err) < 0)
        return kr_wrap(err, "runtime");
    if (!is_native(in) && (kr_bundle_collect(&what, &package, warnings, err) < 0 ||
                           copy_under(out, "python", &package, err) < 0))
        return kr_wrap(err, "runtime");
    return 0;
}

/* "lib/libfoo.so" of a native pipeline's source, and where it lies. */
static int find_library(const struct kr_launch *in, char **path, char **disk, struct kr_err *err)
{
    const char *source = kr_json_str(json_object_get(in->snapshot, "pipeline"), "source", "");
    const char *colon = strchr(source, ':');

    *path = kr_strndup(source, colon != NULL ? (size_t)(colon - source) : strlen(source));
    if (kr_path_under(in->root, *path, disk, err) < 0)
        return kr_wrap(err, "pipeline source");
    if (kr_machine_check(*disk, machine_of(in), *path, err) == 0)
        return 0;
    return err->code == KR_E_INVALID
               ? kr_hint(err, "build the library for linux/%s", machine_of(in))
               : -(int)err->code;
}

int kr_launch_check_machine(const struct kr_launch *in, struct kr_err *err)
{
    kr_auto_free char *serve = NULL, *native = NULL, *path = NULL, *disk = NULL;

    if (kr_machine_program(in->runtime_dir, "kourou-serve", machine_of(in), &serve, err) < 0)
        return kr_wrap(err, "runtime");
    if (!is_native(in))
        return 0;
    if (kr_machine_program(in->runtime_dir, "kourou-native", machine_of(in), &native, err) < 0)
        return kr_wrap(err, "runtime");
    return find_library(in, &path, &disk, err);
}

/* The library of a native pipeline is a product of a build, and ignore files often name it. */
static int add_library(const struct kr_launch *in, struct kr_files *out, struct kr_err *err)
{
    kr_auto_free char *path = NULL, *disk = NULL;
    kr_auto_digest_cache struct kr_digest_cache *cache = NULL;

    if (find_library(in, &path, &disk, err) < 0)
        return -(int)err->code;
    if (kr_files_find(out, path) != NULL)
        return 0;
    cache = kr_digest_cache_open(in->cache_dir, disk);
    return add_through(in, cache, out, path, disk, false, err);
}

int kr_launch_source(const struct kr_launch *in, struct kr_files *out, json_t *warnings,
                     struct kr_err *err)
{
    kr_auto_dockerignore struct kr_dockerignore *rules = NULL;
    struct kr_bundle what = {.root = in->root,
                             .cache_dir = in->cache_dir,
                             .max_total = in->space ? KR_BUNDLE_SPACE_MAX : 0,
                             .keep = in->space ? "README.md" : NULL,
                             .gate = in->gate};

    if (kr_dockerignore_load(in->root, docker_settings(in), in->context, &rules, err) < 0)
        return -(int)err->code;
    what.leave_out = rules;
    if (kr_bundle_collect(&what, out, warnings, err) < 0 ||
        (is_native(in) && add_library(in, out, err) < 0))
        return -(int)err->code;
    return kr_gate_judge(in->gate, warnings, err);
}

/* The user's file of that name from the bundle, or an empty text. *found says whether it exists. */
static int own_text(const struct kr_files *files, const char *path, struct kr_buf *text,
                    bool *found, struct kr_err *err)
{
    const struct kr_file *file = kr_files_find(files, path);

    *found = file != NULL;
    return file != NULL ? kr_file_read(file->disk, text, err) : 0;
}

/* One that the settings name takes the place of the folder's own, and what it names is left out
 * already. */
static int add_dockerignore(const struct kr_launch *in, struct kr_files *out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(OWN_FILE_MAX);
    bool found, other = kr_dockerignore_setting(docker_settings(in), "build_config") != NULL;

    if (!other && own_text(out, ".dockerignore", &text, &found, err) < 0)
        return -(int)err->code;
    if (text.n > 0 && text.p[text.n - 1] != '\n')
        kr_buf_addc(&text, '\n');
    kr_buf_adds(&text, "# Added by Kourou\n" KR_DOCKERIGNORE_ALWAYS
                       "!.kourou\n!.kourou/**\n" KR_MARKER_PATH "\n");
    if (kr_buf_check(&text, err) < 0)
        return -(int)err->code;
    return add_made(in, out, ".dockerignore", kr_buf_str(&text), err);
}

/* The user's own Dockerfile (docker setting `dockerfile`), read from below the root. */
static int read_own_dockerfile(const struct kr_launch *in, struct kr_buf *text, const char **name,
                               struct kr_err *err)
{
    const json_t *docker = docker_settings(in);
    const char *context = kr_json_str(docker, "build_context_root", NULL);
    kr_auto_free char *path = NULL;

    *name = kr_json_str(docker, "dockerfile", NULL);
    if (*name == NULL)
        return 0;
    if (context != NULL) {
        kr_auto_free char *joined = kr_path_join(in->root, context);
        kr_auto_free char *real = realpath(joined, NULL), *root = realpath(in->root, NULL);

        if (real == NULL || root == NULL || strcmp(real, root) != 0) {
            (void)kr_fail(err, KR_E_INVALID, "build_context_root '%s' is not the source folder",
                          context);
            return kr_hint(err,
                           "a build from source has the source folder as its context; build an "
                           "image (a stack with container registry and image builder) instead");
        }
    }
    path = kr_path_join(in->root, *name);
    if (kr_file_read(path, text, err) < 0)
        return kr_wrap(err, "dockerfile");
    return kr_gate_text(in->gate, *name, kr_buf_str(text), text->n, err);
}

static json_t *executables_of(const struct kr_files *files)
{
    json_t *list = json_array();

    for (size_t i = 0; i < files->n; i++) {
        if (files->v[i].executable)
            (void)json_array_append_new(list, json_string(files->v[i].path));
    }
    return list;
}

/* What requirement files and commands of the user's own say. */
static int add_requirement_files(const struct kr_launch *in, const struct kr_requirements *reqs,
                                 struct kr_files *out, struct kr_err *err)
{
    const char *const texts[][2] = {{".kourou/requirements.txt", reqs->text},
                                    {".kourou/constraints.txt", reqs->constraints}};

    for (size_t i = 0; i < KR_ARRAY_LEN(texts); i++) {
        const char *path = texts[i][0], *text = texts[i][1];

        if (reqs->text[0] == '\0' || text[0] == '\0')
            continue;
        if (kr_gate_text(in->gate, path, text, strlen(text), err) < 0 ||
            kr_files_add_bytes(out, path, text, strlen(text), false, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* A list of the user's in UTF-16 goes as UTF-8: the Hub would keep it as a large file, and every
 * file of that name with it, also ours. */
static int convert_lists(const struct kr_launch *in, struct kr_files *out, struct kr_err *err)
{
    static const char *const names[] = {"requirements.txt", "constraints.txt", "pyproject.toml"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        const struct kr_file *file = kr_files_find(out, names[i]);
        kr_auto_buf struct kr_buf text = KR_BUF_INIT(OWN_FILE_MAX);
        struct kr_err other = KR_ERR_INIT; /* a file that is no text goes as it is */

        if (file == NULL || file->disk == NULL || file->size > OWN_FILE_MAX / 2)
            continue;
        if (kr_file_read(file->disk, &text, err) < 0)
            return -(int)err->code;
        if (text.n < 2 || memchr(text.p, '\0', text.n) == NULL)
            continue;
        if (kr_text_decode(&text, names[i], &other) == 0 &&
            (kr_gate_text(in->gate, names[i], kr_buf_str(&text), text.n, err) < 0 ||
             kr_files_add_bytes(out, names[i], kr_buf_str(&text), text.n, false, err) < 0))
            return -(int)err->code;
    }
    return 0;
}

static int add_build(const struct kr_launch *in, struct kr_files *out, json_t *warnings,
                     struct kr_err *err)
{
    const json_t *docker = docker_settings(in);
    const char *version = kr_json_str(json_object_get(in->snapshot, "python"), "version", NULL);
    const char *parent = kr_json_str(docker, "parent_image", NULL);
    kr_auto_free char *base =
        parent != NULL ? kr_strdup(parent) : kr_default_base(is_native(in), version);
    struct kr_requirements_in wanted = {in->root, docker, in->snapshot, in->python};
    kr_auto_requirements struct kr_requirements reqs = {0};
    kr_auto_json json_t *executables = executables_of(out), *entry = kr_launch_entrypoint(in);
    kr_auto_buf struct kr_buf own = KR_BUF_INIT(OWN_FILE_MAX);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    struct kr_dockerfile made = {
        .base = base,
        .native = is_native(in),
        .as_is = in->mode == KR_LAUNCH_SKIP_BUILD,
        .reqs = &reqs,
        .environment = json_object_get(docker, "environment"),
        .runtime_environment = json_object_get(docker, "runtime_environment"),
        .variables = in->variables,
        .executables = executables,
        .user = kr_json_str(docker, "user", NULL),
        .entrypoint = entry};

    if (made.as_is && parent == NULL)
        return kr_fail(err, KR_E_INVALID, "skip_build needs the docker setting parent_image");
    if (made.as_is) {
        made.reqs = NULL;
        made.environment = made.runtime_environment = NULL;
    } else {
        if (kr_requirements_collect(&wanted, &reqs, warnings, err) < 0 ||
            convert_lists(in, out, err) < 0 || add_requirement_files(in, &reqs, out, err) < 0 ||
            read_own_dockerfile(in, &own, &made.own_name, err) < 0)
            return -(int)err->code;
        made.own = made.own_name != NULL ? kr_buf_str(&own) : NULL;
    }
    if (made.own == NULL && kr_files_find(out, "Dockerfile") != NULL)
        (void)json_array_append_new(warnings,
                                    json_string("the Dockerfile of the source folder is not used; "
                                                "the docker setting dockerfile names one "
                                                "to build upon"));
    if (kr_dockerfile_source(&made, &text, err) < 0)
        return -(int)err->code;
    return add_made(in, out, "Dockerfile", kr_buf_str(&text), err);
}

static int add_finished_image(const struct kr_launch *in, struct kr_files *out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    kr_auto_json json_t *entry = kr_launch_entrypoint(in);
    const json_t *docker = docker_settings(in);
    struct kr_dockerfile made = {
        .base = in->image,
        .environment = json_object_get(docker, "environment"),
        .runtime_environment = json_object_get(docker, "runtime_environment"),
        .entrypoint = entry,
    };

    if (kr_dockerfile_image(&made, &text, err) < 0)
        return -(int)err->code;
    return add_made(in, out, "Dockerfile", kr_buf_str(&text), err);
}

static int add_readme(const struct kr_launch *in, const struct kr_files *source,
                      struct kr_files *out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf own = KR_BUF_INIT(KR_README_MAX);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(KR_README_MAX);
    struct kr_space_readme readme = {.deployment = in->name,
                                     .snapshot = in->snapshot,
                                     .app_port = in->app_port,
                                     .settings = in->settings};
    bool found;

    if (own_text(source, "README.md", &own, &found, err) < 0)
        return -(int)err->code;
    readme.own = found ? kr_buf_str(&own) : NULL;
    if (found && kr_gate_text(in->gate, "README.md", kr_buf_str(&own), own.n, err) < 0)
        return -(int)err->code;
    if (kr_space_readme(&readme, &text, err) < 0)
        return -(int)err->code;
    return add_made(in, out, "README.md", kr_buf_str(&text), err);
}

/* The builder of a Space takes no options; what would be lost is said. */
static void warn_of_options(const struct kr_launch *in, json_t *warnings)
{
    const json_t *docker = docker_settings(in);
    const json_t *own = kr_json_at(docker, "build_config", "build_options", NULL);

    if (in->space && in->mode == KR_LAUNCH_SOURCE &&
        (json_object_size(own) > 0 ||
         json_object_size(json_object_get(docker, "build_options")) > 0))
        (void)json_array_append_new(
            warnings, json_string("the builder of a Space takes no options: the docker setting "
                                  "build_options counts for images that "
                                  "are built with Docker only"));
}

static int launch_files(const struct kr_launch *in, struct kr_files *out, json_t *warnings,
                        struct kr_err *err)
{
    kr_auto_free char *snapshot = kr_launch_snapshot(in->snapshot);
    kr_auto_files struct kr_files runtime = {0};
    kr_auto_files struct kr_files readme_source = {0};
    char size[16];

    warn_of_options(in, warnings);
    if (in->mode == KR_LAUNCH_IMAGE) {
        kr_auto_free char *path = kr_path_join(in->root, "README.md");

        if (in->space && kr_path_exists(path) &&
            kr_files_add_disk(&readme_source, "README.md", path, err) < 0)
            return -(int)err->code;
        if (add_finished_image(in, out, err) < 0)
            return -(int)err->code;
    } else {
        if (kr_launch_source(in, out, warnings, err) < 0 || add_build(in, out, warnings, err) < 0 ||
            add_dockerignore(in, out, err) < 0 || kr_launch_runtime(in, &runtime, err) < 0 ||
            copy_under(out, ".kourou", &runtime, err) < 0)
            return -(int)err->code;
    }
    if (in->space &&
        add_readme(in, in->mode == KR_LAUNCH_IMAGE ? &readme_source : out, out, err) < 0)
        return -(int)err->code;
    if (add_made(in, out, ".kourou/snapshot.json", snapshot, err) < 0)
        return -(int)err->code;
    if (in->space && kr_files_bytes(out) > KR_BUNDLE_SPACE_MAX)
        return kr_fail(err, KR_E_LIMIT, "source and runtime have %s together; a Space holds 1 GB",
                       kr_size_text(kr_files_bytes(out), size));
    return 0;
}

int kr_launch_files(const struct kr_launch *in, struct kr_files *out, json_t *warnings,
                    struct kr_err *err)
{
    struct kr_gate_policy policy = {.root = in->root, .cache_dir = in->cache_dir};
    kr_auto_gate struct kr_gate *own = NULL;
    struct kr_launch with = *in;

    if (in->gate == NULL) {
        if (kr_gate_open(&policy, &own, err) < 0)
            return -(int)err->code;
        with.gate = own;
    }
    if (launch_files(&with, out, warnings, err) < 0)
        return -(int)err->code;
    return kr_gate_judge(with.gate, warnings, err);
}
