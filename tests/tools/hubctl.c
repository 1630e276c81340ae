/* SPDX-License-Identifier: Apache-2.0 */
/* The Hub client's operations, one per call, for tests that drive faults from outside:
 *
 *     hubctl COMMAND [ARGUMENTS] [<input]
 *
 * The answer is one JSON object on stdout (with the number of calls made), an error one on stderr
 * with exit status 1. Waits are a hundred times shorter than in the product. */
#include "hubctl.h"

#include "base/clock.h"
#include "base/env.h"
#include "base/view.h"
#include "hub/logs.h"
#include "hub/vars.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FASTER = 100, INPUT_MAX = 1 << 20, ARGS_MAX = 32 };

int read_input(json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(INPUT_MAX);
    char part[4096];
    size_t n;

    while ((n = fread(part, 1, sizeof(part), stdin)) > 0)
        kr_buf_add(&text, part, n);
    if (text.n == 0)
        kr_buf_adds(&text, "{}");
    return kr_json_parse(kr_buf_str(&text), text.n, "stdin", out, err);
}

static json_t *runtime_json(const struct kr_runtime *rt)
{
    json_t *out = json_object();

    kr_json_set_str(out, "stage", rt->stage_name);
    kr_json_set_str(out, "sha", rt->sha);
    kr_json_set_str(out, "error", rt->error);
    kr_json_set_str(out, "hardware", rt->hardware);
    kr_json_set_str(out, "requested", rt->hardware_requested);
    kr_json_set_str(out, "domain", rt->domain);
    kr_json_set_int(out, "sleep", rt->sleep_s);
    return out;
}

static int give_runtime(int rc, struct kr_runtime *rt, json_t **out)
{
    if (rc == 0)
        *out = runtime_json(rt);
    kr_runtime_finish(rt);
    return rc;
}

static int cmd_whoami(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    const struct kr_account *account;

    if (kr_hub_whoami(hub, &account, err) < 0 ||
        (args[0] != NULL && kr_account_check_write(account, args[0], err) < 0))
        return -(int)err->code;
    *out = json_object();
    kr_json_set_str(*out, "name", account->name);
    kr_json_set_int(*out, "kind", (int64_t)account->kind);
    kr_json_set_int(*out, "orgs", (int64_t)account->org_count);
    kr_json_set_str(*out, "source", kr_hub_token_source(hub));
    return 0;
}

static int cmd_space(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_space struct kr_space space = {0};
    kr_auto_free char *url = NULL;

    if (kr_space_get(hub, args[0], &space, err) < 0)
        return -(int)err->code;
    url = kr_runtime_url(hub, &space.runtime);
    *out = runtime_json(&space.runtime);
    kr_json_set_str(*out, "id", space.id);
    kr_json_set_str(*out, "head", space.sha);
    kr_json_set_str(*out, "sdk", space.sdk);
    kr_json_set_str(*out, "url", url);
    kr_json_set_bool(*out, "moved", space.moved);
    kr_json_set_bool(*out, "private", space.is_private);
    return 0;
}

static int cmd_create(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *input = NULL;
    struct kr_space_new what = {.id = args[0]};
    bool existed;

    if (read_input(&input, err) < 0)
        return -(int)err->code;
    what.visibility = kr_json_str(input, "visibility", "public");
    what.hardware = kr_json_str(input, "hardware", NULL);
    what.sleep_s = kr_json_int(input, "sleep", 0);
    what.secrets = json_object_get(input, "secrets");
    what.variables = json_object_get(input, "variables");
    what.volumes = json_object_get(input, "volumes");
    if (kr_space_create(hub, &what, &existed, err) < 0)
        return -(int)err->code;
    *out = json_object();
    kr_json_set_bool(*out, "existed", existed);
    return 0;
}

static int cmd_delete(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    bool existed;

    if (kr_space_delete(hub, args[0], &existed, err) < 0)
        return -(int)err->code;
    *out = json_object();
    kr_json_set_bool(*out, "existed", existed);
    return 0;
}

static int cmd_visibility(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    (void)out;
    return kr_space_set_visibility(hub, args[0], args[1], err);
}

static int cmd_check_write(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    (void)out;
    return kr_space_check_write(hub, args[0], err);
}

static int cmd_runtime(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime rt = {0};

    return give_runtime(kr_runtime_get(hub, args[0], &rt, err), &rt, out);
}

static int cmd_runtimes(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime_job jobs[ARGS_MAX] = {0};
    json_t *list = json_array();
    size_t n = 0;

    (void)err;
    for (; args[n] != NULL; n++)
        jobs[n].space = args[n];
    kr_runtime_get_many(hub, jobs, n, 2000);
    for (size_t i = 0; i < n; i++) {
        json_t *item = runtime_json(&jobs[i].rt);

        kr_json_set_str(item, "failed", jobs[i].rc < 0 ? jobs[i].err.msg : NULL);
        (void)json_array_append_new(list, item);
        kr_runtime_finish(&jobs[i].rt);
    }
    *out = json_object();
    kr_json_set(*out, "spaces", list);
    return 0;
}

static int cmd_pause(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime rt = {0};

    return give_runtime(kr_space_pause(hub, args[0], &rt, err), &rt, out);
}

static int cmd_restart(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime rt = {0};

    return give_runtime(kr_space_restart(hub, args[0], args[1] != NULL, &rt, err), &rt, out);
}

static int cmd_hardware(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime rt = {0};

    return give_runtime(kr_space_set_hardware(hub, args[0], args[1], 0, &rt, err), &rt, out);
}

static int cmd_dev_mode(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime rt = {0};

    return give_runtime(kr_space_set_dev_mode(hub, args[0], true, &rt, err), &rt, out);
}

static int cmd_sleep(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    struct kr_runtime rt = {0};
    int64_t seconds = 0;

    if (!kr_view_i64(kr_view_of(args[1]), &seconds))
        return kr_fail(err, KR_E_USAGE, "not a number: %s", args[1]);
    return give_runtime(kr_space_set_sleep(hub, args[0], seconds, &rt, err), &rt, out);
}

static int cmd_volumes(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *input = NULL;

    (void)out;
    if (read_input(&input, err) < 0)
        return -(int)err->code;
    return kr_space_set_volumes(hub, args[0], input, err);
}

static int cmd_storage(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    (void)out;
    return kr_space_set_storage(hub, args[0], args[1], err);
}

static int cmd_flavors(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    json_t *list = NULL;

    (void)args;
    if (kr_hardware_list(hub, &list, err) < 0)
        return -(int)err->code;
    *out = json_object();
    kr_json_set(*out, "flavors", list);
    return 0;
}

static enum kr_var_kind kind_of(const char *word)
{
    return strcmp(word, "secret") == 0 ? KR_SECRET : KR_VARIABLE;
}

static int cmd_list_vars(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    return kr_vars_list(hub, args[0], kind_of(args[1]), out, err);
}

static int cmd_set_var(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *input = NULL;

    (void)out;
    if (read_input(&input, err) < 0)
        return -(int)err->code;
    return kr_vars_set(hub, args[0], kind_of(args[1]), args[2], kr_json_str(input, "value", ""),
                       err);
}

static int cmd_delete_var(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    (void)out;
    return kr_vars_delete(hub, args[0], kind_of(args[1]), args[2], err);
}

/* Lists, plans and applies; gives the keys that were sent and the record. */
static int cmd_vars(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *input = NULL, *secrets = NULL, *variables = NULL;
    kr_auto_vars_plan struct kr_vars_plan plan = {0};
    json_t *keys = json_array();

    *out = json_object();
    kr_json_set(*out, "changed", keys);
    if (read_input(&input, err) < 0 || kr_vars_list(hub, args[0], KR_SECRET, &secrets, err) < 0 ||
        kr_vars_list(hub, args[0], KR_VARIABLE, &variables, err) < 0 ||
        kr_vars_plan(json_object_get(input, "secrets"), json_object_get(input, "variables"),
                     secrets, variables, json_object_get(input, "record"), &plan, err) < 0 ||
        kr_vars_apply(hub, args[0], &plan, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < plan.n; i++)
        (void)json_array_append_new(keys, json_string(plan.v[i].key));
    kr_json_set(*out, "record", json_incref(plan.record));
    return 0;
}

static void add_line(void *data, const char *text, const char *when)
{
    (void)when;
    (void)json_array_append_new(data, json_string(text));
    (void)fprintf(stderr, "line %s\n", text); /* tests wait for it */
}

static int cmd_logs(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err)
{
    json_t *lines = json_array();
    struct kr_log_options options = {.space = args[0],
                                     .build = strcmp(args[1], "build") == 0,
                                     .tail = -1,
                                     .idle_ms = 1000,
                                     .line = add_line,
                                     .data = lines};
    int64_t tail;

    for (char **a = args + 2; *a != NULL; a++) {
        options.follow = options.follow || strcmp(*a, "follow") == 0;
        if (kr_view_i64(kr_view_of(*a), &tail))
            options.tail = tail;
    }
    *out = json_object();
    kr_json_set(*out, "lines", lines);
    return kr_hub_logs(hub, &options, err);
}

struct command {
    const char *name;
    int args; /* needed */
    int (*run)(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err);
};

static const struct command commands[] = {
    {"whoami", 0, cmd_whoami},
    {"space", 1, cmd_space},
    {"create", 1, cmd_create},
    {"delete", 1, cmd_delete},
    {"visibility", 2, cmd_visibility},
    {"check-write", 1, cmd_check_write},
    {"runtime", 1, cmd_runtime},
    {"runtimes", 1, cmd_runtimes},
    {"pause", 1, cmd_pause},
    {"restart", 1, cmd_restart},
    {"hardware", 2, cmd_hardware},
    {"sleep", 2, cmd_sleep},
    {"dev-mode", 1, cmd_dev_mode},
    {"volumes", 1, cmd_volumes},
    {"storage", 2, cmd_storage},
    {"flavors", 0, cmd_flavors},
    {"list-vars", 2, cmd_list_vars},
    {"set-var", 3, cmd_set_var},
    {"delete-var", 3, cmd_delete_var},
    {"vars", 1, cmd_vars},
    {"logs", 2, cmd_logs},
    {"tree", 1, cmd_tree},
    {"read", 2, cmd_read},
    {"plan", 3, cmd_plan},
    {"sync", 3, cmd_sync},
    {"readme", 0, cmd_readme},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static bool is_cancelled(void *data)
{
    (void)data;
    return interrupted != 0;
}

static void quick_sleep(void *data, int64_t ms)
{
    (void)data;
    kr_sleep_ms(ms / FASTER + 1);
}

static void print_note(void *data, bool warning, const char *text)
{
    (void)data;
    (void)fprintf(stderr, "%s %s\n", warning ? "warning" : "note", text);
}

static const struct command *find(const char *name, int args)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0 && args >= commands[i].args)
            return &commands[i];
    }
    return NULL;
}

static void print_error(const struct kr_err *err)
{
    kr_auto_json json_t *out = json_object();
    kr_auto_free char *text = NULL;

    kr_json_set_str(out, "code", kr_code_name(err->code));
    kr_json_set_str(out, "message", err->msg);
    kr_json_set_str(out, "hint", err->hint);
    kr_json_set_int(out, "status", err->http_status);
    text = kr_json_canonical(out);
    (void)fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1], argc - 2) : NULL;
    struct kr_hub_options options = {.ui = {.note = print_note, .cancelled = is_cancelled}};
    struct kr_err err = KR_ERR_INIT;
    kr_auto_hub struct kr_hub *hub = NULL;
    kr_auto_json json_t *out = NULL;
    kr_auto_free char *text = NULL;

    if (command == NULL || argc > ARGS_MAX) {
        (void)fprintf(stderr, "usage: hubctl COMMAND [ARGUMENTS]\n");
        return 2;
    }
    (void)signal(SIGINT, on_signal);
    if (kr_hub_open(&options, &hub, &err) < 0) {
        print_error(&err);
        return 1;
    }
    kr_hub_http(hub)->hooks.sleep_ms = quick_sleep;
    if (command->run(hub, argv + 2, &out, &err) < 0) {
        print_error(&err);
        return 1;
    }
    if (out == NULL)
        out = json_object();
    kr_json_set_int(out, "calls", (int64_t)kr_hub_calls(hub));
    text = kr_json_canonical(out);
    (void)printf("%s\n", text);
    return 0;
}
