/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of base images: archives of others, plain or compressed, and the Python found in them. */
#include "fuzz.h"

#include "oci/base_python.h"
#include "oci/tar.h"

enum { ENTRIES_MAX = 2000 }; /* a bomb of empty entries is not what is looked for here */

static bool on_entry(void *data, const struct kr_tar_entry *entry, size_t *wanted)
{
    int *left = data;
    size_t n = strlen(entry->path);
    bool link = entry->type == KR_TAR_LINK || entry->type == KR_TAR_HARD_LINK;

    FUZZ_CHECK(entry->path[0] != '/' && strncmp(entry->path, "./", 2) != 0);
    FUZZ_CHECK(n == 0 || entry->path[n - 1] != '/');
    FUZZ_CHECK(link == (entry->target != NULL));
    *wanted = 100;
    return --*left > 0;
}

static void on_contents(void *data, const struct kr_tar_entry *entry, const char *bytes, size_t n)
{
    (void)data;
    FUZZ_CHECK(entry->type == KR_TAR_FILE && n <= 100 && bytes[n] == '\0');
}

static bool is_real(const char *path)
{
    return path[0] != '/' && strstr(path, "/../") == NULL && strncmp(path, "../", 3) != 0;
}

static void choose(const struct kr_base_tree *tree)
{
    kr_auto_base_python struct kr_base_python python = {0};
    struct kr_image image = {.config = json_object()};
    kr_auto_free char *place = NULL;
    struct kr_err err = KR_ERR_INIT;

    if (kr_base_choose_python(tree, &image, NULL, "base", &python, &err) < 0) {
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0' && err.hint[0] != '\0');
    } else {
        FUZZ_CHECK(python.minor >= 9 && python.executable[0] == '/' && python.purelib[0] == '/');
        place = kr_base_tree_place(tree, python.purelib);
        FUZZ_CHECK(is_real(place));
    }
    json_decref(image.config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_fd int fd = fuzz_file(data, size);
    kr_auto_base_tree struct kr_base_tree tree;
    int left = ENTRIES_MAX;
    struct kr_tar_reader reader = {.data = &left, .entry = on_entry, .contents = on_contents};
    struct kr_err err = KR_ERR_INIT;

    kr_base_tree_init(&tree);
    if (kr_tar_read(fd, &reader, &err) < 0)
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0');
    if (left == 0)
        return 0;
    kr_err_clear(&err);
    FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0);
    if (kr_base_tree_add(&tree, fd, &err) < 0)
        FUZZ_CHECK(err.code == KR_E_INVALID && err.msg[0] != '\0');
    choose(&tree);
    return 0;
}
