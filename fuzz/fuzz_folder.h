/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for targets whose code wants files. */
#ifndef KR_FUZZ_FUZZ_FOLDER_H
#define KR_FUZZ_FUZZ_FOLDER_H

#include "fuzz.h"

#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>

static char fuzz_folder_path[] = "/tmp/kourou-fuzz-XXXXXX";

static inline void fuzz_remove_folder(void)
{
    (void)!kr_remove_tree(fuzz_folder_path, NULL);
}

/* The same for all inputs: made by the first call, removed when the process ends, after what was
 * handed to atexit() later. */
static inline const char *fuzz_folder(void)
{
    static bool made;

    if (!made)
        FUZZ_CHECK(mkdtemp(fuzz_folder_path) != NULL && atexit(fuzz_remove_folder) == 0);
    made = true;
    return fuzz_folder_path;
}

#endif
