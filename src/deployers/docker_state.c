/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine knows about a deployment's container. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "core/name.h"
#include "deployers/lifecycle.h"

#include <stdlib.h>
#include <string.h>

enum { PROBE_MS = 2000, SLUG_MAX = 40 };

int kr_docker_look(struct kr_docker *docker, struct kr_err *err)
{
    json_decref(docker->found);
    docker->found = NULL;
    if (kr_engine_inspect("container", docker->name, &docker->found, err) == 0)
        return 0;
    if (err->code != KR_E_NOT_FOUND || docker->found != NULL)
        return -(int)err->code;
    kr_err_clear(err);
    return 0;
}

int kr_docker_open(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   struct kr_docker *out, struct kr_err *err)
{
    kr_auto_free char *slug = kr_name_slug(what->name);

    *out = (struct kr_docker){.env = env, .what = what};
    out->name = kr_asprintf("kourou-%.*s-%.8s", SLUG_MAX, slug, what->id);
    out->next = kr_asprintf("%s-next", out->name);
    out->old = kr_asprintf("%s-old", out->name);
    if (kr_engine_address(out->address, err) < 0)
        return -(int)err->code;
    return kr_docker_look(out, err);
}

void kr_docker_close(struct kr_docker *docker)
{
    free(docker->name);
    free(docker->next);
    free(docker->old);
    json_decref(docker->found);
    *docker = (struct kr_docker){0};
}

bool kr_docker_is(const struct kr_docker *docker, const char *status)
{
    return strcmp(kr_json_str(json_object_get(docker->found, "State"), "Status", ""), status) == 0;
}

const char *kr_docker_label(const struct kr_docker *docker, const char *label)
{
    return kr_json_str(kr_json_at(docker->found, "Config", "Labels", NULL), label, NULL);
}

int kr_docker_port(const struct kr_docker *docker)
{
    const char *text = kr_docker_label(docker, KR_LABEL_PORT);
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

int kr_docker_remove(const struct kr_docker *docker, const char *name, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 120000};
    kr_auto_free char *what = kr_asprintf("remove container %s", name);

    (void)docker;
    kr_words_add(&call.words, "rm");
    kr_words_add(&call.words, "--force");
    kr_words_add(&call.words, "--volumes");
    kr_words_add(&call.words, name);
    if (kr_engine_run(&call, what, NULL, err) == 0)
        return 0;
    if (err->code != KR_E_NOT_FOUND)
        return -(int)err->code;
    kr_err_clear(err);
    return 0;
}

enum kr_local_health kr_docker_health(const struct kr_docker *docker, int port, char **detail)
{
    struct kr_local local = {.env = docker->env, .what = docker->what};
    struct kr_local_server server = {.port = port};

    (void)snprintf(server.address, sizeof(server.address), "%s", docker->address);
    return kr_local_look(&local, &server, PROBE_MS, detail);
}

static void show(void *data, const char *line)
{
    const struct kr_docker *docker = data;
    kr_auto_json json_t *record = NULL;
    const char *text = line;

    if (line[0] == '{' && kr_json_parse(line, strlen(line), "log", &record, NULL) == 0)
        text = kr_json_str(record, "message", line);
    kr_denv_log_line(docker->env, "server", text);
}

void kr_docker_show_end(const struct kr_docker *docker, const char *name)
{
    kr_auto_call struct kr_engine_call call = {
        .timeout_ms = 20000, .line = show, .data = (void *)(uintptr_t)docker};
    struct kr_err ignored = KR_ERR_INIT;

    kr_words_add(&call.words, "logs");
    kr_words_add(&call.words, "--tail=30");
    kr_words_add(&call.words, name);
    if (kr_engine_run(&call, "log", NULL, &ignored) < 0)
        kr_denv_note(docker->env, true, "%s", ignored.msg);
}
