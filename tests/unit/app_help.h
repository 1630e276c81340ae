/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of app share: an app in a scratch folder whose notes are kept. */
#ifndef KR_TESTS_APP_HELP_H
#define KR_TESTS_APP_HELP_H

#include "app/app.h"
#include "base/buf.h"
#include "store_help.h"

struct place {
    char dir[40];
    char home[60]; /* KOUROU_HOME, not there at first */
    struct kr_buf notes;
    struct kr_app *app;
};

static inline void keep_note(void *data, enum kr_note kind, const char *text)
{
    struct place *p = data;

    kr_buf_addf(&p->notes, "%c %s\n", "isw"[kind], text);
}

static inline void open_app(struct place *p)
{
    struct kr_ui ui = {.data = p, .note = keep_note};
    struct kr_err err = KR_ERR_INIT;

    OK(kr_app_open("kourou", &ui, &p->app, &err));
}

static inline int place_up(void **state)
{
    struct place *p = kr_calloc(1, sizeof(*p));

    kr_buf_init(&p->notes, 1 << 16);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/kr-app-XXXXXX");
    if (mkdtemp(p->dir) == NULL || chdir(p->dir) < 0)
        return -1;
    (void)snprintf(p->home, sizeof(p->home), "%s/home", p->dir);
    (void)setenv("KOUROU_HOME", p->home, 1);
    (void)unsetenv("KOUROU_STORE_URL");
    (void)unsetenv("KOUROU_ENCRYPTION_KEY");
    open_app(p);
    *state = p;
    return 0;
}

static inline int place_down(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;

    kr_app_close(p->app);
    kr_buf_finish(&p->notes);
    if (chdir("/") < 0 || kr_remove_tree(p->dir, &err) < 0)
        return -1;
    free(p);
    return 0;
}

#define PLACE(test) cmocka_unit_test_setup_teardown(test, place_up, place_down)

/* Text of a canonical value; the string lives until the next call. */
static inline const char *canonical(const json_t *value)
{
    static char text[2000];
    kr_auto_free char *made = kr_json_canonical(value);

    (void)snprintf(text, sizeof(text), "%s", made);
    return text;
}

#endif
