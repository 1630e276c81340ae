/* SPDX-License-Identifier: Apache-2.0 */
/* The walk through a source folder: which files belong to what is launched, and which were left
 * out for a reason that the user should know. Part of the bundle (bundle.h). */
#ifndef KR_PACK_WALK_H
#define KR_PACK_WALK_H

#include "pack/bundle.h"
#include "pack/credentials.h"

#include <sys/stat.h>

enum kr_left_why {
    KR_LEFT_SECRET,  /* may hold credentials */
    KR_LEFT_OURS,    /* belongs to Kourou */
    KR_LEFT_OUTPUT,  /* what we say is written there */
    KR_LEFT_POINTER, /* sent, but it is not the file itself */
    KR_LEFT_WHYS
};

struct kr_found {
    char *path; /* below the root */
    struct stat st;
    enum kr_credential name; /* what the name says, when the contents decide */
    bool taken;              /* named by a line with `!`: sent whatever it is */
};

struct kr_walk {
    const struct kr_bundle *what;
    char *real_root;
    char *prefix; /* where the root lies in its repository, "" or ending with a slash */
    struct kr_found *v;
    size_t n;
    struct kr_outputs *outputs;
    bool root_is_home;          /* of Kourou */
    json_t *left[KR_LEFT_WHYS]; /* paths */
    struct kr_inode {
        dev_t dev;
        ino_t ino;
    } * inodes; /* of what was left out: other names of it are left out too */
    size_t inode_count;
    json_t *warnings;
};

/* Fills v (not sorted). */
int kr_walk(struct kr_walk *w, struct kr_err *err) KR_MUST_USE;
void kr_walk_finish(struct kr_walk *w);

/* st: of a file whose other names are left out as well, or NULL. */
void kr_walk_leave(struct kr_walk *w, enum kr_left_why why, const char *path,
                   const struct stat *st);

/* Takes out of v what is another name of something that was left out, here or in the user's home
 * folder. */
void kr_walk_drop_links(struct kr_walk *w);

/* One sentence for each reason. */
void kr_walk_tell(const struct kr_walk *w);

void kr_walk_warn(json_t *warnings, const char *fmt, ...) KR_PRINTF(2, 3);

#endif
