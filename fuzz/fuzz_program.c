/* SPDX-License-Identifier: Apache-2.0 */
/* What other programs print: docker, the compiler of Python pipelines, kourou-native --describe,
 * the user's Python, pip and uv. The first byte chooses the call; then come the runs, with a line
 * "--" between them: the exit status, a line end, standard output, a line "==", standard error. The
 * compiler's file is the last part. */
#include "fuzz_folder.h"

#include "app/compile.h"
#include "app/integration.h"
#include "app/python.h"
#include "base/proc.h"
#include "base/redact.h"
#include "deployers/docker.h"
#include "oci/interpreter.h"
#include "oci/wheels.h"

#include <stdio.h>
#include <stdlib.h>

static struct fuzz_input runs;

int __wrap_kr_proc_run(char *const argv[], const struct kr_proc_opts *opts, int *status,
                       struct kr_err *err);
char *__wrap_kr_path_find_program(const char *name);
bool __wrap_kr_path_exists(const char *path);
int __wrap_kr_json_read_file(const char *path, size_t max, json_t **out, struct kr_err *err);

static void give_lines(const struct kr_proc_opts *opts, struct fuzz_input text, bool is_stderr)
{
    while (text.n != 0) {
        kr_auto_free char *line = fuzz_line(&text);

        opts->line(line, is_stderr, opts->data);
    }
}

static void give(const struct kr_proc_opts *opts, struct fuzz_input text, bool is_stderr)
{
    struct kr_buf *to = is_stderr ? opts->err_out : opts->out;

    if (opts->line != NULL)
        give_lines(opts, text, is_stderr);
    else if (to != NULL && text.n != 0)
        kr_buf_add(to, text.p, text.n);
}

int __wrap_kr_proc_run(char *const argv[], const struct kr_proc_opts *opts, int *status,
                       struct kr_err *err)
{
    kr_auto_free char *run = NULL, *number = NULL, *out = NULL;
    struct fuzz_input in;
    size_t n;

    FUZZ_CHECK(argv[0] != NULL);
    if (runs.n == 0)
        return kr_fail(err, KR_E_NOT_FOUND, "%s: no such program", argv[0]);
    run = fuzz_part(&runs, "\n--\n", &n);
    in = (struct fuzz_input){(const uint8_t *)run, n};
    number = fuzz_line(&in);
    *status = number[0] == '\0' ? 0 : (uint8_t)strtoul(number, NULL, 10);
    out = fuzz_part(&in, "\n==\n", &n);
    give(opts, (struct fuzz_input){(const uint8_t *)out, n}, false);
    give(opts, in, true);
    return 0;
}

char *__wrap_kr_path_find_program(const char *name)
{
    return kr_asprintf("/usr/bin/%s", name);
}

bool __wrap_kr_path_exists(const char *path)
{
    return path[0] == '/';
}

int __wrap_kr_json_read_file(const char *path, size_t max, json_t **out, struct kr_err *err)
{
    FUZZ_CHECK(runs.n <= max);
    return kr_json_parse((const char *)runs.p, runs.n, path, out, err);
}

static void log_line(void *data, const char *source, const char *line)
{
    (void)data;
    FUZZ_CHECK(source != NULL && strchr(line, '\n') == NULL);
}

static void engine(struct kr_app *app)
{
    struct kr_deployer_env env = {
        .log_line = log_line, .data_dir = app->data_dir, .prog = app->prog};
    bool buildkit;

    if (kr_engine_check(&buildkit, fuzz_err()) == 0)
        fuzz_any(kr_engine_need_image(&env, "alice/churn:1", NULL, fuzz_err()));
}

static void container(struct kr_app *app)
{
    struct kr_deployer_env env = {
        .log_line = log_line, .data_dir = app->data_dir, .prog = app->prog};
    struct kr_deployment what = {.id = "churn", .name = "churn"};
    struct kr_docker docker = {.env = &env,
                               .what = &what,
                               .name = (char *)(uintptr_t) "kourou-churn",
                               .gate = (char *)(uintptr_t) "kourou-churn-gate"};
    kr_auto_json json_t *all = NULL;
    struct kr_err err = KR_ERR_INIT;

    if (kr_docker_look(&docker, &err) < 0)
        FUZZ_CHECK(err.code != KR_E_NOT_FOUND && docker.found == NULL);
    FUZZ_CHECK(kr_docker_port(&docker) >= 0 && kr_docker_port(&docker) < 65536);
    fuzz_any(kr_container_is(docker.found, "running"));
    (void)kr_container_label(docker.found, KR_LABEL_FINGERPRINT);
    fuzz_any(kr_docker_published(docker.gate_found, 8000, fuzz_err()));
    json_decref(docker.found);
    json_decref(docker.gate_found);
    fuzz_any(kr_docker_all(&docker, &all, fuzz_err()));
    fuzz_any(kr_docker_remove(&docker, docker.name, fuzz_err()));
    free(kr_docker_show_end(&docker, docker.name));
}

static void compile(struct kr_app *app, const char *source)
{
    struct kr_compile what = {.source = source, .root = "/nowhere", .python = "python3"};
    kr_auto_json json_t *snapshot = NULL;
    kr_auto_free char *python = NULL;
    struct kr_err err = KR_ERR_INIT;
    const char *name;

    if (kr_compile(app, &what, &snapshot, &python, &err) == 0)
        FUZZ_CHECK(
            kr_json_need_str(json_object_get(snapshot, "pipeline"), "name", "", &name, &err) == 0);
    else
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0' && snapshot == NULL);
}

static void compile_python(struct kr_app *app)
{
    compile(app, "churn.pipeline");
}

static void compile_native(struct kr_app *app)
{
    compile(app, "libchurn.so:churn");
}

static void python(struct kr_app *app)
{
    kr_auto_json json_t *rows = NULL;
    kr_auto_pip_target struct kr_pip_target target = {0};
    struct kr_python python3 = {.path = (char *)(uintptr_t) "python3",
                                .why = (char *)(uintptr_t) "?"};
    char version[32];

    fuzz_any(kr_python_check(app, &python3, fuzz_err()));
    if (kr_python_version("python3", version, fuzz_err()) == 0)
        FUZZ_CHECK(version[0] != '\0');
    rows = kr_integrations_all();
    if (kr_pip_target(app, NULL, &target, fuzz_err()) == 0)
        kr_integrations_look(&target, rows);
}

/* Nothing is installed, so what there is to see is that nothing comes of it and why. */
static void wheels(bool uv)
{
    const struct kr_base_python target = {.minor = 11,
                                          .executable = (char *)(uintptr_t) "/usr/bin/python3",
                                          .purelib = (char *)(uintptr_t) "/usr/lib",
                                          .platlib = (char *)(uintptr_t) "/usr/lib",
                                          .scripts = (char *)(uintptr_t) "/usr/bin",
                                          .headers = (char *)(uintptr_t) "/usr/include",
                                          .data = (char *)(uintptr_t) "/usr"};
    const struct kr_wheels what = {.python = "python3",
                                   .requirements = "numpy\n",
                                   .constraints = "",
                                   .uv = uv,
                                   .target = &target,
                                   .temp_dir = fuzz_folder()};
    kr_auto_files struct kr_files files = {0};
    kr_auto_free char *dir = NULL;
    struct kr_err err = KR_ERR_INIT;

    if (kr_wheels_install(&what, &dir, &files, &err) < 0)
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0' && strchr(err.msg, '\n') == NULL);
    FUZZ_CHECK(files.n == 0);
    if (dir != NULL)
        FUZZ_CHECK(kr_remove_tree(dir, NULL) == 0);
}

static void wheels_pip(struct kr_app *app)
{
    (void)app;
    wheels(false);
}

static void wheels_uv(struct kr_app *app)
{
    (void)app;
    wheels(true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const calls[])(struct kr_app *) = {
        engine, container, compile_python, compile_native, python, wheels_pip, wheels_uv};
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);
    struct kr_app app = {.prog = "kourou",
                         .ui = {.log_line = log_line},
                         .data_dir = (char *)(uintptr_t)fuzz_folder(),
                         .source_root = (char *)(uintptr_t) "/nowhere",
                         .runtime_dir = (char *)(uintptr_t) "/nowhere"};

    runs = in;
    calls[which % KR_ARRAY_LEN(calls)](&app);
    kr_redact_clear();
    return 0;
}
