/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a list of files into a Space by one commit, or by none when it is there already.
 *
 * A marker file in the Space says which deployment it belongs to and which paths are ours. Only
 * those are ever deleted; .gitattributes never. The marker is computed from the list, so an
 * unchanged Space is recognised from its tree alone. */
#ifndef KR_HUB_SYNC_H
#define KR_HUB_SYNC_H

#include "core/files.h"
#include "hub/space.h"

enum kr_owner {
    KR_OWNER_FRESH,  /* no marker, and nothing but what the Hub puts into a new Space */
    KR_OWNER_OURS,   /* marked with our id */
    KR_OWNER_OTHER,  /* marked with another id: plan->marked_id */
    KR_OWNER_FOREIGN /* files, but no readable marker */
};

struct kr_sync_request {
    const char *space;
    const struct kr_files *files; /* without the marker, which is added here */
    const char *id;               /* of the deployment: goes into the marker */
    const char *parent;           /* head (kr_space.sha); NULL: not known yet, fresh Space */
    const char *message;          /* title of the commit */
    bool adopt;                   /* go on although the Space is not ours */
};

enum kr_change_kind { KR_CHANGE_ADD, KR_CHANGE_UPDATE, KR_CHANGE_DELETE };

struct kr_change {
    enum kr_change_kind kind;
    const char *path;
    const struct kr_file *file; /* NULL: deleted */
    bool lfs;                   /* known after the Hub was asked */
    bool ignored;               /* the Hub does not want it: left out */
};

struct kr_sync_plan {
    struct kr_change *v; /* by path */
    size_t n;
    size_t unchanged;
    uint64_t bytes; /* of added and updated files */
    enum kr_owner owner;
    char *marked_id;        /* id in the marker, or NULL */
    char *parent;           /* or NULL */
    struct kr_files marker; /* the one marker file */
    struct kr_tree tree;    /* as read */
    bool checked;
};
void kr_sync_plan_finish(struct kr_sync_plan *plan);
#define kr_auto_sync_plan kr_auto(kr_sync_plan_finish)

/* Reads the tree (and, only when it differs, the marker) and compares: 1 or 2 calls. Changes
 * nothing: also for --dry-run and diff. request->files lives as long as the plan. */
int kr_sync_plan(struct kr_hub *hub, const struct kr_sync_request *request,
                 struct kr_sync_plan *plan, struct kr_err *err) KR_MUST_USE;

struct kr_sync_result {
    char commit[41]; /* head that holds the files */
    bool committed;  /* false: nothing was to do */
    size_t sent, deleted;
    uint64_t bytes;    /* of the files in the commit */
    uint64_t uploaded; /* of them to the store of large files */
};

/* Everything about the plan that can be checked before anything is sent: owner, paths, README.md
 * (one call when it changes). kr_sync_run does it when nobody has. */
int kr_sync_check(struct kr_hub *hub, const struct kr_sync_request *request,
                  struct kr_sync_plan *plan, struct kr_err *err) KR_MUST_USE;

/* Does it: validate-yaml (when README.md changes), preupload, LFS, one commit with parentCommit. A
 * commit that got lost is looked up; a branch that moved is read and planned again. KR_E_CONFLICT
 * when the Space is not ours and adopt is not set. */
int kr_sync_run(struct kr_hub *hub, const struct kr_sync_request *request,
                struct kr_sync_plan *plan, struct kr_sync_result *result,
                struct kr_err *err) KR_MUST_USE;

/* The comparison itself. Pure. marker: text of the remote marker, or NULL. */
int kr_sync_compare(const struct kr_sync_request *request, struct kr_sync_plan *plan,
                    const char *marker, struct kr_err *err) KR_MUST_USE;

#endif
