/* SPDX-License-Identifier: Apache-2.0 */
/* Integrations: sets of Python packages, and what is part of Kourou itself. */
#ifndef KR_APP_INTEGRATION_H
#define KR_APP_INTEGRATION_H

#include "app/python_find.h"

/* One row of kr_integrations, or KR_E_NOT_FOUND with the nearest name. */
int kr_integration_row(const char *name, json_t **row, struct kr_err *err) KR_MUST_USE;

/* All as rows {"integration","built_in","required_packages":[...]}. Caller's. */
json_t *kr_integrations_all(void) KR_MUST_USE;

/* The Python that packages go into. */
struct kr_pip_target {
    struct kr_python python;
    bool environment; /* virtual or conda's: what is changed there concerns one project */
    bool managed;     /* the operating system's, which keeps others out (PEP 668) */
    bool has_pip;
    json_t *packages; /* {"name": true} */
};
void kr_pip_target_finish(struct kr_pip_target *target);
#define kr_auto_pip_target kr_auto(kr_pip_target_finish)

/* wanted: --python, or NULL for the usual choice. */
int kr_pip_target(struct kr_app *app, const char *wanted, struct kr_pip_target *out,
                  struct kr_err *err) KR_MUST_USE;

/* Adds "installed" to each row: built in, or all its packages are there. target NULL: only what is
 * built in counts. */
void kr_integrations_look(const struct kr_pip_target *target, json_t *rows);

enum kr_pip { KR_PIP_INSTALL, KR_PIP_UNINSTALL, KR_PIP_UPGRADE };

struct kr_pip_how {
    enum kr_pip what;
    bool uv;           /* else pip; uv too where the environment has no pip */
    bool break_system; /* into the operating system's Python all the same */
};

/* Before anybody is asked: a Python that keeps others out is KR_E_INVALID. */
int kr_pip_check(struct kr_app *app, const struct kr_pip_target *target,
                 const struct kr_pip_how *how, struct kr_err *err) KR_MUST_USE;

/* Runs pip or uv for the packages; what it says goes to the ui's log lines (source "pip"). */
int kr_pip_run(struct kr_app *app, const struct kr_pip_target *target, const struct kr_pip_how *how,
               const json_t *packages, struct kr_err *err) KR_MUST_USE;

#endif
