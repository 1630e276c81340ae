/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted list of files that are to be launched: what pack makes, and hub and oci send. */
#ifndef KR_CORE_FILES_H
#define KR_CORE_FILES_H

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* File in a Space that ties it to its deployment and lists the paths that are ours (hub/sync.h). */
#define KR_MARKER_PATH ".kourou/deployment.json"

struct kr_file {
    char *path;    /* where it goes: relative, checked, '/' separated */
    char *disk;    /* where it lies on this machine, or NULL when it was made here */
    char *bytes;   /* contents when they were made here or are held fast, else NULL: they count, and
                      disk is for messages then */
    size_t mapped; /* bytes is that much of a mapping; 0: of the heap */
    uint64_t size;
    int64_t mtime_ns, ctime_ns; /* of the file on disk whose digests these are; 0: not known */
    uint64_t inode;
    bool executable;
    char sha256[KR_SHA256_HEX];
    char blob[KR_SHA1_HEX]; /* git blob name */
};

struct kr_files {
    struct kr_file *v;
    size_t n;
};

void kr_files_finish(struct kr_files *files);
#define kr_auto_files kr_auto(kr_files_finish)

/* Adds contents that were made here (copied). A path that is there already is replaced. */
int kr_files_add_bytes(struct kr_files *files, const char *path, const void *bytes, size_t n,
                       bool executable, struct kr_err *err) KR_MUST_USE;

/* Adds a file of this machine; it is read once for its digests. */
int kr_files_add_disk(struct kr_files *files, const char *path, const char *disk,
                      struct kr_err *err) KR_MUST_USE;

/* Adds a file of this machine whose digests are known already; the texts of `file` are copied, its
 * bytes are not taken over. */
int kr_files_add_known(struct kr_files *files, const struct kr_file *file,
                       struct kr_err *err) KR_MUST_USE;

/* A path that is not there is fine. */
void kr_files_remove(struct kr_files *files, const char *path);

const struct kr_file *kr_files_find(const struct kr_files *files, const char *path);
/* Whether the path is a file of the list, or a folder that has some. */
bool kr_files_covers(const struct kr_files *files, const char *path);

/* Byte-wise by path; every consumer relies on it. Adding keeps the order. */
void kr_files_sort(struct kr_files *files);

/* "sha256:<hex>" over path, mode and digest of every file: equal lists give equal digests. */
void kr_files_digest(const struct kr_files *files, char digest[7 + KR_SHA256_HEX]);

uint64_t kr_files_bytes(const struct kr_files *files);

#endif
