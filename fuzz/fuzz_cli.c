/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: one word a line. */
#include "fuzz.h"

#include "base/redact.h"
#include "cli/opt.h"

enum { WORDS_MAX = 64 };

/* A command's own files would be read, and /dev/stdin waits. */
static bool reads_files(const uint8_t *data, size_t size)
{
    return size > 0 && memchr(data, '@', size) != NULL;
}

static void parse(char **argv, int argc)
{
    const struct kr_cmd *cmd = NULL;
    const struct kr_group *group = NULL;
    struct kr_err err = KR_ERR_INIT;
    unsigned wish;
    void *args = NULL;
    int used = 0;

    if (kr_cmd_resolve("kourou", argv, argc, &cmd, &group, &used, &err) < 0) {
        FUZZ_CHECK(err.code == KR_E_USAGE);
        return;
    }
    FUZZ_CHECK(used <= argc);
    if (cmd == NULL)
        return;
    if (kr_args_parse("kourou", cmd, argv + used, argc - used, &args, &wish, &err) < 0)
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0' && args == NULL);
    else
        FUZZ_CHECK((args != NULL) == ((wish & KR_WISH_PAGE) == 0));
    if (args != NULL)
        kr_args_destroy(cmd, args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;

    if (reads_files(data, size))
        return 0;
    while (in.n != 0 && argc < WORDS_MAX)
        argv[argc++] = fuzz_line(&in);
    parse(argv, argc);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    kr_redact_clear();
    return 0;
}
