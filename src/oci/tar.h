/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives of layers. Entries are sorted, times and owners are given, nothing of this machine
 * gets in: equal lists give equal bytes whatever the umask, clock or user. */
#ifndef KR_OCI_TAR_H
#define KR_OCI_TAR_H

#include "core/files.h"

#include <stdbool.h>
#include <stdint.h>

#define KR_TAR_MTIME 315619200 /* 1980-01-02: the earliest that zip files can hold anywhere */

/* A list of files below a folder of the archive, with an owner. */
struct kr_tar_part {
    const char *prefix;           /* "app": where it goes, "" for the top */
    const struct kr_files *files; /* NULL: only the folder */
    uint32_t uid, gid;
    bool fixed_prefix; /* no entry for the prefix itself: the folder has an owner already */
};

/* Calls sink with the bytes of the archive. A file that changed since its digest was made is an
 * error. */
int kr_tar_write(const struct kr_tar_part *parts, size_t n,
                 int (*sink)(void *data, const void *bytes, size_t n, struct kr_err *err),
                 void *data, struct kr_err *err) KR_MUST_USE;

/* "sha256:..." over everything that decides about the archive's bytes. */
void kr_tar_key(const struct kr_tar_part *parts, size_t n, char key[7 + KR_SHA256_HEX]);

/* Reads an archive (plain, gzip or zstd) and calls entry with each path (without leading "./" or
 * "/") until it gives false. link: target of a link, or NULL. */
int kr_tar_list(int fd, bool (*entry)(void *data, const char *path, const char *link), void *data,
                struct kr_err *err) KR_MUST_USE;

/* Loads libarchive while there is time for it; otherwise the first layer does. */
void kr_tar_warm(void);

#endif
