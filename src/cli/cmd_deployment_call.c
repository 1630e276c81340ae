/* SPDX-License-Identifier: Apache-2.0 */
/* Talking to a deployment: invoke, logs. */
#include <string.h>

#include "app/deployment.h"
#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/deployed.h"
#include "cli/opt_rows.h"
#include "cli/view.h"

struct call_args {
    const char *name;
    json_t *parameters;
    int64_t timeout, tail;
    bool follow, build;
};

#define AT(field) offsetof(struct call_args, field)

/* The answer goes to stdout either way; a failed pipeline is a failed command. */
static int run_invoke(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct call_args *args = data;
    kr_auto_json json_t *none = json_object(), *answer = NULL;
    const json_t *parameters = args->parameters != NULL ? args->parameters : none;
    const char *why;
    bool ok = false;

    if (kr_deployment_invoke(cli->app, args->name, parameters, kr_deployed_seconds(args->timeout),
                             &answer, &ok, err) < 0)
        return -(int)err->code;
    kr_out_value(cli, KR_JSON, answer);
    if (ok)
        return 0;
    why = kr_json_str(answer, "error", NULL);
    if (why != NULL && why[0] != '\0')
        (void)kr_fail(err, KR_E_REMOTE, "%.*s", (int)strcspn(why, "\n"), why);
    else
        (void)kr_fail(err, KR_E_REMOTE, "the pipeline failed");
    return kr_hint(err, "'%s deployment logs %s' shows more", cli->prog, args->name);
}

static int run_logs(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct call_args *args = data;

    return kr_deployed_logs(cli, args->name, args->follow, args->build, args->tail, err);
}

static const struct kr_opt invoke_opts[] = {
    {.name = "timeout",
     .brief = "t",
     .type = KR_OPT_INT,
     .min = 1,
     .dflt = "300",
     .metavar = "SECONDS",
     .help = "How long to wait for the answer",
     .offset = AT(timeout)},
    {0},
};
static const struct kr_opt logs_opts[] = {
    {.name = "follow",
     .brief = "f",
     .type = KR_OPT_FLAG,
     .help = "Go on with new lines until Ctrl-C",
     .offset = AT(follow)},
    {.name = "tail",
     .brief = "t",
     .type = KR_OPT_INT,
     .min = -1,
     .dflt = "-1",
     .metavar = "LINES",
     .help = "Only the last lines; -1: all",
     .offset = AT(tail)},
    {.name = "build",
     .brief = "b",
     .type = KR_OPT_FLAG,
     .help = "The log of the build, where the deployer has one",
     .offset = AT(build)},
    {0},
};
static const struct kr_arg name_args[] = {
    KR_ARG_DEPLOYMENT(AT(name), false),
    {0},
};

#define CALL(verb, sentence)                                                                       \
    .path = "deployment " verb, .help = sentence, .needs = KR_NEEDS_STORE,                         \
    .size = sizeof(struct call_args), .args = name_args

static const struct kr_cmd rows[] = {
    {CALL("invoke", "Call a deployment and print the answer"), .opts = invoke_opts,
     .more = "Values are typed by the pipeline's input schema. A parameter that has the name of an "
             "option of this command goes behind `--`.",
     .free_rule = KR_FREE_ATTRIBUTES, .free_offset = AT(parameters),
     .free_help = "A parameter of the pipeline; objects and lists as JSON, @FILE reads a file, - "
                  "standard input",
     KR_EXAMPLES("deployment invoke my_deployment --name=Ada"), .run = run_invoke},
    {CALL("logs", "Print the log of a deployment"), .opts = logs_opts,
     KR_EXAMPLES("deployment logs my_deployment --tail 20"), .run = run_logs},
};

const struct kr_cmds kr_cmds_deployment_call = KR_CMDS(rows);
