/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/wheels.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "base/words.h"
#include "oci/interpreter.h"
#include "oci/tree.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

extern const char kr_lay_script[]; /* lay.py */

#define COMPLAINT_MAX ((size_t)65536)

/* Options of `pip install` that say how to install, which is not pip's part here. With a value when
 * it is true. */
static const struct {
    const char *name;
    bool value;
} install_only[] = {
    {"--break-system-packages", false},
    {"--compile", false},
    {"--force-reinstall", false},
    {"--ignore-installed", false},
    {"--no-compile", false},
    {"--no-warn-conflicts", false},
    {"--no-warn-script-location", false},
    {"--prefix", true},
    {"--root", true},
    {"--root-user-action", true},
    {"--target", true},
    {"--upgrade", false},
    {"--upgrade-strategy", true},
    {"--user", false},
    {"-I", false},
    {"-U", false},
    {"-t", true},
};

struct talk {
    const struct kr_wheels *what;
    struct kr_buf missing; /* the requirement no wheel was found for */
    struct kr_buf last;    /* the last line that says "error" */
    json_t *resolved;      /* {"https://host/repo": "commit"} */
};

static void take_after(struct kr_buf *to, const char *text, const char *mark)
{
    const char *at = strstr(text, mark);

    if (at == NULL || to->n > 0)
        return;
    at += strlen(mark);
    kr_buf_add(to, at, strcspn(at, "\r\n"));
}

/* "Resolved https://host/repo to commit 1234". */
static void take_commit(json_t *resolved, const char *text)
{
    static const char begin[] = "Resolved ", middle[] = " to commit ";
    const char *from = strstr(text, begin), *to = from != NULL ? strstr(from, middle) : NULL;
    kr_auto_free char *url = NULL, *commit = NULL;

    if (to == NULL)
        return;
    from += strlen(begin);
    url = kr_strndup(from, (size_t)(to - from));
    commit = kr_strdup(to + strlen(middle));
    if (kr_json_is_text(url) && kr_json_is_text(commit))
        kr_json_set_str(resolved, url, commit);
}

static void on_line(const char *text, bool is_stderr, void *data)
{
    struct talk *talk = data;

    (void)is_stderr;
    take_commit(talk->resolved, text);
    take_after(&talk->missing, text, "No matching distribution found for ");
    if (strcasestr(text, "error") != NULL || strstr(text, "\xe2\x95\xb0") != NULL ||
        strstr(text, "no usable wheels") != NULL || strstr(text, "no wheels") != NULL) {
        kr_buf_reset(&talk->last);
        kr_buf_add(&talk->last, text, strnlen(text, 400));
    }
    if (talk->what->line != NULL)
        talk->what->line(talk->what->data, text);
}

static int fail_install(const struct talk *talk, const char *tool, int status, struct kr_err *err)
{
    int minor = talk->what->target->minor;

    if (talk->missing.n > 0 || strstr(kr_buf_str(&talk->last), "wheels") != NULL) {
        (void)kr_fail(err, KR_E_INVALID, "no wheel for Python 3.%d on Linux x86-64: %s", minor,
                      talk->missing.n > 0 ? kr_buf_str(&talk->missing) : kr_buf_str(&talk->last));
        return kr_hint(
            err, "packages that exist as source only need a build inside the image: use an "
                 "image builder of flavor local, or --build-mode=source; or build the wheel "
                 "with 'pip wheel' and name its folder with --find-links in the requirements");
    }
    return kr_fail(err, KR_E_INVALID, "%s ended with status %d: %s", tool, status,
                   talk->last.n > 0 ? kr_buf_str(&talk->last) : "no message");
}

/* -- pip and uv -------------------------------------------------------------------------------- */

static const char *text_at(const json_t *list, size_t i)
{
    const char *text = json_string_value(json_array_get(list, i));

    return text != NULL ? text : "";
}

static void add_pip(struct kr_words *w, const struct kr_wheels *what, const char *command)
{
    kr_words_add(w, what->python);
    kr_words_add(w, "-m");
    kr_words_add(w, "pip");
    kr_words_add(w, command);
    kr_words_add(w, "--disable-pip-version-check");
    kr_words_add(w, "--no-input");
}

static void add_target(struct kr_words *w, const struct kr_base_python *target)
{
    kr_auto_json json_t *platforms = kr_libc_tags(&target->libc);
    char number[16], abi[24];

    (void)snprintf(number, sizeof(number), "3.%d", target->minor);
    (void)snprintf(abi, sizeof(abi), "cp3%d", target->minor);
    kr_words_add(w, "--only-binary=:all:");
    kr_words_add(w, "--implementation=cp");
    kr_words_add(w, "--python-version");
    kr_words_add(w, number);
    for (int i = 0; i < 3; i++) {
        kr_words_add(w, "--abi");
        kr_words_add(w, i == 0 ? abi : i == 1 ? "abi3" : "none");
    }
    for (size_t i = 0; i < json_array_size(platforms); i++) {
        kr_words_add(w, "--platform");
        kr_words_add(w, text_at(platforms, i));
    }
}

static void add_uv(struct kr_words *w, const struct kr_wheels *what)
{
    kr_auto_free char *platform = kr_libc_uv_platform(&what->target->libc);
    char number[16];

    (void)snprintf(number, sizeof(number), "3.%d", what->target->minor);
    kr_words_add(w, "uv");
    kr_words_add(w, "pip");
    kr_words_add(w, "install");
    kr_words_add(w, "--no-progress");
    kr_words_add(w, "--link-mode=copy");
    kr_words_add(w, "--only-binary=:all:");
    kr_words_add(w, "--python");
    kr_words_add(w, what->python);
    kr_words_add(w, "--python-version");
    kr_words_add(w, number);
    kr_words_add(w, "--python-platform");
    kr_words_add(w, platform);
    if (what->local)
        kr_words_add(w, "--refresh");
}

/* The user's options; for pip without those that only say how to install. */
static void add_options(struct kr_words *w, const json_t *args, bool uv)
{
    for (size_t i = 0; i < json_array_size(args); i++) {
        const char *arg = text_at(args, i);
        size_t n = strcspn(arg, "="), k = 0;

        while (!uv && k < KR_ARRAY_LEN(install_only) &&
               (strlen(install_only[k].name) != n || strncmp(arg, install_only[k].name, n) != 0))
            k++;
        if (uv || k == KR_ARRAY_LEN(install_only))
            kr_words_add(w, arg);
        else if (install_only[k].value && arg[n] == '\0')
            i++; /* its value stands by itself */
    }
}

static int run(const struct kr_wheels *what, struct talk *talk, const struct kr_words *argv,
               const char *tool, struct kr_err *err)
{
    char **env = kr_env_copy();
    struct kr_proc_opts opts = {
        .line = on_line, .data = talk, .cancelled = what->cancelled, .cancel_data = what->data};
    const char *name;
    json_t *value;
    int status, rc;

    json_object_foreach((json_t *)(uintptr_t)what->environment, name, value)
        kr_env_set(&env, name, json_string_value(value));
    kr_env_set(&env, "SOURCE_DATE_EPOCH", "315619200");
    opts.env = env;
    rc = kr_proc_run(argv->v, &opts, &status, err);
    if (rc == 0 && status != 0)
        rc = fail_install(talk, tool, status, err);
    kr_env_free(env);
    return rc;
}

/* What has to be made of a source that was named by its address: pip leaves it as it came. */
static int build_source(const struct kr_wheels *what, struct talk *talk, const char *wheels,
                        const char *file, struct kr_err *err)
{
    kr_auto_words struct kr_words w = {0};
    kr_auto_free char *path = kr_path_join(wheels, file);

    add_pip(&w, what, "wheel");
    kr_words_add(&w, "--no-deps");
    kr_words_add(&w, "--wheel-dir");
    kr_words_add(&w, wheels);
    add_options(&w, what->args, false);
    kr_words_add(&w, path);
    return run(what, talk, &w, "pip wheel", err);
}

static int build_sources(const struct kr_wheels *what, struct talk *talk, const char *wheels,
                         struct kr_err *err)
{
    struct dirent **list = NULL;
    int n = scandir(wheels, &list, NULL, alphasort), rc = 0;

    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;

        if (rc == 0 && name[0] != '.' && !kr_ends_with(name, ".whl"))
            rc = build_source(what, talk, wheels, name, err);
        free(list[i]);
    }
    free(list);
    return rc;
}

static int install(const struct kr_wheels *what, struct talk *talk, bool uv, const char *dir,
                   struct kr_err *err)
{
    kr_auto_words struct kr_words w = {0};
    kr_auto_free char *requirements = kr_path_join(dir, "requirements.txt");
    kr_auto_free char *constraints = kr_path_join(dir, "constraints.txt");
    kr_auto_free char *to = kr_path_join(dir, uv ? "prefix" : "wheels");

    if (kr_mkdir_p(to, 0755, err) < 0)
        return -(int)err->code;
    if (uv) {
        add_uv(&w, what);
    } else {
        add_pip(&w, what, "download");
        add_target(&w, what->target);
    }
    kr_words_add(&w, uv ? "--prefix" : "--dest");
    kr_words_add(&w, to);
    add_options(&w, what->args, uv);
    kr_words_add(&w, "-r");
    kr_words_add(&w, requirements);
    if (what->constraints[0] != '\0') {
        kr_words_add(&w, "-c");
        kr_words_add(&w, constraints);
    }
    if (run(what, talk, &w, uv ? "uv" : "pip", err) < 0)
        return -(int)err->code;
    return uv ? 0 : build_sources(what, talk, to, err);
}

/* -- laying out -------------------------------------------------------------------------------- */

static int write_plan(const struct kr_wheels *what, const struct talk *talk, bool uv,
                      const char *dir, const char *path, struct kr_err *err)
{
    kr_auto_json json_t *plan = kr_base_python_json(what->target);
    kr_auto_free char *out = kr_path_join(dir, "out"), *text = NULL;
    kr_auto_free char *from = kr_path_join(dir, uv ? "prefix" : "wheels");

    kr_json_set_str(plan, "out", out);
    kr_json_set_str(plan, uv ? "prefix" : "wheels", from);
    kr_json_set_str(plan, "local", what->python);
    kr_json_set_str(plan, "requirements", what->requirements);
    kr_json_set(plan, "resolved", json_incref(talk->resolved));
    text = kr_json_canonical(plan);
    return kr_mkdir_p(out, 0755, err) < 0
               ? -(int)err->code
               : kr_file_write_atomic(path, text, strlen(text), 0600, err);
}

static int lay(const struct kr_wheels *what, const struct talk *talk, bool uv, const char *dir,
               struct kr_err *err)
{
    kr_auto_words struct kr_words w = {0};
    kr_auto_buf struct kr_buf complaint = KR_BUF_INIT(COMPLAINT_MAX), out = KR_BUF_INIT(65536);
    kr_auto_free char *plan = kr_path_join(dir, "plan.json");
    struct kr_proc_opts opts = {.out = &out,
                                .err_out = &complaint,
                                .cancelled = what->cancelled,
                                .cancel_data = what->data};
    struct kr_view last;
    int status;

    if (write_plan(what, talk, uv, dir, plan, err) < 0)
        return -(int)err->code;
    kr_words_add(&w, what->python);
    kr_words_add(&w, "-I");
    kr_words_add(&w, "-c");
    kr_words_add(&w, kr_lay_script);
    kr_words_add(&w, plan);
    if (kr_proc_run(w.v, &opts, &status, err) < 0)
        return kr_wrap(err, "unpack wheels");
    if (status == 0)
        return 0;
    last = kr_view_last_line((struct kr_view){kr_buf_str(&complaint), complaint.n});
    return kr_fail(err, KR_E_INVALID, "unpack wheels: " KR_VIEW_FMT, KR_VIEW_ARG(last));
}

static int write_inputs(const struct kr_wheels *what, const char *dir, struct kr_err *err)
{
    kr_auto_files struct kr_files files = {0};

    if (kr_files_add_bytes(&files, "requirements.txt", what->requirements,
                           strlen(what->requirements), false, err) < 0 ||
        kr_files_add_bytes(&files, "constraints.txt", what->constraints, strlen(what->constraints),
                           false, err) < 0)
        return -(int)err->code;
    return kr_tree_write(dir, &files, err);
}

/* pip reads environment markers for the Python it runs on; uv for the one it installs for. */
static bool use_uv(const struct kr_wheels *what, bool same_version)
{
    kr_auto_free char *uv = kr_path_find_program("uv");

    return what->uv || (!same_version && uv != NULL);
}

/* Byte code of the packages, which the image's user could not write. */
static int compile_packages(const struct kr_wheels *what, const char *out, struct kr_err *err)
{
    const char *const places[] = {what->target->purelib, what->target->platlib};
    size_t n = strcmp(places[0], places[1]) == 0 ? 1 : 2;

    for (size_t i = 0; i < n; i++) {
        kr_auto_free char *dir = kr_asprintf("%s%s", out, places[i]);

        if (kr_path_is_dir(dir) &&
            kr_python_compile(what->python, dir, places[i], what->cancelled, what->data, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static bool is_left_over(const char *path)
{
    return kr_ends_with(path, ".pyc.tmp");
}

static int install_into(const struct kr_wheels *what, bool same, const char *dir,
                        struct kr_files *files, struct kr_err *err)
{
    struct talk talk = {.what = what,
                        .missing = KR_BUF_INIT(1000),
                        .last = KR_BUF_INIT(1000),
                        .resolved = json_object()};
    kr_auto_free char *out = kr_path_join(dir, "out");
    bool uv = use_uv(what, same);
    int rc = write_inputs(what, dir, err);

    if (rc == 0)
        rc = install(what, &talk, uv, dir, err);
    if (rc == 0)
        rc = lay(what, &talk, uv, dir, err);
    if (rc == 0 && same)
        rc = compile_packages(what, out, err);
    if (rc == 0)
        rc = kr_tree_read(out, is_left_over, files, err);
    kr_buf_finish(&talk.missing);
    kr_buf_finish(&talk.last);
    json_decref(talk.resolved);
    return rc;
}

int kr_wheels_install(const struct kr_wheels *what, char **dir, struct kr_files *files,
                      struct kr_err *err)
{
    char version[32], wanted[16];

    if (what->python == NULL)
        return kr_fail(err, KR_E_NOT_FOUND,
                       "installing requirements needs a Python on this machine and none was found");
    if (kr_python_version(what->python, version, err) < 0)
        return -(int)err->code;
    (void)snprintf(wanted, sizeof(wanted), "3.%d.", what->target->minor);
    if (kr_tree_temp(what->temp_dir, dir, err) < 0)
        return -(int)err->code;
    return install_into(what, kr_starts_with(version, wanted), *dir, files, err);
}
