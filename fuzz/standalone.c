/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a target over folders of inputs as an ordinary test: each file whole, then cut short at up
 * to 64 places (--cuts=N: at up to N). Fails when a folder is missing or empty. */
#include "fuzz.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/path.h"
#include "base/view.h"

enum { INPUT_MAX = 1 << 20 };

static unsigned long runs;
static uint64_t cuts = 64;

static void run(const char *bytes, size_t n)
{
    uint8_t *exact = kr_malloc(n + (n == 0));

    memcpy(exact, bytes, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    runs++;
    free(exact);
}

static void run_file(const char *path)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(INPUT_MAX);

    if (kr_file_read(path, &text, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    run(kr_buf_str(&text), text.n);
    for (size_t i = 0; i < cuts && i < text.n; i++)
        run(kr_buf_str(&text), text.n <= cuts ? i : text.n * i / cuts);
}

static unsigned long run_folder(const char *folder)
{
    unsigned long files = 0;
    kr_auto_dir DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = kr_path_join(folder, entry->d_name);

        if (kr_path_is_dir(path))
            continue;
        run_file(path);
        files++;
    }
    return files;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        unsigned long files;

        if (kr_starts_with(argv[i], "--cuts=") && kr_view_u64(kr_view_of(argv[i] + 7), &cuts))
            continue;
        files = kr_path_is_dir(argv[i]) ? run_folder(argv[i]) : 0;
        if (files == 0 && !kr_path_is_dir(argv[i]) && kr_path_exists(argv[i])) {
            run_file(argv[i]);
            files = 1;
        }
        if (files == 0) {
            (void)fprintf(stderr, "%s: no inputs\n", argv[i]);
            return 1;
        }
        (void)printf("%s: %lu inputs\n", argv[i], files);
    }
    (void)printf("%lu runs\n", runs);
    return runs > 0 ? 0 : 1;
}
