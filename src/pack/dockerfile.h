/* SPDX-License-Identifier: Apache-2.0 */
/* Dockerfiles. Stages and layers stand in the order in which they change: base, system packages,
 * requirements, runtime, code; a change of code reuses all layers before it. Everything works with
 * BuildKit and with the classic builder, except requirements with ${NAME} (a secret mount). */
#ifndef KR_PACK_DOCKERFILE_H
#define KR_PACK_DOCKERFILE_H

#include "base/buf.h"
#include "base/json.h"
#include "pack/requirements.h"

#define KR_DOCKERFILE_MAX ((size_t)1 << 20)

struct kr_dockerfile {
    const char *base;     /* image the build starts from; NULL: see kr_default_base() */
    const char *own;      /* text of the user's Dockerfile, built first; base is ignored then */
    const char *own_name; /* its name, for errors */
    bool native;          /* no Python in the image */
    bool as_is; /* skip_build: only runtime and code are put in; nothing is installed or set */
    const struct kr_requirements *reqs;
    /* {"NAME":"value"} of the docker settings: for build and run; or NULL */
    const json_t *environment;
    /* {"NAME":"value"} for the running container only; or NULL */
    const json_t *runtime_environment;
    const json_t *variables;   /* {"NAME":...} known at build time as arguments; or NULL */
    const json_t *executables; /* ["run.sh"]: files of the source that need their executable bit */
    const char *user;          /* user setting, or NULL: KR_IMAGE_UID */
    const json_t *entrypoint;  /* ["...", "--port", "7860"] */
};

/* Appends the Dockerfile of a build from source. The build context is the launched tree
 * (launch.h). */
int kr_dockerfile_source(const struct kr_dockerfile *in, struct kr_buf *out,
                         struct kr_err *err) KR_MUST_USE;

/* Appends the Dockerfile that runs a finished image: base, with the environment,
 * runtime_environment and entrypoint of in; the rest of it does not count. */
int kr_dockerfile_image(const struct kr_dockerfile *in, struct kr_buf *out,
                        struct kr_err *err) KR_MUST_USE;

/* "python:3.11-slim", "debian:bookworm-slim". Caller frees. python NULL or "": the newest
 * tested. */
char *kr_default_base(bool native, const char *python) KR_MUST_USE;

/* Appends the user's Dockerfile with its last stage under a name: *stage (caller frees) is that
 * name. */
int kr_dockerfile_own(const char *text, const char *name, struct kr_buf *out, char **stage,
                      struct kr_err *err) KR_MUST_USE;

/* ["python:3.11-slim"]: the images that a Dockerfile builds on, in their order; without its own
 * stages, `scratch`, and names that arguments decide about. The caller's. */
json_t *kr_dockerfile_bases(const char *text) KR_MUST_USE;

/* Appends ENV NAME="value"; false when no ENV line can hold the value (it has a control
 * character). */
bool kr_dockerfile_env(struct kr_buf *out, const char *name, const char *value);

/* Appends a JSON array for RUN, COPY or ENTRYPOINT. */
void kr_dockerfile_exec(struct kr_buf *out, const json_t *words);

#endif
