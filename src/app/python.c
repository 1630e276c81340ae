/* SPDX-License-Identifier: Apache-2.0 */
#include "app/python.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/redact.h"
#include "base/view.h"

#include <string.h>

enum { MAX_ARGS = 24, CHECK_MS = 60000, MAX_CHECK = 1 << 20, MAX_ANSWER = 16 << 20 };

/* Folder that holds kourou/_boot.py; NULL when there is none. Caller frees. */
static char *package_dir(struct kr_app *app)
{
    static const char *const places[] = {"python", "../python", "../share/kourou/python"};
    const char *set = kr_env_get("KOUROU_PYTHON_PATH");

    for (size_t i = 0; i <= KR_ARRAY_LEN(places) + 1; i++) {
        kr_auto_free char *folder = NULL, *boot = NULL;

        if (i == 0 && set == NULL)
            continue;
        folder = i == 0                      ? kr_strdup(set)
                 : i <= KR_ARRAY_LEN(places) ? kr_path_join(app->runtime_dir, places[i - 1])
                                             : kr_strdup("/usr/share/kourou/python");
        boot = kr_path_join(folder, "kourou/_boot.py");
        if (kr_path_exists(boot))
            return kr_steal(&folder);
    }
    return NULL;
}

static void show_line(const char *text, bool is_stderr, void *data)
{
    struct kr_app *app = data;
    kr_auto_free char *copy = kr_strdup(text);

    (void)is_stderr;
    kr_redact(copy, strlen(copy));
    if (app->ui.log_line != NULL)
        app->ui.log_line(app->ui.data, "python", copy);
}

static int run_boot(struct kr_app *app, const char *python, const char *const *args,
                    const struct kr_proc_opts *opts, int *status, struct kr_err *err)
{
    kr_auto_free char *folder = package_dir(app), *boot = NULL;
    char *argv[MAX_ARGS + 3];
    size_t n = 0;

    if (folder == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "the Python part of Kourou is missing beside %s",
                      app->runtime_dir);
        return kr_hint(err, "install Kourou again, or name its folder in KOUROU_PYTHON_PATH");
    }
    boot = kr_path_join(folder, "kourou/_boot.py");
    argv[n++] = (char *)(uintptr_t)python;
    argv[n++] = boot;
    for (size_t i = 0; args[i] != NULL && i < MAX_ARGS; i++)
        argv[n++] = (char *)(uintptr_t)args[i];
    argv[n] = NULL;
    return kr_proc_run(argv, opts, status, err);
}

int kr_python_boot(struct kr_app *app, const char *python, const char *dir, const char *const *args,
                   void (*meanwhile)(void), int *status, struct kr_err *err)
{
    struct kr_proc_opts opts = {.cwd = dir,
                                .meanwhile = meanwhile,
                                .line = show_line,
                                .data = app,
                                .cancelled = app->ui.cancelled,
                                .cancel_data = app->ui.data};

    return run_boot(app, python, args, &opts, status, err);
}

int kr_python_ask(struct kr_app *app, const char *python, const char *command,
                  const json_t *question, json_t **answer, struct kr_err *err)
{
    const char *args[] = {command, NULL};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(MAX_ANSWER), noise = KR_BUF_INIT(MAX_CHECK);
    kr_auto_free char *input = kr_json_canonical(question);
    struct kr_proc_opts opts = {.input = input,
                                .input_len = strlen(input),
                                .out = &out,
                                .err_out = &noise,
                                .timeout_ms = CHECK_MS,
                                .cancelled = app->ui.cancelled,
                                .cancel_data = app->ui.data};
    int status = 0;

    if (run_boot(app, python, args, &opts, &status, err) < 0)
        return -(int)err->code;
    if (status != 0)
        return kr_fail(err, KR_E_INVALID, "%s ended with status %d: %s", python, status,
                       kr_view_last_line(kr_view_of(kr_buf_str(&noise))).p);
    return kr_json_parse(kr_buf_str(&out), out.n, command, answer, err);
}

/* "3.11.2" is at least 3.9? */
static bool is_new_enough(const char *version)
{
    char *end;
    long major = strtol(version, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

    return major > 3 || (major == 3 && minor >= 9);
}

static int judge(struct kr_app *app, const struct kr_python *python, const json_t *facts,
                 struct kr_err *err)
{
    const char *version = kr_json_str(facts, "version", "unknown");
    const char *pydantic = kr_json_str(facts, "pydantic", NULL);

    if (!is_new_enough(version)) {
        (void)kr_fail(err, KR_E_INVALID, "%s is Python %s; pipelines need 3.9 or newer",
                      python->path, version);
        return kr_python_hint(app, python, NULL, err);
    }
    if (pydantic != NULL && strtol(pydantic, NULL, 10) >= 2)
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "%s has %s%s; pipelines need pydantic 2", python->path,
                  pydantic != NULL ? "pydantic " : "no pydantic", pydantic != NULL ? pydantic : "");
    if (kr_python_hint_nearby(app, python, "pydantic", err))
        return -(int)err->code;
    return kr_hint(err,
                   "%s -m pip install 'pydantic>=2' (it was used: %s; --python names another one)",
                   python->path, python->why);
}

int kr_python_check(struct kr_app *app, const struct kr_python *python, struct kr_err *err)
{
    static const char *const args[] = {"check", NULL};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(MAX_CHECK), noise = KR_BUF_INIT(MAX_CHECK);
    struct kr_proc_opts opts = {.out = &out, .err_out = &noise, .timeout_ms = CHECK_MS};
    kr_auto_json json_t *facts = NULL;
    int status = 0;

    if (run_boot(app, python->path, args, &opts, &status, err) < 0)
        return -(int)err->code;
    if (kr_json_parse(kr_buf_str(&out), out.n, "check", &facts, NULL) < 0) {
        (void)kr_fail(err, KR_E_INVALID,
                      "%s cannot run Kourou's Python part (exit status %d): it must be Python 3.9 "
                      "or newer with pydantic 2",
                      python->path, status);
        return kr_python_hint(app, python, NULL, err);
    }
    return judge(app, python, facts, err);
}
