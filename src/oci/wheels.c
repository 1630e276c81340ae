/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/wheels.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "oci/tree.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)1 << 20)
#define SCRIPT_MAX ((size_t)1 << 20)
#define PROBE_MS   30000

/* glibc as far back as Debian 10 and Ubuntu 20.04: what current base images have at least. */
static const char *const platforms[] = {"manylinux_2_28_x86_64", "manylinux_2_27_x86_64",
                                        "manylinux_2_24_x86_64", "manylinux_2_17_x86_64",
                                        "manylinux2014_x86_64",  "manylinux_2_12_x86_64",
                                        "manylinux2010_x86_64",  "manylinux_2_5_x86_64",
                                        "manylinux1_x86_64",     "linux_x86_64"};

struct words {
    char **v;
    size_t n;
};

static void words_add(struct words *w, const char *word)
{
    w->v = kr_reallocarray(w->v, w->n + 2, sizeof(char *));
    w->v[w->n++] = kr_strdup(word);
    w->v[w->n] = NULL;
}

static void words_finish(struct words *w)
{
    kr_env_free(w->v);
}

int kr_python_version(const char *python, char version[32], struct kr_err *err)
{
    kr_auto_free char *program = kr_strdup(python);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096), complaint = KR_BUF_INIT(4096);
    char flag[] = "-c", code[] = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    char *argv[] = {program, flag, code, NULL};
    struct kr_proc_opts opts = {.out = &out, .err_out = &complaint, .timeout_ms = PROBE_MS};
    struct kr_view text;
    int status;

    if (kr_proc_run(argv, &opts, &status, err) < 0)
        return kr_wrap(err, "Python %s", python);
    text = kr_view_trim((struct kr_view){kr_buf_str(&out), out.n});
    if (status != 0 || text.n == 0 || text.n >= 32 || text.p[0] < '0' || text.p[0] > '9')
        return kr_fail(err, KR_E_INVALID, "%s does not say its version", python);
    (void)snprintf(version, 32, KR_VIEW_FMT, KR_VIEW_ARG(text));
    return 0;
}

int kr_python_compile(const char *python, const char *dir, const char *image_dir,
                      bool (*cancelled)(void *data), void *data, struct kr_err *err)
{
    kr_auto(words_finish) struct words w = {0};
    kr_auto_buf struct kr_buf complaint = KR_BUF_INIT(65536), out = KR_BUF_INIT(OUTPUT_MAX);
    char **env = kr_env_copy();
    struct kr_proc_opts opts = {.env = env,
                                .out = &out,
                                .err_out = &complaint,
                                .cancelled = cancelled,
                                .cancel_data = data};
    const char *const flags[] = {
        "-I", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s"};
    int status, rc;

    words_add(&w, python);
    for (size_t i = 0; i < KR_ARRAY_LEN(flags); i++)
        words_add(&w, flags[i]);
    words_add(&w, dir);
    words_add(&w, "-p");
    words_add(&w, image_dir);
    words_add(&w, dir);
    kr_env_set(&env, "PYTHONHASHSEED", "0");
    opts.env = env;
    rc = kr_proc_run(w.v, &opts, &status, err);
    kr_env_free(env);
    return rc; /* a status: some file is for another Python; it stays without byte code */
}

static void add_pip(struct words *w, const struct kr_wheels *what)
{
    char number[16], abi[24];

    (void)snprintf(number, sizeof(number), "3.%d", what->target->minor);
    (void)snprintf(abi, sizeof(abi), "cp3%d", what->target->minor);
    words_add(w, what->python);
    words_add(w, "-m");
    words_add(w, "pip");
    words_add(w, "install");
    words_add(w, "--disable-pip-version-check");
    words_add(w, "--no-input");
    words_add(w, "--no-compile");
    words_add(w, "--no-warn-script-location");
    words_add(w, "--only-binary=:all:");
    words_add(w, "--implementation=cp");
    words_add(w, "--python-version");
    words_add(w, number);
    for (int i = 0; i < 3; i++) {
        words_add(w, "--abi");
        words_add(w, i == 0 ? abi : i == 1 ? "abi3" : "none");
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(platforms); i++) {
        words_add(w, "--platform");
        words_add(w, platforms[i]);
    }
}

static void add_uv(struct words *w, const struct kr_wheels *what)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "3.%d", what->target->minor);
    words_add(w, "uv");
    words_add(w, "pip");
    words_add(w, "install");
    words_add(w, "--no-progress");
    words_add(w, "--link-mode=copy");
    words_add(w, "--only-binary=:all:");
    words_add(w, "--python");
    words_add(w, what->python);
    words_add(w, "--python-version");
    words_add(w, number);
    words_add(w, "--python-platform");
    words_add(w, "x86_64-manylinux_2_28");
}

struct talk {
    const struct kr_wheels *what;
    struct kr_buf missing; /* the requirement no wheel was found for */
    struct kr_buf last;    /* the last line that says "error" */
};

static void take_after(struct kr_buf *to, const char *text, const char *mark)
{
    const char *at = strstr(text, mark);

    if (at == NULL || to->n > 0)
        return;
    at += strlen(mark);
    kr_buf_add(to, at, strcspn(at, "\r\n"));
}

static void on_line(const char *text, bool is_stderr, void *data)
{
    struct talk *talk = data;

    (void)is_stderr;
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

static int run_installer(const struct kr_wheels *what, bool uv, const char *dir, const char *files,
                         struct kr_err *err)
{
    kr_auto(words_finish) struct words w = {0};
    kr_auto_free char *requirements = kr_path_join(files, "requirements.txt");
    kr_auto_free char *constraints = kr_path_join(files, "constraints.txt");
    struct talk talk = {.what = what, .missing = KR_BUF_INIT(1000), .last = KR_BUF_INIT(1000)};
    char **env = kr_env_copy();
    struct kr_proc_opts opts = {
        .line = on_line, .data = &talk, .cancelled = what->cancelled, .cancel_data = what->data};
    const char *name;
    json_t *value;
    int status, rc;

    (uv ? add_uv : add_pip)(&w, what);
    words_add(&w, "--target");
    words_add(&w, dir);
    for (size_t i = 0; i < json_array_size(what->args); i++)
        words_add(&w, json_string_value(json_array_get(what->args, i)));
    words_add(&w, "-r");
    words_add(&w, requirements);
    if (what->constraints[0] != '\0') {
        words_add(&w, "-c");
        words_add(&w, constraints);
    }
    json_object_foreach((json_t *)(uintptr_t)what->environment, name, value)
        kr_env_set(&env, name, json_string_value(value));
    kr_env_set(&env, "SOURCE_DATE_EPOCH", "315619200");
    opts.env = env;
    rc = kr_proc_run(w.v, &opts, &status, err);
    if (rc == 0 && status != 0)
        rc = fail_install(&talk, uv ? "uv" : "pip", status, err);
    kr_env_free(env);
    kr_buf_finish(&talk.missing);
    kr_buf_finish(&talk.last);
    return rc;
}

static bool skip_site(const char *path)
{
    return strcmp(path, "bin") == 0 || strcmp(path, ".lock") == 0 || kr_ends_with(path, ".pyc.tmp");
}

/* Programs name the interpreter of this machine in their first line. */
static int add_programs(const struct kr_wheels *what, const char *dir, struct kr_files *bin,
                        struct kr_err *err)
{
    kr_auto_free char *folder = kr_path_join(dir, "bin");
    kr_auto_files struct kr_files found = {0};

    if (!kr_path_is_dir(folder))
        return 0;
    if (kr_tree_read(folder, NULL, &found, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < found.n; i++) {
        kr_auto_buf struct kr_buf text = KR_BUF_INIT(SCRIPT_MAX),
                                  made = KR_BUF_INIT(SCRIPT_MAX + 4096);
        const char *end;

        if (found.v[i].size < SCRIPT_MAX && kr_file_read(found.v[i].disk, &text, err) < 0)
            return -(int)err->code;
        end = text.n > 2 && memcmp(text.p, "#!", 2) == 0 ? memchr(text.p, '\n', text.n) : NULL;
        if (end == NULL || memmem(text.p, (size_t)(end - text.p), "python", 6) == NULL) {
            if (kr_files_add_known(bin, &found.v[i], err) < 0)
                return -(int)err->code;
            continue;
        }
        kr_buf_addf(&made, "#!%s/python3", what->target->bin);
        kr_buf_add(&made, end, text.n - (size_t)(end - text.p));
        if (kr_files_add_bytes(bin, found.v[i].path, made.p, made.n, true, err) < 0)
            return -(int)err->code;
    }
    return 0;
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

int kr_wheels_install(const struct kr_wheels *what, char **dir, struct kr_files *site,
                      struct kr_files *bin, struct kr_err *err)
{
    kr_auto_free char *inputs = NULL;
    char version[32], wanted[16];
    bool same;
    int rc;

    if (what->python == NULL)
        return kr_fail(err, KR_E_NOT_FOUND,
                       "installing requirements needs a Python on this machine and none was found");
    if (kr_python_version(what->python, version, err) < 0)
        return -(int)err->code;
    (void)snprintf(wanted, sizeof(wanted), "3.%d.", what->target->minor);
    same = kr_starts_with(version, wanted);
    if (kr_tree_temp(what->temp_dir, &inputs, err) < 0 ||
        kr_tree_temp(what->temp_dir, dir, err) < 0)
        return -(int)err->code;
    rc = write_inputs(what, inputs, err);
    if (rc == 0)
        rc = run_installer(what, use_uv(what, same), *dir, inputs, err);
    (void)!kr_remove_tree(inputs, NULL);
    if (rc == 0 && same)
        rc = kr_python_compile(what->python, *dir, what->target->site, what->cancelled, what->data,
                               err);
    if (rc == 0)
        rc = kr_tree_read(*dir, skip_site, site, err);
    if (rc == 0)
        rc = add_programs(what, *dir, bin, err);
    return rc;
}
