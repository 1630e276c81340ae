/* SPDX-License-Identifier: Apache-2.0 */
/* container-registry check: whether it answers, takes the login, and lets strangers pull. */
#include "app/build.h"

#include "cli/checks.h"
#include "cli/cmds.h"
#include "cli/out.h"

struct check_args {
    const char *name, *image, *output;
};

static int run_check(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct check_args *args = data;
    kr_auto_json json_t *rows = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_registry_checks(cli->app, args->name, args->image, &rows, err) < 0)
        return -(int)err->code;
    return kr_checks_output(cli, format, rows, err);
}

static const struct kr_arg args[] = {
    {.name = "NAME",
     .help = "Container registry; that of the active stack without it",
     .optional = true,
     .complete = KR_COMPLETE_COMPONENT,
     .offset = offsetof(struct check_args, name)},
    {0},
};
static const struct kr_opt opts[] = {
    {.name = "image",
     .type = KR_OPT_STR,
     .metavar = "REFERENCE",
     .help = "Image to ask for as a stranger; the one built last for the registry without it",
     .offset = offsetof(struct check_args, image)},
    KR_OPT_OUTPUT_ROW(struct check_args, output),
    {0},
};
static const char *const examples[] = {"container-registry check registry", NULL};

static const struct kr_cmd rows[] = {
    {.path = "container-registry check",
     .help = "Check that a container registry answers and that strangers can pull its images",
     .kind = KR_CONTAINER_REGISTRY,
     .needs = KR_NEEDS_STORE,
     .opts = opts,
     .args = args,
     .examples = examples,
     .size = sizeof(struct check_args),
     .run = run_check},
};

const struct kr_cmds kr_cmds_check = KR_CMDS(rows);
