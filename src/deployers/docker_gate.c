/* SPDX-License-Identifier: Apache-2.0 */
/* The container that holds the published port while those behind it change. Its image is
 * kourou-serve and nothing else, made on the spot. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "core/image_layout.h"
#include "deployers/probe.h"
#include "oci/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM_MAX ((size_t)64 << 20)

enum { ATTEMPTS = 5, REACH_MS = 5000, KEY_VERSION = 1 };

const char *kr_docker_bind(const struct kr_docker *docker)
{
    return docker->far || kr_json_bool(docker->what->settings, "expose", false) ? "0.0.0.0"
                                                                                : docker->address;
}

/* -- image ------------------------------------------------------------------------------------- */

static int append(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    struct kr_buf *out = data;

    kr_buf_add(out, bytes, n);
    return kr_buf_check(out, err);
}

static int import_image(const struct kr_docker *docker, const char *tag,
                        const struct kr_files *files, struct kr_err *err)
{
    kr_auto_buf struct kr_buf archive = KR_BUF_INIT(PROGRAM_MAX);
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 0};
    const struct kr_tar_part parts[] = {
        {.prefix = "bin", .files = files},
        {.prefix = &KR_GATE_FOLDER[1], .uid = KR_IMAGE_UID, .gid = KR_IMAGE_UID},
    };

    (void)docker;
    if (kr_tar_write(parts, KR_ARRAY_LEN(parts), append, &archive, err) < 0)
        return -(int)err->code;
    call.input = archive.p;
    call.input_len = archive.n;
    kr_words_add(&call.words, "import");
    kr_words_add(&call.words, "-");
    kr_words_add(&call.words, tag);
    return kr_engine_run(&call, "make the image of the gate", NULL, err);
}

static int need_image(const struct kr_docker *docker, char **tag, struct kr_err *err)
{
    kr_auto_free char *program = kr_path_join(docker->env->runtime_dir, KR_LOCAL_PROGRAM);
    kr_auto_files struct kr_files files = {0};
    kr_auto_json json_t *found = NULL;
    char digest[7 + KR_SHA256_HEX];

    if (kr_files_add_disk(&files, KR_LOCAL_PROGRAM, program, err) < 0)
        return -(int)err->code;
    files.v[0].executable = true;
    kr_files_digest(&files, digest);
    *tag = kr_asprintf("kourou-gate:%.12s", digest + 7);
    if (kr_engine_inspect("image", *tag, &found, err) == 0)
        return 0;
    if (err->code != KR_E_NOT_FOUND)
        return -(int)err->code;
    kr_err_clear(err);
    return import_image(docker, *tag, &files, err);
}

/* -- making one -------------------------------------------------------------------------------- */

/* The network that publishes the port: that of the app, unless the app shares or has none. */
static const char *network_of(const struct kr_docker *docker)
{
    const json_t *run_args = json_object_get(docker->what->settings, "run_args");
    const char *network = json_string_value(kr_docker_run_arg(run_args, "network"));

    return network == NULL || strcmp(network, "none") == 0 ||
                   strncmp(network, "container:", 10) == 0
               ? NULL
               : network;
}

/* What makes another gate necessary. */
static void key_of(const struct kr_docker *docker, char key[KR_SHA256_HEX])
{
    const char *network = network_of(docker);
    kr_auto_free char *all = kr_asprintf("%d %s %s", KEY_VERSION, kr_docker_bind(docker),
                                         network != NULL ? network : "");

    kr_sha256_hex(all, strlen(all), key);
}

static void add_labels(const struct kr_docker *docker, int port, struct kr_words *words)
{
    char key[KR_SHA256_HEX];

    key_of(docker, key);
    kr_words_addf(words, "--label=" KR_LABEL_GATE "=%s", docker->what->id);
    kr_words_addf(words, "--label=" KR_LABEL_NAME "=%s", docker->what->name);
    kr_words_addf(words, "--label=" KR_LABEL_PORT "=%d", port);
    kr_words_addf(words, "--label=" KR_LABEL_GATE_KEY "=%s", key);
}

static int create(const struct kr_docker *docker, const char *image, int port, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 0};
    const char *network = network_of(docker);
    bool host = network != NULL && strcmp(network, "host") == 0;
    kr_auto_free char *policy = kr_docker_restart_policy(docker->what);

    kr_words_add(&call.words, "create");
    kr_words_addf(&call.words, "--name=%s", docker->gate);
    kr_words_addf(&call.words, "--user=%d:%d", KR_IMAGE_UID, KR_IMAGE_UID);
    kr_words_add(&call.words, "--cap-drop=ALL");
    kr_words_add(&call.words, "--security-opt=no-new-privileges");
    kr_words_add(&call.words, "--read-only");
    /* It has nothing to fail of; a policy of the app's failures would not bring it back. */
    kr_words_addf(&call.words, "--restart=%s",
                  strncmp(policy, "on-failure", 10) == 0 ? "unless-stopped" : policy);
    kr_words_addf(&call.words,
                  "--mount=type=volume,src=%s,dst=" KR_GATE_FOLDER ",volume-label=" KR_LABEL_GATE
                  "=%s",
                  docker->gate, docker->what->id);
    add_labels(docker, port, &call.words);
    if (network != NULL)
        kr_words_addf(&call.words, "--network=%s", network);
    if (!host)
        kr_words_addf(&call.words, "--publish=%s:%d:%d", kr_docker_bind(docker), port,
                      KR_DOCKER_PORT);
    kr_words_add(&call.words, "--entrypoint=/bin/" KR_LOCAL_PROGRAM);
    kr_words_add(&call.words, image);
    kr_words_add(&call.words, "--hold=" KR_GATE_SOCKET);
    kr_words_addf(&call.words, "--host=%s", host ? kr_docker_bind(docker) : "0.0.0.0");
    kr_words_addf(&call.words, "--port=%d", host ? port : KR_DOCKER_PORT);
    return kr_engine_run(&call, "make the container that holds the port", NULL, err);
}

/* -- what the engine made of it ---------------------------------------------------------------- */

int kr_docker_published(const json_t *container, int port, struct kr_err *err)
{
    const json_t *bindings = kr_json_at(container, "NetworkSettings", "Ports", NULL);
    const char *name = kr_json_str(container, "Name", "?"), *inside;
    const char *mode =
        kr_json_str(json_object_get(container, "HostConfig"), "NetworkMode", "default");
    json_t *list;

    if (strcmp(mode, "host") == 0)
        return 0;
    json_object_foreach((json_t *)(uintptr_t)bindings, inside, list)
    {
        const json_t *binding;
        size_t i;

        json_array_foreach(list, i, binding)
        {
            if (strtol(kr_json_str(binding, "HostPort", "0"), NULL, 10) == port)
                return 0;
        }
    }
    (void)kr_fail(err, KR_E_REMOTE,
                  "the engine runs container %s but published no port of it (wanted: %d)",
                  name + strspn(name, "/"), port);
    return kr_hint(
        err, "networks that cannot publish ports are of no use here: choose another `network` "
             "in run_args, or leave it out");
}

/* A published port takes connections at once, whatever is behind it. */
static int reach(const struct kr_docker *docker, int port, struct kr_err *err)
{
    int64_t until = kr_mono_ms() + REACH_MS;
    int problem;

    while ((problem = kr_port_reach(docker->address, port, REACH_MS)) != 0) {
        if (kr_mono_ms() >= until || kr_denv_cancelled(docker->env)) {
            (void)kr_fail(err, KR_E_NETWORK,
                          "the engine published port %d, and nothing takes connections at %s: %s",
                          port, docker->address, strerror(problem));
            return kr_hint(err, "an engine that is reached through a tunnel publishes on its own "
                                "machine: name that machine in DOCKER_HOST, and set `expose`");
        }
        kr_sleep_ms(50);
    }
    return 0;
}

static int start(struct kr_docker *docker, struct kr_err *err)
{
    if (kr_docker_do(docker, "start", docker->gate, NULL, err) < 0 ||
        kr_docker_look(docker, err) < 0)
        return -(int)err->code;
    if (docker->gate_found == NULL || !kr_container_is(docker->gate_found, "running")) {
        free(kr_docker_show_end(docker, docker->gate));
        return kr_fail(err, KR_E_CONFLICT, "container %s, which holds the port, has ended",
                       docker->gate);
    }
    if (kr_docker_published(docker->gate_found, kr_docker_port(docker), err) < 0)
        return -(int)err->code;
    return reach(docker, kr_docker_port(docker), err);
}

/* -- as it is wanted --------------------------------------------------------------------------- */

static bool is_as_wanted(const struct kr_docker *docker)
{
    const char *label = kr_container_label(docker->gate_found, KR_LABEL_GATE_KEY);
    int wish = (int)kr_json_int(docker->what->settings, "port", 0);
    char key[KR_SHA256_HEX];

    key_of(docker, key);
    return label != NULL && strcmp(label, key) == 0 &&
           (wish == 0 || wish == kr_docker_port(docker));
}

/* from: the lowest port to look at, when any of the range will do; 0: that of the settings. */
static int choose_port(const struct kr_docker *docker, int from, int *port, struct kr_err *err)
{
    kr_auto_json json_t *settings = json_copy((json_t *)(uintptr_t)docker->what->settings);
    struct kr_deployment what = *docker->what;
    struct kr_local local = {
        .env = docker->env, .what = &what, .port = (int)kr_json_int(what.metadata, "port", 0)};
    kr_auto_free char *note = NULL;
    json_t *range = json_object_get(settings, "port_range");

    what.settings = settings;
    kr_json_set_str(settings, "address", kr_docker_bind(docker));
    if (from != 0) { /* taken on the engine's machine, which may be another one */
        local.port = 0;
        (void)json_object_del(settings, "port");
        kr_json_set(
            settings, "port_range",
            json_pack("[i,O]", from,
                      json_is_array(range) ? json_array_get(range, 1) : json_integer(65535)));
    }
    if (kr_local_choose_port(&local, port, &note, err) < 0)
        return -(int)err->code;
    if (note != NULL)
        kr_denv_note(docker->env, true, "%s", note);
    return 0;
}

static int make(struct kr_docker *docker, int from, int *port, struct kr_err *err)
{
    kr_auto_free char *image = NULL;

    if (kr_docker_remove(docker, docker->gate, err) < 0 ||
        choose_port(docker, from, port, err) < 0 || need_image(docker, &image, err) < 0 ||
        create(docker, image, *port, err) < 0)
        return -(int)err->code;
    return start(docker, err);
}

int kr_docker_need_gate(struct kr_docker *docker, bool *made, struct kr_err *err)
{
    const json_t *settings = docker->what->settings;
    bool others = kr_json_int(settings, "port", 0) == 0 ||
                  kr_json_bool(settings, "allocate_port_if_busy", true);
    struct kr_err ignored = KR_ERR_INIT;
    int port = 0, rc;

    *made = false;
    if (docker->gate_found != NULL && is_as_wanted(docker)) {
        if (kr_container_is(docker->gate_found, "running") &&
            kr_docker_published(docker->gate_found, kr_docker_port(docker), &ignored) == 0)
            return 0;
        if (start(docker, err) == 0 || err->code != KR_E_CONFLICT)
            return -(int)err->code;
        kr_err_clear(err); /* its port was taken meanwhile */
    }
    *made = true;
    rc = make(docker, 0, &port, err);
    for (int i = 1; rc < 0 && err->code == KR_E_CONFLICT && others && i < ATTEMPTS; i++) {
        kr_err_clear(err);
        rc = make(docker, port + 1, &port, err);
    }
    if (rc < 0 && kr_docker_remove_gate(docker, &ignored) < 0)
        kr_denv_note(docker->env, true, "%s", ignored.msg);
    return rc;
}

/* -- the end ----------------------------------------------------------------------------------- */

/* Another deployment may use the image, and that is no error. */
static void remove_image(const struct kr_docker *docker, const char *image)
{
    struct kr_err ignored = KR_ERR_INIT;

    if (image != NULL)
        (void)!kr_docker_do(docker, "rmi", image, NULL, &ignored);
}

int kr_docker_remove_gate(struct kr_docker *docker, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 20000};
    kr_auto_free char *image = NULL;

    if (kr_docker_look(docker, err) < 0)
        return -(int)err->code;
    image = kr_strdup(kr_json_str(json_object_get(docker->gate_found, "Config"), "Image", NULL));
    if (kr_docker_remove(docker, docker->gate, err) < 0)
        return -(int)err->code;
    json_decref(docker->gate_found);
    docker->gate_found = NULL;
    kr_words_add(&call.words, "volume");
    kr_words_add(&call.words, "rm");
    kr_words_add(&call.words, docker->gate);
    if (kr_engine_run(&call, "remove the volume of the gate", NULL, err) < 0) {
        if (err->code != KR_E_NOT_FOUND)
            return -(int)err->code;
        kr_err_clear(err);
    }
    remove_image(docker, image);
    return 0;
}
