/* SPDX-License-Identifier: Apache-2.0 */
/* Python packages for an image, put together on this machine: wheels for the image's Python and
 * platform, unpacked by the user's pip or uv, nothing of the image executed. */
#ifndef KR_OCI_WHEELS_H
#define KR_OCI_WHEELS_H

#include "base/json.h"
#include "core/files.h"
#include "oci/base_image.h"

struct kr_wheels {
    const char *python;        /* local interpreter */
    const char *requirements;  /* text */
    const char *constraints;   /* text, or "" */
    const json_t *args;        /* further options of the installer */
    const json_t *environment; /* {"NAME":"value"} for ${NAME} in the requirements, or NULL */
    bool uv;
    const struct kr_base_python *target;
    const char *temp_dir; /* for the two folders below */
    void *data;
    void (*line)(void *data, const char *line); /* output of the installer as it comes, or NULL */
    bool (*cancelled)(void *data);              /* true ends it with KR_E_CANCELLED; or NULL */
};

/* Installs into a new folder below temp_dir, *dir (the caller removes and frees it). site gets the
 * packages, with byte code when the local Python is of the same version; bin the programs, which
 * start the image's python3. A requirement without a wheel is KR_E_INVALID and named. */
int kr_wheels_install(const struct kr_wheels *what, char **dir, struct kr_files *site,
                      struct kr_files *bin, struct kr_err *err) KR_MUST_USE;

/* "3.11.2" of an interpreter. */
int kr_python_version(const char *python, char version[32], struct kr_err *err) KR_MUST_USE;

/* Byte code beside every .py below dir, as if dir were image_dir; the same bytes for the same files
 * and Python. Files that do not compile are left alone. cancelled(data) as above. */
int kr_python_compile(const char *python, const char *dir, const char *image_dir,
                      bool (*cancelled)(void *data), void *data, struct kr_err *err) KR_MUST_USE;

#endif
