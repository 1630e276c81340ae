/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/interpreter.h"

#include "base/alloc.h"
#include "base/proc.h"
#include "base/view.h"
#include "base/words.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)1 << 20)
#define PROBE_MS   30000

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
    kr_auto_words struct kr_words w = {0};
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

    kr_words_add(&w, python);
    for (size_t i = 0; i < KR_ARRAY_LEN(flags); i++)
        kr_words_add(&w, flags[i]);
    kr_words_add(&w, dir);
    kr_words_add(&w, "-p");
    kr_words_add(&w, image_dir);
    kr_words_add(&w, dir);
    kr_env_set(&env, "PYTHONHASHSEED", "0");
    opts.env = env;
    rc = kr_proc_run(w.v, &opts, &status, err);
    kr_env_free(env);
    return rc; /* a status: some file is for another Python; it stays without byte code */
}
