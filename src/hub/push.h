/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of src/hub: the calls that a sync is made of. */
#ifndef KR_HUB_PUSH_H
#define KR_HUB_PUSH_H

#include "hub/hub_impl.h"
#include "hub/sync.h"

/* Contents of a file, on disk or in memory. */
struct kr_source {
    int fd; /* -1: bytes */
    const char *bytes;
    uint64_t size;
};
/* KR_E_INVALID when the file has another size than when it was listed. */
int kr_source_open(struct kr_source *s, const struct kr_file *file, struct kr_err *err) KR_MUST_USE;
void kr_source_close(struct kr_source *s);
int kr_source_read(const struct kr_source *s, const struct kr_file *file, uint64_t offset, void *to,
                   size_t n, struct kr_err *err) KR_MUST_USE;
struct kr_http_body kr_source_body(const struct kr_source *s, uint64_t offset, uint64_t size);

/* Asks how each added or updated file is to be sent, 256 per call; sets lfs and ignored. head: head
 * of the branch as the Hub says, "" when it does not. */
int kr_preupload(struct kr_hub *hub, const char *space, struct kr_change *changes, size_t n,
                 char head[41], struct kr_err *err) KR_MUST_USE;

/* Uploads what of `files` the Hub has not got yet: basic or multipart, four transfers at a time,
 * memory bounded. *sent grows by the bytes that were uploaded. */
int kr_lfs_upload(struct kr_hub *hub, const char *space, const struct kr_file *const *files,
                  size_t n, uint64_t *sent, struct kr_err *err) KR_MUST_USE;

/* One commit of changes on top of parent ("" when not known). KR_E_CONFLICT with status 412: the
 * branch is elsewhere and does not hold the changes. */
int kr_commit(struct kr_hub *hub, const char *space, const char *parent, const char *message,
              const struct kr_change *changes, size_t n, char oid[41],
              struct kr_err *err) KR_MUST_USE;

/* Does a tree hold all changes? */
bool kr_tree_holds(const struct kr_tree *tree, const struct kr_change *changes, size_t n);
bool kr_entry_is(const struct kr_tree_entry *entry, const struct kr_file *file);

#endif
