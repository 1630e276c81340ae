/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a base image as its layers leave them: which paths there are, where links lead, and
 * what is said by the few files that decide about Python. */
#ifndef KR_OCI_BASE_TREE_H
#define KR_OCI_BASE_TREE_H

#include "base/json.h"
#include "oci/tar.h"

enum kr_base_kind {
    KR_BASE_NONE,
    KR_BASE_FOLDER,
    KR_BASE_FILE,
    KR_BASE_SCRIPT,  /* a python3 that begins with #! */
    KR_BASE_PROGRAM, /* a python3 that names its loader: note is "glibc" or "musl" */
    KR_BASE_LIBC,    /* note is "glibc 36" or "musl 2" */
    KR_BASE_CONFIG,  /* pyvenv.cfg: note is its text */
};

struct kr_base_tree {
    json_t *top;    /* folders are objects, files and links texts with their kind in front */
    size_t entries; /* seen so far */
    struct kr_err err;
};
void kr_base_tree_init(struct kr_base_tree *tree);
void kr_base_tree_finish(struct kr_base_tree *tree);
#define kr_auto_base_tree kr_auto(kr_base_tree_finish)

/* Puts the next layer over what is there, its whiteouts included. */
int kr_base_tree_add(struct kr_base_tree *tree, int fd, struct kr_err *err) KR_MUST_USE;

/* What a path ("/usr/bin/python3") leads to in the end. *real, the caller's: that place, without
 * any link; both may be NULL. *note lives as long as the tree. */
enum kr_base_kind kr_base_tree_at(const struct kr_base_tree *tree, const char *path, char **real,
                                  const char **note);

/* Where a new file of this path ("/lib/x/y") comes to lie: links among the folders above it are
 * followed, its own name is not. Without a slash at the start; caller frees. */
char *kr_base_tree_place(const struct kr_base_tree *tree, const char *path) KR_MUST_USE;

/* Calls with the name of everything in a folder. */
void kr_base_tree_list(const struct kr_base_tree *tree, const char *path,
                       void (*name)(void *data, const char *name), void *data);

#endif
