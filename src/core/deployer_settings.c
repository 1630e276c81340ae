/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the deployer flavors. */
#include "core/table.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <string.h>

static int check_address(const json_t *value, struct kr_err *err)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *text = json_string_value(value);

    if (inet_pton(AF_INET, text, bytes) != 1 && inet_pton(AF_INET6, text, bytes) != 1)
        return kr_fail(err, KR_E_INVALID, "'%s' is not an IP address", text);
    return 0;
}

#define PORT_ROWS                                                                                  \
    {.name = "port",                                                                               \
     .reader = "deployers/local_port.c",                                                           \
     .type = KR_SET_INT,                                                                           \
     .min = 1,                                                                                     \
     .max = 65535,                                                                                 \
     .help = "Port on this machine; the one used before, then a free one, when unset"},            \
        {.name = "allocate_port_if_busy",                                                          \
         .reader = "deployers/local_port.c",                                                       \
         .type = KR_SET_BOOL,                                                                      \
         .dflt = "true",                                                                           \
         .help = "Take another port when the wanted one is in use"},                               \
    {                                                                                              \
        .name = "port_range", .reader = "deployers/local_port.c", .type = KR_SET_ANY,              \
        .check = kr_check_port_range, .forms = "ports", .dflt = "[8000,65535]",                    \
        .help = "Ports to choose from: [lowest, highest]"                                          \
    }

static const struct kr_setting local_rows[] = {
    KR_COMMON_DEPLOYER_ROWS,
    PORT_ROWS,
    {.name = "address",
     .reader = "deployers/local_start.c",
     .type = KR_SET_STRING,
     .dflt = "\"127.0.0.1\"",
     .check = check_address,
     .help = "IP address to listen on"},
    {.name = "blocking",
     .reader = "deployers/local.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Stay in the foreground and show the log"},
    {.name = "auto_reload",
     .reader = "deployers/local_start.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Serve the source root itself: when a .py file in it changes, new workers take over"},
};

const struct kr_settings_table kr_local_deployer_table = {
    .key = "deployer.local",
    .title = "settings of the local deployer",
    KR_ROWS(local_rows),
};

static const char *const restart_policies[] = {"unless-stopped", "always", "on-failure", "no",
                                               NULL};

static const struct kr_setting docker_rows[] = {
    KR_COMMON_DEPLOYER_ROWS,
    PORT_ROWS,
    {.name = "expose",
     .reader = "deployers/docker_gate.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "Publish the port on every address of the engine's machine, not only for programs on "
             "it; needs an auth_key"},
    {.name = "restart_policy",
     .reader = "deployers/docker_args.c",
     .type = KR_SET_CHOICE,
     .choices = restart_policies,
     .dflt = "\"unless-stopped\"",
     .help = "When the engine starts the container again by itself"},
    {.name = "run_args",
     .reader = "deployers/docker_args.c",
     .type = KR_SET_OBJECT,
     .dflt = "{}",
     .help = "Further options of `docker run`, by name"},
};

const struct kr_settings_table kr_docker_deployer_table = {
    .key = "deployer.docker",
    .title = "settings of the docker deployer",
    KR_ROWS(docker_rows),
};

#define HUB_WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static int check_hub_word(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    if (text[0] == '\0' || text[0] == '-' || text[0] == '.' || text[strspn(text, HUB_WORD)] != '\0')
        return kr_fail(err, KR_E_INVALID,
                       "'%s' must consist of letters, digits, '-', '_' and '.', and begin with a "
                       "letter or digit",
                       text);
    return 0;
}

/* The Hub's names of hardware: T4_SMALL, as an enum of the Python client spells it, is t4-small. */
static json_t *normal_hardware(const json_t *value)
{
    kr_auto_free char *text = kr_strdup(json_string_value(value));

    for (char *p = text; *p != '\0'; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
        else if (*p == '_')
            *p = '-';
    }
    return json_string(text);
}

static int check_sleep(const json_t *value, struct kr_err *err)
{
    if (json_integer_value(value) < -1 || json_integer_value(value) == 0)
        return kr_fail(err, KR_E_INVALID, "%lld is neither a number of seconds nor -1 (never)",
                       (long long)json_integer_value(value));
    return 0;
}

static int check_short_text(const json_t *value, struct kr_err *err)
{
    size_t n = 0;

    for (const char *p = json_string_value(value); *p != '\0'; p++)
        n += ((unsigned char)*p & 0xc0) != 0x80;
    if (n > 60)
        return kr_fail(err, KR_E_INVALID, "%zu characters; the Hub takes 60", n);
    return 0;
}

static int check_group(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    if (strlen(text) != 24 || text[strspn(text, "0123456789abcdef")] != '\0')
        return kr_fail(err, KR_E_INVALID,
                       "'%s' is not the id of a resource group (24 hexadecimal digits)", text);
    return 0;
}

static const char *const volume_types[] = {"bucket", "model", "dataset", "space", NULL};

static int check_mount(const json_t *value, struct kr_err *err)
{
    const char *text = json_string_value(value);

    if (text[0] != '/' || text[1] == '\0')
        return kr_fail(err, KR_E_INVALID, "'%s' is not a folder like /data", text);
    return 0;
}

/* Both the Hub's spelling of the keys and Python's. */
#define VOLUME_TEXT(row, words)                                                                    \
    .name = row, .reader = "hub/runtime.c", .type = KR_SET_STRING, .help = words
#define VOLUME_FLAG(row)                                                                           \
    {                                                                                              \
        .name = row, .reader = "hub/runtime.c", .type = KR_SET_BOOL,                               \
        .help = "The app cannot write to it; buckets alone can be written"                         \
    }

static const struct kr_setting volume_rows[] = {
    {.name = "type",
     .reader = "hub/runtime.c",
     .type = KR_SET_CHOICE,
     .choices = volume_types,
     .required = true,
     .help = "Kind of repository"},
    {VOLUME_TEXT("source", "Its name, with its owner"), .check = kr_check_not_empty,
     .required = true},
    {VOLUME_TEXT("mountPath", "Folder that shows it"), .check = check_mount},
    {VOLUME_TEXT("mount_path", "Folder that shows it"), .check = check_mount},
    {VOLUME_TEXT("revision", "Branch, tag or commit; main when unset")},
    {VOLUME_TEXT("path", "Folder of the repository; all of it when unset")},
    VOLUME_FLAG("readOnly"),
    VOLUME_FLAG("read_only"),
};
static const struct kr_settings_table volume_table = {
    .key = "volume", .title = "the volume", KR_ROWS(volume_rows)};

static int check_volume(const json_t *value, const char *where, struct kr_err *err)
{
    json_t *checked = NULL;

    if (kr_settings_check(&volume_table, value, where, &checked, err) < 0)
        return -(int)err->code;
    json_decref(checked);
    for (size_t i = 0; i < 2; i++) {
        if (json_object_get(value, volume_rows[i].name) == NULL)
            return kr_fail(err, KR_E_INVALID, "%s: '%s' is missing", where, volume_rows[i].name);
    }
    if ((json_object_get(value, "mountPath") == NULL) ==
        (json_object_get(value, "mount_path") == NULL))
        return kr_fail(err, KR_E_INVALID, "%s: 'mount_path' must stand once", where);
    return 0;
}

static int check_volumes(const json_t *value, struct kr_err *err)
{
    const json_t *item;
    char where[32];
    size_t i;

    if (!json_is_array(value))
        return kr_fail(err, KR_E_INVALID, "%s, expected a list of volumes",
                       kr_json_type_name(value));
    json_array_foreach(value, i, item)
    {
        (void)snprintf(where, sizeof(where), "volume %zu", i + 1);
        if (check_volume(item, where, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static json_t *normal_volumes(const json_t *value)
{
    json_t *list = json_array(), *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        json_t *checked = NULL, *mount, *read_only;
        struct kr_err none = KR_ERR_INIT;

        if (kr_settings_check(&volume_table, item, "volume", &checked, &none) < 0)
            continue; /* the check before has passed */
        mount = json_object_get(checked, "mount_path");
        if (mount != NULL)
            kr_json_set(checked, "mountPath", json_incref(mount));
        read_only = json_object_get(checked, "read_only");
        if (read_only != NULL)
            kr_json_set(checked, "readOnly", json_incref(read_only));
        (void)json_object_del(checked, "mount_path");
        (void)json_object_del(checked, "read_only");
        (void)json_array_append_new(list, checked);
    }
    return list;
}

static const char *const storages[] = {"small", "medium", "large", NULL};
static const char *const visibilities[] = {"public", "protected", "private", NULL};
static const char *const regions[] = {"us", "eu", NULL};
static const char *const build_modes[] = {"auto", "source", "image", NULL};
static const char *const colours[] = {"red",    "yellow", "green", "blue", "indigo",
                                      "purple", "pink",   "gray",  NULL};

static const struct kr_setting huggingface_rows[] = {
    KR_COMMON_DEPLOYER_ROWS,
    {.name = "token",
     .reader = "deployers/huggingface.c",
     .type = KR_SET_STRING,
     .sensitive = true,
     .component_only = true,
     .check = kr_check_not_empty,
     .help = "Access token of the Hub with write permission"},
    {.name = "secret_name",
     .reader = "deployers/huggingface.c",
     .type = KR_SET_STRING,
     .component_only = true,
     .clear_text = true,
     .check = kr_check_not_empty,
     .help = "Name of a secret whose key `token` holds the access token"},
    {.name = "organization",
     .reader = "deployers/space.c",
     .type = KR_SET_STRING,
     .check = check_hub_word,
     .help = "Owner of the Spaces; the user of the token when unset"},
    {.name = "space_prefix",
     .reader = "deployers/space.c",
     .type = KR_SET_STRING,
     .dflt = "\"zenml\"",
     .check = check_hub_word,
     .help = "What a Space's name begins with: <prefix>-<deployment name>"},
    {.name = "space_hardware",
     .reader = "deployers/space.c",
     .type = KR_SET_STRING,
     .check = check_hub_word,
     .normal = normal_hardware,
     .help = "Hardware of the Space, like cpu-basic, cpu-upgrade, t4-small, t4-medium, a10g-small, "
             "a10g-large; the free CPU tier when unset"},
    {.name = "space_storage",
     .reader = "deployers/space.c",
     .type = KR_SET_CHOICE,
     .choices = storages,
     .help = "Tier of persistent storage; none when unset"},
    {.name = "visibility",
     .reader = "deployers/space.c",
     .type = KR_SET_CHOICE,
     .choices = visibilities,
     .help = "public: everybody sees the Space and calls the app; protected: everybody calls the "
             "app, only you or your organization see the repository; private: only you or your "
             "organization see and call it; as the Hub or its owner has it when unset"},
    {.name = "private",
     .reader = "deployers/space.c",
     .type = KR_SET_BOOL,
     .help = "Only you, or your organization, can see the Space and call the app; the same as "
             "visibility private, and false as visibility public"},
    {.name = "app_port",
     .reader = "deployers/space.c",
     .type = KR_SET_INT,
     .min = 1024,
     .max = 65535,
     .dflt = "7860",
     .help = "Port that the app listens on in the Space"},
    {.name = "sleep_time",
     .reader = "deployers/space.c",
     .type = KR_SET_INT,
     .min = -1,
     .max = INT64_MAX,
     .check = check_sleep,
     .help = "Seconds without a visit until the Space sleeps; -1: never; paid hardware only"},
    {.name = "space_volumes",
     .reader = "deployers/space.c",
     .type = KR_SET_ANY,
     .check = check_volumes,
     .normal = normal_volumes,
     .inner = &volume_table,
     .forms = "maps",
     .help = "Volumes of the Space: type (bucket, model, dataset, space), source, mount_path, "
             "revision, path, read_only"},
    {.name = "dev_mode",
     .reader = "deployers/space.c",
     .type = KR_SET_BOOL,
     .help = "Dev mode of the Space (editors and shells connect to it); needs a plan"},
    {.name = "region",
     .reader = "deployers/space.c",
     .type = KR_SET_CHOICE,
     .choices = regions,
     .help = "Where the Space's repository is kept; counts when the Space is made, for "
             "organizations with a plan"},
    {.name = "resource_group",
     .reader = "deployers/space.c",
     .type = KR_SET_STRING,
     .check = check_group,
     .help = "Id of the organization's resource group the Space belongs to (24 hexadecimal "
             "digits); counts when the Space is made"},
    {.name = "startup_timeout",
     .reader = "pack/space_readme.c",
     .type = KR_SET_INT,
     .min = 60,
     .max = 86400,
     .help =
         "Seconds until the Hub gives up starting the app; the Hub's own 30 minutes when unset"},
    {.name = "build_mode",
     .reader = "app/build.c",
     .type = KR_SET_CHOICE,
     .choices = build_modes,
     .dflt = "\"auto\"",
     .help = "source: the Space builds from the code; image: an image is pushed and used; auto: "
             "image when the stack has a container registry"},
    {.name = "space_title",
     .reader = "pack/space_readme.c",
     .type = KR_SET_STRING,
     .help = "Title on the Space's page"},
    {.name = "space_emoji",
     .reader = "pack/space_readme.c",
     .type = KR_SET_STRING,
     .help = "Emoji on the Space's page"},
    {.name = "space_color_from",
     .reader = "pack/space_readme.c",
     .type = KR_SET_CHOICE,
     .choices = colours,
     .help = "First colour of the Space's card"},
    {.name = "space_color_to",
     .reader = "pack/space_readme.c",
     .type = KR_SET_CHOICE,
     .choices = colours,
     .help = "Second colour of the Space's card"},
    {.name = "space_description",
     .reader = "pack/space_readme.c",
     .type = KR_SET_STRING,
     .check = check_short_text,
     .help = "One line below the title, up to 60 characters"},
    {.name = "space_tags",
     .reader = "pack/space_readme.c",
     .type = KR_SET_LIST,
     .dflt = "[]",
     .help = "Tags of the Space"},
    {.name = "suggested_hardware",
     .reader = "pack/space_readme.c",
     .type = KR_SET_STRING,
     .check = check_hub_word,
     .normal = normal_hardware,
     .help = "Hardware that is proposed to those who duplicate the Space"},
};

const struct kr_settings_table kr_huggingface_deployer_table = {
    .key = "deployer.huggingface",
    .title = "settings of the huggingface deployer",
    KR_ROWS(huggingface_rows),
};
