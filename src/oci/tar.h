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
    /* Whether a folder of the archive ("usr/lib") is there without it and gets no entry; or NULL */
    bool (*there)(const void *data, const char *folder);
    const void *data;
};

/* Calls sink with the bytes of the archive. A file that changed since its digest was made is an
 * error. */
int kr_tar_write(const struct kr_tar_part *parts, size_t n,
                 int (*sink)(void *data, const void *bytes, size_t n, struct kr_err *err),
                 void *data, struct kr_err *err) KR_MUST_USE;

/* "sha256:..." over everything that decides about the archive's bytes. */
void kr_tar_key(const struct kr_tar_part *parts, size_t n, char key[7 + KR_SHA256_HEX]);

enum kr_tar_type { KR_TAR_FILE, KR_TAR_FOLDER, KR_TAR_LINK, KR_TAR_HARD_LINK, KR_TAR_OTHER };

struct kr_tar_entry {
    const char *path; /* without leading "./" or "/", or slashes at the end */
    enum kr_tar_type type;
    const char *target; /* of links of both kinds: as it stands there; else NULL */
};

struct kr_tar_reader {
    void *data;
    /* Each entry in turn, until it gives false. *wanted: how many bytes of a file contents() is to
     * get at most; 0 without a call. */
    bool (*entry)(void *data, const struct kr_tar_entry *entry, size_t *wanted);
    void (*contents)(void *data, const struct kr_tar_entry *entry, const char *bytes, size_t n);
};

/* Reads an archive (plain, gzip or zstd). */
int kr_tar_read(int fd, const struct kr_tar_reader *reader, struct kr_err *err) KR_MUST_USE;

/* Loads libarchive while there is time for it; otherwise the first layer does. */
void kr_tar_warm(void);

#endif
