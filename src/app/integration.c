/* SPDX-License-Identifier: Apache-2.0 */
#include "app/integration.h"

#include "app/python.h"
#include "base/alloc.h"
#include "base/path.h"
#include "base/proc.h"
#include "core/name.h"
#include "pack/integration.h"

#include <string.h>

enum { ANSWER_MAX = 1 << 20, WAIT_MS = 30000, WORDS_MAX = 256 };

/* Deployer flavors that are part of the program: nothing needs to be installed for them. */
static bool is_built_in(const char *name)
{
    return strcmp(name, "huggingface") == 0 || strcmp(name, "docker") == 0;
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

/* Names of all packages of the user's Python as {"name": true}; NULL without a Python. */
static json_t *packages_of_python(struct kr_app *app)
{
    static const char program[] = "import json\n"
                                  "from importlib.metadata import distributions as d\n"
                                  "n = [x.metadata['Name'] for x in d()]\n"
                                  "print(json.dumps({i.lower().replace('_', '-'): True"
                                  " for i in n if i}))\n";
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(ANSWER_MAX), noise = KR_BUF_INIT(ANSWER_MAX);
    struct kr_proc_opts opts = {.out = &out, .err_out = &noise, .timeout_ms = WAIT_MS};
    kr_auto_free char *python = NULL;
    char *argv[] = {NULL, (char *)(uintptr_t) "-c", (char *)(uintptr_t)program, NULL};
    struct kr_err err = KR_ERR_INIT;
    json_t *names = NULL;
    int status = 0;

    if (kr_python_find(app, NULL, &python, &err) < 0)
        return NULL;
    argv[0] = python;
    if (kr_proc_run(argv, &opts, &status, &err) < 0 || status != 0 ||
        kr_json_parse(kr_buf_str(&out), out.n, "packages", &names, &err) < 0)
        return NULL;
    return names;
}

static bool has_package(const json_t *have, const char *package)
{
    kr_auto_free char *name = kr_strdup(package);

    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    return json_object_get(have, name) != NULL;
}

void kr_integrations_look(struct kr_app *app, json_t *rows)
{
    kr_auto_json json_t *have = packages_of_python(app);
    json_t *row;
    const json_t *package;
    size_t i, j;

    json_array_foreach(rows, i, row)
    {
        const json_t *packages = json_object_get(row, "required_packages");
        bool all = kr_json_bool(row, "built_in", false);

        if (!all && have != NULL) {
            all = true;
            json_array_foreach(packages, j, package) all =
                all && has_package(have, json_string_value(package));
        }
        kr_json_set_bool(row, "installed", all);
    }
}

int kr_integration_pip(struct kr_app *app, enum kr_pip what, const json_t *packages, bool uv,
                       struct kr_err *err)
{
    static const char *const verbs[][3] = {[KR_PIP_INSTALL] = {"install", NULL},
                                           [KR_PIP_UNINSTALL] = {"uninstall", NULL},
                                           [KR_PIP_UPGRADE] = {"install", "--upgrade", NULL}};
    kr_auto_free char *python = NULL, *tool = NULL;
    char *argv[WORDS_MAX + 12];
    const json_t *package;
    struct kr_proc_opts opts = {.cancelled = app->ui.cancelled, .cancel_data = app->ui.data};
    size_t n = 0, i;
    int status = 0;

    if (kr_python_find(app, NULL, &python, err) < 0)
        return -(int)err->code;
    tool = uv ? kr_path_find_program("uv") : NULL;
    if (uv && tool == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "the program uv is not installed"),
               kr_hint(err, "leave out --uv to use pip");
    if (uv) {
        argv[n++] = tool;
        argv[n++] = (char *)(uintptr_t) "pip";
    } else {
        argv[n++] = python;
        argv[n++] = (char *)(uintptr_t) "-m";
        argv[n++] = (char *)(uintptr_t) "pip";
    }
    for (const char *const *word = verbs[what]; *word != NULL; word++)
        argv[n++] = (char *)(uintptr_t)*word;
    argv[n++] = (char *)(uintptr_t) "-q";
    if (uv) {
        argv[n++] = (char *)(uintptr_t) "--python";
        argv[n++] = python;
    } else if (what == KR_PIP_UNINSTALL) {
        argv[n++] = (char *)(uintptr_t) "-y";
    }
    json_array_foreach(packages, i, package)
    {
        if (i < WORDS_MAX)
            argv[n++] = (char *)(uintptr_t)json_string_value(package);
    }
    argv[n] = NULL;
    if (kr_proc_run(argv, &opts, &status, err) < 0)
        return -(int)err->code;
    if (status != 0)
        return kr_fail(err, KR_E_REMOTE, "%s failed with exit status %d", uv ? "uv pip" : "pip",
                       status),
               kr_hint(err, "its own messages are above");
    return 0;
}
