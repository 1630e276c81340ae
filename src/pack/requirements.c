/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/requirements.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "pack/command.h"
#include "pack/integration.h"
#include "pack/pyproject.h"
#include "pack/reqfile.h"

#include <string.h>

#define OUTPUT_MAX ((size_t)4 << 20)

void kr_requirements_finish(struct kr_requirements *reqs)
{
    free(reqs->text);
    free(reqs->constraints);
    free(reqs->install_command);
    json_decref(reqs->variables);
    json_decref(reqs->apt);
    json_decref(reqs->tools);
    json_decref(reqs->installer_args);
    *reqs = (struct kr_requirements){0};
}

/* The argument vector of a command: a list of words, or a line for the shell. */
static char **argv_of(const json_t *list)
{
    char **argv = kr_calloc(json_array_size(list) + 4, sizeof(char *));

    if (json_is_string(list)) {
        argv[0] = kr_strdup("/bin/sh");
        argv[1] = kr_strdup("-c");
        argv[2] = kr_strdup(json_string_value(list));
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        argv[i] = kr_strdup(json_string_value(json_array_get(list, i)));
    return argv;
}

static bool is_string_list(const json_t *list)
{
    if (!json_is_array(list) || json_array_size(list) == 0)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!json_is_string(json_array_get(list, i)))
            return false;
    }
    return true;
}

/* Lines of a command's output. skip_local leaves out what only exists on this machine. */
static int add_output(struct kr_reqs *reqs, const struct kr_buf *text, const char *where,
                      bool skip_local, struct kr_err *err)
{
    struct kr_view rest = {kr_buf_str(text), text->n}, line;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        line = kr_view_trim(line);
        if (line.n > 0 && line.p[line.n - 1] == '\\')
            line = kr_view_trim((struct kr_view){line.p, line.n - 1});
        if (line.n > 6 && memcmp(line.p, "--hash", 6) == 0)
            continue; /* continuation lines of an export: the pinned version stays */
        if (skip_local && line.n > 0 &&
            (line.p[0] == '-' || memmem(line.p, line.n, "@ file:", 7) != NULL ||
             kr_req_same(kr_req_name(line), "kourou") || kr_req_same(kr_req_name(line), "zenml")))
            continue;
        if (kr_reqs_add(reqs, line, NULL, where, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int add_command(const struct kr_requirements_in *in, struct kr_reqs *reqs,
                       const json_t *command, const char *setting, struct kr_err *err)
{
    kr_auto(kr_buf_finish) struct kr_buf out = KR_BUF_INIT(OUTPUT_MAX);
    kr_auto_free char *what = NULL;
    char **argv;
    int rc;

    if (!is_string_list(command) && !json_is_string(command))
        return kr_fail(err, KR_E_INVALID, "%s has to be a command", setting);
    argv = argv_of(command);
    what = kr_asprintf("%s '%s'", setting, argv[json_is_string(command) ? 2 : 0]);
    rc = kr_command_output(in->root, argv, what, &out, err);
    kr_env_free(argv);
    return rc < 0 ? rc : add_output(reqs, &out, setting, false, err);
}

static int need_python(const struct kr_requirements_in *in, const char *why, struct kr_err *err)
{
    if (in->python != NULL)
        return 0;
    return kr_fail(err, KR_E_NOT_FOUND, "%s needs a Python interpreter and none was found", why);
}

/* Packages of the local Python; environments made by uv have no pip of their own. */
static int add_local_environment(const struct kr_requirements_in *in, struct kr_reqs *reqs,
                                 struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(OUTPUT_MAX);
    struct kr_err first = KR_ERR_INIT, second = KR_ERR_INIT;
    char *pip[] = {kr_strdup(in->python),
                   kr_strdup("-m"),
                   kr_strdup("pip"),
                   kr_strdup("freeze"),
                   kr_strdup("--disable-pip-version-check"),
                   NULL};
    char *uv[] = {kr_strdup("uv"),       kr_strdup("pip"),      kr_strdup("freeze"),
                  kr_strdup("--python"), kr_strdup(in->python), NULL};
    int rc = kr_command_output(in->root, pip, "pip freeze", &out, &first);

    if (rc < 0) {
        kr_buf_reset(&out);
        rc = kr_command_output(in->root, uv, "uv pip freeze", &out, &second);
    }
    for (size_t i = 0; i < 5; i++) {
        free(pip[i]);
        free(uv[i]);
    }
    if (rc < 0) {
        *err = first;
        return kr_wrap(err, "replicate_local_python_environment");
    }
    return add_output(reqs, &out, "replicate_local_python_environment", true, err);
}

static int add_replicated(const struct kr_requirements_in *in, struct kr_reqs *reqs,
                          const json_t *value, struct kr_err *err)
{
    if (json_is_array(value) ||
        (json_is_string(value) && strcmp(json_string_value(value), "pip_freeze") != 0))
        return add_command(in, reqs, value, "replicate_local_python_environment", err);
    if (need_python(in, "replicate_local_python_environment", err) < 0)
        return -(int)err->code;
    return add_local_environment(in, reqs, err);
}

static int add_integrations(struct kr_reqs *reqs, const json_t *names, struct kr_err *err)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const struct kr_integration *found = name != NULL ? kr_integration_find(name) : NULL;

        if (found == NULL) {
            (void)kr_fail(err, KR_E_INVALID, "required_integrations: no integration '%s'",
                          name != NULL ? name : "(not a string)");
            return kr_hint(err, "'integration list' shows them; any package can be named in "
                                "requirements");
        }
        for (size_t k = 0; found->requirements[k] != NULL; k++) {
            if (kr_reqs_add(reqs, kr_view_of(found->requirements[k]), NULL, name, err) < 0)
                return -(int)err->code;
        }
    }
    return 0;
}

static int add_user_requirements(const struct kr_requirements_in *in, struct kr_reqs *reqs,
                                 const json_t *value, struct kr_err *err)
{
    if (json_is_string(value)) {
        kr_auto_free char *home = kr_path_expand_home(json_string_value(value));
        kr_auto_free char *path = kr_path_join(in->root, home);

        if (kr_reqs_add_file(reqs, path, err) < 0)
            return kr_wrap(err, "requirements");
        return 0;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *line = json_string_value(json_array_get(value, i));

        if (line == NULL)
            return kr_fail(err, KR_E_INVALID,
                           "requirements has to be a file name or a list of strings");
        if (kr_reqs_add(reqs, kr_view_of(line), NULL, "requirements", err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int detect(const struct kr_requirements_in *in, struct kr_reqs *reqs, json_t *warnings,
                  struct kr_err *err)
{
    kr_auto_free char *text = kr_path_join(in->root, "requirements.txt");
    kr_auto_free char *project = kr_path_join(in->root, "pyproject.toml");
    bool found = false;

    if (kr_path_exists(text))
        return kr_reqs_add_file(reqs, text, err);
    if (kr_path_exists(project) &&
        kr_pyproject_add(in, reqs, project, true, &found, warnings, err) < 0)
        return -(int)err->code;
    return found ? 0 : kr_project_check_others(in->root, err);
}

static bool given(const json_t *value)
{
    return value != NULL && !json_is_null(value) && !json_is_false(value);
}

static int add_python(const struct kr_requirements_in *in, struct kr_reqs *reqs, json_t *warnings,
                      struct kr_err *err)
{
    const json_t *docker = in->docker;
    const json_t *replicate = json_object_get(docker, "replicate_local_python_environment");
    const json_t *own = json_object_get(docker, "requirements");
    const json_t *command = json_object_get(docker, "pyproject_export_command");
    const char *pyproject = kr_json_str(docker, "pyproject_path", NULL);

    if (!given(own))
        own = json_object_get(in->snapshot, "requirements");
    if (json_is_array(own) && json_array_size(own) == 0)
        own = NULL;
    if (given(replicate) && add_replicated(in, reqs, replicate, err) < 0)
        return -(int)err->code;
    if (add_integrations(reqs, json_object_get(docker, "required_integrations"), err) < 0)
        return -(int)err->code;
    if (given(command)) {
        if (add_command(in, reqs, command, "pyproject_export_command", err) < 0)
            return -(int)err->code;
    } else if (pyproject != NULL) {
        kr_auto_free char *path = kr_path_join(in->root, pyproject);
        bool found;

        if (kr_pyproject_add(in, reqs, path, false, &found, warnings, err) < 0)
            return -(int)err->code;
    }
    if (given(own))
        return add_user_requirements(in, reqs, own, err);
    if (!given(replicate) && !given(command) && pyproject == NULL &&
        !kr_json_bool(docker, "disable_automatic_requirements_detection", false))
        return detect(in, reqs, warnings, err);
    return 0;
}

/* Names as Debian allows them, with an optional "=version" or ":architecture". */
static int check_apt(const json_t *list, json_t **out, struct kr_err *err)
{
    *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name == NULL || name[0] == '\0' ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "+-.:=~") != strlen(name) ||
            strchr("abcdefghijklmnopqrstuvwxyz0123456789", name[0]) == NULL)
            return kr_fail(err, KR_E_INVALID, "apt_packages: '%s' is not a package name",
                           name != NULL ? name : "(not a string)");
        (void)json_array_append_new(*out, json_string(name));
    }
    return 0;
}

/* {"index-url": "https://...", "pre": null} and the same with dashes in front. */
int kr_requirements_args(const json_t *docker, json_t **out, struct kr_err *err)
{
    const json_t *args = json_object_get(docker, "python_package_installer_args");
    json_t *names = json_array();
    const char *key;
    json_t *value;

    *out = names;
    json_object_foreach((json_t *)(uintptr_t)args, key, value)
    {
        kr_auto_free char *text = json_is_string(value) ? kr_strdup(json_string_value(value))
                                  : given(value) && !json_is_true(value)
                                      ? json_dumps(value, JSON_ENCODE_ANY)
                                      : NULL;
        const char *dashes = key[0] == '-' ? "" : "--";
        kr_auto_free char *arg = text != NULL ? kr_asprintf("%s%s=%s", dashes, key, text)
                                              : kr_asprintf("%s%s", dashes, key);

        if (json_is_false(value))
            continue;
        if (kr_has_credentials(kr_view_of(arg))) {
            (void)kr_fail(err, KR_E_INVALID,
                          "python_package_installer_args: '%s' has a user name or password in its "
                          "address",
                          key);
            return kr_hint(err, "put the option into a requirements file with ${NAME} in its place "
                                "and give NAME as a secret of the pipeline");
        }
        if (strstr(arg, "${") != NULL) {
            (void)kr_fail(err, KR_E_INVALID,
                          "python_package_installer_args: '%s' has a ${NAME}, which the installer "
                          "replaces in requirements files only",
                          key);
            return kr_hint(err, "put the option into a requirements file");
        }
        (void)json_array_append_new(names, json_string(arg));
    }
    return 0;
}

static void add_runtime(struct kr_reqs *reqs, const json_t *docker, json_t *warnings)
{
    if (!kr_json_bool(docker, "install_deployment_requirements", true) ||
        kr_req_text_names(kr_buf_str(&reqs->lines), "pydantic"))
        return;
    if (reqs->hashed) {
        (void)json_array_append_new(warnings,
                                    json_string("the requirements pin hashes, so pydantic was not "
                                                "added to them; add it for typed inputs"));
        return;
    }
    kr_buf_adds(&reqs->lines, "pydantic>=2\n");
}

/* Leaving them out is right, but nobody should have to guess it. */
static void note_left_out(const struct kr_reqs *reqs, json_t *warnings)
{
    const json_t *item;
    size_t i;

    json_array_foreach(reqs->left_out, i, item)(void) json_array_append_new(
        warnings, json_sprintf("%s was left out of the requirements: the runtime brings its own",
                               json_string_value(item)));
}

int kr_requirements_collect(const struct kr_requirements_in *in, struct kr_requirements *out,
                            json_t *warnings, struct kr_err *err)
{
    const char *kind = kr_json_str(json_object_get(in->snapshot, "pipeline"), "kind", "python");
    const char *installer = kr_json_str(in->docker, "python_package_installer", "pip");
    const char *command = kr_json_str(in->docker, "local_project_install_command", NULL);
    kr_auto_reqs struct kr_reqs reqs;

    kr_reqs_init(&reqs);
    *out = (struct kr_requirements){.uv = strcmp(installer, "uv") == 0,
                                    .install_command = kr_strdup(command)};
    if (check_apt(json_object_get(in->docker, "apt_packages"), &out->apt, err) < 0 ||
        kr_requirements_args(in->docker, &out->installer_args, err) < 0)
        return -(int)err->code;
    if (strcmp(kind, "native") != 0) {
        if (add_python(in, &reqs, warnings, err) < 0)
            return -(int)err->code;
        add_runtime(&reqs, in->docker, warnings);
        note_left_out(&reqs, warnings);
    }
    if (kr_buf_check(&reqs.lines, err) < 0 || kr_buf_check(&reqs.constraints, err) < 0)
        return -(int)err->code;
    out->text = kr_buf_steal(&reqs.lines);
    out->constraints = kr_buf_steal(&reqs.constraints);
    out->variables = json_incref(reqs.variables);
    out->tools = json_incref(reqs.tools);
    return 0;
}
