/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a file: its digests, what it is by its contents, what is found in it, and, where it
 * is held fast, its bytes. */
#ifndef KR_PACK_SIFT_H
#define KR_PACK_SIFT_H

#include "core/files.h"
#include "pack/content.h"
#include "pack/search.h"

/* Where bytes are kept that are held fast: a file without a name, gone with the process. */
struct kr_spool {
    int fd; /* -1: not made yet */
    uint64_t end;
    const char *dir; /* borrowed; NULL: the place for temporary files */
};
#define KR_SPOOL_INIT(folder)                                                                      \
    {                                                                                              \
        .fd = -1, .end = 0, .dir = (folder)                                                        \
    }
void kr_spool_finish(struct kr_spool *spool);

struct kr_sift {
    struct kr_scan *scan; /* looks through the bytes; NULL: nothing is looked for */
    const char *key;      /* of what it looks for (kr_search_key), or NULL */
    bool says;            /* it matters whether a password stands in the file */
};

struct kr_sifted {
    enum kr_content content;
    struct kr_hits hits; /* empty without a scan */
    bool grew;           /* while it was read; what it held at first is what counts */
};

/* Fills digests, size, times and, with a spool, bytes of file. A file that only grows is read as
 * far as it went at first; one that is rewritten meanwhile is read again, and is an error
 * (KR_E_CONFLICT) when it never rests. */
int kr_sift_file(const char *disk, const struct kr_sift *how, struct kr_spool *spool,
                 struct kr_file *file, struct kr_sifted *out, struct kr_err *err) KR_MUST_USE;

/* Holds the bytes of a file fast whose digests are known and whose times are as they were then;
 * *same says whether they were. */
int kr_sift_hold(const char *disk, struct kr_spool *spool, struct kr_file *file, bool *same,
                 struct kr_err *err) KR_MUST_USE;

#endif
