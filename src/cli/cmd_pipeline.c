/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline deploy, list, delete; runs; builds. */
#include <string.h>

#include "app/deploy.h"
#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/deployed.h"
#include "cli/listing.h"
#include "cli/opt_rows.h"
#include "cli/view.h"

struct deploy_args {
    const char *source, *name, *config, *stack, *build, *build_mode, *python, *output;
    json_t *allow_secrets;
    int64_t timeout;
    bool prevent_build_reuse, update, overtake, attach, dry_run, adopt, rehearse, add_missing, yes;
};

struct ref_args {
    const char *ref;
    bool yes;
};

#define AT(field) offsetof(struct deploy_args, field)

static void warn_about_root(struct kr_cli *cli)
{
    if (!cli->app->initialised)
        kr_say(cli, KR_NOTE_INFO,
               "The current folder is taken as the source root; '%s init' settles that", cli->prog);
}

static int run_deploy(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct deploy_args *args = data;
    struct kr_deploy_request request = {.source = args->source,
                                        .name = args->name,
                                        .config_file = args->config,
                                        .stack = args->stack,
                                        .python = args->python,
                                        .build = args->build,
                                        .build_mode = args->build_mode,
                                        .allow_secrets = args->allow_secrets,
                                        .timeout_s = kr_deployed_seconds(args->timeout),
                                        .update = args->update,
                                        .overtake = args->overtake,
                                        .prevent_build_reuse = args->prevent_build_reuse,
                                        .dry_run = args->dry_run,
                                        .adopt = args->adopt,
                                        .add_missing = args->add_missing,
                                        .rehearse = args->rehearse};
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    cli->yes = args->yes;
    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    warn_about_root(cli);
    if (kr_deploy(cli->app, &request, &row, err) < 0)
        return -(int)err->code;
    if (args->dry_run) {
        kr_deployed_plan(cli, format, row);
        return 0;
    }
    if (kr_deployed_show(cli, format, row, err) < 0)
        return -(int)err->code;
    if (!args->attach)
        return 0;
    return kr_deployed_logs(cli, kr_json_str(row, "id", args->name), true, false, 100, err);
}

static int run_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct ref_args *args = data;
    kr_auto_json json_t *row = NULL;
    const char *name;

    cli->yes = args->yes;
    if (kr_store_find(cli->app->store, KR_PIPELINE, args->ref, NULL, &row, err) < 0)
        return -(int)err->code;
    name = kr_json_str(row, "name", args->ref);
    if (kr_ask(cli, err, "Delete the pipeline '%s' with its snapshots and the records of its runs?",
               name) < 0)
        return -(int)err->code;
    if (kr_pipeline_delete(cli->app, kr_json_str(row, "id", args->ref), err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Deleted the pipeline '%s'", name);
    return 0;
}

static int run_build_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct ref_args *args = data;
    kr_auto_json json_t *row = NULL;
    const char *id;

    cli->yes = args->yes;
    if (kr_store_find(cli->app->store, KR_BUILD, args->ref, NULL, &row, err) < 0)
        return -(int)err->code;
    id = kr_json_str(row, "id", args->ref);
    if (kr_ask(cli, err, "Delete the record of the build '%s'?", id) < 0)
        return -(int)err->code;
    if (kr_store_delete(cli->app->store, KR_BUILD, id, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Deleted the record of the build '%s'", id);
    return 0;
}

static const char *const build_modes[] = {"source", "image", NULL};

static const struct kr_opt deploy_opts[] = {
    {.name = "name",
     .brief = "n",
     .type = KR_OPT_STR,
     .complete = KR_COMPLETE_DEPLOYMENT,
     .help = "Name of the deployment; the pipeline's without it",
     .offset = AT(name)},
    KR_ROW_CONFIG(AT(config)),
    KR_ROW_STACK(AT(stack), "Stack for this deployment"),
    {.name = "build",
     .brief = "b",
     .type = KR_OPT_STR,
     .metavar = "ID|FILE",
     .complete = KR_COMPLETE_BUILD,
     .help = "A build to use instead of making one",
     .offset = AT(build)},
    {.name = "build-mode",
     .type = KR_OPT_ENUM,
     .choices = build_modes,
     .help = "Whether the other side builds from source or gets an image",
     .offset = AT(build_mode)},
    {.name = "prevent-build-reuse",
     .type = KR_OPT_FLAG,
     .help = "Build even if nothing changed",
     .offset = AT(prevent_build_reuse)},
    KR_ROW_UPDATE(AT(update)),
    KR_ROW_OVERTAKE(AT(overtake), "Update it"),
    {.name = "attach",
     .brief = "a",
     .type = KR_OPT_FLAG,
     .help = "Follow the log once the deployment runs",
     .offset = AT(attach)},
    KR_ROW_TIMEOUT(AT(timeout), "How long to wait until it runs"),
    {.name = "dry-run",
     .type = KR_OPT_FLAG,
     .help = "Show what would be done and sent, do nothing",
     .offset = AT(dry_run)},
    {.name = "adopt",
     .type = KR_OPT_FLAG,
     .help = "Take over a Space of that name that Kourou did not make",
     .offset = AT(adopt)},
    {.name = "rehearse",
     .type = KR_OPT_FLAG,
     .help = "Before a Space is touched, build and run with Docker here what it would run",
     .offset = AT(rehearse)},
    KR_ROW_ALLOW_SECRET(AT(allow_secrets)),
    {.name = "add-missing",
     .type = KR_OPT_FLAG,
     .help = "Write packages that the code imports and the requirements lack to their list",
     .offset = AT(add_missing)},
    KR_ROW_PYTHON(AT(python)),
    KR_ROW_YES(AT(yes)),
    KR_ROW_LONG_OUTPUT(AT(output)),
    {0},
};
static const struct kr_arg deploy_args[] = {
    {.name = "SOURCE",
     .help = "The pipeline: package.module.name below the source root, or a shared library "
             "lib/libfoo.so[:symbol]",
     .offset = AT(source)},
    {0},
};

static const struct kr_opt yes_opts[] = {
    KR_ROW_YES(offsetof(struct ref_args, yes)),
    {0},
};
static const struct kr_arg pipeline_args[] = {
    {.name = "NAME",
     .help = "Name, id or unique prefix of the pipeline",
     .complete = KR_COMPLETE_PIPELINE,
     .offset = offsetof(struct ref_args, ref)},
    {0},
};
static const struct kr_arg build_args[] = {
    {.name = "ID",
     .help = "Id or unique prefix of the build",
     .complete = KR_COMPLETE_BUILD,
     .offset = offsetof(struct ref_args, ref)},
    {0},
};

static const struct kr_listing pipelines = {.entity = KR_PIPELINE,
                                            .columns = "id,name,source,user,created",
                                            .table = "name,source,created,id",
                                            .plural = "pipelines"};
static const struct kr_listing runs = {
    .entity = KR_RUN,
    .columns = "id,name,pipeline,deployment,status,started,duration",
    .table = "name,status,pipeline,deployment,started,id",
    .plural = "runs"};
static const struct kr_listing builds = {.entity = KR_BUILD,
                                         .columns = "id,pipeline,snapshot,kind,image,created",
                                         .table = "pipeline,kind,image,created,id",
                                         .plural = "builds"};

#define LIST(words, sentence, of)                                                                  \
    .path = words, .help = sentence, .needs = KR_NEEDS_STORE, .size = sizeof(struct kr_list_args), \
    .run = kr_list_run, .list = &(of)
#define REF(words, sentence)                                                                       \
    .path = words, .help = sentence, .needs = KR_NEEDS_STORE, .size = sizeof(struct ref_args),     \
    .opts = yes_opts

static const struct kr_cmd rows[] = {
    {.path = "pipeline deploy",
     .help = "Deploy a pipeline as an HTTP service",
     .more = "The pipeline is compiled into a snapshot first. Deploying an equal snapshot again "
             "changes nothing. After a failure or Ctrl-C the same command goes on.",
     .opts = deploy_opts,
     .args = deploy_args,
     .needs = KR_NEEDS_STORE,
     .size = sizeof(struct deploy_args),
     KR_EXAMPLES("pipeline deploy --name my_deployment my_module.my_pipeline --update",
                 "pipeline deploy my_module.my_pipeline --dry-run --output json"),
     .run = run_deploy},
    {LIST("pipeline list", "List pipelines", pipelines), KR_EXAMPLES("pipeline list")},
    {REF("pipeline delete", "Delete a pipeline with its snapshots and records of runs"),
     .args = pipeline_args, KR_EXAMPLES("pipeline delete old_pipeline --yes"), .run = run_delete},
    {LIST("pipeline runs list", "List runs that this store knows", runs),
     KR_EXAMPLES("pipeline runs list --status=failed")},
    {LIST("pipeline builds list", "List builds", builds), KR_EXAMPLES("pipeline builds list")},
    {REF("pipeline builds delete", "Delete the record of a build"), .args = build_args,
     KR_EXAMPLES("pipeline builds delete 4f9c2a10 --yes"), .run = run_build_delete},
};

const struct kr_cmds kr_cmds_pipeline = KR_CMDS(rows);
