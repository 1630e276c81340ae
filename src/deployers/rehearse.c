/* SPDX-License-Identifier: Apache-2.0 */
/* Rehearsal of a launch: what is about to be committed is built and run on this machine as a Space
 * would do it, looked at, called once, and removed again. */
#include "deployers/docker.h"

#include "base/alloc.h"
#include "base/path.h"
#include "deployers/lifecycle.h"
#include "deployers/space.h"
#include "net/http.h"
#include "oci/tree.h"

#include <string.h>

enum { CALL_MS = 120000, ANSWER_MAX = 1 << 20, ATTEMPTS = 5 };

struct rehearsal {
    const struct kr_deployer_env *env;
    struct kr_deployment what; /* of which the container is one for this rehearsal */
    const struct kr_files *files;
    int app_port;
    const json_t *secrets;
    char *dir, *image;
    bool buildkit;
    struct kr_docker docker;
};

static void rehearsal_finish(struct rehearsal *r)
{
    struct kr_err ignored = KR_ERR_INIT;

    if (r->docker.name != NULL && kr_docker_remove(&r->docker, r->docker.name, &ignored) < 0)
        kr_denv_note(r->env, true, "%s", ignored.msg);
    kr_err_clear(&ignored);
    if (r->image != NULL && kr_docker_do(&r->docker, "rmi", r->image, NULL, &ignored) < 0 &&
        ignored.code != KR_E_NOT_FOUND)
        kr_denv_note(r->env, true, "%s", ignored.msg);
    if (r->dir != NULL)
        (void)!kr_remove_tree(r->dir, NULL);
    kr_docker_close(&r->docker);
    free(r->dir);
    free(r->image);
}

/* -- build ------------------------------------------------------------------------------------- */

/* The Hub's builder gives variables as arguments and secrets as files to mount. */
static int add_values(const struct rehearsal *r, struct kr_words *words, struct kr_err *err)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)r->what.environment, name, value)
        kr_words_addf(words, "--build-arg=%s=%s", name, json_string_value(value));
    json_object_foreach((json_t *)(uintptr_t)r->secrets, name, value)
    {
        kr_auto_free char *file = kr_asprintf("%s/%s", r->dir, name);
        const char *text = json_string_value(value);

        if (!r->buildkit)
            continue;
        if (kr_file_write_atomic(file, text, strlen(text), 0600, err) < 0)
            return -(int)err->code;
        kr_words_addf(words, "--secret=id=%s,src=%s", name, file);
    }
    return 0;
}

static int build(struct rehearsal *r, struct kr_err *err)
{
    kr_auto_call struct kr_engine_call call = {
        .env = r->env, .source = "build", .buildkit = r->buildkit};
    kr_auto_free char *cache = kr_path_join(r->env->data_dir, "cache"), *context = NULL;
    const json_t *docker = kr_json_at(r->what.snapshot, "settings", "docker", NULL);

    if (kr_tree_temp(cache, &r->dir, err) < 0)
        return -(int)err->code;
    context = kr_path_join(r->dir, "context");
    if (kr_mkdir_p(context, 0700, err) < 0 || kr_tree_write(context, r->files, err) < 0)
        return -(int)err->code;
    r->image = kr_asprintf("kourou-rehearsal:%.8s", r->what.id);
    kr_words_add(&call.words, "build");
    kr_words_addf(&call.words, "--tag=%s", r->image);
    if (r->buildkit)
        kr_words_add(&call.words, "--progress=plain");
    if (add_values(r, &call.words, err) < 0 ||
        kr_engine_options(kr_engine_build_options(docker, "build_config"), "build_options",
                          &call.words, err) < 0)
        return -(int)err->code;
    kr_words_add(&call.words, context);
    return kr_engine_run(&call, "docker build", NULL, err);
}

/* -- run --------------------------------------------------------------------------------------- */

/* The engine's default network; where it was switched off, another bridge. NULL: the engine's
 * choice. */
static char *network(void)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = 20000};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);
    struct kr_err ignored = KR_ERR_INIT;
    const char *text;

    kr_words_add(&call.words, "network");
    kr_words_add(&call.words, "ls");
    kr_words_add(&call.words, "--filter=driver=bridge");
    kr_words_add(&call.words, "--format={{.Name}}");
    if (kr_engine_run(&call, "networks", &out, &ignored) < 0)
        return NULL;
    text = kr_buf_str(&out);
    if (text[0] == '\0' || strncmp(text, "bridge\n", 7) == 0 || strstr(text, "\nbridge\n") != NULL)
        return NULL;
    return kr_strndup(text, strcspn(text, "\n"));
}

static int start(struct rehearsal *r, int *port, int64_t timeout_ms, struct kr_err *err)
{
    struct kr_local local = {.env = r->env, .what = &r->what};
    struct kr_docker_run run = {.container = r->docker.name,
                                .image = r->image,
                                .inside = r->app_port,
                                .as_made = true,
                                .rehearsal = true,
                                .secrets = r->secrets};
    kr_auto_free char *note = NULL, *net = network();

    run.network = net;
    for (int attempt = 1;; attempt++) {
        if (kr_docker_remove(&r->docker, r->docker.name, err) < 0 ||
            kr_local_choose_port(&local, &run.port, &note, err) < 0 ||
            kr_docker_create(&r->docker, &run, err) < 0)
            return -(int)err->code;
        *port = run.port;
        if (kr_docker_start(&r->docker, r->docker.name, run.port, timeout_ms, err) == 0)
            return 0;
        if (err->code != KR_E_CONFLICT || attempt == ATTEMPTS)
            break;
        kr_err_clear(err); /* somebody else was quicker to take the port */
    }
    free(kr_docker_show_end(&r->docker, r->docker.name));
    return -(int)err->code;
}

/* -- one call ---------------------------------------------------------------------------------- */

/* Values for all parameters from defaults and examples; *missing: the first one that has
 * neither. */
static json_t *sample(const json_t *snapshot, const char **missing)
{
    json_t *out = json_object(), *schema;
    const char *name;

    *missing = NULL;
    json_object_foreach(kr_json_at(snapshot, "input_schema", "properties", NULL), name, schema)
    {
        json_t *value = json_object_get(schema, "default");

        if (value != NULL)
            continue;
        value = json_array_get(json_object_get(schema, "examples"), 0);
        if (value == NULL)
            value = json_array_get(json_object_get(schema, "enum"), 0);
        if (value != NULL)
            kr_json_set(out, name, json_incref(value));
        else if (*missing == NULL)
            *missing = name;
    }
    return out;
}

static int judge(const struct kr_http_response *res, struct kr_err *err)
{
    kr_auto_json json_t *answer = NULL;
    const char *text = kr_buf_str(&res->body);

    if (res->status == 200)
        return 0;
    if (kr_json_parse(text, res->body.n, "answer", &answer, NULL) == 0)
        text = kr_json_str(answer, "error", kr_json_str(answer, "detail", text));
    return kr_fail(err, KR_E_INVALID, "the sample call answered with status %d: %.1000s",
                   res->status, text);
}

static int call_once(const struct rehearsal *r, int port, struct kr_err *err)
{
    const char *missing, *key = kr_json_str(r->secrets, KR_SPACE_AUTH_SECRET, NULL);
    static const char *const json[] = {"Content-Type: application/json", NULL};
    kr_auto_json json_t *body = json_object();
    kr_auto_free char *base = kr_asprintf("http://%s:%d", r->docker.address, port), *text = NULL;
    kr_auto_free char *url = kr_endpoint_url(base, r->what.snapshot, "invoke_url_path", "/invoke");
    kr_auto_free char *bearer = key != NULL ? kr_asprintf("Bearer %s", key) : NULL;
    kr_auto_http struct kr_http *http = kr_http_open("kourou/" KR_VERSION);
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    struct kr_http_request req = {.method = "POST",
                                  .url = url,
                                  .headers = json,
                                  .authorization = bearer,
                                  .timeout_ms = CALL_MS,
                                  .idle_ms = -1,
                                  .max_body = ANSWER_MAX};

    kr_json_set(body, "parameters", sample(r->what.snapshot, &missing));
    if (missing != NULL || !kr_endpoint_on(r->what.snapshot, "invoke")) {
        kr_denv_note(
            r->env, true, "no sample call was made: %s%s",
            missing != NULL ? "no default or example for the parameter " : "invoke is switched off",
            missing != NULL ? missing : "");
        return 0;
    }
    text = kr_json_canonical(body);
    req.body = (struct kr_http_body){.kind = KR_BODY_BYTES, .bytes = text, .size = strlen(text)};
    if (kr_http_send(http, &req, &res, err) < 0)
        return kr_wrap(err, "sample call");
    if (judge(&res, err) < 0) {
        free(kr_docker_show_end(&r->docker, r->docker.name));
        return -(int)err->code;
    }
    return 0;
}

int kr_rehearse(const struct kr_deployer_env *env, const struct kr_deployment *what,
                const struct kr_files *files, int app_port, const json_t *variables,
                const json_t *secrets, int64_t timeout_ms, struct kr_err *err)
{
    kr_auto(rehearsal_finish) struct rehearsal r = {
        .env = env, .what = *what, .files = files, .app_port = app_port, .secrets = secrets};
    int port = 0;

    r.what.name = "rehearsal";
    r.what.environment = variables;
    r.what.settings = NULL;
    if (kr_engine_check(&r.buildkit, err) < 0) {
        (void)kr_wrap(err, "--rehearse needs Docker");
        return kr_hint(err, "start Docker, or deploy without --rehearse");
    }
    kr_denv_step(env, "rehearse", "Rehearsing on this machine", 0, 0, false, false);
    if (kr_docker_open(env, &r.what, &r.docker, err) < 0 || build(&r, err) < 0 ||
        start(&r, &port, timeout_ms, err) < 0 || call_once(&r, port, err) < 0)
        return kr_wrap(err, "rehearsal");
    kr_denv_step(env, "rehearse", "Rehearsed: it builds, is healthy and answers", 0, 0, false,
                 true);
    return 0;
}
