/* SPDX-License-Identifier: Apache-2.0 */
/* The source bundle: the files of a root folder that belong to what is launched.
 *
 * Left out are what `.gitignore` (of every folder, and of the repository around the root) and
 * `.kourouignore` (same grammar, read after `.gitignore`, so `!name` takes a file back in) name,
 * and always: version control, virtual environments, caches, editors' files, `.zen`, `.kourou`,
 * ignore files themselves; what belongs to Kourou, by its contents (ours.h); what our own output is
 * written to (outputs.h). Files that hold credentials, by name or contents (credentials.h,
 * content.h), are left out too, unless a line with `!` in .kourouignore names them.
 * Symbolic links inside the root are followed and become copies; links that leave it, and anything
 * that is not a file or folder, are refused. */
#ifndef KR_PACK_BUNDLE_H
#define KR_PACK_BUNDLE_H

#include "base/json.h"
#include "core/files.h"

#define KR_BUNDLE_FILES_MAX  100000               /* files of a Hub repository */
#define KR_BUNDLE_FOLDER_MAX 10000                /* entries of one folder on the Hub */
#define KR_BUNDLE_SPACE_MAX  UINT64_C(1000000000) /* bytes of a Space repository */
#define KR_BUNDLE_WARN_FILE  UINT64_C(50000000)
#define KR_BUNDLE_WARN_TOTAL UINT64_C(200000000)

struct kr_dockerignore;
struct kr_gate;

struct kr_bundle {
    const char *root;      /* folder; must exist */
    const char *cache_dir; /* where digests are remembered between calls, or NULL */
    uint64_t max_file;     /* largest file in bytes; 0: max_total */
    uint64_t max_total;    /* all files in bytes; 0: no limit */
    const struct kr_dockerignore *leave_out; /* further files that are not taken, or NULL */
    const char *keep;                        /* a path that leave_out does not leave out, or NULL */
    struct kr_gate *gate;   /* looks through what is sent (gate.h), or NULL: nothing is */
    const char *said_below; /* of root, in what the gate says; NULL: the root itself */
    bool context; /* of a build with a Dockerfile of the user's own: ignore files of git and
                     .kourouignore leave nothing out */
};

/* Adds the files below root to out, sorted. Sizes are checked before anything is read, so a huge
 * file is refused at once (KR_E_LIMIT, names the file, the hint says how to leave it out). A file
 * whose size, times and inode are as last time is not read again. warnings: array that gets one
 * sentence for each thing the user should know (large files, what was left out, dangling links). */
int kr_bundle_collect(const struct kr_bundle *what, struct kr_files *out, json_t *warnings,
                      struct kr_err *err) KR_MUST_USE;

/* "1.5 GB", decimal units as the Hub counts. Returns text. */
const char *kr_size_text(uint64_t bytes, char text[16]);

#endif
