/* SPDX-License-Identifier: Apache-2.0 */
/* Use cases: what commands do, without argv and without printing. A use case takes the context and
 * values and gives JSON rows back; all talk with the user goes through struct kr_ui. */
#ifndef KR_APP_APP_H
#define KR_APP_APP_H

#include "base/json.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

enum kr_note { KR_NOTE_INFO, KR_NOTE_SUCCESS, KR_NOTE_WARN };

/* A step of long work. Printed as a live line on a terminal, as plain lines otherwise. */
struct kr_progress {
    const char *step;    /* "upload", "build", "start", ... stable words */
    const char *text;    /* "Uploading 3 files" */
    int64_t done, total; /* bytes or items; total 0: not known */
    bool bytes;          /* done and total are bytes */
    bool finished;       /* the step is over */
};

struct kr_ui {
    void *data;
    void (*note)(void *data, enum kr_note kind, const char *text);
    void (*progress)(void *data, const struct kr_progress *p);
    void (*log_line)(void *data, const char *source, const char *line); /* live build/run output */
    bool (*confirm)(void *data, const char *question); /* false when declined or not a terminal */
    bool (*cancelled)(void *data);                     /* Ctrl-C was pressed */
};

struct kr_app {
    struct kr_store *store;
    struct kr_ui ui;
    const char *prog; /* "kourou" or "zenml": what messages call us */
    char *config_dir;
    char *data_dir;
    char *source_root; /* folder of `init` above the current one, else the current one */
    bool initialised;  /* source_root was found by `init` */
    char *runtime_dir; /* where kourou-serve, kourou-native and python/ are found */
};

/* Opens places and store and makes the default stack when the store is new. */
int kr_app_open(const char *prog, const struct kr_ui *ui, struct kr_app **out,
                struct kr_err *err) KR_MUST_USE;
void kr_app_close(struct kr_app *app);

/* Safe fronts of the ui callbacks (NULL-safe, formatted, redacted). */
void kr_note(struct kr_app *app, enum kr_note kind, const char *fmt, ...) KR_PRINTF(3, 4);
bool kr_confirm(struct kr_app *app, const char *fmt, ...) KR_PRINTF(2, 3);

/* Any entity's list; deployments come with their live state (kr_deployments_list in
 * deployment.h). */
int kr_app_list(struct kr_app *app, enum kr_entity entity, const struct kr_query *query,
                const json_t *scope, json_t **page, struct kr_err *err) KR_MUST_USE;

/* `init`: marks dir as source root. A second time is KR_E_EXISTS. */
int kr_app_init(struct kr_app *app, const char *dir, struct kr_err *err) KR_MUST_USE;

/* What `status` shows. */
int kr_app_status(struct kr_app *app, json_t **out, struct kr_err *err) KR_MUST_USE;

#endif
