/* SPDX-License-Identifier: Apache-2.0 */
#include "app/integration.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "base/words.h"
#include "core/name.h"
#include "deployers/deployer.h"
#include "pack/integration.h"

#include <string.h>

enum { ANSWER_MAX = 1 << 20, WAIT_MS = 30000 };

/* Deployer flavors that are part of the program: nothing needs to be installed for them. */
static bool is_built_in(const char *name)
{
    return kr_deployer_find(name) != NULL;
}

static json_t *row_of(const struct kr_integration *what)
{
    json_t *row = json_object(), *packages = json_array();

    for (size_t i = 0; i < KR_ARRAY_LEN(what->requirements) && what->requirements[i] != NULL; i++)
        (void)json_array_append_new(packages, json_string(what->requirements[i]));
    kr_json_set_str(row, "integration", what->name);
    kr_json_set_bool(row, "built_in", is_built_in(what->name));
    kr_json_set(row, "required_packages", packages);
    return row;
}

json_t *kr_integrations_all(void)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < kr_integration_count; i++)
        (void)json_array_append_new(rows, row_of(&kr_integrations[i]));
    return rows;
}

int kr_integration_row(const char *name, json_t **row, struct kr_err *err)
{
    const struct kr_integration *found = kr_integration_find(name);
    kr_auto_free const char **names = kr_calloc(kr_integration_count, sizeof(*names));
    const char *nearest;

    if (found != NULL) {
        *row = row_of(found);
        return 0;
    }
    for (size_t i = 0; i < kr_integration_count; i++)
        names[i] = kr_integrations[i].name;
    nearest = kr_name_nearest(name, names, kr_integration_count);
    (void)kr_fail(err, KR_E_NOT_FOUND, "there is no integration '%s'", name);
    return nearest != NULL ? kr_hint(err, "did you mean '%s'?", nearest) : -KR_E_NOT_FOUND;
}

void kr_pip_target_finish(struct kr_pip_target *target)
{
    kr_python_finish(&target->python);
    json_decref(target->packages);
    *target = (struct kr_pip_target){0};
}

static int ask_python(const char *python, json_t **facts, struct kr_err *err)
{
    static const char program[] =
        "import importlib.util, json, os, sys, sysconfig\n"
        "from importlib.metadata import distributions as d\n"
        "e = sys.prefix != sys.base_prefix or os.path.isdir(os.path.join(sys.prefix, "
        "'conda-meta'))\n"
        "m = os.path.join(sysconfig.get_path('stdlib'), 'EXTERNALLY-MANAGED')\n"
        "n = [x.metadata['Name'] for x in d()]\n"
        "print(json.dumps({'environment': e, 'managed': not e and os.path.exists(m),\n"
        " 'pip': importlib.util.find_spec('pip') is not None,\n"
        " 'packages': {i.lower().replace('_', '-'): True for i in n if i}}))\n";
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(ANSWER_MAX), noise = KR_BUF_INIT(ANSWER_MAX);
    struct kr_proc_opts opts = {.out = &out, .err_out = &noise, .timeout_ms = WAIT_MS};
    char *argv[] = {(char *)(uintptr_t)python, (char *)(uintptr_t) "-c", (char *)(uintptr_t)program,
                    NULL};
    int status = 0;

    if (kr_proc_run(argv, &opts, &status, err) < 0)
        return -(int)err->code;
    if (status != 0)
        return kr_fail(err, KR_E_INVALID, "%s does not say what it has (exit status %d): %.300s",
                       python, status, kr_view_last_line(kr_view_of(kr_buf_str(&noise))).p);
    return kr_json_parse(kr_buf_str(&out), out.n, python, facts, err);
}

int kr_pip_target(struct kr_app *app, const char *wanted, struct kr_pip_target *out,
                  struct kr_err *err)
{
    kr_auto_json json_t *facts = NULL;

    *out = (struct kr_pip_target){0};
    if (kr_python_find(app, wanted, &out->python, err) < 0)
        return -(int)err->code;
    if (ask_python(out->python.path, &facts, err) < 0)
        return kr_python_hint(app, &out->python, NULL, err);
    out->environment = kr_json_bool(facts, "environment", false);
    out->managed = kr_json_bool(facts, "managed", false);
    out->has_pip = kr_json_bool(facts, "pip", false);
    out->packages = json_incref(json_object_get(facts, "packages"));
    return 0;
}

static bool has_package(const json_t *have, const char *package)
{
    kr_auto_free char *name = kr_strdup(package);

    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    return json_object_get(have, name) != NULL;
}

void kr_integrations_look(const struct kr_pip_target *target, json_t *rows)
{
    json_t *row;
    const json_t *package;
    size_t i, j;

    json_array_foreach(rows, i, row)
    {
        const json_t *packages = json_object_get(row, "required_packages");
        bool all = kr_json_bool(row, "built_in", false);

        if (!all && target != NULL) {
            all = true;
            json_array_foreach(packages, j, package) all =
                all && has_package(target->packages, json_string_value(package));
        }
        kr_json_set_bool(row, "installed", all);
    }
}

static bool runs_uv(const struct kr_pip_target *target, const struct kr_pip_how *how)
{
    return how->uv || !target->has_pip;
}

int kr_pip_check(struct kr_app *app, const struct kr_pip_target *target,
                 const struct kr_pip_how *how, struct kr_err *err)
{
    kr_auto_free char *uv = runs_uv(target, how) ? kr_path_find_program("uv") : NULL;

    if (target->managed && !how->break_system) {
        (void)kr_fail(err, KR_E_INVALID,
                      "%s belongs to the operating system, which looks after its packages itself "
                      "(PEP 668)",
                      target->python.path);
        return kr_hint(err,
                       "it was chosen as %s; make an environment (python3 -m venv %s/.venv), name "
                       "one with --python, or insist with --break-system-packages",
                       target->python.why, app->source_root);
    }
    if (how->uv && uv == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "the program uv is not installed"),
               kr_hint(err, "leave out --uv to use pip");
    if (!target->has_pip && uv == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "%s has no pip, and the program uv is not installed",
                       target->python.path),
               kr_hint(err, "%s -m ensurepip", target->python.path);
    return 0;
}

static void add_words(struct kr_words *words, const struct kr_pip_target *target,
                      const struct kr_pip_how *how)
{
    static const char *const verbs[] = {"install", "uninstall", "install"};
    bool uv = runs_uv(target, how);
    kr_auto_free char *program = uv ? kr_path_find_program("uv") : NULL;

    kr_words_add(words, uv && program != NULL ? program : target->python.path);
    if (!uv)
        kr_words_add(words, "-m");
    kr_words_add(words, "pip");
    kr_words_add(words, verbs[how->what]);
    if (how->what == KR_PIP_UPGRADE)
        kr_words_add(words, "--upgrade");
    kr_words_add(words, "-q");
    if (uv)
        kr_words_addf(words, "--python=%s", target->python.path);
    else if (how->what == KR_PIP_UNINSTALL)
        kr_words_add(words, "-y");
    if (how->break_system && target->managed)
        kr_words_add(words, "--break-system-packages");
}

/* Names and descriptions of packages are text of others: it goes the way of all log lines. */
static void on_line(const char *text, bool is_stderr, void *data)
{
    struct kr_app *app = data;

    (void)is_stderr;
    if (app->ui.log_line != NULL)
        app->ui.log_line(app->ui.data, "pip", text);
}

int kr_pip_run(struct kr_app *app, const struct kr_pip_target *target, const struct kr_pip_how *how,
               const json_t *packages, struct kr_err *err)
{
    kr_auto_words struct kr_words words = {0};
    struct kr_proc_opts opts = {
        .line = on_line, .data = app, .cancelled = app->ui.cancelled, .cancel_data = app->ui.data};
    const json_t *package;
    int status = 0;
    size_t i;

    add_words(&words, target, how);
    json_array_foreach(packages, i, package) kr_words_add(&words, json_string_value(package));
    if (kr_proc_run(words.v, &opts, &status, err) < 0)
        return -(int)err->code;
    if (status != 0)
        return kr_fail(err, KR_E_REMOTE, "%s failed with exit status %d",
                       runs_uv(target, how) ? "uv pip" : "pip", status),
               kr_hint(err, "its own messages are above");
    return 0;
}
