/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of image builds, kept below builds/ of the data folder: one for each build, and under the id
 * of each deployment the log of the image that it runs, or was to run. Lines are redacted; one log
 * has at most 1 MiB, and the newest 200 are kept. */
#ifndef KR_APP_BUILD_LOG_H
#define KR_APP_BUILD_LOG_H

#include "app/app.h"
#include "base/buf.h"

struct kr_build_log {
    struct kr_buf text;
    char *step; /* the last one that was written */
    bool cut;   /* lines at the start are gone */
};
void kr_build_log_init(struct kr_build_log *log);
void kr_build_log_finish(struct kr_build_log *log);
#define kr_auto_build_log kr_auto(kr_build_log_finish)

/* NULL-safe. A step is written when it changes. */
void kr_build_log_line(struct kr_build_log *log, const char *line);
void kr_build_log_step(struct kr_build_log *log, const char *text);

/* Stores it for the deployment and for the build (NULL: it failed). What cannot be stored is a
 * note. */
void kr_build_log_keep(struct kr_app *app, struct kr_build_log *log, const char *deployment,
                       const char *build);
/* The deployment runs the image of a build of before; NULL: none that was built here. */
void kr_build_log_use(struct kr_app *app, const char *deployment, const char *build);

/* Shows the last lines (tail -1: all). *shown: there is one. */
int kr_build_log_show(struct kr_app *app, const char *id, int64_t tail,
                      void (*line)(void *data, const char *line), void *data, bool *shown,
                      struct kr_err *err) KR_MUST_USE;

#endif
