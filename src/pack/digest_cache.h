/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of files remembered between runs, with what each is by its contents, and for which set of
 * values nothing was found in it. A record counts only while path, size, inode, mtime and
 * ctime are unchanged, and is not kept for a file that changed within the last two seconds (a
 * second change could hide behind the same times). A damaged memory is the same as none. */
#ifndef KR_PACK_DIGEST_CACHE_H
#define KR_PACK_DIGEST_CACHE_H

#include "pack/sift.h"

#include <sys/stat.h>

struct kr_digest_cache;

/* dir NULL: a memory for this call only. name tells apart the roots. Never fails. */
struct kr_digest_cache *kr_digest_cache_open(const char *dir, const char *name) KR_MUST_USE;

/* Fills digests, size and times of file, and *out, from memory or by reading it. With how->scan a
 * record is enough only when the same was looked for and not found. */
int kr_digest_cache_get(struct kr_digest_cache *cache, const char *disk, const struct stat *st,
                        const struct kr_sift *how, struct kr_file *file, struct kr_sifted *out,
                        struct kr_err *err) KR_MUST_USE;

/* Writes what was asked for since opening (others are forgotten) when anything changed, and
 * frees. */
void kr_digest_cache_close(struct kr_digest_cache *cache);
KR_DEFINE_AUTO(struct kr_digest_cache *, kr_digest_cache_close);
#define kr_auto_digest_cache kr_auto(kr_digest_cache_close_p)

#endif
