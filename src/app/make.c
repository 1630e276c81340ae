/* SPDX-License-Identifier: Apache-2.0 */
#include "app/make.h"

#include "app/change.h"
#include "app/compile.h"
#include "app/needs.h"
#include "app/packages.h"
#include "base/alloc.h"
#include "base/path.h"
#include "base/yaml.h"
#include "core/flavor.h"
#include "core/secret_ref.h"
#include "core/setting.h"
#include "deployers/deployer.h"
#include "net/http.h"
#include "oci/tar.h"
#include "pack/bundle.h"
#include "pack/dockerignore.h"

#include <string.h>

enum { MAX_CONFIG = 4 << 20 };

/* Key of a configuration file that kourou/deploy.py writes: options that were set in Python travel
 * in it, and the user knows of no file. */
#define OF_CODE "#code"

void kr_made_finish(struct kr_made *made)
{
    json_decref(made->document);
    json_decref(made->auth_key);
    json_decref(made->needs);
    free(made->source_root);
    free(made->python);
    *made = (struct kr_made){0};
}

/* ${NAME} is replaced everywhere but in settings, which the merge expands itself. */
static int read_config(const char *path, json_t **out, struct kr_err *err)
{
    kr_auto_free char *file = kr_path_expand_home(path);
    kr_auto_json json_t *raw = NULL, *settings = NULL;

    if (!kr_path_exists(file))
        return kr_fail(err, KR_E_NOT_FOUND, "no file '%s'", path);
    if (kr_yaml_read_file(file, MAX_CONFIG, &raw, err) < 0)
        return -(int)err->code;
    if (json_is_null(raw)) {
        *out = json_object();
        return 0;
    }
    if (!json_is_object(raw))
        return kr_fail(err, KR_E_INVALID, "%s: %s, expected a map of keys", path,
                       kr_json_type_name(raw));
    settings = json_incref(json_object_get(raw, "settings"));
    (void)json_object_del(raw, "settings");
    if (kr_settings_expand_env(raw, path, out, err) < 0)
        return -(int)err->code;
    if (settings != NULL)
        kr_json_set(*out, "settings", json_incref(settings));
    return 0;
}

static json_t *command_line_layer(const struct kr_deploy_request *request)
{
    json_t *layer = json_object();

    if (request->build_mode != NULL) {
        json_t *deployer = json_object();

        kr_json_set_str(deployer, "build_mode", request->build_mode);
        kr_json_set(layer, "deployer", deployer);
    }
    if (request->prevent_build_reuse) {
        json_t *docker = json_object();

        kr_json_set_bool(docker, "prevent_build_reuse", true);
        kr_json_set(layer, "docker", docker);
    }
    return layer;
}

static void say_all(struct kr_app *app, enum kr_note kind, const json_t *notes)
{
    const json_t *note;
    size_t i;

    json_array_foreach(notes, i, note) kr_note(app, kind, "%s", json_string_value(note));
}

static int merge_settings(struct kr_app *app, const struct kr_deploy_request *request,
                          const json_t *config, const json_t *deployer, const json_t *document,
                          json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *command_line = command_line_layer(request), *notes = json_array(),
                        *wins = json_array();
    kr_auto_free char *code = kr_asprintf(
        "@pipeline of %s", kr_json_str(json_object_get(document, "pipeline"), "source", "?"));
    bool of_code = json_object_get(config, OF_CODE) != NULL;
    struct kr_settings_sources sources = {
        .deployer_flavor = kr_json_str(deployer, "flavor", ""),
        .component = json_object_get(deployer, "config"),
        .code = {.settings = json_object_get(document, "settings"), .where = code},
        .file = {.settings = json_object_get(config, "settings"),
                 .where = of_code ? code : request->config_file,
                 .tells = of_code ? NULL : wins},
        .command_line = {.settings = command_line, .where = "command line"},
    };

    if (kr_settings_decide(&sources, notes, out, err) < 0)
        return -(int)err->code;
    say_all(app, KR_NOTE_WARN, notes);
    say_all(app, KR_NOTE_INFO, wins);
    return 0;
}

/* What may stand in a snapshot: nothing secret, but references to secrets. A plain key leaves a
 * mark, so that nobody deploys the snapshot without a key by accident. */
static json_t *public_settings(const char *flavor, json_t *merged, json_t **auth_key)
{
    const struct kr_settings_table *table = kr_flavor_find(KR_DEPLOYER, flavor)->table;
    const json_t *full = json_object_get(merged, "deployer");
    json_t *out = kr_settings_public(table, full);

    *auth_key = json_incref(json_object_get(full, "auth_key"));
    if (*auth_key == NULL)
        *auth_key = json_null();
    for (size_t i = 0; i < table->count; i++) {
        const struct kr_setting *row = &table->rows[i];
        const char *text = kr_json_str(full, row->name, NULL);

        if (row->component_only)
            (void)json_object_del(out, row->name);
        else if (row->sensitive && text != NULL && kr_secret_ref_parse(text, NULL, NULL))
            kr_json_set_str(out, row->name, text);
    }
    if (json_is_string(*auth_key))
        kr_json_set_bool(out, "auth_key_set", true);
    return out;
}

/* Variables as texts; null is not set. */
static json_t *variables_of(const json_t *map)
{
    json_t *made = json_object(), *value;
    const char *name;

    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        kr_auto_free char *text =
            json_is_string(value) ? kr_strdup(json_string_value(value)) : kr_json_canonical(value);

        if (!json_is_null(value))
            kr_json_set_str(made, name, text);
    }
    return made;
}

/* Code first, the configuration file over it, as with settings. */
static int merge_environment(const json_t *config, json_t *document, struct kr_err *err)
{
    kr_auto_json json_t *wrapped = json_object(), *expanded = NULL,
                        *over = variables_of(json_object_get(config, "environment"));
    json_t *merged, *names, *item, *known;
    size_t i, k;

    if (json_object_get(document, "environment") != NULL)
        kr_json_set(wrapped, "environment", json_incref(json_object_get(document, "environment")));
    if (kr_settings_expand_env(wrapped, "environment of the pipeline", &expanded, err) < 0)
        return -(int)err->code;
    merged = variables_of(json_object_get(expanded, "environment"));
    kr_json_merge(merged, over);
    kr_json_set(document, "environment", merged);
    names = json_object_get(document, "secrets");
    if (!json_is_array(names)) {
        names = json_array();
        kr_json_set(document, "secrets", names);
    }
    json_array_foreach(json_object_get(config, "secrets"), i, item)
    {
        bool there = false;

        json_array_foreach(names, k, known) there = there || json_equal(known, item);
        if (!there)
            (void)json_array_append(names, item);
    }
    return 0;
}

static int collect_within(struct kr_app *app, const char *root, const json_t *document,
                          uint64_t max, struct kr_files *files, json_t *warnings,
                          struct kr_err *err)
{
    kr_auto_free char *cache = kr_path_join(app->data_dir, "cache"), *library = NULL;
    struct kr_bundle bundle = {.root = root, .cache_dir = cache, .max_total = max};
    const char *source = kr_json_str(json_object_get(document, "pipeline"), "source", "");

    if (kr_mkdir_p(cache, 0700, err) < 0 || kr_bundle_collect(&bundle, files, warnings, err) < 0)
        return -(int)err->code;
    if (kr_source_is_native(source, &library) && kr_files_find(files, library) == NULL) {
        kr_auto_free char *disk = kr_path_join(root, library); /* ignored as a product of a build */

        return kr_files_add_disk(files, library, disk, err);
    }
    return 0;
}

int kr_code_digest(struct kr_app *app, const char *root, const json_t *document,
                   char digest[KR_SHA256_HEX + 7], struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_json json_t *warnings = json_array();

    if (collect_within(app, root, document, 0, &files, warnings, err) < 0)
        return -(int)err->code;
    kr_files_digest(&files, digest);
    return 0;
}

/* How much code may go where it is built; 0: any. What is built here goes into an image instead.
 */
static uint64_t code_max(const struct kr_deploy_request *request, const json_t *stack,
                         const char *flavor, const json_t *settings)
{
    const char *mode = kr_json_str(json_object_get(settings, "deployer"), "build_mode", "auto");
    bool skip = kr_json_bool(json_object_get(settings, "docker"), "skip_build", false);
    bool registry = json_is_object(kr_json_at(stack, "components", "container_registry", NULL));

    if (stack == NULL || kr_deployer_traits(flavor)->source_max == 0 || request->build != NULL)
        return 0;
    if (kr_dockerignore_setting(json_object_get(settings, "docker"), "build_config") != NULL)
        return 0; /* what it leaves out does not count, which is seen when the files are put
                     together */
    if (!skip && (strcmp(mode, "image") == 0 || (strcmp(mode, "auto") == 0 && registry)))
        return 0;
    return kr_deployer_traits(flavor)->source_max;
}

static int add_code(struct kr_app *app, struct kr_made *made, const char *flavor, uint64_t max,
                    struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_json json_t *warnings = json_array();
    char digest[KR_SHA256_HEX + 7];
    bool stays = kr_deployer_traits(flavor)->takes == KR_TAKES_FOLDER;
    json_t *code = json_object();

    kr_json_set(made->document, "code", code);
    if (collect_within(app, made->source_root, made->document, max, &files, warnings, err) < 0) {
        if (err->code != KR_E_LIMIT || !stays)
            return kr_wrap(err, "the code in %s", made->source_root);
        kr_note(app, KR_NOTE_WARN, "%s: changes of the code will not be noticed", err->msg);
        kr_err_clear(err);
        return 0;
    }
    kr_files_digest(&files, digest);
    kr_json_set_str(code, "digest", digest);
    return kr_needs_code(app, made, stays, &files, warnings, err);
}

static int complete(struct kr_app *app, const struct kr_deploy_request *request,
                    const json_t *config, const json_t *stack, const json_t *deployer,
                    struct kr_made *made, struct kr_err *err)
{
    const char *flavor = kr_json_str(deployer, "flavor", "");
    kr_auto_json json_t *merged = NULL;
    kr_auto_free char *text = NULL;

    if (merge_settings(app, request, config, deployer, made->document, &merged, err) < 0 ||
        merge_environment(config, made->document, err) < 0)
        return -(int)err->code;
    kr_json_set(merged, "deployer", public_settings(flavor, merged, &made->auth_key));
    kr_json_set(made->document, "settings", json_incref(merged));
    if (kr_packages_check(app, request, made, flavor, err) < 0)
        return -(int)err->code;
    if (add_code(app, made, flavor, code_max(request, stack, flavor, merged), err) < 0)
        return -(int)err->code;
    text = kr_json_canonical(made->document);
    memcpy(made->digest, "sha256:", 7);
    kr_sha256_hex(text, strlen(text), made->digest + 7);
    return 0;
}

static void prepare_image(void)
{
    kr_http_warm();
    kr_tar_warm();
}

/* What a deploy to this stack will need is loaded while Python reads the pipeline: that takes
 * longer. */
static void (*preparation(const json_t *stack, const json_t *deployer))(void)
{
    if (json_is_object(kr_json_at(stack, "components", "container_registry", NULL)))
        return prepare_image;
    return stack != NULL ? kr_deployer_traits(kr_json_str(deployer, "flavor", NULL))->warm : NULL;
}

int kr_make(struct kr_app *app, const struct kr_deploy_request *request, const char *root,
            const json_t *stack, const json_t *deployer, struct kr_made *out, struct kr_err *err)
{
    kr_auto_json json_t *config = NULL, *for_python = NULL;
    struct kr_compile compile = {.source = request->source,
                                 .root = root,
                                 .python = request->python,
                                 .meanwhile = preparation(stack, deployer)};

    *out = (struct kr_made){0};
    if (request->config_file != NULL && read_config(request->config_file, &config, err) < 0)
        return -(int)err->code;
    compile.config = for_python = json_copy(config);
    (void)json_object_del(for_python, OF_CODE);
    compile.config_file = request->config_file;
    out->source_root = kr_strdup(root);
    if (kr_compile(app, &compile, &out->document, &out->python, err) < 0)
        return -(int)err->code;
    out->needs = json_incref(json_object_get(out->document, "needs"));
    (void)json_object_del(out->document, "needs");
    return complete(app, request, config, stack, deployer, out, err);
}

static int store_pipeline(struct kr_app *app, const json_t *document, json_t **row,
                          struct kr_err *err)
{
    const json_t *pipeline = json_object_get(document, "pipeline");
    kr_auto_json json_t *scope = json_object(), *page = NULL, *fresh = json_object();
    struct kr_query query = {.page = 1, .size = 1};
    const json_t *found;

    kr_json_set_str(scope, "name", kr_json_str(pipeline, "name", NULL));
    if (kr_store_list(app->store, KR_PIPELINE, &query, scope, &page, err) < 0)
        return -(int)err->code;
    found = json_array_get(json_object_get(page, "items"), 0);
    kr_json_set_str(fresh, "source", kr_json_str(pipeline, "source", NULL));
    if (found == NULL) {
        kr_json_set_str(fresh, "name", kr_json_str(pipeline, "name", NULL));
        return kr_store_insert(app->store, KR_PIPELINE, fresh, row, err);
    }
    *row = json_incref((json_t *)(uintptr_t)found);
    if (json_equal(json_object_get(found, "source"), json_object_get(fresh, "source")))
        return 0;
    return kr_store_update(app->store, KR_PIPELINE, kr_json_str(found, "id", ""), fresh, err);
}

/* Takes a name from the snapshot that has it, or fails. */
static int free_name(struct kr_app *app, const char *pipeline_id,
                     const struct kr_snapshot_label *label, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL, *change = json_object();
    struct kr_query query = {.page = 1, .size = 1};
    const json_t *found;

    kr_json_set_str(scope, "pipeline_id", pipeline_id);
    kr_json_set_str(scope, "name", label->name);
    if (kr_store_list(app->store, KR_SNAPSHOT, &query, scope, &page, err) < 0)
        return -(int)err->code;
    found = json_array_get(json_object_get(page, "items"), 0);
    if (found == NULL)
        return 0;
    if (!label->replace) {
        (void)kr_fail(err, KR_E_EXISTS, "snapshot '%s' of pipeline '%s' exists", label->name,
                      kr_json_str(found, "pipeline", "?"));
        return kr_hint(err, "--replace moves the name to the new snapshot");
    }
    kr_json_set_str(change, "name", NULL);
    return kr_store_update(app->store, KR_SNAPSHOT, kr_json_str(found, "id", ""), change, err);
}

static int find_equal(struct kr_app *app, const struct kr_made *made, const char *pipeline_id,
                      const json_t *stack, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL;
    struct kr_query query = {.page = 1, .size = 0};
    const json_t *item;
    size_t i;

    *row = NULL;
    kr_json_set_str(scope, "pipeline_id", pipeline_id);
    kr_json_set_str(scope, "digest", made->digest);
    if (kr_store_list(app->store, KR_SNAPSHOT, &query, scope, &page, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(page, "items"), i, item)
    {
        const char *python = kr_json_str(item, "python", "");

        if (strcmp(kr_json_str(item, "source_root", ""), made->source_root) == 0 &&
            strcmp(python, made->python != NULL ? made->python : "") == 0 &&
            json_equal(json_object_get(item, "stack_id"), json_object_get(stack, "id")))
            return kr_store_find(app->store, KR_SNAPSHOT, kr_json_str(item, "id", ""), NULL, row,
                                 err);
    }
    return 0;
}

static int store_in(struct kr_app *app, const struct kr_made *made, const json_t *stack,
                    const struct kr_snapshot_label *label, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *pipeline = NULL, *fresh = json_object();
    const char *pipeline_id;

    if (store_pipeline(app, made->document, &pipeline, err) < 0)
        return -(int)err->code;
    pipeline_id = kr_json_str(pipeline, "id", "");
    if (label == NULL) {
        if (find_equal(app, made, pipeline_id, stack, row, err) < 0)
            return -(int)err->code;
        if (*row != NULL)
            return 0;
    } else if (free_name(app, pipeline_id, label, err) < 0) {
        return -(int)err->code;
    }
    kr_json_set_str(fresh, "pipeline_id", pipeline_id);
    kr_json_set_str(fresh, "stack_id", kr_json_str(stack, "id", NULL));
    kr_json_set_str(fresh, "digest", made->digest);
    kr_json_set_str(fresh, "code_digest",
                    kr_json_str(json_object_get(made->document, "code"), "digest", NULL));
    kr_json_set(fresh, "document", json_incref(made->document));
    kr_json_set_str(fresh, "source_root", made->source_root);
    kr_json_set_str(fresh, "python", made->python);
    if (label != NULL) {
        kr_json_set_str(fresh, "name", label->name);
        kr_json_set_str(fresh, "description", label->description);
        if (label->tags != NULL)
            kr_json_set(fresh, "tags", json_deep_copy(label->tags));
    }
    return kr_store_insert(app->store, KR_SNAPSHOT, fresh, row, err);
}

int kr_made_store(struct kr_app *app, const struct kr_made *made, const json_t *stack,
                  const struct kr_snapshot_label *label, json_t **row, struct kr_err *err)
{
    *row = NULL;
    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    return kr_change_end(app, store_in(app, made, stack, label, row, err), NULL, NULL, err);
}
