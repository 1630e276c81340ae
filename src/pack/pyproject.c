/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/pyproject.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/command.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)16 << 20)
#define OTHERS_MAX ((size_t)4 << 20)

extern const char kr_pyproject_script[]; /* pyproject.py */

static const char own_list[] = "or write the list yourself: uv export --frozen --no-emit-project "
                               "--no-hashes > requirements.txt";

struct project {
    const struct kr_requirements_in *in;
    struct kr_reqs *reqs;
    const char *path;
    char *folder, *uv;
    json_t *doc;
    json_t *warnings;
};

static void project_finish(struct project *p)
{
    free(p->folder);
    free(p->uv);
    json_decref(p->doc);
}

static const char *version_of(const struct project *p)
{
    const json_t *python = json_object_get(p->in->snapshot, "python");

    return kr_json_str(python, "version", "3.12");
}

static int read_project(struct project *p, struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(OUTPUT_MAX);
    kr_auto_free char *python = kr_strdup(p->in->python), *file = kr_strdup(p->path);
    kr_auto_free char *script = kr_strdup(kr_pyproject_script), *wanted = kr_strdup(version_of(p));
    char isolated[] = "-I", command[] = "-c";
    char *argv[] = {python, isolated, command, script, file, wanted, NULL};

    if (python == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "%s needs a Python interpreter and none was found",
                       p->path);
    if (kr_command_output(p->in->root, argv, p->path, &out, err) < 0)
        return -(int)err->code;
    return kr_json_parse(kr_buf_str(&out), out.n, p->path, &p->doc, err);
}

/* uv of PATH, or of the environment that the interpreter belongs to. */
static char *find_uv(const char *python)
{
    char *found = kr_path_find_program("uv");
    const char *slash = python != NULL ? strrchr(python, '/') : NULL;
    kr_auto_free char *beside = NULL;

    if (found != NULL || slash == NULL)
        return found;
    beside = kr_asprintf("%.*s/uv", (int)(slash - python), python);
    return kr_path_find_program(beside);
}

/* "'corelib' (git), 'tools' (index:internal)" of the first few. */
static char *sources_text(const json_t *sources)
{
    struct kr_buf text = KR_BUF_INIT(1000);
    const char *name;
    json_t *kind;
    int n = 0;

    json_object_foreach((json_t *)(uintptr_t)sources, name, kind)
    {
        if (n++ < 5)
            kr_buf_addf(&text, "%s'%.60s' (%.80s)", n > 1 ? ", " : "", name,
                        json_string_value(kind));
    }
    if (n > 5)
        kr_buf_addf(&text, " and %d more", n - 5);
    return kr_buf_steal(&text);
}

static bool has_index_source(const json_t *sources)
{
    const char *name;
    json_t *kind;

    json_object_foreach((json_t *)(uintptr_t)sources, name, kind)
    {
        if (kr_starts_with(json_string_value(kind), "index:"))
            return true;
    }
    return false;
}

/* What only uv can resolve, and uv is not there. */
static int refuse_without_uv(const struct project *p, struct kr_err *err)
{
    const json_t *sources = json_object_get(p->doc, "sources");
    kr_auto_free char *names = sources_text(sources);

    if (json_object_size(sources) > 0)
        (void)kr_fail(err, KR_E_INVALID,
                      "%s: [tool.uv.sources] says where %s comes from, and uv is not installed",
                      p->path, names);
    else
        (void)kr_fail(err, KR_E_INVALID,
                      "%s: it has an index of its own ('%s'), which only uv and a uv.lock can tell "
                      "from the public one",
                      p->path,
                      json_string_value(json_array_get(json_object_get(p->doc, "indexes"), 0)));
    return kr_hint(err, "install uv (pip install uv), %s", own_list);
}

static int refuse_without_lock(const struct project *p, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID,
                  "%s: packages come from an index of its own ('%s'), and there is no uv.lock that "
                  "says which",
                  p->path,
                  json_string_value(json_array_get(json_object_get(p->doc, "indexes"), 0)));
    return kr_hint(err, "run `uv lock` in %s", p->folder);
}

static const char version[] = ""; /* stands for the Python's */

static int run_uv(const struct project *p, bool locked, struct kr_buf *out, struct kr_err *err)
{
    static const char *const lock[] = {
        "export",      "--frozen",      "--no-dev",      "--no-hashes", "--no-emit-project",
        "--no-header", "--no-annotate", "--no-progress", "--format",    "requirements-txt",
        NULL};
    static const char *const fresh[] = {"pip",
                                        "compile",
                                        "pyproject.toml",
                                        "--no-annotate",
                                        "--no-header",
                                        "--no-progress",
                                        "--python-platform",
                                        "x86_64-manylinux_2_28",
                                        "--python-version",
                                        version,
                                        NULL};
    const char *const *words = locked ? lock : fresh;
    char *argv[16] = {p->uv};

    for (size_t i = 0; words[i] != NULL; i++)
        argv[i + 1] = (char *)(uintptr_t)(words[i] == version ? version_of(p) : words[i]);
    return kr_command_output(p->folder, argv, locked ? "uv export" : "uv pip compile", out, err);
}

/* Whether a line of uv's names a folder or file of the source root: it is there with the code. */
static bool is_in_root(const struct project *p, struct kr_view line)
{
    kr_auto_free char *text = NULL, *joined = NULL, *real = NULL;
    kr_auto_free char *root = realpath(p->in->root, NULL);
    size_t n;

    if (kr_starts_with(line.p, "-e "))
        line = kr_view_trim((struct kr_view){line.p + 3, line.n - 3});
    n = 0;
    while (n < line.n && line.p[n] != ';' && line.p[n] != ' ')
        n++;
    text = kr_strndup(line.p, n);
    if (strchr(text, '/') == NULL || strstr(text, "://") != NULL)
        return false;
    joined = kr_path_join(p->folder, text);
    real = realpath(joined, NULL);
    n = root != NULL ? strlen(root) : 0;
    return real != NULL && n > 0 && strncmp(real, root, n) == 0 &&
           (real[n] == '/' || real[n] == '\0');
}

/* "torch==2.5.1+cpu ; marker" with the address of its file in the place of the version. */
static int elsewhere(const struct project *p, struct kr_view line, char **out, struct kr_err *err)
{
    struct kr_view rest = line, head;
    kr_auto_free char *key = NULL;
    const json_t *found;
    const char *address;
    bool marker = kr_view_cut(&rest, ';', &head);

    *out = NULL;
    key = kr_view_dup(kr_view_trim(head));
    found = kr_json_at(p->doc, "lock", "elsewhere", key, NULL);
    if (found == NULL)
        return 0;
    address = json_string_value(json_array_get(found, 1));
    if (address == NULL) {
        (void)kr_fail(err, KR_E_INVALID,
                      "uv.lock: %s comes from the index %s, which has no file of it for Python %s "
                      "on Linux x86-64",
                      key, json_string_value(json_array_get(found, 0)), version_of(p));
        return kr_hint(err, "name its wheel: [tool.uv.sources] <name> = { url = \"...\" }");
    }
    *out = marker ? kr_asprintf("%s ; " KR_VIEW_FMT, address, KR_VIEW_ARG(kr_view_trim(rest)))
                  : kr_strdup(address);
    return 0;
}

static int add_uv_lines(const struct project *p, const struct kr_buf *text, const char *where,
                        struct kr_err *err)
{
    struct kr_view rest = {kr_buf_str(text), text->n}, line;
    const char *index = kr_json_str(json_object_get(p->doc, "lock"), "index", NULL);
    bool more = true;

    if (index != NULL) {
        kr_auto_free char *option = kr_asprintf("--index-url %s", index);

        if (kr_reqs_add(p->reqs, kr_view_of(option), NULL, where, err) < 0)
            return -(int)err->code;
    }
    while (more) {
        kr_auto_free char *other = NULL;

        more = kr_view_cut(&rest, '\n', &line);
        line = kr_view_trim(line);
        if (line.n == 0 || is_in_root(p, line))
            continue;
        if (elsewhere(p, line, &other, err) < 0)
            return -(int)err->code;
        if (other != NULL)
            line = kr_view_of(other);
        if (kr_reqs_add(p->reqs, line, NULL, where, err) < 0) {
            (void)kr_hint(err, "bring it into the source root, or build its wheel and publish it");
            return -(int)err->code;
        }
    }
    return 0;
}

static int add_with_uv(struct project *p, bool locked, struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(OUTPUT_MAX);

    if (run_uv(p, locked, &out, err) < 0)
        return kr_wrap(err, "%s", p->path);
    return add_uv_lines(p, &out, locked ? "uv.lock" : "uv", err);
}

static int add_plain(const struct project *p, struct kr_err *err)
{
    const json_t *list = json_object_get(p->doc, "dependencies"), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *line = json_string_value(item);

        if (line == NULL)
            return kr_fail(err, KR_E_INVALID, "%s: dependencies has to be a list of strings",
                           p->path);
        if (kr_reqs_add(p->reqs, kr_view_of(line), NULL, p->path, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

/* Whether uv says what is to be installed; *locked: from its lock. */
static int choose(struct project *p, bool *by_uv, bool *locked, struct kr_err *err)
{
    bool sources = json_object_size(json_object_get(p->doc, "sources")) > 0;
    bool indexes = json_array_size(json_object_get(p->doc, "indexes")) > 0 ||
                   has_index_source(json_object_get(p->doc, "sources"));

    *locked = json_is_object(json_object_get(p->doc, "lock"));
    *by_uv = false;
    if (!sources && !indexes && !*locked)
        return 0;
    p->uv = find_uv(p->in->python);
    if (p->uv == NULL && (sources || indexes))
        return refuse_without_uv(p, err);
    if (p->uv == NULL) {
        (void)json_array_append_new(
            p->warnings, json_string("uv.lock is not followed, because uv is not installed: the "
                                     "versions are chosen when the requirements are installed"));
        return 0;
    }
    if (indexes && !*locked)
        return refuse_without_lock(p, err);
    *by_uv = true;
    return 0;
}

int kr_pyproject_add(const struct kr_requirements_in *in, struct kr_reqs *reqs, const char *path,
                     bool detected, bool *found, json_t *warnings, struct kr_err *err)
{
    kr_auto(project_finish) struct project p = {
        .in = in, .reqs = reqs, .path = path, .warnings = warnings};
    const char *slash = strrchr(path, '/');
    bool by_uv, locked;

    *found = false;
    p.folder = slash != NULL ? kr_strndup(path, (size_t)(slash - path)) : kr_strdup(in->root);
    if (read_project(&p, err) < 0)
        return -(int)err->code;
    if (kr_json_bool(p.doc, "dynamic", false) ||
        (!kr_json_bool(p.doc, "project", false) && kr_json_bool(p.doc, "poetry", false))) {
        (void)kr_fail(err, KR_E_INVALID, "%s does not list its dependencies under [project]", path);
        return kr_hint(err, "set pyproject_export_command to the command that prints them, for "
                            "example ['poetry', 'export', '--without-hashes'], or requirements");
    }
    if (!kr_json_bool(p.doc, "project", false))
        return detected ? 0 : kr_fail(err, KR_E_INVALID, "%s has no [project] table", path);
    *found = true;
    if (choose(&p, &by_uv, &locked, err) < 0)
        return -(int)err->code;
    return by_uv ? add_with_uv(&p, locked, err) : add_plain(&p, err);
}

/* -- lists that are not read ------------------------------------------------------------------- */

static const struct other {
    const char *file;
    const char *says; /* counts only when the file has this text, or NULL */
    const char *cure;
} others[] = {
    {"environment.yml", NULL, "python -m pip list --format=freeze > requirements.txt"},
    {"environment.yaml", NULL, "python -m pip list --format=freeze > requirements.txt"},
    {"conda.yaml", NULL, "python -m pip list --format=freeze > requirements.txt"},
    {"Pipfile", NULL, "pipenv requirements > requirements.txt"},
    {"pixi.toml", "dependencies", "python -m pip list --format=freeze > requirements.txt"},
    {"setup.cfg", "install_requires",
     "python -m pip freeze --exclude-editable > requirements.txt, or list them as dependencies "
     "under [project] of pyproject.toml"},
    {"setup.py", "install_requires",
     "python -m pip freeze --exclude-editable > requirements.txt, or list them as dependencies "
     "under [project] of pyproject.toml"},
};

int kr_project_check_others(const char *root, struct kr_err *err)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(others); i++) {
        kr_auto_free char *path = kr_path_join(root, others[i].file);
        kr_auto_buf struct kr_buf text = KR_BUF_INIT(OTHERS_MAX);

        if (!kr_path_exists(path))
            continue;
        if (others[i].says != NULL && kr_file_read(path, &text, err) < 0)
            return -(int)err->code;
        if (others[i].says != NULL && strstr(kr_buf_str(&text), others[i].says) == NULL)
            continue;
        (void)kr_fail(err, KR_E_INVALID,
                      "the requirements stand in %s, which is not read, and there is no "
                      "requirements.txt and no [project] in a pyproject.toml",
                      others[i].file);
        return kr_hint(err, "%s; or name a list with the docker setting requirements",
                       others[i].cure);
    }
    return 0;
}
