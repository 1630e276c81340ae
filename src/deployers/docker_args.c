/* SPDX-License-Identifier: Apache-2.0 */
/* The settings run_args and build_options: keyword arguments of docker-py, and options of the
 * docker program. */
#include "deployers/docker.h"

#include "base/alloc.h"

#include <string.h>

/* Names of docker-py that the program spells otherwise. */
static const struct {
    const char *name, *option;
} spelled[] = {
    {"mem_limit", "memory"},
    {"memswap_limit", "memory-swap"},
    {"mem_reservation", "memory-reservation"},
    {"network_mode", "network"},
    {"volumes", "volume"},
    {"environment", "env"},
    {"ports", "publish"},
    {"labels", "label"},
    {"devices", "device"},
    {"extra_hosts", "add-host"},
    {"working_dir", "workdir"},
    {"security_opt", "security-opt"},
    {"ulimits", "ulimit"},
    {"sysctls", "sysctl"},
    {"links", "link"},
    {"pid_mode", "pid"},
    {"ipc_mode", "ipc"},
    {"userns_mode", "userns"},
    {"dns_opt", "dns-option"},
    {"oom_score_adj", "oom-score-adj"},
    {"restart_policy", "restart"},
    {"buildargs", "build-arg"},
    {"nocache", "no-cache"},
    {"forcerm", "force-rm"},
    {"shmsize", "shm-size"},
    {"device_cgroup_rules", "device-cgroup-rule"},
    {"mem_swappiness", "memory-swappiness"},
    {"mounts", "mount"},
    {"uts_mode", "uts"},
};

/* What run_args can have, as the program spells it, and the forms of its value. */
enum form {
    ONE,   /* text, number, true or false */
    MANY,  /* that, or a list */
    PAIRS, /* that, or a map of names to values */
    LIMITS /* that, or a list of maps: {"Name": "nofile", "Soft": 1024, "Hard": 2048} */
};
static const struct {
    const char *option;
    enum form form;
} run_options[] = {
    {"add-host", PAIRS},
    {"blkio-weight", ONE},
    {"cap-add", MANY},
    {"cap-drop", MANY},
    {"cgroup-parent", ONE},
    {"cgroupns", ONE},
    {"cpu-period", ONE},
    {"cpu-quota", ONE},
    {"cpu-shares", ONE},
    {"cpus", ONE},
    {"cpuset-cpus", ONE},
    {"cpuset-mems", ONE},
    {"device", MANY},
    {"device-cgroup-rule", MANY},
    {"dns", MANY},
    {"dns-option", MANY},
    {"dns-search", MANY},
    {"domainname", ONE},
    {"env", PAIRS},
    {"gpus", ONE},
    {"group-add", MANY},
    {"hostname", ONE},
    {"init", ONE},
    {"ip", ONE},
    {"ip6", ONE},
    {"ipc", ONE},
    {"label", PAIRS},
    {"link", PAIRS},
    {"log-driver", ONE},
    {"log-opt", PAIRS},
    {"mac-address", ONE},
    {"memory", ONE},
    {"memory-reservation", ONE},
    {"memory-swap", ONE},
    {"memory-swappiness", ONE},
    {"mount", MANY},
    {"network", ONE},
    {"network-alias", MANY},
    {"oom-kill-disable", ONE},
    {"oom-score-adj", ONE},
    {"pid", ONE},
    {"pids-limit", ONE},
    {"platform", ONE},
    {"privileged", ONE},
    {"publish", PAIRS},
    {"read-only", ONE},
    {"restart", PAIRS},
    {"runtime", ONE},
    {"security-opt", MANY},
    {"shm-size", ONE},
    {"stop-signal", ONE},
    {"storage-opt", PAIRS},
    {"sysctl", PAIRS},
    {"tmpfs", PAIRS},
    {"ulimit", LIMITS},
    {"user", ONE},
    {"userns", ONE},
    {"uts", ONE},
    {"volume", PAIRS},
    {"volumes-from", MANY},
    {"workdir", ONE},
};

/* What Kourou itself decides. */
static const char *const ours[] = {
    "name",    "detach", "remove",     "rm",          "auto_remove", "entrypoint",
    "command", "image",  "stdin_open", "interactive", "tty",         "cidfile",
    "stdout",  "stderr", "tag",        "t",           "file",        "f",
    "iidfile", "output", "path",       "fileobj",     "dockerfile",  "secret"};

bool kr_docker_host_network(const json_t *run_args)
{
    const char *network =
        kr_json_str(run_args, "network", kr_json_str(run_args, "network_mode", ""));

    return strcmp(network, "host") == 0;
}

static char *option_of(const char *name)
{
    char *option;

    for (size_t i = 0; i < KR_ARRAY_LEN(spelled); i++) {
        if (strcmp(spelled[i].name, name) == 0)
            return kr_strdup(spelled[i].option);
    }
    option = kr_strdup(name);
    for (char *p = option; *p != '\0'; p++) {
        if (*p == '_')
            *p = '-';
    }
    return option;
}

/* Text of a plain value; NULL for lists and maps. Caller frees. */
static char *plain(const json_t *value)
{
    if (json_is_string(value))
        return kr_strdup(json_string_value(value));
    if (json_is_integer(value))
        return kr_asprintf("%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return kr_asprintf("%g", json_real_value(value));
    if (json_is_boolean(value))
        return kr_strdup(json_is_true(value) ? "true" : "false");
    return NULL;
}

/* One entry of a map: {"/data": {"bind": "/mnt", "mode": "ro"}} for volumes, {"7860/tcp": 80} for
 * ports. */
static char *entry(const char *option, const char *key, const json_t *value)
{
    kr_auto_free char *text = plain(value);

    if (strcmp(option, "volume") == 0 && json_is_object(value))
        return kr_asprintf("%s:%s:%s", key, kr_json_str(value, "bind", ""),
                           kr_json_str(value, "mode", "rw"));
    if (strcmp(option, "publish") == 0 && json_is_null(value))
        return kr_strdup(key);
    if (strcmp(option, "publish") == 0 && json_array_size(value) == 2) { /* address and port */
        kr_auto_free char *address = plain(json_array_get(value, 0)),
                          *port = plain(json_array_get(value, 1));

        return address != NULL && port != NULL && strpbrk(address, ".:") != NULL
                   ? kr_asprintf("%s:%s:%s", address, port, key)
                   : NULL;
    }
    if (text == NULL)
        return NULL;
    if (strcmp(option, "publish") == 0 || strcmp(option, "link") == 0)
        return strcmp(option, "link") == 0 ? kr_asprintf("%s:%s", key, text)
                                           : kr_asprintf("%s:%s", text, key);
    if (strcmp(option, "tmpfs") == 0 || strcmp(option, "add-host") == 0)
        return text[0] != '\0' ? kr_asprintf("%s:%s", key, text) : kr_strdup(key);
    return kr_asprintf("%s=%s", key, text);
}

struct adding {
    const char *setting; /* "run_args" */
    struct kr_words *words;
};

static int refuse(const struct adding *a, const char *name, const json_t *value, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, "%s: '%s' is %s, which has no form as an option of docker",
                  a->setting, name, kr_json_type_name(value));
    return kr_hint(
        err, "the options of the docker program can be named as they are there, like gpus: all");
}

/* {"Name": "nofile", "Soft": 1024, "Hard": 2048}, or in small letters. Caller frees; NULL: it is
 * something else. */
static char *limit(const json_t *value)
{
    const char *name = kr_json_str(value, "Name", kr_json_str(value, "name", NULL));
    int64_t soft = kr_json_int(value, "Soft", kr_json_int(value, "soft", -2));
    int64_t hard = kr_json_int(value, "Hard", kr_json_int(value, "hard", soft));

    return name != NULL && soft > -2
               ? kr_asprintf("%s=%lld:%lld", name, (long long)soft, (long long)hard)
               : NULL;
}

static int add_many(const struct adding *a, const char *name, const char *option,
                    const json_t *value, struct kr_err *err)
{
    const char *key;
    json_t *item;
    size_t i;

    json_array_foreach(value, i, item)
    {
        kr_auto_free char *text =
            strcmp(option, "ulimit") == 0 && json_is_object(item) ? limit(item) : plain(item);

        if (text == NULL)
            return refuse(a, name, item, err);
        kr_words_addf(a->words, "--%s=%s", option, text);
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        kr_auto_free char *text = entry(option, key, item);

        if (text == NULL)
            return refuse(a, name, item, err);
        kr_words_addf(a->words, "--%s=%s", option, text);
    }
    return 0;
}

/* Labels of ours say whose a container is. */
static int check_labels(const char *option, const json_t *value, struct kr_err *err)
{
    const char *name;
    json_t *item;
    size_t i;

    if (strcmp(option, "label") != 0)
        return 0;
    json_object_foreach((json_t *)(uintptr_t)value, name, item)
    {
        if (strncmp(name, "kourou.", 7) == 0)
            return kr_fail(err, KR_E_INVALID,
                           "run_args: Kourou decides about the label '%s' itself", name);
    }
    json_array_foreach(value, i, item)
    {
        if (json_is_string(item) && strncmp(json_string_value(item), "kourou.", 7) == 0)
            return kr_fail(err, KR_E_INVALID,
                           "run_args: Kourou decides about the label '%s' itself",
                           json_string_value(item));
    }
    return 0;
}

/* Whether run_args can have it: what is not passed on whole is not passed on at all. */
static int check_run(const char *name, const char *option, const json_t *value, struct kr_err *err)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(run_options); i++) {
        enum form form = run_options[i].form;

        if (strcmp(run_options[i].option, option) != 0)
            continue;
        if ((json_is_array(value) && form == ONE) || (json_is_object(value) && form != PAIRS))
            return kr_fail(err, KR_E_INVALID, "run_args: '%s' is %s, which it cannot be", name,
                           kr_json_type_name(value));
        return check_labels(option, value, err);
    }
    (void)kr_fail(err, KR_E_INVALID,
                  "run_args: '%s' is none of the options that containers of "
                  "deployments can have",
                  name);
    return kr_hint(err,
                   "docs/images.md lists them; GPUs are asked for with gpus, limits of CPU with "
                   "cpus");
}

static int add_one(const struct adding *a, const char *name, const json_t *value,
                   struct kr_err *err)
{
    kr_auto_free char *option = option_of(name), *text = plain(value);

    for (size_t i = 0; i < KR_ARRAY_LEN(ours); i++) {
        if (strcmp(ours[i], name) == 0)
            return kr_fail(err, KR_E_INVALID, "%s: Kourou decides about '%s' itself", a->setting,
                           name);
    }
    if (option[strspn(option, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0' ||
        option[0] == '-' || option[0] == '\0')
        return kr_fail(err, KR_E_INVALID, "%s: '%s' is not a name of an option", a->setting, name);
    if (strcmp(a->setting, "run_args") == 0 && check_run(name, option, value, err) < 0)
        return -(int)err->code;
    if (json_is_null(value) || strcmp(option, "restart") == 0) /* kr_docker_restart_policy() */
        return 0;
    if (text == NULL)
        return add_many(a, name, option, value, err);
    kr_words_addf(a->words, "--%s=%s", option, text);
    return 0;
}

int kr_engine_options(const json_t *values, const char *setting, struct kr_words *words,
                      struct kr_err *err)
{
    struct adding a = {.setting = setting, .words = words};
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, name, value)
    {
        if (add_one(&a, name, value, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* -- privileges -------------------------------------------------------------------------------- */

const json_t *kr_docker_run_arg(const json_t *run_args, const char *option)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)run_args, name, value)
    {
        kr_auto_free char *own = option_of(name);

        if (strcmp(own, option) == 0 && !json_is_null(value) && !json_is_false(value))
            return value;
    }
    return NULL;
}

static bool mentions(const json_t *value, const char *word)
{
    json_t *item;
    size_t i;

    if (json_is_string(value))
        return strstr(json_string_value(value), word) != NULL;
    json_array_foreach(value, i, item)
    {
        if (mentions(item, word))
            return true;
    }
    return false;
}

void kr_docker_privileges(const json_t *run_args, struct kr_words *words)
{
    bool more = kr_docker_run_arg(run_args, "privileged") != NULL ||
                kr_docker_run_arg(run_args, "cap-add") != NULL;

    if (!more && !mentions(kr_docker_run_arg(run_args, "security-opt"), "no-new-privileges"))
        kr_words_add(words, "--security-opt=no-new-privileges");
    /* Another user may be root, who needs some of them to write the app's files. */
    if (!more && kr_docker_run_arg(run_args, "cap-drop") == NULL &&
        kr_docker_run_arg(run_args, "user") == NULL)
        kr_words_add(words, "--cap-drop=ALL");
}
