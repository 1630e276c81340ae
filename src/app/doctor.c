/* SPDX-License-Identifier: Apache-2.0 */
#include "app/doctor.h"

#include "app/python.h"
#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "deployers/deployer.h"
#include "deployers/docker.h"
#include "hub/hub.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { ANSWER_MAX = 65536, WAIT_MS = 10000 };

static void add(json_t *rows, const char *check, const char *status, const char *hint,
                const char *detail)
{
    json_t *row = json_object();

    kr_json_set_str(row, "check", check);
    kr_json_set_str(row, "status", status);
    kr_json_set_str(row, "detail", detail);
    kr_json_set_str(row, "hint", hint != NULL && hint[0] != '\0' ? hint : NULL);
    (void)json_array_append_new(rows, row);
}

/* First line of what a program prints on stdout; NULL when it fails. Caller frees. */
static char *first_line(char *const argv[])
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(ANSWER_MAX), noise = KR_BUF_INIT(ANSWER_MAX);
    struct kr_proc_opts opts = {.out = &out, .err_out = &noise, .timeout_ms = WAIT_MS};
    struct kr_err err = KR_ERR_INIT;
    int status = 0;

    if (kr_proc_run(argv, &opts, &status, &err) < 0 || status != 0)
        return NULL;
    return kr_strndup(kr_buf_str(&out), strcspn(kr_buf_str(&out), "\r\n"));
}

static void check_python(struct kr_app *app, json_t *rows)
{
    static const char program[] = "import sys\n"
                                  "try:\n"
                                  "    import pydantic\n"
                                  "    p = 'pydantic ' + pydantic.VERSION\n"
                                  "except ImportError:\n"
                                  "    p = 'no pydantic'\n"
                                  "print('Python %d.%d.%d, ' % sys.version_info[:3] + p)\n";
    kr_auto_python struct kr_python python = {0};
    kr_auto_free char *line = NULL, *detail = NULL;
    struct kr_err err = KR_ERR_INIT;
    char *argv[] = {NULL, (char *)(uintptr_t) "-c", (char *)(uintptr_t)program, NULL};

    if (kr_python_find(app, NULL, &python, &err) < 0) {
        add(rows, "python", "warn", err.hint, err.msg);
        return;
    }
    argv[0] = python.path;
    line = first_line(argv);
    if (line == NULL) {
        detail = kr_asprintf("%s does not run (%s)", python.path, python.why);
        add(rows, "python", "warn", "activate another virtual environment, or repair this one",
            detail);
        return;
    }
    detail = kr_asprintf("%s: %s; %s", python.path, line, python.why);
    if (kr_python_check(app, &python, &err) < 0)
        add(rows, "python", "warn", err.hint, detail);
    else
        add(rows, "python", "ok", NULL, detail);
}

static void check_docker(json_t *rows)
{
    char *argv[] = {(char *)(uintptr_t) "docker", (char *)(uintptr_t) "version",
                    (char *)(uintptr_t) "--format", (char *)(uintptr_t) "{{.Server.Version}}",
                    NULL};
    kr_auto_free char *program = kr_path_find_program("docker"), *line = NULL, *detail = NULL;

    if (program == NULL) {
        add(rows, "docker", "warn",
            "needed for the docker deployer and the local image builder only; Spaces built from "
            "source do without it",
            "the docker command is not installed");
        return;
    }
    line = first_line(argv);
    if (line == NULL || line[0] == '\0') {
        add(rows, "docker", "warn",
            "start the engine, or set DOCKER_HOST; Spaces built from source do without it",
            "the Docker engine cannot be reached");
        return;
    }
    detail = kr_asprintf("engine %s", line);
    add(rows, "docker", "ok", NULL, detail);
}

/* A registered deployer may carry the token, in clear or in a secret. */
static bool deployer_has_token(struct kr_app *app)
{
    kr_auto_json json_t *scope = json_pack("{s:s}", "type", "deployer");
    kr_auto_json json_t *page = NULL;
    struct kr_err err = KR_ERR_INIT;
    const json_t *row;
    size_t i;

    if (app->store == NULL || kr_store_list(app->store, KR_COMPONENT, NULL, scope, &page, &err) < 0)
        return false;
    json_array_foreach(json_object_get(page, "items"), i, row)
    {
        const json_t *config = json_object_get(row, "config");

        if (!kr_deployer_traits(kr_json_str(row, "flavor", NULL))->calls_hub)
            continue;
        if (json_object_get(config, "token") != NULL ||
            json_object_get(config, "secret_name") != NULL)
            return true;
    }
    return false;
}

/* Containers of deployments that this store has no record of: a home was removed, or another one
 * uses the same engine. */
static void check_strays(struct kr_app *app, json_t *rows)
{
    kr_auto_call struct kr_engine_call call = {.timeout_ms = WAIT_MS};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(ANSWER_MAX), names = KR_BUF_INIT(ANSWER_MAX);
    kr_auto_json json_t *ids = NULL;
    kr_auto_free char *detail = NULL, *hint = NULL;
    struct kr_err ignored = KR_ERR_INIT;
    struct kr_view rest, line, name;
    bool more = true;

    kr_words_add(&call.words, "ps");
    kr_words_add(&call.words, "--all");
    kr_words_add(&call.words, "--filter=label=" KR_LABEL_ID);
    kr_words_add(&call.words, "--format={{.Names}} {{.Label \"" KR_LABEL_ID "\"}}");
    if (app->store == NULL || kr_engine_run(&call, "containers", &out, &ignored) < 0 ||
        kr_store_ids(app->store, KR_DEPLOYMENT, &ids, &ignored) < 0)
        return;
    rest = (struct kr_view){kr_buf_str(&out), out.n};
    while (more) {
        kr_auto_free char *id = NULL;

        more = kr_view_cut(&rest, '\n', &line);
        if (!kr_view_cut(&line, ' ', &name))
            continue;
        id = kr_view_dup(kr_view_trim(line));
        if (json_object_get(ids, id) == NULL)
            kr_buf_addf(&names, " " KR_VIEW_FMT, KR_VIEW_ARG(name));
    }
    if (names.n == 0)
        return;
    detail = kr_asprintf("no record here is about:%.900s", kr_buf_str(&names));
    hint = kr_asprintf("if no other home (KOUROU_HOME) has them: docker rm --force%.900s",
                       kr_buf_str(&names));
    add(rows, "containers", "warn", hint, detail);
}

static void check_token(struct kr_app *app, json_t *rows)
{
    kr_auto_free char *token = NULL, *source = NULL, *detail = NULL;
    struct kr_err err = KR_ERR_INIT;

    if (kr_hub_token_find(&token, &source, &err) < 0) {
        add(rows, "hugging face token", "warn", err.hint, err.msg);
    } else if (token != NULL) {
        detail = kr_asprintf("found in %s", source != NULL ? source : "the environment");
        add(rows, "hugging face token", "ok", NULL, detail);
    } else if (deployer_has_token(app)) {
        add(rows, "hugging face token", "ok", NULL, "a registered deployer has one");
    } else {
        kr_auto_free char *hint = kr_asprintf(
            "make a token with write permission at huggingface.co/settings/tokens, then "
            "'%s secret create hf_token --token=...'",
            app->prog);

        add(rows, "hugging face token", "warn", hint, "no token found");
    }
    if (token != NULL)
        explicit_bzero(token, strlen(token));
}

static void check_store(struct kr_app *app, const struct kr_err *why, json_t *rows)
{
    kr_auto_json json_t *page = NULL;
    struct kr_err err = KR_ERR_INIT;
    const json_t *row;
    size_t i;

    if (app->store == NULL) {
        add(rows, "store", "fail", why->hint, why->msg);
        return;
    }
    if (kr_store_check(app->store, &err) < 0) {
        add(rows, "store", "fail", err.hint, err.msg);
        return;
    }
    add(rows, "store", "ok", NULL, kr_store_path(app->store));
    if (kr_store_list(app->store, KR_SECRET, NULL, NULL, &page, &err) < 0) {
        add(rows, "secrets", "fail", err.hint, err.msg);
        return;
    }
    json_array_foreach(json_object_get(page, "items"), i, row)
    {
        kr_auto_json json_t *values = NULL;

        if (kr_store_secret_values(app->store, kr_json_str(row, "id", ""), &values, &err) < 0) {
            add(rows, "secrets", "fail", err.hint, err.msg);
            return;
        }
    }
    add(rows, "secrets", "ok", NULL, i == 0 ? "none yet" : "all can be decrypted");
}

static void check_place(json_t *rows, const char *check, const char *dir)
{
    kr_auto_free char *detail = NULL;
    struct stat st;

    if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || access(dir, W_OK) != 0) {
        detail = kr_asprintf("%s cannot be written", dir);
        add(rows, check, "fail", "set KOUROU_HOME to a folder that can be written", detail);
    } else if ((st.st_mode & 077) != 0) {
        kr_auto_free char *hint = kr_asprintf("chmod 700 %s", dir);

        detail = kr_asprintf("%s can be read by others", dir);
        add(rows, check, "warn", hint, detail);
    } else {
        add(rows, check, "ok", NULL, dir);
    }
}

static void check_disk(json_t *rows, const char *dir)
{
    struct statvfs fs;
    kr_auto_free char *detail = NULL;
    double gigabytes;

    if (statvfs(dir, &fs) < 0)
        return;
    gigabytes = (double)fs.f_bavail * (double)fs.f_frsize / 1e9;
    detail = kr_asprintf("%.1f GB free below %s", gigabytes, dir);
    add(rows, "disk",
        gigabytes < 0.1 ? "fail"
        : gigabytes < 1 ? "warn"
                        : "ok",
        gigabytes < 1 ? "make room: images, bundles and logs are kept there" : NULL, detail);
}

static void check_serve(struct kr_app *app, json_t *rows)
{
    kr_auto_free char *path = kr_path_join(app->runtime_dir, "kourou-serve"), *line = NULL;
    kr_auto_free char *detail = NULL;
    char *argv[] = {path, (char *)(uintptr_t) "--version", NULL};

    if (access(path, X_OK) != 0) {
        detail = kr_asprintf("%s is missing", path);
        add(rows, "kourou-serve", "fail",
            "build it with make, or name its folder in KOUROU_RUNTIME_DIR", detail);
        return;
    }
    line = first_line(argv);
    if (line == NULL) {
        detail = kr_asprintf("%s does not run", path);
        add(rows, "kourou-serve", "fail", "build it again with make", detail);
        return;
    }
    detail = kr_asprintf("%s (%s)", path, line);
    if (strstr(line, KR_VERSION) == NULL)
        add(rows, "kourou-serve", "warn", "it is not of this version: build all programs again",
            detail);
    else
        add(rows, "kourou-serve", "ok", NULL, detail);
}

int kr_doctor(struct kr_app *app, const struct kr_err *why, json_t **rows, struct kr_err *err)
{
    kr_auto_free char *config = kr_env_config_dir(), *data = kr_env_data_dir();
    kr_auto_free char *self = kr_path_of_self();
    char here[] = ".", no_home[] = "below a home that is not there";
    struct kr_app none = {.prog = "kourou",
                          .config_dir = config != NULL ? config : no_home,
                          .data_dir = data != NULL ? data : no_home,
                          .source_root = here,
                          .runtime_dir = self != NULL ? self : here};
    struct kr_app *at = app != NULL ? app : &none;
    kr_auto_json json_t *list = json_array();

    (void)err;
    check_store(at, why, list);
    check_place(list, "configuration", at->config_dir);
    check_place(list, "data", at->data_dir);
    check_disk(list, at->data_dir);
    check_serve(at, list);
    check_python(at, list);
    check_docker(list);
    check_strays(at, list);
    check_token(at, list);
    *rows = kr_steal(&list);
    return 0;
}

json_t *kr_doctor_deployer(struct kr_app *app, const char *flavor)
{
    const struct kr_deployer_traits *traits = kr_deployer_traits(flavor);
    json_t *rows = json_array();

    check_python(app, rows);
    if (traits->takes == KR_TAKES_IMAGE || traits->takes == KR_TAKES_SOURCE)
        check_docker(rows);
    if (traits->calls_hub)
        check_token(app, rows);
    return rows;
}
