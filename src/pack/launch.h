/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is launched, as one list of files: the repository of a Space, or the context of a
 * local image build. Equal input gives equal bytes; there is no time, no machine path and no secret
 * in it.
 *
 *     Dockerfile  .dockerignore  README.md     made here (README.md and .dockerignore for a Space
 * merge the user's) <the source bundle>                      not with KR_LAUNCH_IMAGE
 *     .kourou/bin/kourou-serve                 and kourou-native for a native pipeline; not with
 * KR_LAUNCH_IMAGE .kourou/python/...                       not for a native pipeline
 *     .kourou/requirements.txt, constraints.txt  where there is something to install
 *     .kourou/snapshot.json                    without the deployer's settings
 */
#ifndef KR_PACK_LAUNCH_H
#define KR_PACK_LAUNCH_H

#include "base/json.h"
#include "core/files.h"

#include <stdbool.h>

enum kr_launch_mode {
    KR_LAUNCH_SOURCE,     /* requirements are installed and code is copied where it is built */
    KR_LAUNCH_IMAGE,      /* a finished image is run */
    KR_LAUNCH_SKIP_BUILD, /* parent_image as it is, with runtime and code put in */
};

struct kr_gate;

struct kr_launch {
    const char *root;        /* source root */
    const char *cache_dir;   /* <data folder>/cache, or NULL */
    const char *runtime_dir; /* holds kourou-serve, kourou-native and python/ */
    const char *machine;     /* processor it is sent to (machine.h); NULL: KR_MACHINE_DEFAULT */
    const char *python;      /* local interpreter, or NULL (then pyproject.toml cannot be read) */
    const json_t *snapshot;  /* with merged settings; settings.docker decides the build */
    const char *id, *name;   /* of the deployment; NULL: not tied to one (an image for any) */
    const char *snapshot_id, *snapshot_name; /* or NULL */
    enum kr_launch_mode mode;
    const char *image; /* KR_LAUNCH_IMAGE: "registry/repository@sha256:..." */
    int app_port;
    bool space;   /* README.md is made, limits of a Space apply */
    bool context; /* no builder will look at the folder's .dockerignore: it is followed here */
    const json_t *settings;  /* the deployer's settings (README values), or NULL */
    const json_t *variables; /* {"NAME":...} that the builder gives as arguments, or NULL */
    struct kr_gate *gate;    /* what is sent passes it (gate.h); NULL: one that knows no readers */
};

/* warnings: array that gets sentences for the user. */
int kr_launch_files(const struct kr_launch *in, struct kr_files *out, json_t *warnings,
                    struct kr_err *err) KR_MUST_USE;

/* The source bundle alone, as the snapshot's code.digest is computed; with the library of a native
 * pipeline even when ignore files leave it out. */
int kr_launch_source(const struct kr_launch *in, struct kr_files *out, json_t *warnings,
                     struct kr_err *err) KR_MUST_USE;

/* Whether the programs of the runtime, and the library of a native pipeline, are there for the
 * processor that they are sent to. KR_E_INVALID says what is missing where. */
int kr_launch_check_machine(const struct kr_launch *in, struct kr_err *err) KR_MUST_USE;

/* The runtime alone, under bin/ and python/ (below KR_IMAGE_RUNTIME in an image). */
int kr_launch_runtime(const struct kr_launch *in, struct kr_files *out,
                      struct kr_err *err) KR_MUST_USE;

/* Snapshot as it is launched: canonical text, settings reduced to `deployment` and `resources`.
 * Caller frees. */
char *kr_launch_snapshot(const json_t *snapshot) KR_MUST_USE;

/* "source", "image", "skip_build". */
const char *kr_launch_mode_name(enum kr_launch_mode mode);

/* Words of the entry point in any image: kourou-serve with its arguments. */
json_t *kr_launch_entrypoint(const struct kr_launch *in) KR_MUST_USE;

#endif
