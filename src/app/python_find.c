/* SPDX-License-Identifier: Apache-2.0 */
#include "app/python_find.h"

#include "base/alloc.h"
#include "base/base64.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/log.h"
#include "base/path.h"
#include "base/view.h"

#include <dirent.h>
#include <string.h>

enum { LEVELS = 8, KEY_CHARS = 8, LIST_MAX = 1 << 20, SUBFOLDERS_MAX = 256 };

void kr_python_finish(struct kr_python *python)
{
    free(python->path);
    free(python->why);
    *python = (struct kr_python){0};
}

static char *python_in(const char *environment)
{
    kr_auto_free char *path = kr_path_join(environment, "bin/python");

    return kr_path_find_program(path);
}

static bool has_file(const char *folder, const char *name)
{
    kr_auto_free char *path = kr_path_join(folder, name);

    return kr_path_exists(path);
}

/* The places that an environment can have. look() gives true when it has seen enough. */
struct search {
    struct kr_app *app;
    bool (*look)(struct search *s, const char *environment, enum kr_python_kind kind,
                 const char *why);
    struct kr_python *out; /* of the choice */
    const char *module;    /* of what is nearby, with '/' for '.' */
    const char *used;
    char *found;
};

static bool look(struct search *s, const char *environment, enum kr_python_kind kind, char *why)
{
    kr_auto_free char *text = why;

    return s->look(s, environment, kind, text);
}

static bool look_at_conda(struct search *s, bool base)
{
    const char *prefix = kr_env_get("CONDA_PREFIX"), *name = kr_env_get("CONDA_DEFAULT_ENV");
    bool is_base = name != NULL && strcmp(name, "base") == 0;

    return prefix != NULL && is_base == base &&
           look(s, prefix, base ? KR_PYTHON_BASE : KR_PYTHON_CONDA,
                kr_asprintf("conda's active environment%s%s (CONDA_PREFIX)",
                            name != NULL ? " " : "", name != NULL ? name : ""));
}

/* Whether the project may begin further up: a clone's top or a uv workspace is its end. */
static bool goes_on_above(const char *folder)
{
    const char *home = kr_env_home();

    return folder[1] != '\0' && !has_file(folder, ".git") && !has_file(folder, "uv.lock") &&
           (home == NULL || strcmp(folder, home) != 0);
}

/* Is there a project's file in one of the folders from here up? Without one the folders above have
 * nothing to do with this one. */
static bool is_below_project(const char *folder)
{
    kr_auto_free char *at = kr_strdup(folder);

    for (int i = 0; i < LEVELS; i++) {
        char *up;

        if (has_file(at, "pyproject.toml") || has_file(at, ".git") || has_file(at, "setup.py"))
            return true;
        if (!goes_on_above(at))
            return false;
        up = kr_path_parent(at);
        free(at);
        at = up;
    }
    return false;
}

static bool look_in_folder(struct search *s, const char *folder)
{
    static const char *const names[] = {".venv", "venv"};
    bool here = strcmp(folder, s->app->source_root) == 0;

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        kr_auto_free char *path = kr_path_join(folder, names[i]);

        if (look(s, path, KR_PYTHON_PROJECT,
                 kr_asprintf("%s of %s", names[i], here ? "the source root" : folder)))
            return true;
    }
    return false;
}

static bool look_in_project(struct search *s)
{
    const char *uv = kr_env_get("UV_PROJECT_ENVIRONMENT");
    kr_auto_free char *at = kr_strdup(s->app->source_root);
    bool below = is_below_project(at);

    if (uv != NULL) {
        kr_auto_free char *path = kr_path_join(s->app->source_root, uv);

        if (look(s, path, KR_PYTHON_PROJECT,
                 kr_strdup("uv's environment (UV_PROJECT_ENVIRONMENT)")))
            return true;
    }
    for (int i = 0; i < LEVELS; i++) {
        char *up;

        if (look_in_folder(s, at))
            return true;
        if (!below || !goes_on_above(at))
            return false;
        up = kr_path_parent(at);
        free(at);
        at = up;
    }
    return false;
}

/* Poetry and Pipenv name an environment after the project and the first characters of a digest of
 * its path, in URL-safe base 64. */
static void project_key(const char *path, char key[KEY_CHARS + 1])
{
    kr_auto_free char *real = realpath(path, NULL);
    kr_auto_buf struct kr_buf coded = KR_BUF_INIT(256);
    char hex[KR_SHA256_HEX];
    unsigned char raw[6];

    kr_sha256_hex(real != NULL ? real : path, strlen(real != NULL ? real : path), hex);
    for (size_t i = 0; i < sizeof(raw); i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        raw[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    kr_base64_add(&coded, raw, sizeof(raw));
    (void)snprintf(key, KEY_CHARS + 1, "%s", kr_buf_str(&coded));
    for (char *c = key; *c != '\0'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

/* NAME-KEY, or NAME-KEY-py3.11. */
static bool has_key(const char *name, const char *key)
{
    const char *dash = strchr(name, '-');

    for (; dash != NULL; dash = strchr(dash + 1, '-')) {
        if (strncmp(dash + 1, key, KEY_CHARS) == 0 &&
            (dash[1 + KEY_CHARS] == '\0' || strncmp(dash + 1 + KEY_CHARS, "-py", 3) == 0))
            return true;
    }
    return false;
}

static bool look_for_key(struct search *s, const char *folder, const char *key, const char *tool)
{
    kr_auto_dir DIR *dir = opendir(folder);
    struct dirent *entry;
    bool enough = false;

    while (dir != NULL && !enough && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = kr_path_join(folder, entry->d_name);

        enough =
            has_key(entry->d_name, key) &&
            look(s, path, KR_PYTHON_POETRY, kr_asprintf("%s's environment of the project", tool));
    }
    return enough;
}

/* $variable, $cache/below or ~/otherwise. Caller frees; NULL without a home. */
static char *place_of(const char *variable, const char *cache, const char *below,
                      const char *otherwise)
{
    const char *set = kr_env_get(variable), *base = cache != NULL ? kr_env_get(cache) : NULL;

    if (set != NULL)
        return kr_path_expand_home(set);
    if (base != NULL)
        return kr_path_join(base, below);
    return kr_env_home() != NULL ? kr_path_join(kr_env_home(), otherwise) : NULL;
}

static bool look_at_poetry(struct search *s)
{
    const char *root = s->app->source_root;
    kr_auto_free char *poetry = NULL, *pipenv = NULL, *pipfile = kr_path_join(root, "Pipfile");
    char key[KEY_CHARS + 1];

    if (has_file(root, "pyproject.toml")) {
        poetry = place_of("POETRY_VIRTUALENVS_PATH", "POETRY_CACHE_DIR", "virtualenvs",
                          ".cache/pypoetry/virtualenvs");
        project_key(root, key);
        if (poetry != NULL && look_for_key(s, poetry, key, "Poetry"))
            return true;
    }
    if (!kr_path_exists(pipfile))
        return false;
    pipenv = place_of("WORKON_HOME", NULL, NULL, ".local/share/virtualenvs");
    project_key(pipfile, key);
    return pipenv != NULL && look_for_key(s, pipenv, key, "Pipenv");
}

/* All environments that this project may mean, the first choice first. */
static bool look_around(struct search *s)
{
    const char *active = kr_env_get("VIRTUAL_ENV");

    return (active != NULL && look(s, active, KR_PYTHON_ACTIVE,
                                   kr_strdup("the active virtual environment (VIRTUAL_ENV)"))) ||
           look_at_conda(s, false) || look_in_project(s) || look_at_poetry(s) ||
           look_at_conda(s, true);
}

/* -- the choice -------------------------------------------------------------------------------- */

static bool choose(struct search *s, const char *environment, enum kr_python_kind kind,
                   const char *why)
{
    char *found = python_in(environment);

    if (found == NULL)
        return false;
    *s->out = (struct kr_python){.path = found, .why = kr_strdup(why), .kind = kind};
    return true;
}

/* No environment: whatever python3 is, and what was passed over. */
static void choose_from_path(struct kr_app *app, struct kr_python *out)
{
    const char *active = kr_env_get("VIRTUAL_ENV");

    out->kind = KR_PYTHON_PATH;
    out->path = kr_path_find_program("python3");
    if (active != NULL)
        out->why = kr_asprintf("python3 on PATH, as VIRTUAL_ENV names %s, which has no bin/python",
                               active);
    else
        out->why = kr_asprintf("python3 on PATH, as no environment is active and there is none in "
                               "%s",
                               app->source_root);
}

static void choose_given(const char *wanted, struct kr_python *out)
{
    kr_auto_free char *expanded = kr_path_expand_home(wanted);

    out->kind = KR_PYTHON_GIVEN;
    out->why = kr_strdup("given by --python");
    out->path = kr_path_is_dir(expanded) ? python_in(expanded) : kr_path_find_program(expanded);
}

static char *make_absolute(char *path)
{
    kr_auto_free char *here = NULL;
    char *absolute;

    if (path == NULL || path[0] == '/')
        return path;
    here = realpath(".", NULL);
    absolute = kr_path_join(here != NULL ? here : "/", path);
    free(path);
    return absolute;
}

int kr_python_find(struct kr_app *app, const char *wanted, struct kr_python *out,
                   struct kr_err *err)
{
    struct search s = {.app = app, .look = choose, .out = out};

    *out = (struct kr_python){0};
    if (wanted != NULL)
        choose_given(wanted, out);
    else if (!look_around(&s))
        choose_from_path(app, out);
    if (out->path == NULL && wanted != NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "no Python at '%s'", wanted);
        return kr_hint(err, "--python takes an interpreter or a virtual environment");
    }
    if (out->path == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "no Python found");
        return kr_hint(err,
                       "activate a virtual environment, make one in %s (python3 -m venv .venv), "
                       "or name an interpreter with --python",
                       app->source_root);
    }
    out->path = make_absolute(out->path);
    kr_log(KR_LOG_DEBUG, "python", "%s: %s", out->path, out->why);
    return 0;
}

/* -- what is nearby ---------------------------------------------------------------------------- */

static bool is_module_of(const char *packages, const char *module)
{
    kr_auto_free char *folder = kr_path_join(packages, module);
    kr_auto_free char *file = kr_asprintf("%s/%s.py", packages, module);
    const char *slash = strrchr(module, '/'), *last = slash != NULL ? slash + 1 : module;
    kr_auto_free char *parent = kr_path_parent(folder), *start = kr_asprintf("%s.", last);
    struct dirent *entry;
    bool found = kr_path_is_dir(folder) || kr_path_exists(file);
    kr_auto_dir DIR *dir = found ? NULL : opendir(parent);

    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) /* extensions written in C */
        found = kr_starts_with(entry->d_name, start) && kr_ends_with(entry->d_name, ".so");
    return found;
}

static bool has_module(const char *environment, const char *module)
{
    static const char *const places[] = {"site-packages", "dist-packages"};
    kr_auto_free char *lib = kr_path_join(environment, "lib");
    kr_auto_dir DIR *dir = opendir(lib);
    struct dirent *entry;
    bool found = false;

    while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
        for (size_t i = 0; i < KR_ARRAY_LEN(places) && !found; i++) {
            kr_auto_free char *packages = kr_asprintf("%s/%s/%s", lib, entry->d_name, places[i]);

            found = kr_starts_with(entry->d_name, "python3") && is_module_of(packages, module);
        }
    }
    return found;
}

static bool has_it(struct search *s, const char *environment, enum kr_python_kind kind,
                   const char *why)
{
    kr_auto_free char *python = kr_path_join(environment, "bin/python");

    (void)kind;
    (void)why;
    if (strcmp(python, s->used) == 0 || !has_module(environment, s->module))
        return false;
    s->found = kr_strdup(environment);
    return true;
}

/* Environments of other names in the source root. */
static bool look_in_subfolders(struct search *s)
{
    kr_auto_dir DIR *dir = opendir(s->app->source_root);
    struct dirent *entry;
    bool enough = false;

    for (int i = 0; dir != NULL && !enough && i < SUBFOLDERS_MAX && (entry = readdir(dir)) != NULL;
         i++) {
        kr_auto_free char *path = kr_path_join(s->app->source_root, entry->d_name);

        enough = entry->d_name[0] != '\0' && strcmp(entry->d_name, "..") != 0 &&
                 has_file(path, "pyvenv.cfg") && has_it(s, path, KR_PYTHON_PROJECT, "");
    }
    return enough;
}

/* conda keeps a list of all its environments. */
static bool look_in_conda_list(struct search *s)
{
    const char *home = kr_env_home();
    kr_auto_free char *path =
        home != NULL ? kr_path_join(home, ".conda/environments.txt") : kr_strdup("");
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(LIST_MAX);
    struct kr_err ignored = KR_ERR_INIT;
    struct kr_view rest, line;
    bool more = true, enough = false;

    if (!kr_path_exists(path) || kr_file_read(path, &text, &ignored) < 0)
        return false;
    rest = (struct kr_view){kr_buf_str(&text), text.n};
    while (more && !enough) {
        kr_auto_free char *environment = NULL;

        more = kr_view_cut(&rest, '\n', &line);
        environment = kr_view_dup(kr_view_trim(line));
        enough = environment[0] == '/' && has_it(s, environment, KR_PYTHON_CONDA, "");
    }
    return enough;
}

static bool look_at_path(struct search *s)
{
    kr_auto_free char *python = kr_path_find_program("python3"), *bin = NULL, *prefix = NULL;

    if (python == NULL || strcmp(python, s->used) == 0)
        return false;
    bin = kr_path_parent(python);
    prefix = kr_path_parent(bin);
    if (!has_module(prefix, s->module))
        return false;
    s->found = kr_steal(&python);
    return true;
}

static char *find_nearby(struct kr_app *app, const char *module, const char *used)
{
    kr_auto_free char *path = kr_strdup(module);
    struct search s = {.app = app, .look = has_it, .module = path, .used = used};

    if (module[0] == '\0' || strchr(module, '/') != NULL || strstr(module, "..") != NULL)
        return NULL;
    for (char *c = path; *c != '\0'; c++)
        *c = *c == '.' ? '/' : *c;
    if (!look_around(&s) && !look_in_subfolders(&s) && !look_in_conda_list(&s))
        (void)look_at_path(&s);
    return s.found;
}

bool kr_python_hint_nearby(struct kr_app *app, const struct kr_python *used, const char *module,
                           struct kr_err *err)
{
    kr_auto_free char *nearby = find_nearby(app, module, used->path);

    if (nearby != NULL)
        (void)kr_hint(err, "%s was used: %s; %s has '%s': pass --python %s", used->path, used->why,
                      nearby, module, nearby);
    return nearby != NULL;
}

int kr_python_hint(struct kr_app *app, const struct kr_python *used, const char *module,
                   struct kr_err *err)
{
    if (module == NULL)
        return kr_hint(err, "%s was used: %s; name another one with --python", used->path,
                       used->why);
    if (kr_python_hint_nearby(app, used, module, err))
        return -(int)err->code;
    return kr_hint(err,
                   "%s was used: %s; install what brings '%s' into it, or name another one "
                   "with --python",
                   used->path, used->why, module);
}
