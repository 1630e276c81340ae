/* SPDX-License-Identifier: Apache-2.0 */
/* Python packages for an image, put together on this machine: wheels for the image's Python and C
 * library, chosen by the user's pip or uv, laid out as the image's pip would; nothing of the image
 * executed. */
#ifndef KR_OCI_WHEELS_H
#define KR_OCI_WHEELS_H

#include "base/json.h"
#include "core/files.h"
#include "oci/base_python.h"

struct kr_wheels {
    const char *python;        /* local interpreter */
    const char *requirements;  /* text */
    const char *constraints;   /* text, or "" */
    const json_t *args;        /* further options of the installer */
    const json_t *environment; /* {"NAME":"value"} for ${NAME} in the requirements, or NULL */
    bool uv;
    bool local; /* wheels of this machine are among them: what a cache knows of their names does not
                   count */
    const struct kr_base_python *target;
    const char *temp_dir; /* for the folder below */
    void *data;
    void (*line)(void *data, const char *line); /* output of the installer as it comes, or NULL */
    bool (*cancelled)(void *data);              /* true ends it with KR_E_CANCELLED; or NULL */
};

/* Installs into a new folder below temp_dir, *dir (the caller removes and frees it). files gets
 * everything by its path in the image ("usr/local/lib/..."): packages, with byte code when the
 * local Python is of the same version, programs, headers and data. A requirement without a wheel is
 * KR_E_INVALID and named. */
int kr_wheels_install(const struct kr_wheels *what, char **dir, struct kr_files *files,
                      struct kr_err *err) KR_MUST_USE;

#endif
