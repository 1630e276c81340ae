/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app.h"

#include "app/component.h"
#include "app/runs.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/path.h"
#include "base/redact.h"
#include "core/component.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define MARK        ".kourou/config.yaml"
#define OTHER_MARK  ".zen"
#define SERVE       "kourou-serve"
#define DEFAULT_SET "default_stack_made"

static const char mark_text[] = "# This folder is a source root: pipelines are named from here.\n"
                                "version: 1\n";

void kr_note(struct kr_app *app, enum kr_note kind, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 16);
    va_list args;

    if (app->ui.note == NULL)
        return;
    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    if (text.p != NULL)
        kr_redact(text.p, text.n);
    app->ui.note(app->ui.data, kind, kr_buf_str(&text));
}

bool kr_confirm(struct kr_app *app, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 16);
    va_list args;

    if (app->ui.confirm == NULL)
        return false;
    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    if (text.p != NULL)
        kr_redact(text.p, text.n);
    return app->ui.confirm(app->ui.data, kr_buf_str(&text));
}

static bool is_marked(const char *dir)
{
    kr_auto_free char *ours = kr_path_join(dir, MARK), *other = kr_path_join(dir, OTHER_MARK);

    return kr_path_exists(ours) || kr_path_is_dir(other);
}

/* The nearest marked folder above dir (itself included), else dir. */
static char *source_root_of(const char *dir, bool *marked)
{
    kr_auto_free char *at = kr_strdup(dir);
    char *slash;

    *marked = false;
    for (;;) {
        if (is_marked(at)) {
            *marked = true;
            return kr_steal(&at);
        }
        slash = strrchr(at, '/');
        if (slash == NULL || at[1] == '\0')
            return kr_strdup(dir);
        slash[slash == at ? 1 : 0] = '\0';
    }
}

static bool has_serve(const char *dir)
{
    kr_auto_free char *path = kr_path_join(dir, SERVE);

    return access(path, X_OK) == 0;
}

/* Beside the program in a build folder, below lib when installed. */
static char *runtime_dir_of_self(void)
{
    static const char *const below[] = {"", "../lib/kourou", "../libexec/kourou",
                                        "../share/kourou"};
    const char *said = kr_env_get("KOUROU_RUNTIME_DIR");
    kr_auto_free char *self = kr_path_of_self();

    if (said != NULL)
        return kr_path_expand_home(said);
    if (self == NULL)
        return kr_strdup(".");
    for (size_t i = 0; i < KR_ARRAY_LEN(below); i++) {
        kr_auto_free char *dir = kr_path_join(self, below[i]);

        if (has_serve(dir)) {
            char *real = realpath(dir, NULL);

            return real != NULL ? real : kr_steal(&dir);
        }
    }
    return kr_steal(&self);
}

static int make_default(struct kr_app *app, struct kr_err *err)
{
    static const enum kr_component_type types[] = {KR_ORCHESTRATOR, KR_ARTIFACT_STORE, KR_DEPLOYER,
                                                   KR_IMAGE_BUILDER};
    kr_auto_json json_t *components = json_object(), *stack = NULL, *made = NULL;

    for (size_t i = 0; i < KR_ARRAY_LEN(types); i++) {
        const char *type = kr_component_kinds[types[i]].key;
        kr_auto_json json_t *row =
            json_pack("{s:s,s:s,s:s}", "name", "default", "type", type, "flavor", "local");
        kr_auto_json json_t *component = NULL;

        if (kr_store_insert(app->store, KR_COMPONENT, row, &component, err) < 0)
            return -(int)err->code;
        kr_json_set_str(components, type, kr_json_str(component, "id", ""));
    }
    stack = json_pack("{s:s,s:O}", "name", "default", "components", components);
    if (kr_store_insert(app->store, KR_STACK, stack, &made, err) < 0 ||
        kr_store_fact_set(app->store, "active_stack", kr_json_str(made, "id", ""), err) < 0)
        return -(int)err->code;
    return kr_store_fact_set(app->store, DEFAULT_SET, "1", err);
}

/* The default stack stands from the first call on; of many first calls at once one makes it. */
static int need_default(struct kr_app *app, struct kr_err *err)
{
    kr_auto_free char *before = NULL, *now = NULL;

    if (kr_store_fact_get(app->store, DEFAULT_SET, &before, err) < 0)
        return -(int)err->code;
    if (before != NULL)
        return 0;
    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    if (kr_store_fact_get(app->store, DEFAULT_SET, &now, err) < 0 ||
        (now == NULL && make_default(app, err) < 0)) {
        kr_store_rollback(app->store);
        return kr_wrap(err, "default stack");
    }
    return kr_store_commit(app->store, err);
}

static int find_places(struct kr_app *app, struct kr_err *err)
{
    char cwd[PATH_MAX];

    app->config_dir = kr_env_config_dir();
    app->data_dir = kr_env_data_dir();
    app->runtime_dir = runtime_dir_of_self();
    if (getcwd(cwd, sizeof(cwd)) == NULL)
        return kr_fail_errno(err, errno, "the current folder");
    app->source_root = source_root_of(cwd, &app->initialised);
    if (app->config_dir == NULL || app->data_dir == NULL) {
        (void)kr_fail(err, KR_E_PLAN,
                      "there is no folder for records: HOME is not set, and user %d has "
                      "no home",
                      (int)geteuid());
        return kr_hint(err, "set KOUROU_HOME to a folder that can be written");
    }
    if (kr_mkdir_p(app->config_dir, 0700, err) < 0 || kr_mkdir_p(app->data_dir, 0700, err) < 0)
        return kr_hint(err, "set KOUROU_HOME to a folder that can be written");
    return 0;
}

int kr_app_open(const char *prog, const struct kr_ui *ui, struct kr_app **out, struct kr_err *err)
{
    struct kr_app *app = kr_calloc(1, sizeof(*app));

    app->prog = prog;
    if (ui != NULL)
        app->ui = *ui;
    if (find_places(app, err) < 0 ||
        kr_store_open(kr_env_get("KOUROU_STORE_URL"), app->data_dir, app->config_dir, &app->store,
                      err) < 0 ||
        need_default(app, err) < 0) {
        kr_app_close(app);
        return -(int)err->code;
    }
    *out = app;
    return 0;
}

void kr_app_close(struct kr_app *app)
{
    if (app == NULL)
        return;
    kr_store_close(app->store);
    free(app->config_dir);
    free(app->data_dir);
    free(app->source_root);
    free(app->runtime_dir);
    free(app);
}

int kr_app_list(struct kr_app *app, enum kr_entity entity, const struct kr_query *query,
                const json_t *scope, json_t **page, struct kr_err *err)
{
    static const struct kr_query everything = {.page = 1};
    struct kr_query own = query != NULL ? *query : everything;
    json_t *row;
    size_t i;

    if (entity == KR_STACK && own.sort_by == NULL && json_object_size(own.filters) == 0)
        own.sort_by = "desc:active"; /* the active one on top, then the newest */
    if ((entity == KR_RUN && kr_runs_refresh(app, err) < 0) ||
        kr_store_list(app->store, entity, &own, scope, page, err) < 0)
        return -(int)err->code;
    if (entity == KR_COMPONENT) {
        json_array_foreach(json_object_get(*page, "items"), i, row) kr_component_mask(row);
    }
    return 0;
}

int kr_app_init(struct kr_app *app, const char *dir, struct kr_err *err)
{
    kr_auto_free char *real = realpath(dir, NULL), *mark = NULL, *folder = NULL;

    if (real == NULL)
        return kr_fail_errno(err, errno, "folder %s", dir);
    if (is_marked(real)) {
        (void)kr_fail(err, KR_E_EXISTS, "%s is a source root already", real);
        return kr_hint(err, "nothing needs to be done; pipelines are named from there");
    }
    mark = kr_path_join(real, MARK);
    folder = kr_strdup(mark);
    *strrchr(folder, '/') = '\0';
    if (kr_mkdir_p(folder, 0755, err) < 0 ||
        kr_file_write_atomic(mark, mark_text, sizeof(mark_text) - 1, 0644, err) < 0)
        return -(int)err->code;
    free(app->source_root);
    app->source_root = kr_steal(&real);
    app->initialised = true;
    return 0;
}

int kr_app_status(struct kr_app *app, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_pack("{s:b}", "active", 1), *page = NULL, *row = NULL;
    kr_auto_free char *own_path = kr_path_join(app->data_dir, "store.db");
    const char *url = kr_env_get("KOUROU_STORE_URL");

    if (kr_store_list(app->store, KR_STACK, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    row = json_object();
    kr_json_set_str(row, "version", KR_VERSION);
    kr_json_set_str(row, "active_stack",
                    kr_json_str(json_array_get(json_object_get(page, "items"), 0), "name", NULL));
    kr_json_set_str(row, "source_root", app->source_root);
    kr_json_set_bool(row, "initialised", app->initialised);
    kr_json_set_str(row, "store", url != NULL ? url : own_path);
    kr_json_set_str(row, "config_dir", app->config_dir);
    kr_json_set_str(row, "data_dir", app->data_dir);
    kr_json_set_str(row, "runtime_dir", app->runtime_dir);
    *out = kr_steal(&row);
    return 0;
}
