/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/assemble.h"

#include "base/alloc.h"
#include "base/view.h"

#include <string.h>

/* "NAME=value" pairs of the base, those of `over` replaced in place, new ones behind in their
 * order. */
static json_t *merge_env(const json_t *base, const json_t *over)
{
    json_t *merged = json_array(), *value;
    kr_auto_json json_t *left = json_deep_copy(over != NULL ? over : json_null());
    const char *name;

    for (size_t i = 0; i < json_array_size(base); i++) {
        const char *pair = json_string_value(json_array_get(base, i));
        const char *eq = pair != NULL ? strchr(pair, '=') : NULL;
        kr_auto_free char *key = eq != NULL ? kr_strndup(pair, (size_t)(eq - pair)) : NULL;
        const char *text = key != NULL ? kr_json_str(left, key, NULL) : NULL;

        if (key == NULL)
            continue;
        if (text == NULL) {
            (void)json_array_append_new(merged, json_string(pair));
            continue;
        }
        (void)json_array_append_new(merged, json_sprintf("%s=%s", key, text));
        (void)json_object_del(left, key);
    }
    json_object_foreach(left, name, value)(void)
        json_array_append_new(merged, json_sprintf("%s=%s", name, json_string_value(value)));
    return merged;
}

static json_t *object_in(json_t *parent, const char *key)
{
    json_t *child = json_object_get(parent, key);

    if (!json_is_object(child)) {
        child = json_object();
        kr_json_set(parent, key, child);
    }
    return child;
}

static void set_run_config(json_t *config, const struct kr_assembly *what)
{
    json_t *run = object_in(config, "config"), *labels, *value;
    const char *name;

    kr_json_set(run, "Env", merge_env(json_object_get(run, "Env"), what->environment));
    kr_json_set(run, "Entrypoint", json_deep_copy(what->entrypoint));
    (void)json_object_del(run, "Cmd");
    (void)json_object_del(run, "Healthcheck");
    (void)json_object_del(run, "ArgsEscaped");
    kr_json_set_str(run, "User", what->user);
    kr_json_set_str(run, "WorkingDir", what->working_dir);
    if (json_object_size(what->labels) == 0)
        return;
    labels = object_in(run, "Labels");
    json_object_foreach((json_t *)(uintptr_t)what->labels, name, value)
        kr_json_set(labels, name, json_incref(value));
}

/* A history is optional, but when there is one it has to name every layer. */
static void add_history(json_t *config, const struct kr_assembly *what)
{
    json_t *history = json_object_get(config, "history");
    const char *created = kr_json_str(config, "created", NULL);

    if (!json_is_array(history))
        return;
    for (size_t i = 0; i < what->layer_count; i++) {
        json_t *row = json_object();

        if (created != NULL)
            kr_json_set_str(row, "created", created);
        kr_json_set_str(row, "created_by", what->titles[i]);
        kr_json_set_str(row, "comment", "kourou");
        (void)json_array_append_new(history, row);
    }
}

/* Layers of Docker manifests are the same bytes under another name. */
static const char *layer_type(const char *type)
{
    if (strcmp(type, "application/vnd.docker.image.rootfs.diff.tar.gzip") == 0)
        return KR_OCI_LAYER_GZIP;
    if (strcmp(type, "application/vnd.docker.image.rootfs.diff.tar.zstd") == 0)
        return KR_OCI_LAYER_ZSTD;
    if (strcmp(type, "application/vnd.docker.image.rootfs.diff.tar") == 0)
        return "application/vnd.oci.image.layer.v1.tar";
    return type;
}

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
    json_t *d = json_object();

    kr_json_set_str(d, "mediaType", type);
    kr_json_set_str(d, "digest", digest);
    kr_json_set_int(d, "size", (int64_t)size);
    return d;
}

static json_t *layer_list(const struct kr_assembly *what)
{
    const json_t *base = json_object_get(what->base->manifest, "layers");
    json_t *layers = json_array();

    for (size_t i = 0; i < json_array_size(base); i++) {
        const json_t *d = json_array_get(base, i);

        (void)json_array_append_new(
            layers, descriptor(layer_type(kr_json_str(d, "mediaType", KR_OCI_LAYER_GZIP)),
                               kr_json_str(d, "digest", ""), (uint64_t)kr_json_int(d, "size", 0)));
    }
    for (size_t i = 0; i < what->layer_count; i++)
        (void)json_array_append_new(
            layers, descriptor(what->layers[i].zstd ? KR_OCI_LAYER_ZSTD : KR_OCI_LAYER_GZIP,
                               what->layers[i].digest, what->layers[i].size));
    return layers;
}

void kr_assemble(const struct kr_assembly *what, char **config_text, char **manifest_text)
{
    kr_auto_json json_t *config = json_deep_copy(what->base->config);
    kr_auto_json json_t *manifest = json_object();
    json_t *diff_ids = json_object_get(object_in(config, "rootfs"), "diff_ids");
    char digest[KR_DIGEST_SIZE] = "sha256:";

    for (size_t i = 0; i < what->layer_count; i++)
        (void)json_array_append_new(diff_ids, json_string(what->layers[i].diff_id));
    set_run_config(config, what);
    add_history(config, what);
    (void)json_object_del(config, "container_config"); /* leftovers of Docker's own builds */
    (void)json_object_del(config, "container");
    (void)json_object_del(config, "id");
    (void)json_object_del(config, "parent");
    *config_text = kr_json_canonical(config);
    kr_sha256_hex(*config_text, strlen(*config_text), digest + 7);
    kr_json_set_int(manifest, "schemaVersion", 2);
    kr_json_set_str(manifest, "mediaType", KR_OCI_MANIFEST);
    kr_json_set(manifest, "config", descriptor(KR_OCI_CONFIG, digest, strlen(*config_text)));
    kr_json_set(manifest, "layers", layer_list(what));
    *manifest_text = kr_json_canonical(manifest);
}
