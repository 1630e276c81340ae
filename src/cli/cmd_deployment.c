/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at deployments: list, describe, refresh, diff, open. */
#include "app/deployment.h"

#include <string.h>

#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/deployed.h"
#include "cli/listing.h"
#include "cli/opt_rows.h"
#include "cli/panel.h"
#include "core/state.h"

struct look_args {
    const char *name, *output;
    bool show_secret, show_metadata, show_schema, no_truncate;
};

#define AT(field) offsetof(struct look_args, field)

static void add_owner(json_t *row)
{
    kr_json_set_str(row, "owner", kr_json_str(row, "user", NULL));
}

static int run_describe(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct look_args *args = data;
    struct kr_deployment_panel what = {.show_secret = args->show_secret,
                                       .show_metadata = args->show_metadata,
                                       .show_schema = args->show_schema,
                                       .no_truncate = args->no_truncate};
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_deployment_get(cli->app, args->name, args->show_secret, &row, err) < 0)
        return -(int)err->code;
    cli->reveal = args->show_secret;
    if (format == KR_TABLE)
        return kr_panel_deployment(cli, row, &what, err);
    kr_out_row(cli, format, row);
    return 0;
}

static int run_refresh(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct look_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_deployment_refresh(cli->app, args->name, &row, err) < 0)
        return -(int)err->code;
    return kr_deployed_show(cli, format, row, err);
}

static int run_diff(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct look_args *args = data;
    kr_auto_json json_t *changes = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_deployment_diff(cli->app, args->name, &changes, err) < 0)
        return -(int)err->code;
    kr_deployed_plan(cli, format, changes);
    return 0;
}

static int run_open(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct look_args *args = data;
    kr_auto_json json_t *row = NULL;
    kr_auto_free char *line = NULL;
    const char *address;

    if (kr_deployment_get(cli->app, args->name, false, &row, err) < 0)
        return -(int)err->code;
    address = kr_json_str(row, "page_url", NULL);
    if (address == NULL || address[0] == '\0')
        address = kr_json_str(row, "url", NULL);
    if (address == NULL || address[0] == '\0' ||
        strcmp(kr_json_str(row, "status", ""), kr_state_name(KR_STATE_ABSENT)) == 0)
        return kr_fail(err, KR_E_NOT_FOUND, "the deployment '%s' has no address: it is %s",
                       kr_json_str(row, "name", args->name), kr_json_str(row, "status", "unknown")),
               kr_hint(err, "'%s deployment provision %s' brings it to life", cli->prog,
                       kr_json_str(row, "name", args->name));
    line = kr_asprintf("%s\n", address);
    kr_out_text(cli, line);
    return 0;
}

static const struct kr_opt describe_opts[] = {
    {.name = "show-secret",
     .brief = "s",
     .type = KR_OPT_FLAG,
     .help = "Show the auth key in clear",
     .offset = AT(show_secret)},
    {.name = "show-metadata",
     .brief = "m",
     .type = KR_OPT_FLAG,
     .help = "Show what the deployer keeps about it",
     .offset = AT(show_metadata)},
    {.name = "show-schema",
     .brief = "sc",
     .type = KR_OPT_FLAG,
     .help = "Show the JSON schemas of input and output",
     .offset = AT(show_schema)},
    {.name = "no-truncate",
     .brief = "nt",
     .type = KR_OPT_FLAG,
     .help = "Do not cut long values of the metadata",
     .offset = AT(no_truncate)},
    KR_OPT_OUTPUT_ROW(struct look_args, output),
    {0},
};
static const struct kr_opt output_opts[] = {
    KR_OPT_OUTPUT_ROW(struct look_args, output),
    {0},
};
static const struct kr_arg name_args[] = {
    KR_ARG_DEPLOYMENT(AT(name), false),
    {0},
};

static const struct kr_listing listing = {
    .entity = KR_DEPLOYMENT,
    .columns = "id,name,pipeline,snapshot,status,stack,url,owner",
    .table = "name,status,pipeline,url",
    .extra = "owner,state_note",
    .plural = "deployments",
    .live = true,
    .flatten = add_owner};

#define LOOK(verb, sentence)                                                                       \
    .path = "deployment " verb, .help = sentence, .size = sizeof(struct look_args),                \
    .args = name_args

static const struct kr_cmd rows[] = {
    {.path = "deployment list",
     .help = "List deployments with their live state",
     .needs = KR_NEEDS_STORE,
     .size = sizeof(struct kr_list_args),
     KR_EXAMPLES("deployment list", "deployment list --status=running -c name,url -o csv"),
     .run = kr_list_run,
     .list = &listing},
    {LOOK("describe", "Show state, addresses, how to call it, and its history"),
     .needs = KR_NEEDS_STORE | KR_LOOKS, .opts = describe_opts,
     KR_EXAMPLES("deployment describe my_deployment",
                 "deployment describe my_deployment -sc -o json"),
     .run = run_describe},
    {LOOK("refresh", "Look at the live state, store and show it"),
     .needs = KR_NEEDS_STORE | KR_LOOKS, .opts = output_opts,
     KR_EXAMPLES("deployment refresh my_deployment"), .run = run_refresh},
    {LOOK("diff", "Show what deploying it again would change"), .needs = KR_NEEDS_STORE,
     .opts = output_opts, KR_EXAMPLES("deployment diff my_deployment"), .run = run_diff},
    {LOOK("open", "Print the address of its page"), .needs = KR_NEEDS_STORE | KR_LOOKS,
     KR_EXAMPLES("deployment open my_deployment"), .run = run_open},
};

const struct kr_cmds kr_cmds_deployment = KR_CMDS(rows);
