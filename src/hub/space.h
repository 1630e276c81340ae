/* SPDX-License-Identifier: Apache-2.0 */
/* The Space as a repository: look, create, settings, delete, files. */
#ifndef KR_HUB_SPACE_H
#define KR_HUB_SPACE_H

#include "hub/runtime.h"

struct kr_space {
    char *id;         /* OWNER/NAME as the Hub writes it now */
    bool moved;       /* renamed: id differs from what was asked for in more than letter case */
    char *sha;        /* head of main; or NULL */
    char *sdk;        /* "docker"; or NULL */
    char *host;       /* full address of the app; or NULL */
    char *subdomain;  /* or NULL */
    char *visibility; /* "public", "private", "protected"; NULL: not said */
    bool is_private;  /* what it reads for a protected Space is not known: see visibility */
    char *region, *resource_group; /* or NULL: not said */
    bool disabled;
    int64_t used_storage; /* bytes; -1: not said */
    int64_t app_port;     /* of the README; 0: not said */
    struct kr_runtime runtime;
};
void kr_space_finish(struct kr_space *space);
#define kr_auto_space kr_auto(kr_space_finish)

/* KR_E_NOT_FOUND: not there, or invisible to this token. */
int kr_space_get(struct kr_hub *hub, const char *space, struct kr_space *out,
                 struct kr_err *err) KR_MUST_USE;

struct kr_space_new {
    const char *id;
    const char *visibility; /* "public", "private", "protected"; NULL: as its owner has it */
    const char *hardware;   /* NULL: the Hub's default */
    int64_t sleep_s;        /* 0: default, -1: never */
    const json_t *secrets, *variables; /* {"KEY":"value"}, or NULL */
    const json_t *volumes;             /* list, or NULL */
    const char *region;
    const char *resource_group;
    bool dev_mode;
};

/* Makes a docker Space with everything in one call. Look first: accounts without a plan get
 * KR_E_PLAN even when the Space exists. *existed: it was there before and NOTHING of what was asked
 * has been applied. A lost answer is looked up, not sent again. */
int kr_space_create(struct kr_hub *hub, const struct kr_space_new *what, bool *existed,
                    struct kr_err *err) KR_MUST_USE;

/* As JSON body of the call, with secret values; for tests and for --dry-run (hide = true blanks
 * the secrets). *out is the caller's. */
json_t *kr_space_new_json(const struct kr_space_new *what, bool hide);

int kr_space_set_visibility(struct kr_hub *hub, const char *space, const char *visibility,
                            struct kr_err *err) KR_MUST_USE;

/* *existed (may be NULL): false when it was gone already, which is a success. */
int kr_space_delete(struct kr_hub *hub, const char *space, bool *existed,
                    struct kr_err *err) KR_MUST_USE;

/* May this token write there? For OAuth tokens, where whoami does not tell. 0: yes. */
int kr_space_check_write(struct kr_hub *hub, const char *space, struct kr_err *err) KR_MUST_USE;

/* Page for people: {endpoint}/spaces/{id}. Caller frees. */
char *kr_space_page(const struct kr_hub *hub, const char *space) KR_MUST_USE;

/* One file of a revision (NULL: main), as stored: for LFS files the pointer. */
int kr_space_read_file(struct kr_hub *hub, const char *space, const char *revision,
                       const char *path, struct kr_buf *out, struct kr_err *err) KR_MUST_USE;

/* Front matter of README.md as the Hub sees it. KR_E_INVALID names what it refuses; warnings go to
 * ui.note. */
int kr_space_validate_readme(struct kr_hub *hub, const char *text, size_t n,
                             struct kr_err *err) KR_MUST_USE;

/* Files of a revision, sorted by path; folders are left out. */
struct kr_tree_entry {
    char *path;
    char oid[65]; /* git blob, or SHA-256 of an LFS file's contents */
    bool lfs;
    uint64_t size;
};
struct kr_tree {
    struct kr_tree_entry *v;
    size_t n;
};
void kr_tree_finish(struct kr_tree *tree);
#define kr_auto_tree kr_auto(kr_tree_finish)

/* revision NULL: main. An empty repository gives an empty tree. */
int kr_tree_get(struct kr_hub *hub, const char *space, const char *revision, struct kr_tree *out,
                struct kr_err *err) KR_MUST_USE;
const struct kr_tree_entry *kr_tree_find(const struct kr_tree *tree, const char *path);

#endif
