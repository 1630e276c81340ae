/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine knows about a deployment's containers. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/view.h"
#include "core/name.h"
#include "deployers/lifecycle.h"

#include <stdlib.h>
#include <string.h>

enum { PROBE_MS = 2000, SLUG_MAX = 40, STOP_S = 30 };

bool kr_container_is(const json_t *container, const char *status)
{
    return strcmp(kr_json_str(json_object_get(container, "State"), "Status", ""), status) == 0;
}

const char *kr_container_label(const json_t *container, const char *label)
{
    return kr_json_str(kr_json_at(container, "Config", "Labels", NULL), label, NULL);
}

static bool is_ours(const struct kr_docker *docker, const json_t *container)
{
    const char *id = docker->what->id;

    return strcmp(kr_json_str(kr_json_at(container, "Config", "Labels", NULL), KR_LABEL_ID, ""),
                  id) == 0 ||
           strcmp(kr_json_str(kr_json_at(container, "Config", "Labels", NULL), KR_LABEL_GATE, ""),
                  id) == 0;
}

static const char *name_of(const json_t *container)
{
    const char *name = kr_json_str(container, "Name", "");

    return name + strspn(name, "/");
}

int kr_docker_look(struct kr_docker *docker, struct kr_err *err)
{
    const char *const names[] = {docker->name, docker->gate, NULL};
    kr_auto_json json_t *list = NULL;
    json_t *item;
    size_t i;

    json_decref(docker->found);
    json_decref(docker->gate_found);
    docker->found = docker->gate_found = NULL;
    docker->foreign = NULL;
    if (kr_engine_containers(names, docker->env->until_ms, &list, err) < 0)
        return -(int)err->code;
    json_array_foreach(list, i, item)
    {
        bool gate = strcmp(name_of(item), docker->gate) == 0;

        if (!is_ours(docker, item))
            docker->foreign = gate ? docker->gate : docker->name;
        else if (gate)
            docker->gate_found = json_incref(item);
        else
            docker->found = json_incref(item);
    }
    return 0;
}

int kr_docker_open(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   struct kr_docker *out, struct kr_err *err)
{
    kr_auto_free char *slug = kr_name_slug(what->name);

    *out = (struct kr_docker){.env = env, .what = what};
    out->name = kr_asprintf("kourou-%.*s-%.8s", SLUG_MAX, slug, what->id);
    out->next = kr_asprintf("%s-next", out->name);
    out->gate = kr_asprintf("%s-gate", out->name);
    if (kr_engine_address(out->address, err) < 0)
        return -(int)err->code;
    out->far = !kr_engine_is_near(out->address);
    if (!out->far && strncmp(out->address, "127.", 4) != 0) /* publishing there always works */
        (void)snprintf(out->address, sizeof(out->address), "127.0.0.1");
    return kr_docker_look(out, err);
}

void kr_docker_close(struct kr_docker *docker)
{
    free(docker->name);
    free(docker->next);
    free(docker->gate);
    json_decref(docker->found);
    json_decref(docker->gate_found);
    *docker = (struct kr_docker){0};
}

int kr_docker_port(const struct kr_docker *docker)
{
    const char *text = kr_container_label(docker->gate_found, KR_LABEL_PORT);
    long port = text != NULL ? strtol(text, NULL, 10) : 0;

    return port > 0 && port < 65536 ? (int)port : 0;
}

int kr_docker_do(const struct kr_docker *docker, const char *verb, const char *name,
                 const char *more, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 120000};
    kr_auto_free char *what = kr_asprintf("%s container %s", verb, name);

    (void)docker;
    kr_words_add(&call.words, verb);
    kr_words_add(&call.words, name);
    if (more != NULL)
        kr_words_add(&call.words, more);
    return kr_engine_run(&call, what, NULL, err);
}

int kr_docker_stop(const struct kr_docker *docker, const char *name, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = (STOP_S + 90) * 1000};
    kr_auto_free char *what = kr_asprintf("stop container %s", name);

    (void)docker;
    kr_words_add(&call.words, "stop");
    kr_words_addf(&call.words, "--time=%d", STOP_S);
    kr_words_add(&call.words, name);
    return kr_engine_run(&call, what, NULL, err);
}

int kr_docker_remove(const struct kr_docker *docker, const char *name, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 120000};
    kr_auto_free char *what = kr_asprintf("remove container %s", name);
    const char *const names[] = {name, NULL};
    kr_auto_json json_t *list = NULL;
    const json_t *found;

    if (kr_engine_containers(names, docker->env->until_ms, &list, err) < 0)
        return -(int)err->code;
    found = json_array_get(list, 0);
    if (found == NULL)
        return 0;
    if (!is_ours(docker, found)) {
        (void)kr_fail(
            err, KR_E_CONFLICT,
            "container %s is not of deployment '%s', and has the name that one of it needs", name,
            docker->what->name);
        return kr_hint(err, "rename or remove it: docker rename %s <other name>", name);
    }
    kr_words_add(&call.words, "rm");
    kr_words_add(&call.words, "--force");
    kr_words_add(&call.words, "--volumes");
    kr_words_add(&call.words, kr_json_str(found, "Id", name));
    if (kr_engine_run(&call, what, NULL, err) == 0)
        return 0;
    if (err->code != KR_E_NOT_FOUND)
        return -(int)err->code;
    kr_err_clear(err);
    return 0;
}

int kr_docker_all(const struct kr_docker *docker, json_t **out, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 60000};
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 20);
    kr_auto_words struct kr_words ids = {0};
    struct kr_view rest, line;
    bool more = true;

    kr_words_add(&call.words, "ps");
    kr_words_add(&call.words, "--all");
    kr_words_add(&call.words, "--quiet");
    kr_words_addf(&call.words, "--filter=label=" KR_LABEL_ID "=%s", docker->what->id);
    *out = NULL;
    if (kr_engine_run(&call, "containers of the deployment", &text, err) < 0)
        return -(int)err->code;
    rest = (struct kr_view){kr_buf_str(&text), text.n};
    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (line.n > 0)
            kr_words_addf(&ids, KR_VIEW_FMT, KR_VIEW_ARG(line));
    }
    if (ids.n > 0)
        return kr_engine_containers((const char *const *)ids.v, docker->env->until_ms, out, err);
    *out = json_array();
    return 0;
}

/* -- restarts ---------------------------------------------------------------------------------- */

/* run_args in the forms of docker-py ({"Name": "on-failure", "MaximumRetryCount": 3}) and of the
 * program ("on-failure:3"). */
char *kr_docker_restart_policy(const struct kr_deployment *what)
{
    const json_t *given = kr_docker_run_arg(json_object_get(what->settings, "run_args"), "restart");
    const char *name = kr_json_str(given, "Name", NULL);
    int64_t most = kr_json_int(given, "MaximumRetryCount", 0);

    if (json_is_string(given) && json_string_value(given)[0] != '\0')
        return kr_strdup(json_string_value(given));
    if (name != NULL && name[0] != '\0')
        return most > 0 ? kr_asprintf("%s:%lld", name, (long long)most) : kr_strdup(name);
    return kr_strdup(
        given != NULL ? "no" : kr_json_str(what->settings, "restart_policy", "unless-stopped"));
}

int kr_docker_set_restart(const struct kr_docker *docker, const char *name, const char *policy,
                          struct kr_err *err)
{
    kr_auto_free char *option = kr_asprintf("--restart=%s", policy);

    return kr_docker_do(docker, "update", name, option, err);
}

/* -- what answers ------------------------------------------------------------------------------ */

enum kr_local_health kr_docker_health(const struct kr_docker *docker, const json_t *container,
                                      int port, char **detail)
{
    struct kr_local local = {.env = docker->env, .what = docker->what};
    struct kr_local_server server = {.port = port};
    const char *instance = kr_container_label(container, KR_LABEL_INSTANCE);

    (void)snprintf(server.address, sizeof(server.address), "%s", docker->address);
    (void)snprintf(server.instance, sizeof(server.instance), "%s",
                   instance != NULL ? instance : "");
    return kr_local_look(&local, &server, PROBE_MS, detail);
}

int kr_docker_identify(const struct kr_docker *docker, struct kr_err *err)
{
    int port = kr_docker_port(docker), recorded;
    kr_auto_free char *detail = NULL;

    recorded = (int)kr_json_int(docker->what->metadata, "port", port);
    if (docker->found == NULL || !kr_container_is(docker->found, "running"))
        return kr_fail(err, KR_E_NETWORK, "deployment '%s' does not run: container %s is %s",
                       docker->what->name, docker->name,
                       docker->found == NULL
                           ? "not there"
                           : kr_json_str(json_object_get(docker->found, "State"), "Status", "?"));
    if (docker->gate_found == NULL || !kr_container_is(docker->gate_found, "running") ||
        port != recorded)
        return kr_fail(err, KR_E_NETWORK,
                       "deployment '%s' cannot be called: container %s, which holds port %d, does "
                       "not run",
                       docker->what->name, docker->gate, recorded);
    if (kr_docker_published(docker->gate_found, port, err) < 0)
        return -(int)err->code;
    if (kr_docker_health(docker, docker->found, port, &detail) == KR_LOCAL_SILENT)
        return kr_fail(err, KR_E_NETWORK, "deployment '%s' does not answer on port %d%s%s",
                       docker->what->name, port, detail != NULL ? ": " : "",
                       detail != NULL ? detail : "");
    return 0;
}

/* -- its last words ---------------------------------------------------------------------------- */

struct last_words {
    const struct kr_docker *docker;
    char *cause;
};

static void show(void *data, const char *line)
{
    static const char mark[] = "not taking over: ";
    struct last_words *words = data;
    kr_auto_json json_t *record = NULL;
    const char *text = line;

    if (line[0] == '{' && kr_json_parse(line, strlen(line), "log", &record, NULL) == 0)
        text = kr_json_str(record, "message", line);
    if (kr_starts_with(text, mark)) {
        free(words->cause);
        words->cause = kr_strdup(text + sizeof(mark) - 1);
    }
    kr_denv_log_line(words->docker->env, "server", text);
}

char *kr_docker_show_end(const struct kr_docker *docker, const char *name)
{
    struct last_words words = {.docker = docker};
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 20000, .line = show, .data = &words};
    struct kr_err ignored = KR_ERR_INIT;

    kr_words_add(&call.words, "logs");
    kr_words_add(&call.words, "--tail=30");
    kr_words_add(&call.words, name);
    if (kr_engine_run(&call, "log", NULL, &ignored) < 0)
        kr_denv_note(docker->env, true, "%s", ignored.msg);
    return words.cause;
}
