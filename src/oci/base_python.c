/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/base_python.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"

#include <stdio.h>
#include <string.h>

#define OLDEST_MINOR 9
#define NEWEST_MINOR 999
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void kr_base_python_finish(struct kr_base_python *python)
{
    free(python->executable);
    free(python->purelib);
    free(python->platlib);
    free(python->scripts);
    free(python->headers);
    free(python->data);
    *python = (struct kr_base_python){0};
}

struct search {
    const struct kr_base_tree *tree;
    const struct kr_image *image;
    const json_t *environment;
    const char *name;
    char *real;         /* the program itself, links resolved: "/usr/bin/python3.11" */
    const char *loader; /* "glibc", "musl" or "" */
    char *venv;         /* folder of the virtual environment it belongs to, or NULL */
    const char *config; /* its pyvenv.cfg, or NULL */
    struct kr_base_python *out;
};

static void search_finish(struct search *s)
{
    free(s->real);
    free(s->venv);
}

static const char *variable(const struct search *s, const char *name)
{
    const json_t *list = kr_json_at(s->image->config, "config", "Env", NULL);
    const char *own = kr_json_str(s->environment, name, NULL), *found = NULL;
    size_t n = strlen(name);

    if (own != NULL)
        return own;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *pair = json_string_value(json_array_get(list, i));

        if (pair != NULL && strncmp(pair, name, n) == 0 && pair[n] == '=')
            found = pair + n + 1;
    }
    return found;
}

static int refuse(const struct search *s, const char *why, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID, "base image '%s' %s", s->name, why);
    return kr_hint(err, "set the docker setting parent_image to an image with Python 3.9 or newer "
                        "in its PATH (python:3.11-slim); native pipelines need no Python");
}

static int refuse_unclear(const struct search *s, const char *why, struct kr_err *err)
{
    (void)kr_fail(err, KR_E_INVALID,
                  "base image '%s' does not say which Python its entry point runs: %s", s->name,
                  why);
    return kr_hint(err,
                   "put the folder of one Python first in PATH with the docker setting "
                   "environment: {\"PATH\": \"/opt/python/bin:/usr/bin:/bin\"}; or set another "
                   "parent_image, or use an image builder of flavor local");
}

/* Minor version of "3.11.7"; -1: not Python 3. */
static int minor_of(struct kr_view version)
{
    struct kr_view rest = version, part;
    uint64_t major, minor;

    (void)kr_view_cut(&rest, '.', &part);
    if (!kr_view_u64(part, &major) || major != 3)
        return -1;
    (void)kr_view_cut(&rest, '.', &part);
    return kr_view_u64(part, &minor) && minor <= NEWEST_MINOR ? (int)minor : -1;
}

/* -- the program ------------------------------------------------------------------------------- */

/* As PATH is searched: a link that leads nowhere, a folder and what is not there are passed by. */
static int find_program(struct search *s, struct kr_err *err)
{
    const char *path = variable(s, "PATH");
    struct kr_view rest = kr_view_of(path != NULL ? path : DEFAULT_PATH), folder;
    bool more = true;

    while (more) {
        kr_auto_free char *program = NULL, *real = NULL, *why = NULL;
        enum kr_base_kind kind;

        more = kr_view_cut(&rest, ':', &folder);
        while (folder.n > 1 && folder.p[folder.n - 1] == '/')
            folder.n--;
        if (folder.n < 2 || folder.p[0] != '/')
            continue;
        program = kr_asprintf(KR_VIEW_FMT "/python3", KR_VIEW_ARG(folder));
        kind = kr_base_tree_at(s->tree, program, &real, &s->loader);
        if (kind == KR_BASE_NONE || kind == KR_BASE_FOLDER)
            continue;
        if (kind == KR_BASE_SCRIPT) {
            why = kr_asprintf("%s is a script", program);
            return refuse_unclear(s, why, err);
        }
        s->out->executable = kr_steal(&program);
        s->real = kr_steal(&real);
        s->loader = kind == KR_BASE_PROGRAM ? s->loader : "";
        return 0;
    }
    return refuse(s, "has no Python 3 in its PATH", err);
}

/* pyvenv.cfg counts beside the program as it was called, or one folder up. */
static void find_venv(struct search *s)
{
    kr_auto_free char *folder = kr_path_parent(s->out->executable), *above = kr_path_parent(folder);
    kr_auto_free char *beside = kr_asprintf("%s/pyvenv.cfg", folder);
    kr_auto_free char *up = kr_asprintf("%s/pyvenv.cfg", strcmp(above, "/") == 0 ? "" : above);
    enum kr_base_kind kind = kr_base_tree_at(s->tree, beside, NULL, &s->config);

    if (kind == KR_BASE_NONE || kind == KR_BASE_FOLDER)
        kind = kr_base_tree_at(s->tree, up, NULL, &s->config);
    if (kind == KR_BASE_NONE || kind == KR_BASE_FOLDER) {
        s->config = NULL;
        return;
    }
    s->venv = kr_steal(&above);
}

/* -- its version ------------------------------------------------------------------------------- */

/* The value of a line "key = value", trimmed. */
static bool config_value(const char *text, const char *key, struct kr_view *value)
{
    struct kr_view rest = kr_view_of(text), line, name;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (kr_view_cut(&line, '=', &name) && kr_view_eq_nocase(kr_view_trim(name), key)) {
            *value = kr_view_trim(line);
            return true;
        }
    }
    return false;
}

struct libraries {
    const struct search *s;
    const char *folder; /* "/usr/lib" */
    int minor, n;       /* of those found */
    int hint;           /* what PYTHON_VERSION says, or -1 */
    bool hinted;
};

static void see_library(void *data, const char *name)
{
    struct libraries *l = data;
    kr_auto_free char *os = kr_asprintf("%s/%s/os.py", l->folder, name);
    kr_auto_free char *site = kr_asprintf("%s/%s/site-packages", l->folder, name);
    int minor = kr_starts_with(name, "python3.") ? minor_of(kr_view_of(name + 6)) : -1;

    if (minor < 0 || strspn(name + 8, "0123456789") != strlen(name + 8) ||
        (kr_base_tree_at(l->s->tree, os, NULL, NULL) == KR_BASE_NONE &&
         kr_base_tree_at(l->s->tree, site, NULL, NULL) == KR_BASE_NONE))
        return;
    l->hinted |= minor == l->hint;
    l->n += minor != l->minor;
    l->minor = minor;
}

/* The one library of the program's prefix, or that of several which PYTHON_VERSION names. */
static int minor_of_library(const struct search *s)
{
    const char *hint = variable(s, "PYTHON_VERSION");
    kr_auto_free char *folder = kr_path_parent(s->real), *prefix = kr_path_parent(folder);
    kr_auto_free char *lib = kr_asprintf("%s/lib", s->venv != NULL            ? s->venv
                                                   : strcmp(prefix, "/") == 0 ? ""
                                                                              : prefix);
    struct libraries l = {
        .s = s, .folder = lib, .minor = -1, .hint = hint != NULL ? minor_of(kr_view_of(hint)) : -1};

    kr_base_tree_list(s->tree, lib, see_library, &l);
    if (l.n == 1)
        return l.minor;
    return l.hinted ? l.hint : -1;
}

static int find_version(const struct search *s, struct kr_err *err)
{
    const char *name = strrchr(s->real, '/') + 1;
    kr_auto_free char *why = NULL;
    struct kr_view said;
    int minor = -1;

    if (kr_starts_with(name, "python3.")) {
        minor = minor_of(kr_view_of(name + 6));
        if (minor < 0 || strspn(name + 8, "0123456789") != strlen(name + 8)) {
            why = kr_asprintf("%s is a build of its own kind, which usual wheels are not for",
                              s->real);
            return refuse_unclear(s, why, err);
        }
    }
    if (minor < 0 && s->config != NULL &&
        (config_value(s->config, "version", &said) ||
         config_value(s->config, "version_info", &said)))
        minor = minor_of(said);
    if (minor < 0)
        minor = minor_of_library(s);
    if (minor < 0) {
        why = kr_asprintf("the version of %s is not told by its name, its library or pyvenv.cfg",
                          s->out->executable);
        return refuse_unclear(s, why, err);
    }
    s->out->minor = minor;
    if (minor >= OLDEST_MINOR)
        return 0;
    why = kr_asprintf("has Python 3.%d, older than 3.%d", minor, OLDEST_MINOR);
    return refuse(s, why, err);
}

/* -- where packages go ------------------------------------------------------------------------- */

static bool has(const struct search *s, const char *folder, const char *lib, const char *file)
{
    kr_auto_free char *path = kr_asprintf("%s/%s/python3.%d%s", folder, lib, s->out->minor, file);

    return kr_base_tree_at(s->tree, path, NULL, NULL) != KR_BASE_NONE;
}

/* sys.prefix as the interpreter finds it: the first folder above the program with its library. */
static char *prefix_of(const struct search *s)
{
    const char *given = variable(s, "PYTHONHOME");
    kr_auto_free char *bin = kr_path_parent(s->real), *at = kr_path_parent(bin);
    char *usual = strcmp(at, "/") == 0 ? kr_strdup("") : kr_strdup(at);

    if (given != NULL && given[0] == '/') {
        free(usual);
        return kr_strndup(given, strcspn(given, ":"));
    }
    for (char *folder = kr_strdup(bin), *up; folder != NULL; folder = up) {
        const char *prefix = strcmp(folder, "/") == 0 ? "" : folder;

        if (has(s, prefix, "lib", "/os.py") || has(s, prefix, "lib64", "/os.py")) {
            free(usual);
            usual = kr_strdup(prefix);
            free(folder);
            return usual;
        }
        up = prefix[0] != '\0' ? kr_path_parent(folder) : NULL;
        free(folder);
    }
    return usual;
}

static void set_scheme(const struct search *s)
{
    struct kr_base_python *out = s->out;
    kr_auto_free char *prefix = s->venv != NULL ? kr_strdup(s->venv) : prefix_of(s);
    bool packaged = s->venv == NULL && strcmp(prefix, "/usr") == 0;
    bool debian = packaged && kr_base_tree_at(s->tree, "/usr/lib/python3/dist-packages", NULL,
                                              NULL) == KR_BASE_FOLDER;
    /* Red Hat and SUSE keep their own below lib64 and what is installed below /usr/local. */
    bool lib64 = packaged && !debian && has(s, "/usr", "lib64", "");
    const char *local = debian || lib64 ? "/local" : "";
    const char *packages = debian ? "dist-packages" : "site-packages";

    out->data = kr_asprintf("%s%s", prefix, local);
    out->scripts = kr_asprintf("%s%s/bin", prefix, local);
    out->purelib = kr_asprintf("%s%s/lib/python3.%d/%s", prefix, local, out->minor, packages);
    out->platlib = kr_asprintf("%s%s/%s/python3.%d/%s", prefix, local, lib64 ? "lib64" : "lib",
                               out->minor, packages);
    out->headers =
        kr_asprintf("%s/include/%spython3.%d", prefix, s->venv != NULL ? "site/" : "", out->minor);
}

static bool libc_at(const struct search *s, const char *path, struct kr_libc *libc)
{
    const char *note;
    uint64_t minor;
    bool musl;

    if (kr_base_tree_at(s->tree, path, NULL, &note) != KR_BASE_LIBC)
        return false;
    musl = kr_starts_with(note, "musl ");
    if (musl != libc->musl)
        return false;
    if (!kr_view_u64(kr_view_of(note + (musl ? 5 : 6)), &minor))
        return false;
    libc->minor = (int)minor;
    return true;
}

static void find_libc(const struct search *s, struct kr_libc *libc)
{
    static const char *const places[] = {"/lib/x86_64-linux-gnu/libc.so.6",
                                         "/usr/lib/x86_64-linux-gnu/libc.so.6",
                                         "/lib64/libc.so.6",
                                         "/usr/lib64/libc.so.6",
                                         "/lib/libc.so.6",
                                         "/usr/lib/libc.so.6",
                                         "/lib/ld-musl-x86_64.so.1",
                                         "/usr/lib/ld-musl-x86_64.so.1"};
    bool gnu =
        kr_base_tree_at(s->tree, "/lib64/ld-linux-x86-64.so.2", NULL, NULL) != KR_BASE_NONE ||
        kr_base_tree_at(s->tree, "/lib/x86_64-linux-gnu/libc.so.6", NULL, NULL) != KR_BASE_NONE;

    libc->musl = strcmp(s->loader, "musl") == 0 ||
                 (s->loader[0] == '\0' && !gnu &&
                  kr_base_tree_at(s->tree, "/lib/ld-musl-x86_64.so.1", NULL, NULL) != KR_BASE_NONE);
    for (size_t i = 0; i < KR_ARRAY_LEN(places); i++) {
        if (libc_at(s, places[i], libc))
            return;
    }
}

int kr_base_choose_python(const struct kr_base_tree *tree, const struct kr_image *image,
                          const json_t *environment, const char *name, struct kr_base_python *out,
                          struct kr_err *err)
{
    kr_auto(search_finish) struct search s = {.tree = tree,
                                              .image = image,
                                              .environment = environment,
                                              .name = name,
                                              .loader = "",
                                              .out = out};

    kr_base_python_finish(out);
    if (find_program(&s, err) < 0)
        return -(int)err->code;
    find_venv(&s);
    if (find_version(&s, err) < 0)
        return -(int)err->code;
    set_scheme(&s);
    find_libc(&s, &out->libc);
    return 0;
}

/* -- what is known already --------------------------------------------------------------------- */

static bool from_note(const json_t *note, struct kr_base_python *out)
{
    out->executable = kr_strdup(kr_json_str(note, "executable", NULL));
    out->purelib = kr_strdup(kr_json_str(note, "purelib", NULL));
    out->platlib = kr_strdup(kr_json_str(note, "platlib", NULL));
    out->scripts = kr_strdup(kr_json_str(note, "scripts", NULL));
    out->headers = kr_strdup(kr_json_str(note, "headers", NULL));
    out->data = kr_strdup(kr_json_str(note, "data", NULL));
    out->minor = (int)kr_json_int(note, "minor", 0);
    out->libc =
        (struct kr_libc){kr_json_bool(note, "musl", false), (int)kr_json_int(note, "libc", 0)};
    return out->minor > 0 && out->executable != NULL && out->purelib != NULL &&
           out->platlib != NULL && out->scripts != NULL && out->headers != NULL &&
           out->data != NULL;
}

json_t *kr_base_python_json(const struct kr_base_python *python)
{
    json_t *note = json_object();

    kr_json_set_str(note, "executable", python->executable);
    kr_json_set_str(note, "purelib", python->purelib);
    kr_json_set_str(note, "platlib", python->platlib);
    kr_json_set_str(note, "scripts", python->scripts);
    kr_json_set_str(note, "headers", python->headers);
    kr_json_set_str(note, "data", python->data);
    kr_json_set_int(note, "minor", python->minor);
    kr_json_set_bool(note, "musl", python->libc.musl);
    kr_json_set_int(note, "libc", python->libc.minor);
    return note;
}

int kr_base_find_python(struct kr_repo *repo, struct kr_cache *cache, const struct kr_image *image,
                        const json_t *environment, const char *name, struct kr_base_python *out,
                        struct kr_err *err)
{
    kr_auto_base_tree struct kr_base_tree tree;
    kr_auto_free char *key = kr_asprintf(
        "python 2 %s\n%s\n%s\n%s", image->digest, kr_json_str(environment, "PATH", ""),
        kr_json_str(environment, "PYTHONHOME", ""), kr_json_str(environment, "PYTHON_VERSION", ""));
    kr_auto_json json_t *note = kr_cache_note(cache, key), *made = NULL;

    kr_base_tree_init(&tree);
    kr_base_python_finish(out);
    if (from_note(note, out))
        return 0;
    if (kr_base_read(repo, cache, image, &tree, err) < 0)
        return kr_wrap(err, "looking for Python in '%s'", name);
    if (kr_base_choose_python(&tree, image, environment, name, out, err) < 0)
        return -(int)err->code;
    made = kr_base_python_json(out);
    kr_cache_set_note(cache, key, made);
    return 0;
}
