/* SPDX-License-Identifier: Apache-2.0 */
/* Which Python runs the user's code: one order for every command (docs/pipelines-python.md). */
#ifndef KR_APP_PYTHON_FIND_H
#define KR_APP_PYTHON_FIND_H

#include "app/app.h"

/* In the order in which they are looked for. */
enum kr_python_kind {
    KR_PYTHON_GIVEN,   /* --python */
    KR_PYTHON_ACTIVE,  /* VIRTUAL_ENV */
    KR_PYTHON_CONDA,   /* CONDA_PREFIX, but for the environment `base` */
    KR_PYTHON_PROJECT, /* UV_PROJECT_ENVIRONMENT, .venv, venv of the source root or above */
    KR_PYTHON_POETRY,  /* what Poetry or Pipenv keeps for the project elsewhere */
    KR_PYTHON_BASE,    /* conda's `base`, when it is active */
    KR_PYTHON_PATH,    /* python3 on $PATH */
};

struct kr_python {
    char *path; /* absolute; symbolic links stay: their place tells Python its environment */
    char *why;  /* "the active virtual environment (VIRTUAL_ENV)" */
    enum kr_python_kind kind;
};
void kr_python_finish(struct kr_python *python);
#define kr_auto_python kr_auto(kr_python_finish)

/* wanted: what --python says (an interpreter or an environment's folder), or NULL. */
int kr_python_find(struct kr_app *app, const char *wanted, struct kr_python *out,
                   struct kr_err *err) KR_MUST_USE;

/* The hint that another environment nearby has the module ("sklearn", "google.cloud") and --python
 * could name it. Looks at files only. False: there is none, and nothing was said. */
bool kr_python_hint_nearby(struct kr_app *app, const struct kr_python *used, const char *module,
                           struct kr_err *err);

/* The hint of an error that another Python might not have: which one was used, why, and where the
 * module (NULL: none in particular) is, or how to name another one. Gives -err->code. */
int kr_python_hint(struct kr_app *app, const struct kr_python *used, const char *module,
                   struct kr_err *err);

#endif
