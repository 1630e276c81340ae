/* SPDX-License-Identifier: Apache-2.0 */
/* The tables `docker` (how the image of a pipeline is made) and `resources`. */
#include "core/table.h"

#include "base/alloc.h"
#include "core/image_layout.h"

#include <string.h>

char *kr_image_user(const char *setting)
{
    if (setting == NULL)
        return kr_asprintf("%d:%d", KR_IMAGE_UID, KR_IMAGE_UID);
    if (setting[0] != '\0' && setting[strspn(setting, "0123456789")] == '\0')
        return kr_asprintf("%s:%s", setting, setting);
    return kr_strdup(setting);
}

static int check_environment(const json_t *value, struct kr_err *err)
{
    const char *name;
    json_t *text;

    json_object_foreach((json_t *)(uintptr_t)value, name, text)
    {
        bool good = name[0] != '\0' && !(name[0] >= '0' && name[0] <= '9');

        for (const char *p = name; good && *p != '\0'; p++)
            good = *p == '_' || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
                   (*p >= 'a' && *p <= 'z');
        if (!good)
            return kr_fail(err, KR_E_INVALID, "'%s' is not a name of an environment variable",
                           name);
    }
    return 0;
}

/* true, false, "pip_freeze", or a command as text or list. */
static int check_replicate(const json_t *value, struct kr_err *err)
{
    return json_is_boolean(value) ? 0 : kr_check_text_or_list(value, err);
}

static const struct kr_setting build_config_rows[] = {
    {.name = "build_options",
     .reader = "deployers/engine.c",
     .type = KR_SET_OBJECT,
     .dflt = "{}",
     .help = "Further options of `docker build`, by name"},
    {.name = "dockerignore",
     .reader = "pack/dockerignore.c",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "Ignore file that counts instead of .dockerignore"},
};
static const struct kr_settings_table build_config_table = {
    .key = "build_config", .title = "the map", KR_ROWS(build_config_rows)};

static int check_build_config(const json_t *value, struct kr_err *err)
{
    return kr_check_inner(&build_config_table, value, "build config", err);
}

/* Packages go to a command of the build: letters of Debian package names and versions only. */
static int check_packages(const json_t *value, struct kr_err *err)
{
    const json_t *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        const char *name = json_string_value(item);

        if (name[0] == '\0' || name[0] == '-' ||
            name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                              "+-.:=~*_/")] != '\0')
            return kr_fail(err, KR_E_INVALID, "'%s' is not a name of a package", name);
    }
    return 0;
}

static int check_user(const json_t *value, struct kr_err *err)
{
    const char *name = json_string_value(value);

    if (name[0] == '\0' || name[0] == '-' ||
        name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:")] !=
            '\0')
        return kr_fail(err, KR_E_INVALID, "'%s' is not a name or number of a user", name);
    return 0;
}

static int check_image(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    if (text[0] == '\0')
        return kr_fail(err, KR_E_INVALID, "an empty image name");
    if (strstr(text, "://") != NULL)
        return kr_fail(err, KR_E_INVALID, "'%s' must not have a scheme like https://", text);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= ' ' || *p >= 0x7f)
            return kr_fail(err, KR_E_INVALID, "'%s' is not a name of an image", text);
    }
    return 0;
}

static const char *const installers[] = {"pip", "uv", NULL};
static const char *const source_modes[] = {"download", "include", "download_or_include", "ignore",
                                           NULL};

static const struct kr_setting docker_rows[] = {
    {.name = "parent_image",
     .reader = "pack/launch.c",
     .type = KR_SET_STRING,
     .check = check_image,
     .help = "Image to build on; a slim Python image when unset"},
    {.name = "dockerfile",
     .reader = "pack/launch.c",
     .type = KR_SET_STRING,
     .check = kr_check_relative,
     .help = "Your own Dockerfile, built first; what it gives is built on instead of parent_image"},
    {.name = "build_context_root",
     .reader = "app/build_local.c",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "Folder that your own Dockerfile sees as its context"},
    {.name = "parent_image_build_config",
     .reader = "app/build_local.c",
     .type = KR_SET_OBJECT,
     .check = check_build_config,
     .inner = &build_config_table,
     .help = "build_options and dockerignore for building your own Dockerfile"},
    {.name = "build_config",
     .reader = "pack/dockerignore.c",
     .type = KR_SET_OBJECT,
     .check = check_build_config,
     .inner = &build_config_table,
     .help = "build_options and dockerignore for building the image of the pipeline"},
    {.name = "skip_build",
     .reader = "pack/launch.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Run parent_image as it is: nothing is installed, copied or set"},
    {.name = "prevent_build_reuse",
     .reader = "app/build.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Build again even when an equal image exists"},
    {.name = "target_repository",
     .reader = "app/build.c",
     .type = KR_SET_STRING,
     .check = check_image,
     .help = "Repository of the image below the registry; the registry's default_repository, then "
             "`zenml`, when unset"},
    {.name = "image_tag",
     .reader = "app/build.c",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "Tag of the image; the name of the pipeline when unset"},
    {.name = "python_package_installer",
     .reader = "pack/requirements.c",
     .type = KR_SET_CHOICE,
     .choices = installers,
     .dflt = "\"pip\"",
     .help = "What installs Python packages"},
    {.name = "python_package_installer_args",
     .reader = "pack/requirements.c",
     .type = KR_SET_OBJECT,
     .dflt = "{}",
     .help = "Further options of the installer, by name; null for options without a value"},
    {.name = "disable_automatic_requirements_detection",
     .reader = "pack/requirements.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Do not look for requirements.txt or pyproject.toml in the source root"},
    {.name = "replicate_local_python_environment",
     .reader = "pack/requirements.c",
     .type = KR_SET_ANY,
     .check = check_replicate,
     .forms = "boolean string strings",
     .help = "true: install what `pip freeze` lists here; or a command that prints requirements"},
    {.name = "pyproject_path",
     .reader = "pack/requirements.c",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "pyproject.toml whose dependencies are installed"},
    {.name = "pyproject_export_command",
     .reader = "pack/requirements.c",
     .type = KR_SET_ANY,
     .check = kr_check_text_or_list,
     .forms = "string strings",
     .help = "Command that turns pyproject.toml into requirements"},
    {.name = "requirements",
     .reader = "pack/requirements.c",
     .type = KR_SET_ANY,
     .check = kr_check_text_or_list,
     .forms = "string strings",
     .help = "Python requirements: a list, or a path of a requirements file"},
    {.name = "required_integrations",
     .reader = "pack/requirements.c",
     .type = KR_SET_LIST,
     .dflt = "[]",
     .help = "Integrations whose requirements are installed"},
    {.name = "install_stack_requirements",
     .ignored = "components of a stack need no packages in an image",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Install what the components of the stack need"},
    {.name = "install_deployment_requirements",
     .reader = "pack/requirements.c",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Install what serving needs; nothing beyond pydantic"},
    {.name = "local_project_install_command",
     .reader = "pack/requirements.c",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "Command that runs in the image after the code was copied"},
    {.name = "apt_packages",
     .reader = "pack/requirements.c",
     .type = KR_SET_LIST,
     .dflt = "[]",
     .check = check_packages,
     .help = "Debian packages to install in the image"},
    {.name = "environment",
     .reader = "app/needs.c",
     .type = KR_SET_MAP,
     .dflt = "{}",
     .check = check_environment,
     .help = "Environment variables of the image, also seen while it is built"},
    {.name = "runtime_environment",
     .reader = "pack/launch.c",
     .type = KR_SET_MAP,
     .dflt = "{}",
     .check = check_environment,
     .help = "Environment variables of the running container only"},
    {.name = "user",
     .reader = "deployers/docker_user.c",
     .type = KR_SET_STRING,
     .check = check_user,
     .help = "User that the container runs as"},
    {.name = "allow_including_files_in_images",
     .ignored = "the code is always part of what is deployed",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Code may be copied into the image"},
    {.name = "allow_download_from_code_repository",
     .ignored = "the code is always part of what is deployed",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Code may come from a code repository at run time"},
    {.name = "allow_download_from_artifact_store",
     .ignored = "the code is always part of what is deployed",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Code may come from the artifact store at run time"},
    {.name = "build_options",
     .reader = "deployers/engine.c",
     .type = KR_SET_OBJECT,
     .dflt = "{}",
     .help = "Older spelling of build_config.build_options"},
    {.name = "dockerignore",
     .reader = "pack/dockerignore.c",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "Older spelling of build_config.dockerignore"},
    {.name = "copy_files",
     .ignored = "the code is always part of what is deployed",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Older spelling of allow_including_files_in_images"},
    {.name = "copy_global_config",
     .ignored = "a deployment needs no configuration of this machine",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Accepted for older pipelines; a deployment needs no global configuration"},
    {.name = "source_files",
     .ignored = "the code is always part of what is deployed",
     .type = KR_SET_CHOICE,
     .choices = source_modes,
     .help = "Older spelling of the three allow_ settings"},
    {.name = "required_hub_plugins",
     .ignored = "there are no such plugins",
     .type = KR_SET_LIST,
     .dflt = "[]",
     .help = "Accepted for older pipelines; has no effect"},
};

const struct kr_settings_table kr_docker_settings = {
    .key = "docker",
    .title = "docker settings",
    KR_ROWS(docker_rows),
};

static int check_memory(const json_t *value, struct kr_err *err)
{
    static const char *const units[] = {"KB",  "KiB", "MB",  "MiB", "GB",
                                        "GiB", "TB",  "TiB", "PB",  "PiB"};
    const char *text = json_string_value(value), *unit = text + strspn(text, "0123456789");

    if (*unit == '.' && unit > text)
        unit += 1 + strspn(unit + 1, "0123456789");
    for (size_t i = 0; unit > text && i < KR_ARRAY_LEN(units); i++) {
        if (strcmp(unit, units[i]) == 0)
            return 0;
    }
    return kr_fail(err, KR_E_INVALID, "'%s' is not a size like 512MB or 2GiB", text);
}

static const struct kr_setting resource_rows[] = {
    {.name = "cpu_count",
     .reader = "deployers/docker_create.c",
     .only = "docker",
     .type = KR_SET_NUMBER,
     .positive = true,
     .help = "CPUs, also parts of one"},
    {.name = "gpu_count",
     .reader = "deployers/docker_create.c",
     .only = "docker",
     .type = KR_SET_INT,
     .min = 0,
     .max = 1024,
     .help = "GPUs"},
    {.name = "memory",
     .reader = "serve/options.c",
     .type = KR_SET_STRING,
     .check = check_memory,
     .help = "Memory, like 2GB or 512MiB"},
    {.name = "min_replicas",
     .ignored = "each deployment is one server; uvicorn_workers are its processes",
     .type = KR_SET_INT,
     .min = 0,
     .max = 10000,
     .help = "Copies at least"},
    {.name = "max_replicas",
     .ignored = "each deployment is one server; uvicorn_workers are its processes",
     .type = KR_SET_INT,
     .min = 0,
     .max = 10000,
     .help = "Copies at most; 0 is no bound"},
    {.name = "autoscaling_metric",
     .ignored = "each deployment is one server, which is not scaled",
     .type = KR_SET_STRING,
     .check = kr_check_not_empty,
     .help = "What decides about the number of copies"},
    {.name = "autoscaling_target",
     .ignored = "each deployment is one server, which is not scaled",
     .type = KR_SET_NUMBER,
     .positive = true,
     .help = "Value of that metric to aim at"},
    {.name = "max_concurrency",
     .ignored = "thread_pool_size and uvicorn_workers say how many requests run at once",
     .type = KR_SET_INT,
     .min = 1,
     .max = 1000000,
     .help = "Requests that one copy works on at once"},
};

const struct kr_settings_table kr_resource_settings = {
    .key = "resources",
    .title = "resource settings",
    KR_ROWS(resource_rows),
};
