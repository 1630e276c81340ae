/* SPDX-License-Identifier: Apache-2.0 */
/* What kourou-serve is started with: lines "NAME=value" of its environment (without the prefix), a
 * blank line, one argument a line, a line "--", the file that KOUROU_ENV_FILE names. The
 * environment is a list of its own, so that the process's stays as it is. */
#include "fuzz.h"

#include "base/redact.h"
#include "serve/options.h"

#include <stdio.h>

enum { WORDS_MAX = 32, VARIABLES_MAX = 256 };

static char *variables[VARIABLES_MAX + 1];
static size_t count;

int __wrap_setenv(const char *name, const char *value, int replace);
int __wrap_unsetenv(const char *name);

int __wrap_unsetenv(const char *name)
{
    size_t n = strlen(name), kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (strncmp(variables[i], name, n) == 0 && variables[i][n] == '=')
            free(variables[i]);
        else
            variables[kept++] = variables[i];
    }
    count = kept;
    variables[count] = NULL;
    return 0;
}

int __wrap_setenv(const char *name, const char *value, int replace)
{
    FUZZ_CHECK(replace == 1);
    if (name[0] == '\0' || strchr(name, '=') != NULL || count == VARIABLES_MAX)
        return -1;
    (void)__wrap_unsetenv(name);
    variables[count++] = kr_asprintf("%s=%s", name, value);
    variables[count] = NULL;
    return 0;
}

static void clear(void)
{
    while (count > 0)
        free(variables[--count]);
    variables[0] = NULL;
}

static void take_environment(struct fuzz_input *in)
{
    while (in->n != 0) {
        kr_auto_free char *line = fuzz_line(in), *name = NULL;
        char *value = strchr(line, '=');

        if (line[0] == '\0')
            break;
        if (value == NULL)
            continue;
        *value = '\0';
        name = kr_asprintf(strcmp(line, "AUTH_KEY") == 0 ? "KOUROU_%s" : "KOUROU_SERVE_%s", line);
        (void)__wrap_setenv(name, value + 1, 1);
    }
}

static int take_words(struct fuzz_input *in, char **argv)
{
    int argc = 0;

    argv[argc++] = kr_strdup("kourou-serve");
    while (in->n != 0 && argc < WORDS_MAX) {
        char *line = fuzz_line(in);

        if (strcmp(line, "--") == 0) {
            free(line);
            break;
        }
        argv[argc++] = line;
    }
    return argc;
}

static void check(const struct kr_options *o)
{
    FUZZ_CHECK(o->root != NULL && o->python != NULL);
    FUZZ_CHECK(o->port >= 0 && o->port <= 65535 && o->workers >= 1 && o->workers <= 256);
    FUZZ_CHECK(o->header_timeout_ms >= 1 && o->body_timeout_ms >= 1 && o->idle_timeout_ms >= 1);
    FUZZ_CHECK(o->write_timeout_ms >= 1 && o->request_timeout_ms >= 1 && o->drain_timeout_ms >= 0);
    FUZZ_CHECK(o->queue_size >= 1 && o->max_connections >= 1 && o->max_body_size >= 1);
    FUZZ_CHECK(o->log_size >= 4096 && o->log_files >= 1 && o->log_files <= 100);
    FUZZ_CHECK(o->worker_memory >= 0 && o->runs_kept >= 0);
    if (o->help || o->version)
        return;
    FUZZ_CHECK(o->snapshot != NULL);
    for (size_t i = 0; i < count; i++)
        FUZZ_CHECK(strncmp(variables[i], "KOUROU_AUTH_KEY", 15) != 0 || variables[i][15] != '=');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    char **before = environ, *argv[WORDS_MAX + 1] = {NULL};
    struct kr_options options;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_fd int file = -1;
    int argc;

    take_environment(&in);
    argc = take_words(&in, argv);
    if (in.n != 0 && memmem(in.p, in.n, "_FILE", 5) == NULL && memchr(in.p, '\\', in.n) == NULL) {
        kr_auto_free char *path = NULL;

        file = fuzz_file(in.p, in.n);
        path = kr_asprintf("/proc/self/fd/%d", file);
        (void)__wrap_setenv("KOUROU_ENV_FILE", path, 1);
    }
    environ = variables;
    if (kr_options_parse(argc, argv, &options, &err) == 0)
        check(&options);
    else
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0');
    kr_options_finish(&options);
    environ = before;
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    clear();
    kr_redact_clear();
    return 0;
}
