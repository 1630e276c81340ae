/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore rules. First line a path, the rest an ignore file. */
#include "fuzz.h"

#include "pack/ignore.h"

/* Paths as they come from a walk: no slash at the start. */
static bool is_path(const char *text)
{
    return text[0] != '\0' && text[0] != '/';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *path = fuzz_line(&in), *text = NULL;
    size_t n = in.n;
    struct kr_ignore *top = kr_ignore_create(NULL, "");
    const char *slash = strchr(path, '/');
    kr_auto_free char *folder = kr_strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
    struct kr_ignore *deep = kr_ignore_create(top, folder);
    bool whole;

    text = fuzz_rest(&in);
    kr_ignore_add(top, text, n);
    kr_ignore_add(deep, text, n);
    if (is_path(path)) {
        whole = kr_ignore_match(top, path, false);
        FUZZ_CHECK(whole == kr_ignore_match(top, path, false));
        (void)kr_ignore_match(top, path, true);
        (void)kr_ignore_match(deep, path, false);
    }
    (void)kr_glob_match(text, path);
    FUZZ_CHECK(kr_glob_match("**", path));
    kr_ignore_destroy(deep);
    kr_ignore_destroy(top);
    return 0;
}
