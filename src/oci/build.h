/* SPDX-License-Identifier: Apache-2.0 */
/* The image builder `daemonless`: a base image of a registry, and on it a layer for the runtime,
 * one for the requirements and one for the code. Nothing of the image is executed and no layer of
 * the base is stored here. Equal input gives an equal digest on any machine with the same
 * compressor and, for the byte code of packages, the same Python. */
#ifndef KR_OCI_BUILD_H
#define KR_OCI_BUILD_H

#include "base/json.h"
#include "core/files.h"
#include "oci/repo.h"

struct kr_image_build {
    struct kr_http *http;
    const char *cache_dir; /* the data folder's cache/ */
    uint64_t cache_max;    /* bytes of blobs kept there; 0: default */
    const char *base;      /* reference of the base image */
    const char *target;    /* "registry/repository:tag" */
    struct kr_repo_auth base_auth, target_auth;
    bool native;                    /* no Python is looked for, no requirements */
    const struct kr_files *runtime; /* bin/..., python/...: below KR_IMAGE_RUNTIME */
    const struct kr_files *code;    /* below KR_IMAGE_APP */
    const char *snapshot;           /* text of KR_IMAGE_SNAPSHOT */
    const char *requirements;       /* text of requirements.txt, or NULL */
    const char *constraints;        /* text, or NULL */
    const json_t *installer_args;   /* ["--pre"], or NULL */
    const json_t *installer_env;    /* {"NAME":"value"} for ${NAME} in the requirements, or NULL */
    bool uv;
    const char *python;        /* local interpreter for pip and byte code, or NULL */
    const json_t *environment; /* {"NAME":"value"}, or NULL */
    const json_t *entrypoint;  /* ["..."] */
    const char *user;          /* number or "uid:gid", or NULL: KR_IMAGE_UID */
    bool zstd;                 /* layers made here; else gzip */
    bool fresh;                /* requirements are resolved again */
    void *data;
    void (*step)(void *data, const char *step, const char *text, uint64_t done, uint64_t total,
                 bool bytes, bool finished);    /* or NULL */
    void (*line)(void *data, const char *line); /* the installer's output, or NULL */
    bool (*cancelled)(void *data); /* true ends the programs that are run here; or NULL. Requests
                                      look at http's hooks */
};

struct kr_image_built {
    char digest[KR_DIGEST_SIZE];
    char *reference;      /* "registry/repository@sha256:..." */
    uint64_t bytes_sent;  /* bodies of blobs that travelled */
    uint64_t bytes_added; /* compressed size of our layers */
    size_t blobs_sent, blobs_mounted, blobs_there;
    bool unchanged; /* the tag pointed at this image already */
};
void kr_image_built_finish(struct kr_image_built *built);
#define kr_auto_image_built kr_auto(kr_image_built_finish)

/* Builds and pushes. May be repeated after any failure and goes on from what is there. */
int kr_image_build(const struct kr_image_build *what, struct kr_image_built *out,
                   struct kr_err *err) KR_MUST_USE;

/* Why these docker settings need another builder ("apt_packages run commands inside the image"), or
 * NULL when daemonless can do them. */
const char *kr_image_build_cannot(const json_t *docker);

#endif
