/* SPDX-License-Identifier: Apache-2.0 */
/* init, status, version. */
#include <string.h>

#include "app/app.h"
#include "base/alloc.h"
#include "base/path.h"
#include "cli/cmds.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/panel.h"

struct init_args {
    const char *path;
};

struct output_args {
    const char *output;
};

static int run_init(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct init_args *args = data;
    const char *dir = args->path != NULL ? args->path : ".";
    kr_auto_free char *shown = NULL;

    if (!kr_path_is_dir(dir))
        return kr_fail(err, KR_E_USAGE, "--path: there is no folder '%s'", dir);
    if (kr_app_init(cli->app, dir, err) < 0)
        return -(int)err->code;
    shown = realpath(dir, NULL);
    kr_say(cli, KR_NOTE_SUCCESS, "'%s' is a source root now: pipelines are named from here",
           shown != NULL ? shown : dir);
    return 0;
}

static int run_status(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct output_args *args = data;
    kr_auto_json json_t *status = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 || kr_app_status(cli->app, &status, err) < 0)
        return -(int)err->code;
    if (format != KR_TABLE) {
        kr_out_row(cli, format, status);
        return 0;
    }
    return kr_panel_object(cli, NULL, status, err);
}

static int run_version(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct output_args *args = data;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    if (format == KR_TABLE) {
        kr_auto_free char *line = kr_asprintf("%s %s\n", cli->prog, KR_VERSION);
        kr_out_text(cli, line);
    } else {
        kr_auto_json json_t *row = json_object();

        kr_json_set_str(row, "name", "kourou");
        kr_json_set_str(row, "version", KR_VERSION);
        kr_out_row(cli, format, row);
    }
    return 0;
}

static const struct kr_opt init_opts[] = {
    {.name = "path",
     .type = KR_OPT_STR,
     .metavar = "DIR",
     .complete = KR_COMPLETE_DIR,
     .help = "Folder to mark; the current one without it",
     .offset = offsetof(struct init_args, path)},
    KR_ROW_REFUSED("template", NULL, "templates (the folder examples of the source has pipelines)"),
    {0},
};

static const struct kr_opt output_opts[] = {
    KR_OPT_OUTPUT_ROW(struct output_args, output),
    {0},
};

static const char *const init_examples[] = {"init", NULL};
static const char *const status_examples[] = {"status", "status --output json", NULL};
static const char *const version_examples[] = {"version", NULL};

static const struct kr_cmd rows[] = {
    {.path = "init",
     .help = "Mark a folder as the source root of pipelines",
     .more =
         "Sources such as my_module.my_pipeline are looked up from the source root: the nearest "
         "marked folder above the current one, else the current one.",
     .opts = init_opts,
     .needs = KR_NEEDS_STORE,
     .examples = init_examples,
     .size = sizeof(struct init_args),
     .run = run_init},
    {.path = "status",
     .help = "Show the active stack, the source root and the places of all data",
     .opts = output_opts,
     .needs = KR_NEEDS_STORE,
     .examples = status_examples,
     .size = sizeof(struct output_args),
     .run = run_status},
    {.path = "version",
     .help = "Show the version",
     .opts = output_opts,
     .examples = version_examples,
     .size = sizeof(struct output_args),
     .run = run_version},
};

const struct kr_cmds kr_cmds_general = KR_CMDS(rows);
