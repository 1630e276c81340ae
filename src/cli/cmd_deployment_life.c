/* SPDX-License-Identifier: Apache-2.0 */
/* The life of deployments: provision, rollback, deprovision, delete. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "app/deployment.h"
#include "base/alloc.h"
#include "cli/cmds.h"
#include "cli/deployed.h"
#include "cli/opt_rows.h"
#include "cli/view.h"

struct life_args {
    const char *name, *snapshot, *pipeline, *output;
    json_t *allow_secrets, *names;
    int64_t timeout, max_count;
    bool overtake, all, mine, ignore_errors, yes, force, factory;
};

#define AT(field) offsetof(struct life_args, field)

static int run_provision(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct life_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    cli->yes = args->yes;
    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_deployment_provision(cli->app, args->name, args->snapshot, args->pipeline,
                                args->allow_secrets, args->overtake,
                                kr_deployed_seconds(args->timeout), &row, err) < 0)
        return -(int)err->code;
    return kr_deployed_show(cli, format, row, err);
}

static int run_rollback(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct life_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    cli->yes = args->yes;
    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    if (kr_ask(cli, err, "Bring '%s' back to its previous snapshot?", args->name) < 0)
        return -(int)err->code;
    if (kr_deployment_rollback(cli->app, args->name, args->allow_secrets,
                               kr_deployed_seconds(args->timeout), &row, err) < 0)
        return -(int)err->code;
    return kr_deployed_show(cli, format, row, err);
}

static int run_restart(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct life_args *args = data;
    kr_auto_json json_t *row = NULL;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0 ||
        kr_deployment_restart(cli->app, args->name, args->factory,
                              kr_deployed_seconds(args->timeout), &row, err) < 0)
        return -(int)err->code;
    return kr_deployed_show(cli, format, row, err);
}

/* The name under which records of this user are kept. */
static const char *own_name(char room[4096])
{
    struct passwd pw, *found = NULL;

    if (getpwuid_r(geteuid(), &pw, room, 4096, &found) != 0 || found == NULL)
        (void)snprintf(room, 4096, "uid-%ld", (long)geteuid());
    return found != NULL ? found->pw_name : room;
}

/* The deployments of these names, each once; all of them are known before anything is done. */
static int choose_named(struct kr_cli *cli, const json_t *names, json_t **rows, struct kr_err *err)
{
    kr_auto_json json_t *chosen = json_array(), *seen = json_object();
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        kr_auto_json json_t *row = NULL;
        const char *id;

        if (kr_store_find(cli->app->store, KR_DEPLOYMENT, json_string_value(name), NULL, &row,
                          err) < 0)
            return -(int)err->code;
        id = kr_json_str(row, "id", "");
        if (json_object_get(seen, id) != NULL)
            continue;
        kr_json_set_bool(seen, id, true);
        (void)json_array_append(chosen, row);
    }
    *rows = kr_steal(&chosen);
    return 0;
}

/* The deployments a command is about: the named ones, all, or this user's. *rows is the caller's.
 */
static int choose(struct kr_cli *cli, const struct life_args *args, json_t **rows,
                  struct kr_err *err)
{
    struct kr_query query = {.sort_by = "asc:name", .page = 1, .size = args->max_count};
    kr_auto_json json_t *scope = NULL, *page = NULL;
    char room[4096];
    int64_t total, left;

    if (args->names != NULL) {
        if (args->all || args->mine)
            return kr_fail(err, KR_E_USAGE, "give either a name or --all or --mine");
        return choose_named(cli, args->names, rows, err);
    }
    if (!args->all && !args->mine)
        return kr_fail(err, KR_E_USAGE, "name a deployment, or give --all or --mine");
    if (args->mine) {
        scope = json_object();
        kr_json_set_str(scope, "user", own_name(room));
    }
    if (kr_store_list(cli->app->store, KR_DEPLOYMENT, &query, scope, &page, err) < 0)
        return -(int)err->code;
    total = kr_json_int(json_object_get(page, "pagination"), "total", 0);
    if (total == 0)
        return kr_fail(err, KR_E_NOT_FOUND, "there are no deployments%s",
                       args->mine ? " of yours" : "");
    left = args->max_count > 0 ? total - args->max_count : 0;
    if (left > 0)
        kr_say(cli, KR_NOTE_WARN,
               "only the first %lld of %lld are taken, %lld are left; --max-count takes more",
               (long long)args->max_count, (long long)total, (long long)left);
    *rows = json_incref(json_object_get(page, "items"));
    return 0;
}

/* Lists what is going to happen and asks. */
static int ask_for(struct kr_cli *cli, const char *verb, const json_t *rows, struct kr_err *err)
{
    const json_t *row;
    char room[4096];
    const char *me = own_name(room);
    size_t i;

    cli->yes = cli->yes || json_array_size(rows) == 0;
    if (json_array_size(rows) == 1) {
        row = json_array_get(rows, 0);
        if (!cli->yes && strcmp(kr_json_str(row, "user", me), me) != 0)
            kr_say(cli, KR_NOTE_WARN, "it belongs to %s", kr_json_str(row, "user", ""));
        return kr_ask(cli, err, "%s the deployment '%s'?", verb, kr_json_str(row, "name", ""));
    }
    json_array_foreach(rows, i, row)
    {
        const char *user = kr_json_str(row, "user", me);

        kr_say(cli, KR_NOTE_INFO, "  %s%s%s", kr_json_str(row, "name", ""),
               strcmp(user, me) != 0 ? ", which belongs to " : "",
               strcmp(user, me) != 0 ? user : "");
    }
    return kr_ask(cli, err, "%s these %zu deployments?", verb, json_array_size(rows));
}

struct bulk {
    const char *verb, *did;
    bool remove;
};

static int do_one(struct kr_cli *cli, const struct bulk *bulk, const struct life_args *args,
                  const json_t *row, struct kr_err *err)
{
    const char *id = kr_json_str(row, "id", ""), *name = kr_json_str(row, "name", "");
    int seconds = kr_deployed_seconds(args->timeout);
    int rc = bulk->remove ? kr_deployment_delete(cli->app, id, args->force, seconds, err)
                          : kr_deployment_deprovision(cli->app, id, seconds, err);

    if (rc < 0)
        return rc;
    kr_say(cli, KR_NOTE_SUCCESS, "%s the deployment '%s'", bulk->did, name);
    return 0;
}

static int run_bulk(struct kr_cli *cli, const struct bulk *bulk, const struct life_args *args,
                    struct kr_err *err)
{
    kr_auto_json json_t *rows = NULL;
    const json_t *row;
    size_t i, failed = 0;

    cli->yes = args->yes;
    if (choose(cli, args, &rows, err) < 0 || ask_for(cli, bulk->verb, rows, err) < 0)
        return -(int)err->code;
    json_array_foreach(rows, i, row)
    {
        if (do_one(cli, bulk, args, row, err) == 0)
            continue;
        if (json_array_size(rows) == 1 || kr_view_interrupted())
            return -(int)err->code;
        failed++;
        kr_say(cli, KR_NOTE_WARN, "'%s': %s", kr_json_str(row, "name", ""), err->msg);
        if (err->hint[0] != '\0')
            kr_say(cli, KR_NOTE_INFO, "  %s", err->hint);
        kr_err_clear(err);
    }
    if (failed > 0 && !args->ignore_errors) {
        (void)kr_fail(err, KR_E_CONFLICT, "%zu of %zu deployments are left", failed,
                      json_array_size(rows));
        return kr_hint(err, "the reasons stand above; the same command tries them again");
    }
    if (!bulk->remove)
        kr_say(cli, KR_NOTE_INFO,
               "'%s deployment provision NAME' brings it back, '%s deployment "
               "delete NAME' forgets it",
               cli->prog, cli->prog);
    return 0;
}

static int run_deprovision(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    static const struct bulk bulk = {.verb = "Deprovision", .did = "Deprovisioned"};

    return run_bulk(cli, &bulk, data, err);
}

static int run_delete(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    static const struct bulk bulk = {.verb = "Delete", .did = "Deleted", .remove = true};

    return run_bulk(cli, &bulk, data, err);
}

#define BULK_OPTS                                                                                  \
    {.name = "all",                                                                                \
     .brief = "a",                                                                                 \
     .type = KR_OPT_FLAG,                                                                          \
     .help = "All deployments",                                                                    \
     .offset = AT(all)},                                                                           \
        {.name = "mine",                                                                           \
         .brief = "m",                                                                             \
         .type = KR_OPT_FLAG,                                                                      \
         .help = "All deployments of this user",                                                   \
         .offset = AT(mine)},                                                                      \
        {.name = "ignore-errors",                                                                  \
         .brief = "i",                                                                             \
         .type = KR_OPT_FLAG,                                                                      \
         .help = "Exit with 0 also when some could not be handled",                                \
         .offset = AT(ignore_errors)},                                                             \
        KR_ROW_YES(AT(yes)),                                                                       \
        {.name = "max-count",                                                                      \
         .brief = "c",                                                                             \
         .type = KR_OPT_INT,                                                                       \
         .min = 1,                                                                                 \
         .help = "Most deployments to take with --all or --mine; all without it",                  \
         .offset = AT(max_count)},                                                                 \
        KR_ROW_TIMEOUT(AT(timeout), "How long to wait")

static const struct kr_opt provision_opts[] = {
    {.name = "snapshot",
     .brief = "s",
     .type = KR_OPT_STR,
     .metavar = "NAME",
     .complete = KR_COMPLETE_SNAPSHOT,
     .help = "Snapshot to run; the recorded one without it",
     .offset = AT(snapshot)},
    KR_ROW_PIPELINE(AT(pipeline)),
    KR_ROW_OVERTAKE(AT(overtake), "Do it"),
    KR_ROW_ALLOW_SECRET(AT(allow_secrets)),
    KR_ROW_TIMEOUT(AT(timeout), "How long to wait"),
    KR_ROW_YES(AT(yes)),
    KR_ROW_LONG_OUTPUT(AT(output)),
    {0},
};
static const struct kr_opt restart_opts[] = {
    {.name = "factory",
     .type = KR_OPT_FLAG,
     .help = "Build what it runs anew first, without the layer cache (Spaces)",
     .offset = AT(factory)},
    KR_ROW_TIMEOUT(AT(timeout), "How long to wait"),
    KR_OPT_OUTPUT_ROW(struct life_args, output),
    {0},
};
static const struct kr_opt rollback_opts[] = {
    KR_ROW_ALLOW_SECRET(AT(allow_secrets)),
    KR_ROW_TIMEOUT(AT(timeout), "How long to wait"),
    KR_ROW_YES(AT(yes)),
    KR_OPT_OUTPUT_ROW(struct life_args, output),
    {0},
};
static const struct kr_opt deprovision_opts[] = {BULK_OPTS, {0}};
static const struct kr_opt delete_opts[] = {
    BULK_OPTS,
    {.name = "force",
     .brief = "f",
     .type = KR_OPT_FLAG,
     .help = "Forget the record even if deprovisioning fails",
     .offset = AT(force)},
    {0},
};

static const struct kr_arg name_args[] = {KR_ARG_DEPLOYMENT(AT(name), false), {0}};
static const struct kr_arg many_args[] = {{.name = "NAME",
                                           .help = "Names, ids or unique prefixes of deployments",
                                           .optional = true,
                                           .many = true,
                                           .complete = KR_COMPLETE_DEPLOYMENT,
                                           .offset = AT(names)},
                                          {0}};

#define LIFE(verb, sentence)                                                                       \
    .path = "deployment " verb, .help = sentence, .needs = KR_NEEDS_STORE,                         \
    .size = sizeof(struct life_args)

static const struct kr_cmd rows[] = {
    {LIFE("provision", "Bring a deployment to life again, or another snapshot of it"),
     .opts = provision_opts, .args = name_args, KR_EXAMPLES("deployment provision my_deployment"),
     .run = run_provision},
    {LIFE("restart", "Restart a deployment as it is"), .opts = restart_opts, .args = name_args,
     KR_EXAMPLES("deployment restart my_deployment"), .run = run_restart},
    {LIFE("rollback", "Go back to the previous snapshot"), .opts = rollback_opts, .args = name_args,
     KR_EXAMPLES("deployment rollback my_deployment --yes"), .run = run_rollback},
    {LIFE("deprovision", "Stop deployments; provision brings them back"), .opts = deprovision_opts,
     .args = many_args,
     KR_EXAMPLES("deployment deprovision my_deployment --yes", "deployment deprovision --mine -y"),
     .run = run_deprovision},
    {LIFE("delete", "Stop deployments and forget them"), .opts = delete_opts, .args = many_args,
     KR_EXAMPLES("deployment delete my_deployment --yes"), .run = run_delete},
};

const struct kr_cmds kr_cmds_deployment_life = KR_CMDS(rows);
