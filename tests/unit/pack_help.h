/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test, and files in it. */
#ifndef KR_TEST_PACK_HELP_H
#define KR_TEST_PACK_HELP_H

#include "base/alloc.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/stat.h>

static inline char *make_folder(void)
{
    char *path = kr_strdup("/tmp/kourou-test-XXXXXX");

    assert_non_null(mkdtemp(path));
    return path;
}

static inline void drop_folder(char *path)
{
    struct kr_err err = KR_ERR_INIT;

    assert_int_equal(kr_remove_tree(path, &err), 0);
    free(path);
}

static inline void put(const char *root, const char *name, const char *text)
{
    kr_auto_free char *path = kr_path_join(root, name);
    kr_auto_free char *folder = kr_strdup(path);
    struct kr_err err = KR_ERR_INIT;

    *strrchr(folder, '/') = '\0';
    assert_int_equal(kr_mkdir_p(folder, 0755, &err), 0);
    assert_int_equal(kr_file_write_atomic(path, text, strlen(text), 0644, &err), 0);
}

#endif
