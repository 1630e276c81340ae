/* SPDX-License-Identifier: Apache-2.0 */
#include "app/compile.h"

#include "app/python.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/redact.h"
#include "base/view.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { MAX_SNAPSHOT = 64 << 20, DESCRIBE_MS = 30000 };

bool kr_source_is_native(const char *source, char **file)
{
    const char *so = strstr(source, ".so");

    while (so != NULL && so[3] != '\0' && so[3] != ':')
        so = strstr(so + 3, ".so");
    if (so == NULL)
        return false;
    if (file != NULL)
        *file = kr_strndup(source, (size_t)(so - source) + 3);
    return true;
}

/* Temporary folder of one compilation; removed with all it holds. */
static void remove_work(char **folder)
{
    struct kr_err ignored = KR_ERR_INIT;

    if (*folder != NULL && kr_remove_tree(*folder, &ignored) < 0)
        kr_log(KR_LOG_DEBUG, "app", "%s", ignored.msg);
    free(*folder);
    *folder = NULL;
}

/* "compile-<pid>-...": removed by its process, or here when that was killed. */
static void remove_leftovers(const char *parent)
{
    kr_auto_dir DIR *dir = opendir(parent);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto(remove_work) char *path = NULL;
        char *end;
        long pid =
            kr_starts_with(entry->d_name, "compile-") ? strtol(entry->d_name + 8, &end, 10) : 0;

        if (pid > 0 && *end == '-' && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
            path = kr_path_join(parent, entry->d_name);
    }
}

static int make_work(struct kr_app *app, char **folder, struct kr_err *err)
{
    kr_auto_free char *parent = kr_path_join(app->data_dir, "tmp");
    kr_auto_free char *made = NULL;

    if (kr_mkdir_p(parent, 0700, err) < 0)
        return -(int)err->code;
    remove_leftovers(parent);
    made = kr_asprintf("%s/compile-%d-XXXXXX", parent, (int)getpid());
    if (mkdtemp(made) == NULL)
        return kr_fail_errno(err, errno, "%s", made);
    *folder = kr_steal(&made);
    return 0;
}

static void show_traceback(struct kr_app *app, const char *traceback)
{
    kr_auto_free char *copy = kr_strdup(traceback);
    struct kr_view rest = kr_view_of(copy), line;
    bool more = true;

    kr_redact(copy, strlen(copy));
    while (more && app->ui.log_line != NULL) {
        kr_auto_free char *text = NULL;

        more = kr_view_cut(&rest, '\n', &line);
        text = kr_view_dup(line);
        if (more || text[0] != '\0')
            app->ui.log_line(app->ui.data, "traceback", text);
    }
}

static enum kr_code code_of(const char *kind)
{
    return strcmp(kind, "import") == 0 || strcmp(kind, "attribute") == 0 ? KR_E_NOT_FOUND
                                                                         : KR_E_INVALID;
}

/* Is it the module that was to be deployed, or a part of it? */
static bool is_of_source(const char *source, const char *module)
{
    size_t n = strcspn(source, ".");

    return strncmp(source, module, n) == 0 && (module[n] == '\0' || module[n] == '.');
}

static int fail_compile(struct kr_app *app, const struct kr_compile *what,
                        const struct kr_python *python, const json_t *problem, struct kr_err *err)
{
    const char *kind = kr_json_str(problem, "kind", "internal");
    const char *file = kr_json_str(problem, "file", NULL);
    int64_t line = kr_json_int(problem, "line", 0);
    const char *traceback = kr_json_str(problem, "traceback", NULL);
    const char *message = kr_json_str(problem, "message", "unknown problem");
    const char *missing = kr_json_str(problem, "missing", NULL);
    kr_auto_free char *place = NULL;

    if (traceback != NULL && traceback[0] != '\0')
        show_traceback(app, traceback);
    if (file != NULL && strstr(message, file) == NULL)
        place = line > 0 ? kr_asprintf(" (%s:%lld)", file, (long long)line)
                         : kr_asprintf(" (%s)", file);
    (void)kr_fail(
        err, code_of(kind), "%s: %.1500s%s",
        strcmp(kind, "config") == 0 && what->config_file != NULL ? what->config_file : what->source,
        message, place != NULL ? place : "");
    if (strchr(what->source, '.') == NULL)
        return kr_hint(err, "name a function with @pipeline, as package.module.function");
    if (missing != NULL && !is_of_source(what->source, missing))
        return kr_python_hint(app, python, missing, err);
    if (strcmp(kind, "import") == 0 && !app->initialised)
        return kr_hint(err,
                       "modules are looked up in %s; mark another folder as the root of the code "
                       "with `%s init`",
                       what->root, app->prog);
    if (strcmp(kind, "not_a_pipeline") == 0)
        return kr_hint(err, "name a function with @pipeline, as package.module.function");
    return kr_json_str(problem, "hint", NULL) != NULL
               ? kr_hint(err, "%s", kr_json_str(problem, "hint", NULL))
               : -(int)err->code;
}

/* The compiler left no answer: the interpreter itself is the problem, or it was killed. */
static int fail_without_answer(struct kr_app *app, const struct kr_compile *what,
                               const struct kr_python *python, int status, struct kr_err *err)
{
    if (kr_python_check(app, python, err) < 0)
        return -(int)err->code;
    (void)kr_fail(err, KR_E_INVALID, "%s: %s ended with status %d while it read the pipeline",
                  what->source, python->path, status);
    return kr_hint(err, "code that runs on import must not end the interpreter");
}

static int run_compiler(struct kr_app *app, const struct kr_compile *what,
                        const struct kr_python *python, const char *work, json_t **answer,
                        struct kr_err *err)
{
    kr_auto_free char *output = kr_path_join(work, "snapshot.json");
    kr_auto_free char *config = kr_path_join(work, "config.json");
    const char *args[] = {"compile", what->source, "--root", what->root, "--output",
                          output,    NULL,         NULL,     NULL};
    int status = 0;

    if (what->config != NULL) {
        kr_auto_free char *text = kr_json_canonical(what->config);

        if (kr_file_write_atomic(config, text, strlen(text), 0600, err) < 0)
            return -(int)err->code;
        args[6] = "--config";
        args[7] = config;
    }
    if (kr_python_boot(app, python->path, what->root, args, what->meanwhile, &status, err) < 0)
        return -(int)err->code;
    if (app->ui.cancelled != NULL && app->ui.cancelled(app->ui.data))
        return kr_fail(err, KR_E_CANCELLED, "stopped");
    if (!kr_path_exists(output))
        return fail_without_answer(app, what, python, status, err);
    if (kr_json_read_file(output, MAX_SNAPSHOT, answer, err) < 0)
        return kr_wrap(err, "the compiler's answer");
    return 0;
}

static int compile_python(struct kr_app *app, const struct kr_compile *what, json_t **snapshot,
                          char **python, struct kr_err *err)
{
    kr_auto(remove_work) char *work = NULL;
    kr_auto_json json_t *answer = NULL;
    kr_auto_python struct kr_python found = {0};
    const json_t *problem;

    if (kr_python_find(app, what->python, &found, err) < 0 || make_work(app, &work, err) < 0 ||
        run_compiler(app, what, &found, work, &answer, err) < 0)
        return -(int)err->code;
    problem = json_object_get(answer, "error");
    if (problem != NULL && strcmp(kr_json_str(problem, "kind", ""), "python") == 0 &&
        kr_python_check(app, &found, err) < 0)
        return -(int)err->code;
    if (problem != NULL)
        return fail_compile(app, what, &found, problem, err);
    *snapshot = kr_steal(&answer);
    *python = kr_steal(&found.path);
    return 0;
}

static int compile_native(struct kr_app *app, const struct kr_compile *what, const char *file,
                          json_t **snapshot, struct kr_err *err)
{
    kr_auto_free char *path = kr_path_join(what->root, file);
    kr_auto_free char *program = kr_path_join(app->runtime_dir, "kourou-native");
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(MAX_SNAPSHOT), noise = KR_BUF_INIT(4096);
    char *argv[] = {program,
                    (char *)(uintptr_t) "--describe",
                    (char *)(uintptr_t)what->source,
                    (char *)(uintptr_t) "--root",
                    (char *)(uintptr_t)what->root,
                    NULL};
    struct kr_proc_opts opts = {.cwd = what->root,
                                .out = &out,
                                .err_out = &noise,
                                .timeout_ms = DESCRIBE_MS,
                                .cancelled = app->ui.cancelled,
                                .cancel_data = app->ui.data,
                                .meanwhile = what->meanwhile};
    json_t *pipeline;
    int status = 0;

    if (kr_path_check_relative(file, err) < 0)
        return kr_hint(err, "name the library relative to the source root %s", what->root);
    if (!kr_path_exists(path)) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "no library %s in %s", file, what->root);
        return kr_hint(err, "build it first; the path is relative to the source root");
    }
    if (kr_proc_run(argv, &opts, &status, err) < 0)
        return -(int)err->code;
    if (status != 0) {
        struct kr_view why = kr_view_trim(kr_view_of(kr_buf_str(&noise)));

        return kr_fail(err, KR_E_INVALID, "%s: %.*s", what->source, why.n > 0 ? (int)why.n : 21,
                       why.n > 0 ? why.p : "cannot be described");
    }
    if (kr_json_parse(kr_buf_str(&out), out.n, what->source, snapshot, err) < 0)
        return -(int)err->code;
    pipeline = json_object_get(*snapshot, "pipeline");
    if (!json_is_object(pipeline))
        return kr_fail(err, KR_E_INVALID, "%s: its description has no \"pipeline\"", what->source);
    kr_json_set_str(pipeline, "source", what->source);
    return 0;
}

int kr_compile(struct kr_app *app, const struct kr_compile *what, json_t **snapshot, char **python,
               struct kr_err *err)
{
    kr_auto_free char *file = NULL;
    kr_auto_json json_t *made = NULL;
    const char *name;

    *snapshot = NULL;
    *python = NULL;
    if (kr_source_is_native(what->source, &file)) {
        if (compile_native(app, what, file, &made, err) < 0)
            return -(int)err->code;
    } else if (compile_python(app, what, &made, python, err) < 0) {
        return -(int)err->code;
    }
    if (kr_json_need_str(json_object_get(made, "pipeline"), "name", "the compiled pipeline", &name,
                         err) < 0)
        return -(int)err->code;
    *snapshot = kr_steal(&made);
    return 0;
}
