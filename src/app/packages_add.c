/* SPDX-License-Identifier: Apache-2.0 */
#include "app/packages.h"

#include "app/python.h"
#include "base/alloc.h"
#include "base/encoding.h"
#include "base/path.h"
#include "base/view.h"

#include <string.h>
#include <sys/stat.h>

#define LIST_MAX ((size_t)4 << 20)

static const json_t *docker_of(const struct kr_made *made)
{
    return kr_json_at(made->document, "settings", "docker", NULL);
}

static bool is_there(const struct kr_made *made, const char *name)
{
    kr_auto_free char *path = kr_path_join(made->source_root, name);

    return kr_path_exists(path);
}

static bool is_given(const json_t *docker, const char *name)
{
    const json_t *value = json_object_get(docker, name);

    return value != NULL && !json_is_null(value) && !json_is_false(value) &&
           !(json_is_array(value) && json_array_size(value) == 0);
}

char *kr_packages_list(const struct kr_made *made)
{
    const json_t *docker = docker_of(made), *own = json_object_get(docker, "requirements");

    if (json_is_string(own))
        return kr_strdup(json_string_value(own));
    if (is_given(docker, "requirements") || is_given(docker, "pyproject_export_command") ||
        is_given(docker, "replicate_local_python_environment") ||
        is_given(docker, "pyproject_path") ||
        kr_json_bool(docker, "disable_automatic_requirements_detection", false))
        return NULL;
    if (is_there(made, "requirements.txt") || !is_there(made, "pyproject.toml"))
        return kr_strdup("requirements.txt");
    return kr_strdup("pyproject.toml");
}

static int write_list(const char *path, const char *text, size_t n, struct kr_err *err)
{
    struct stat st;
    mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0644;
    kr_auto_free char *real = realpath(path, NULL); /* a link stays one */

    return kr_file_write_atomic(real != NULL ? real : path, text, n, mode, err);
}

static int add_to_text(const char *path, const json_t *lines, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(LIST_MAX);
    const json_t *line;
    size_t i;

    if (kr_path_exists(path) &&
        (kr_file_read(path, &text, err) < 0 || kr_text_decode(&text, path, err) < 0))
        return -(int)err->code;
    if (text.n > 0 && memmem(text.p, text.n, "--hash", 6) != NULL) {
        (void)kr_fail(err, KR_E_INVALID, "%s pins hashes, and lines without one cannot be added",
                      path);
        return kr_hint(err, "add them with their hashes, for example by pip-compile");
    }
    if (text.n > 0 && text.p[text.n - 1] != '\n')
        kr_buf_addc(&text, '\n');
    json_array_foreach(lines, i, line) kr_buf_addf(&text, "%s\n", json_string_value(line));
    if (kr_buf_check(&text, err) < 0)
        return -(int)err->code;
    return write_list(path, kr_buf_str(&text), text.n, err);
}

static int add_to_project(struct kr_app *app, const struct kr_made *made, const char *path,
                          const json_t *lines, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(LIST_MAX);
    kr_auto_json json_t *question = json_object(), *answer = NULL;
    const char *changed;

    if (is_there(made, "uv.lock")) {
        (void)kr_fail(err, KR_E_INVALID, "uv.lock says what is installed, and only uv changes it");
        return kr_hint(err, "run `uv add` with the packages named without --add-missing");
    }
    if (kr_file_read(path, &text, err) < 0 || kr_text_decode(&text, path, err) < 0)
        return -(int)err->code;
    kr_json_set_str(question, "text", kr_buf_str(&text));
    kr_json_set(question, "lines", json_incref((json_t *)(uintptr_t)lines));
    if (kr_python_ask(app, made->python, "add", question, &answer, err) < 0)
        return -(int)err->code;
    changed = kr_json_str(answer, "text", NULL);
    if (changed != NULL)
        return write_list(path, changed, strlen(changed), err);
    (void)kr_fail(err, KR_E_INVALID, "%s cannot be added to: %s", path,
                  kr_json_str(answer, "error", "?"));
    return kr_hint(err, "add the lines by hand; without --add-missing they are shown");
}

int kr_packages_add(struct kr_app *app, const struct kr_made *made, const json_t *lines,
                    char **list, struct kr_err *err)
{
    kr_auto_free char *path = NULL, *home = NULL;

    *list = kr_packages_list(made);
    if (*list == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "--add-missing: the requirements stand in no file");
        return kr_hint(err, "add them where they stand; without --add-missing they are shown");
    }
    home = kr_path_expand_home(*list);
    path = kr_path_join(made->source_root, home);
    return kr_ends_with(path, ".toml") ? add_to_project(app, made, path, lines, err)
                                       : add_to_text(path, lines, err);
}
