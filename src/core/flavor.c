/* SPDX-License-Identifier: Apache-2.0 */
#include "core/flavor.h"

#include "base/buf.h"
#include "base/view.h"
#include "core/table.h"

#include <string.h>

static const struct kr_settings_table no_attributes = {.title =
                                                           "attributes of the local orchestrator"};

/* Artifact stores. */
#define KR_STORES_NOTHING "artifacts are kept in a folder of this machine (KOUROU_ARTIFACTS)"

static int check_prefix(const json_t *value, const char *const *prefixes, struct kr_err *err)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; prefixes[i] != NULL; i++) {
        if (kr_starts_with(text, prefixes[i]) && text[strlen(prefixes[i])] != '\0')
            return 0;
    }
    return kr_fail(err, KR_E_INVALID, "'%s' does not begin with %s<bucket>", text, prefixes[0]);
}

static int check_s3(const json_t *value, struct kr_err *err)
{
    return check_prefix(value, (const char *const[]){"s3://", NULL}, err);
}

static int check_gcs(const json_t *value, struct kr_err *err)
{
    return check_prefix(value, (const char *const[]){"gs://", NULL}, err);
}

static int check_azure(const json_t *value, struct kr_err *err)
{
    return check_prefix(value, (const char *const[]){"az://", "abfs://", "abfss://", NULL}, err);
}

static const struct kr_setting local_store_rows[] = {
    {.name = "path",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "Folder of the store; one below Kourou's data folder when unset"},
};
static const struct kr_settings_table local_store = {
    .title = "attributes of the local artifact store", KR_ROWS(local_store_rows)};

#define CREDENTIALS_ROW                                                                            \
    {                                                                                              \
        .name = "authentication_secret", .ignored = KR_STORES_NOTHING, .type = KR_SET_STRING,      \
        .clear_text = true, .check = kr_check_not_empty,                                           \
        .help = "Name of a secret with the credentials"                                            \
    }

static const struct kr_setting s3_rows[] = {
    {.name = "path",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .required = true,
     .check = check_s3,
     .help = "Bucket and folder: s3://bucket/folder"},
    CREDENTIALS_ROW,
    {.name = "key",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .sensitive = true,
     .help = "Access key id"},
    {.name = "secret",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .sensitive = true,
     .help = "Secret access key"},
    {.name = "token",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .sensitive = true,
     .help = "Session token"},
    {.name = "client_kwargs",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_OBJECT,
     .help = "Options of the client, like endpoint_url"},
    {.name = "config_kwargs",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_OBJECT,
     .help = "Options of its configuration"},
    {.name = "s3_additional_kwargs",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_OBJECT,
     .help = "Options of each call"},
};
static const struct kr_settings_table s3 = {.title = "attributes of the s3 artifact store",
                                            KR_ROWS(s3_rows)};

static const struct kr_setting gcs_rows[] = {
    {.name = "path",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .required = true,
     .check = check_gcs,
     .help = "Bucket and folder: gs://bucket/folder"},
    CREDENTIALS_ROW,
};
static const struct kr_settings_table gcs = {.title = "attributes of the gcs artifact store",
                                             KR_ROWS(gcs_rows)};

static const struct kr_setting azure_rows[] = {
    {.name = "path",
     .ignored = KR_STORES_NOTHING,
     .type = KR_SET_STRING,
     .required = true,
     .check = check_azure,
     .help = "Container and folder: az://container/folder"},
    CREDENTIALS_ROW,
};
static const struct kr_settings_table azure = {.title = "attributes of the azure artifact store",
                                               KR_ROWS(azure_rows)};

/* Container registries. */
static int check_uri(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value), *scheme = strstr(text, "://");

    if (scheme != NULL) {
        (void)kr_fail(err, KR_E_INVALID, "'%s' must not have a scheme", text);
        return kr_hint(err, "use %s", scheme + 3);
    }
    if (text[0] == '\0' || text[0] == '/')
        return kr_fail(err, KR_E_INVALID, "'%s' is not like docker.io/name or localhost:5000",
                       text);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f || strchr("?#@\"\\", *p) != NULL)
            return kr_fail(err, KR_E_INVALID, "'%s' has a character that no registry has", text);
    }
    return 0;
}

static json_t *normal_uri(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t n = strlen(text);

    while (n > 1 && text[n - 1] == '/')
        n--;
    return json_stringn(text, n);
}

/* The host of the registry must end with one of the suffixes. */
static int check_host(const json_t *value, const char *const *suffixes, const char *example,
                      struct kr_err *err)
{
    const char *text = json_string_value(value);
    size_t n = strcspn(text, "/");

    if (check_uri(value, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; suffixes[i] != NULL; i++) {
        size_t m = strlen(suffixes[i]);

        if (n >= m && strncmp(text + n - m, suffixes[i], m) == 0)
            return 0;
    }
    (void)kr_fail(err, KR_E_INVALID, "'%s' is not an address of this flavor, like %s", text,
                  example);
    return kr_hint(err, "the flavor `default` takes any registry");
}

static int check_dockerhub(const json_t *value, struct kr_err *err)
{
    return check_host(value, (const char *const[]){"docker.io", NULL}, "docker.io/name", err);
}

static int check_github(const json_t *value, struct kr_err *err)
{
    return check_host(value, (const char *const[]){"ghcr.io", NULL}, "ghcr.io/name", err);
}

static int check_gcp(const json_t *value, struct kr_err *err)
{
    return check_host(value, (const char *const[]){"gcr.io", "-docker.pkg.dev", NULL},
                      "europe-docker.pkg.dev/project/repository", err);
}

static int check_azurecr(const json_t *value, struct kr_err *err)
{
    return check_host(value, (const char *const[]){".azurecr.io", NULL}, "name.azurecr.io", err);
}

static int check_ecr(const json_t *value, struct kr_err *err)
{
    return check_host(
        value, (const char *const[]){".amazonaws.com", ".amazonaws.com.cn", "public.ecr.aws", NULL},
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com", err);
}

#define REGISTRY(id, name_of_it, uri_check)                                                        \
    static const struct kr_setting id##_rows[] = {                                                 \
        {.name = "uri",                                                                            \
         .reader = "app/registry.c",                                                               \
         .type = KR_SET_STRING,                                                                    \
         .required = true,                                                                         \
         .check = uri_check,                                                                       \
         .normal = normal_uri,                                                                     \
         .help = "Address and folder of the images, without a scheme"},                            \
        {.name = "default_repository",                                                             \
         .reader = "app/build.c",                                                                  \
         .type = KR_SET_STRING,                                                                    \
         .check = kr_check_not_empty,                                                              \
         .help = "Repository for images that name none"},                                          \
        {.name = "authentication_secret",                                                          \
         .reader = "app/registry.c",                                                               \
         .type = KR_SET_STRING,                                                                    \
         .clear_text = true,                                                                       \
         .check = kr_check_not_empty,                                                              \
         .help = "Name of a secret with the keys `username` and `password`"},                      \
        {.name = "insecure",                                                                       \
         .reader = "app/registry.c",                                                               \
         .type = KR_SET_BOOL,                                                                      \
         .dflt = "false",                                                                          \
         .help = "Speak plain HTTP; addresses of this machine do so anyway"},                      \
        {.name = "ca_file",                                                                        \
         .reader = "app/registry.c",                                                               \
         .type = KR_SET_STRING,                                                                    \
         .check = kr_check_not_empty,                                                              \
         .help = "Certificates to trust besides those of the system"},                             \
    };                                                                                             \
    static const struct kr_settings_table id = {                                                   \
        .title = "attributes of the " name_of_it " container registry", KR_ROWS(id##_rows)}

REGISTRY(registry_default, "default", check_uri);
REGISTRY(registry_dockerhub, "dockerhub", check_dockerhub);
REGISTRY(registry_github, "github", check_github);
REGISTRY(registry_gcp, "gcp", check_gcp);
REGISTRY(registry_azure, "azure", check_azurecr);
REGISTRY(registry_aws, "aws", check_ecr);

/* Image builders. */
static const char *const compressions[] = {"gzip", "zstd", NULL};

static const struct kr_setting local_builder_rows[] = {
    {.name = "use_subprocess_call",
     .ignored = "the docker program is always used",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Accepted for older stacks; the `docker` program is always used"},
};
static const struct kr_settings_table local_builder = {
    .title = "attributes of the local image builder", KR_ROWS(local_builder_rows)};

static const struct kr_setting daemonless_rows[] = {
    {.name = "compression",
     .reader = "app/build_daemonless.c",
     .type = KR_SET_CHOICE,
     .choices = compressions,
     .dflt = "\"gzip\"",
     .help = "How layers are compressed"},
    {.name = "cache_size_mb",
     .reader = "app/build_daemonless.c",
     .type = KR_SET_INT,
     .min = 0,
     .max = 10000000,
     .dflt = "4096",
     .help = "Megabytes of layers that are kept on this machine"},
};
static const struct kr_settings_table daemonless = {
    .title = "attributes of the daemonless image builder", KR_ROWS(daemonless_rows)};

const struct kr_flavor kr_flavors[] = {
    {KR_ORCHESTRATOR, "local", NULL, &no_attributes,
     "Runs steps one after the other on this machine"},
    {KR_ARTIFACT_STORE, "local", NULL, &local_store, "A folder of this machine"},
    {KR_ARTIFACT_STORE, "s3", "s3", &s3,
     "A bucket of Amazon S3 or of a server that speaks its protocol"},
    {KR_ARTIFACT_STORE, "gcs", "gcp", &gcs, "A bucket of Google Cloud Storage"},
    {KR_ARTIFACT_STORE, "azure", "azure", &azure, "A container of Azure Blob Storage"},
#define DEPLOYER(id, name_of_it, integration_of_it, about_it)                                      \
    {KR_DEPLOYER, name_of_it, integration_of_it, &kr_##id##_deployer_table, about_it},
    KR_DEPLOYER_FLAVORS(DEPLOYER)
#undef DEPLOYER
        {KR_CONTAINER_REGISTRY, "default", NULL, &registry_default, "Any registry"},
    {KR_CONTAINER_REGISTRY, "dockerhub", NULL, &registry_dockerhub, "Docker Hub"},
    {KR_CONTAINER_REGISTRY, "github", "github", &registry_github, "GitHub's registry"},
    {KR_CONTAINER_REGISTRY, "gcp", "gcp", &registry_gcp, "Google's registries"},
    {KR_CONTAINER_REGISTRY, "azure", "azure", &registry_azure, "Azure Container Registry"},
    {KR_CONTAINER_REGISTRY, "aws", "aws", &registry_aws, "Amazon Elastic Container Registry"},
    {KR_IMAGE_BUILDER, "local", NULL, &local_builder, "The Docker engine of this machine"},
    {KR_IMAGE_BUILDER, "daemonless", NULL, &daemonless, "Puts layers together without any engine"},
};
const size_t kr_flavor_count = sizeof(kr_flavors) / sizeof(kr_flavors[0]);

const struct kr_flavor *kr_flavor_find(enum kr_component_type type, const char *name)
{
    for (size_t i = 0; i < kr_flavor_count; i++) {
        if (kr_flavors[i].type == type && strcmp(kr_flavors[i].name, name) == 0)
            return &kr_flavors[i];
    }
    return NULL;
}

char *kr_flavor_names(enum kr_component_type type)
{
    struct kr_buf names = KR_BUF_INIT(1000);

    for (size_t i = 0; i < kr_flavor_count; i++) {
        if (kr_flavors[i].type == type)
            kr_buf_addf(&names, "%s%s", names.n == 0 ? "" : ", ", kr_flavors[i].name);
    }
    return kr_buf_steal(&names);
}
