/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline snapshot create, list, delete, deploy. */
#include <string.h>
#include <unistd.h>

#include "app/deploy.h"
#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/deployed.h"
#include "cli/listing.h"
#include "cli/opt_rows.h"
#include "cli/view.h"

struct snapshot_args {
    const char *ref, *source, *name, *description, *config, *stack, *pipeline, *deployment, *python,
        *output;
    json_t *tags, *allow_secrets;
    int64_t timeout;
    bool replace, update, overtake, yes;
};

#define AT(field) offsetof(struct snapshot_args, field)

static int run_create(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct snapshot_args *args = data;
    struct kr_deploy_request request = {.source = args->source,
                                        .config_file = args->config,
                                        .stack = args->stack,
                                        .python = args->python};
    kr_auto_json json_t *row = NULL;

    if (kr_snapshot_create(cli->app, &request, args->name, args->description, args->replace,
                           args->tags, &row, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Created the snapshot '%s' of the pipeline '%s'", args->name,
           kr_json_str(row, "pipeline", ""));
    kr_say(cli, KR_NOTE_INFO, "'%s pipeline snapshot deploy %s' deploys it", cli->prog, args->name);
    return 0;
}

static int run_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct snapshot_args *args = data;
    kr_auto_json json_t *row = NULL;
    const char *name;

    cli->yes = args->yes;
    if (kr_store_find(cli->app->store, KR_SNAPSHOT, args->ref, NULL, &row, err) < 0)
        return -(int)err->code;
    name = kr_json_str(row, "name", args->ref);
    if (kr_ask(cli, err, "Delete the snapshot '%s'?", name) < 0)
        return -(int)err->code;
    if (kr_snapshot_delete(cli->app, kr_json_str(row, "id", args->ref), err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Deleted the snapshot '%s'", name);
    return 0;
}

static int run_deploy(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct snapshot_args *args = data;
    struct kr_deploy_request request = {.snapshot = args->ref,
                                        .pipeline = args->pipeline,
                                        .name = args->deployment,
                                        .allow_secrets = args->allow_secrets,
                                        .timeout_s = kr_deployed_seconds(args->timeout),
                                        .update = args->update,
                                        .overtake = args->overtake};
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    cli->yes = args->yes;
    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_deploy(cli->app, &request, &row, err) < 0)
        return -(int)err->code;
    return kr_deployed_show(cli, format, row, err);
}

static const struct kr_opt create_opts[] = {
    {.name = "name",
     .brief = "n",
     .type = KR_OPT_STR,
     .required = true,
     .help = "Name of the snapshot",
     .offset = AT(name)},
    {.name = "description",
     .brief = "d",
     .type = KR_OPT_STR,
     .help = "What it is",
     .offset = AT(description)},
    {.name = "replace",
     .brief = "r",
     .type = KR_OPT_FLAG,
     .help = "Take the name from another snapshot",
     .offset = AT(replace)},
    {.name = "tags",
     .alias = "tag",
     .brief = "t",
     .type = KR_OPT_LIST,
     .metavar = "TAG",
     .help = "A tag",
     .offset = AT(tags)},
    KR_ROW_CONFIG(AT(config)),
    KR_ROW_STACK(AT(stack), "Stack to compile for"),
    KR_ROW_PYTHON(AT(python)),
    {0},
};
static const struct kr_opt delete_opts[] = {
    KR_ROW_YES(AT(yes)),
    {0},
};
static const struct kr_opt deploy_opts[] = {
    KR_ROW_PIPELINE(AT(pipeline)),
    {.name = "deployment",
     .brief = "d",
     .type = KR_OPT_STR,
     .metavar = "NAME",
     .complete = KR_COMPLETE_DEPLOYMENT,
     .help = "Deployment to make or update; the pipeline's name "
             "without it",
     .offset = AT(deployment)},
    KR_ROW_UPDATE(AT(update)),
    KR_ROW_OVERTAKE(AT(overtake), "Update it"),
    KR_ROW_ALLOW_SECRET(AT(allow_secrets)),
    KR_ROW_TIMEOUT(AT(timeout), "How long to wait until it runs"),
    KR_ROW_YES(AT(yes)),
    KR_ROW_LONG_OUTPUT(AT(output)),
    {0},
};

static const struct kr_arg source_args[] = {
    {.name = "SOURCE", .help = "The pipeline, as in pipeline deploy", .offset = AT(source)},
    {0},
};
static const struct kr_arg ref_args[] = {
    {.name = "NAME",
     .help = "Name, id or unique prefix of the snapshot",
     .complete = KR_COMPLETE_SNAPSHOT,
     .offset = AT(ref)},
    {0},
};

static const struct kr_listing snapshots = {.entity = KR_SNAPSHOT,
                                            .columns = "id,name,pipeline,stack,tags,user,created",
                                            .table = "name,pipeline,stack,created,id",
                                            .plural = "snapshots"};

#define SNAPSHOT(verb, sentence)                                                                   \
    .path = "pipeline snapshot " verb, .help = sentence, .needs = KR_NEEDS_STORE,                  \
    .size = sizeof(struct snapshot_args)

static const struct kr_cmd rows[] = {
    {SNAPSHOT("create", "Compile a pipeline and keep it under a name"), .opts = create_opts,
     .args = source_args,
     KR_EXAMPLES("pipeline snapshot create my_module.my_pipeline --name first"), .run = run_create},
    {.path = "pipeline snapshot list",
     .help = "List snapshots",
     .needs = KR_NEEDS_STORE,
     .size = sizeof(struct kr_list_args),
     KR_EXAMPLES("pipeline snapshot list --name=contains:kept"),
     .run = kr_list_run,
     .list = &snapshots},
    {SNAPSHOT("deploy", "Deploy a snapshot"), .opts = deploy_opts, .args = ref_args,
     KR_EXAMPLES("pipeline snapshot deploy kept --deployment my_deployment --update"),
     .run = run_deploy},
    {SNAPSHOT("delete", "Delete a snapshot"), .opts = delete_opts, .args = ref_args,
     KR_EXAMPLES("pipeline snapshot delete kept --yes"), .run = run_delete},
};

const struct kr_cmds kr_cmds_snapshot = KR_CMDS(rows);
