/* SPDX-License-Identifier: Apache-2.0 */
/* From a source to the raw snapshot: what the code itself says. */
#ifndef KR_APP_COMPILE_H
#define KR_APP_COMPILE_H

#include "app/app.h"

struct kr_compile {
    const char *source; /* pkg.module.attr, or libfoo.so[:symbol] relative to the source root */
    const char *root;
    const char *python;      /* --python, or NULL */
    const json_t *config;    /* YAML file as JSON, or NULL */
    const char *config_file; /* its name, for messages */
    void (*meanwhile)(void); /* what to do while the code is read, or NULL */
};

/* *snapshot, *python (NULL for native pipelines) are the caller's. A traceback of the user's code
 * goes to the ui's log lines; the error has the one line. */
int kr_compile(struct kr_app *app, const struct kr_compile *what, json_t **snapshot, char **python,
               struct kr_err *err) KR_MUST_USE;

/* Whether the source names a shared library; *file (may be NULL) gets the path without the
 * symbol. */
bool kr_source_is_native(const char *source, char **file);

#endif
