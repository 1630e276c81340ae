/* SPDX-License-Identifier: Apache-2.0 */
/* Logs: what the engine keeps of the container that runs, and what was kept of those before it. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/view.h"
#include "deployers/lifecycle.h"

#include <string.h>
#include <unistd.h>

#define KEPT_MAX ((size_t)4 << 20)

enum { SUCCESSOR_MS = 5000 };

static char *file_of(const struct kr_deployer_env *env, const struct kr_deployment *what)
{
    return kr_asprintf("%s/containers/%s.log", env->data_dir, what->id);
}

/* -- keeping ----------------------------------------------------------------------------------- */

static void keep_line(void *data, const char *line)
{
    struct kr_buf *kept = data;
    size_t n = strlen(line) + 1;

    if (n >= KEPT_MAX / 2)
        return;
    if (kept->n + n > KEPT_MAX) { /* the older half goes, and not a line at a time */
        const char *end = memchr(kept->p + KEPT_MAX / 2, '\n', kept->n - KEPT_MAX / 2);

        kr_buf_drop(kept, end != NULL ? (size_t)(end - kept->p) + 1 : kept->n);
    }
    kr_buf_addf(kept, "%s\n", line);
}

void kr_docker_keep_log(const struct kr_docker *docker, const char *name)
{
    kr_auto_free char *path = file_of(docker->env, docker->what),
                      *folder = kr_path_join(docker->env->data_dir, "containers");
    kr_auto_buf struct kr_buf kept = KR_BUF_INIT(KEPT_MAX);
    kr_auto_call struct kr_engine_call call = {
        .timeout_ms = 60000, .line = keep_line, .data = &kept};
    struct kr_err err = KR_ERR_INIT;

    (void)!kr_file_read(path, &kept, NULL);
    kr_words_add(&call.words, "logs");
    kr_words_add(&call.words, name);
    if (kr_engine_run(&call, "log", NULL, &err) < 0 || kr_mkdir_p(folder, 0700, &err) < 0 ||
        kr_file_write_atomic(path, kept.p, kept.n, 0600, &err) < 0)
        kr_denv_note(docker->env, true, "the log of container %s was not kept: %s", name, err.msg);
}

void kr_docker_forget_log(const struct kr_docker *docker)
{
    kr_auto_free char *path = file_of(docker->env, docker->what);

    (void)unlink(path);
}

/* -- showing ----------------------------------------------------------------------------------- */

struct counting {
    const struct kr_log_request *request;
    int64_t lines;
};

static void count_line(void *data, const char *line)
{
    struct counting *c = data;

    (void)line;
    c->lines++;
}

/* The log of one container, to its end. */
static int show(const struct kr_deployer_env *env, const json_t *container, bool follow,
                int64_t tail, void (*line)(void *data, const char *line), void *data,
                struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {.env = env, .line = line, .data = data};

    kr_words_add(&call.words, "logs");
    if (follow)
        kr_words_add(&call.words, "--follow");
    if (tail >= 0)
        kr_words_addf(&call.words, "--tail=%lld", (long long)tail);
    kr_words_add(&call.words, kr_json_str(container, "Id", "?"));
    if (kr_engine_run(&call, "log", NULL, err) == 0)
        return 0;
    if (err->code == KR_E_CANCELLED || kr_denv_cancelled(env)) /* Ctrl-C ended the watching */
        kr_err_clear(err);
    return -(int)err->code;
}

/* The last lines of the containers before: as many as are wanted and the present one lacks. */
static int show_former(const struct kr_docker *docker, const struct kr_log_request *request,
                       struct kr_err *err)
{
    kr_auto_free char *path = file_of(docker->env, docker->what);
    kr_auto_buf struct kr_buf kept = KR_BUF_INIT(KEPT_MAX + 1);
    struct counting now = {.request = request};
    struct kr_view rest, line;
    int64_t left = request->tail;
    size_t from;
    bool more;

    if (!kr_path_exists(path) || kr_file_read(path, &kept, NULL) < 0 || kept.n == 0)
        return 0;
    if (left >= 0) {
        if (show(docker->env, docker->found, false, left, count_line, &now, err) < 0)
            return -(int)err->code;
        left -= now.lines;
    }
    from = request->tail < 0 ? 0 : kept.n;
    while (left > 0 && from > 0) {
        from--;
        while (from > 0 && kept.p[from - 1] != '\n')
            from--;
        left--;
    }
    rest = (struct kr_view){kept.p + from, kept.n - from};
    more = rest.n > 0;
    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (line.n > 0) {
            kr_auto_free char *text = kr_view_dup(line);

            request->line(request->data, text);
        }
    }
    return 0;
}

/* After an update another container goes on. */
static int wait_for_successor(struct kr_docker *docker, const char *was, bool *found,
                              struct kr_err *err)
{
    int64_t until = kr_mono_ms() + SUCCESSOR_MS;

    *found = false;
    for (;;) {
        if (kr_docker_look(docker, err) < 0)
            return -(int)err->code;
        if (docker->found != NULL && strcmp(kr_json_str(docker->found, "Id", ""), was) != 0) {
            *found = true;
            return 0;
        }
        if (docker->found != NULL && kr_container_is(docker->found, "running")) {
            *found = true; /* it was restarted */
            return 0;
        }
        if (kr_mono_ms() >= until || kr_denv_cancelled(docker->env))
            return 0;
        kr_sleep_ms(200);
    }
}

static int follow(struct kr_docker *docker, const struct kr_log_request *request,
                  struct kr_err *err)
{
    int64_t tail = request->tail;

    for (;;) {
        kr_auto_free char *was = kr_strdup(kr_json_str(docker->found, "Id", ""));
        bool more;

        if (show(docker->env, docker->found, true, tail, request->line, request->data, err) < 0)
            return -(int)err->code;
        if (kr_denv_cancelled(docker->env))
            return 0;
        if (wait_for_successor(docker, was, &more, err) < 0)
            return -(int)err->code;
        if (!more)
            return 0;
        tail = strcmp(was, kr_json_str(docker->found, "Id", "")) == 0 ? 0 : -1;
        kr_denv_note(docker->env, false, "%s",
                     tail < 0 ? "the container was replaced: going on with the new one"
                              : "the container was started again");
    }
}

int kr_docker_logs(const struct kr_deployer_env *env, const struct kr_deployment *what,
                   const struct kr_log_request *request, struct kr_err *err)
{
    kr_auto_docker struct kr_docker docker = {0};

    if (request->build && request->image_shown)
        return 0;
    if (request->build)
        return kr_fail(err, KR_E_NOT_FOUND, "no log of an image build is kept for deployment '%s'",
                       what->name);
    if (kr_docker_open(env, what, &docker, err) < 0)
        return -(int)err->code;
    if (docker.found == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "deployment '%s' has no container and so no log",
                      what->name);
        return kr_hint(err, "%s deployment provision %s", env->prog, what->name);
    }
    if (show_former(&docker, request, err) < 0)
        return -(int)err->code;
    return request->follow
               ? follow(&docker, request, err)
               : show(env, docker.found, false, request->tail, request->line, request->data, err);
}
