/* SPDX-License-Identifier: Apache-2.0 */
/* Every end of a Space, with every answer that its log can have: one line with stage and reason,
 * and what cures it. */
#include "fake_hub.h"

#include "deployers/huggingface.h"

#define RUNTIME "GET /api/spaces/alice/demo/runtime"
#define EVENT(text)                                                                                \
    "data: {\"data\":\"" text "\\n\",\"timestamp\":\"2026-08-20T10:00:00.001Z\"}\n\n"

enum log_kind { NO_LOG, BUILD_LOG, RUN_LOG };

struct stage_row {
    const char *stage, *error; /* error NULL: the Hub says nothing */
    enum log_kind log;
    const char *reason; /* without a readable log */
    const char *cure;
};

static const struct stage_row stages[] = {
    {"BUILD_ERROR", "Job failed with exit code: 1. Reason: cache miss: [1/9] COPY x", BUILD_LOG,
     "Job failed with exit code: 1", "deployment logs my_deployment --build"},
    {"BUILD_ERROR", NULL, BUILD_LOG, "the Hub gives no reason", "logs my_deployment --build"},
    {"CONFIG_ERROR", "Missing configuration in README", NO_LOG, "Missing configuration in README",
     "look at http://hub/spaces/alice/demo"},
    {"CONFIG_ERROR", "Collision on variables and secrets names", NO_LOG, "Collision on variables",
     "delete one of the two"},
    {"CONFIG_ERROR", NULL, NO_LOG, "the Hub gives no reason", "look at http://hub/spaces"},
    {"RUNTIME_ERROR", "Exit code: 137. Reason: OOMKilled\nmore", RUN_LOG,
     "Exit code: 137. Reason: OOMKilled", "deployment logs my_deployment`"},
    {"RUNTIME_ERROR", "Launch timed out, workload was not healthy after 30 min", RUN_LOG,
     "Launch timed out", "deployment logs my_deployment`"},
    {"RUNTIME_ERROR", NULL, RUN_LOG, "the Hub gives no reason", "deployment logs my_deployment`"},
    {"RUNTIME_ERROR", "Scheduling failure: unable to schedule", RUN_LOG,
     "Scheduling failure: unable to schedule", "space_hardware"},
    {"RUNTIME_ERROR", "Scheduling failure: not enough hardware capacity", RUN_LOG,
     "not enough hardware capacity", "space_hardware"},
    {"SCHEDULING_ERROR", "Scheduling failure: unable to schedule", RUN_LOG,
     "Scheduling failure: unable to schedule", "look at http://hub/spaces/alice/demo"},
    {"QUARANTINED", "this Space was set aside", RUN_LOG, "this Space was set aside",
     "look at http://hub/spaces/alice/demo"},
    {"DELETING", NULL, NO_LOG, "it is being deleted on the Hub", "deploy it again"},
};

struct log_row {
    const char *name;
    struct fake_answer answer; /* expect is filled in */
    size_t times;              /* it is asked for */
    const char *says;          /* of the log: part of the message; NULL: the line of the log */
};

static const struct log_row logs[] = {
    {"200", {NULL, 200, NULL, EVENT("one") EVENT("ERROR: the cause")}, 1, NULL},
    {"403", {NULL, 403, NULL, "{\"error\":\"no logs for you\"}"}, 1, "no logs for you"},
    {"404", {NULL, 404, NULL, "{\"error\":\"Repository not found\"}"}, 1, "Repository not found"},
    {"503", {NULL, 503, "Content-Type: text/html", "<html><title>busy</title>"}, 3, "busy"},
    {"cut", {NULL, 200, NULL, "", KR_HTTP_LOST}, 3, "cut by the script"},
    {"no answer", {NULL, 0, NULL, "", KR_HTTP_UNSENT}, 3, "cut by the script"},
    {"none", {NULL, 200, NULL, ""}, 1, ""},
};

static void on_step(void *data, const char *step, const char *text, int64_t done, int64_t total,
                    bool bytes, bool finished)
{
    (void)data, (void)step, (void)text, (void)done, (void)total, (void)bytes, (void)finished;
}

static void on_note(void *data, bool warning, const char *text)
{
    (void)data, (void)warning, (void)text;
}

static void on_line(void *data, const char *source, const char *line)
{
    (void)data, (void)source, (void)line;
}

static const struct kr_deployer_env env = {
    .step = on_step, .note = on_note, .log_line = on_line, .prog = "kourou"};

/* Waits over a script; *err is what came of it. */
static void wait_over(const struct fake_answer *script, size_t n, bool created, int64_t patience_ms,
                      struct kr_err *err)
{
    static char id[] = "alice/demo";
    struct kr_deployment what = {.id = "d1", .name = "my_deployment"};
    struct kr_space_want want = {.id = id, .app_port = 7860};
    struct kr_deployment_status status = {0};
    struct fake_hub fake;
    struct kr_hf hf = {.env = &env, .what = &what};
    struct kr_hf_goal goal = {.want = &want,
                              .commit = "0123456789012345678901234567890123456789",
                              .new_commit = true,
                              .expects_move = true,
                              .created = created};

    hf.hub = fake_hub_open(&fake, script, n, "hf_secret_token_1");
    goal.deadline_ms = fake.http.now + patience_ms;
    assert_true(kr_hf_wait(&hf, &goal, &status, err) < 0);
    kr_deployment_status_finish(&status);
    fake_hub_close(&fake);
}

static char *runtime_of(const char *stage, const char *error)
{
    kr_auto_json json_t *doc =
        json_pack("{s:s,s:{},s:[{s:s}]}", "stage", stage, "hardware", "domains", "domain", "app");

    if (error != NULL)
        kr_json_set_str(doc, "errorMessage", error);
    return kr_json_canonical(doc);
}

static void check(const struct stage_row *s, const struct log_row *l)
{
    kr_auto_free char *runtime = runtime_of(s->stage, s->error);
    struct fake_answer script[8] = {{RUNTIME, 200, NULL, runtime}};
    struct kr_err err = KR_ERR_INIT;
    const char *text = s->reason;
    size_t n = 1;

    for (size_t i = 0; s->log != NO_LOG && i < l->times; i++) {
        const char *tail = i == 0 ? "?tail=20" : "";
        static char paths[8][64];

        script[n] = l->answer;
        (void)snprintf(paths[n], sizeof(paths[n]), "GET /logs/%s%s",
                       s->log == BUILD_LOG ? "build" : "run", tail);
        script[n].expect = paths[n];
        n++;
    }
    wait_over(script, n, true, 3600000, &err);
    if (s->log != NO_LOG && l->says == NULL && strstr(s->reason, "cheduling") == NULL &&
        strstr(s->reason, "hardware capacity") == NULL)
        text = "ERROR: the cause";
    if (err.code != KR_E_REMOTE || strstr(err.msg, s->stage) == NULL ||
        strstr(err.msg, text) == NULL || strstr(err.hint, s->cure) == NULL ||
        strchr(err.msg, '\n') != NULL || strstr(err.msg, "cache miss") != NULL)
        fail_msg("%s, log %s: %s (%s)", s->stage, l->name, err.msg, err.hint);
    if (s->log != NO_LOG && l->says != NULL && l->says[0] != '\0' &&
        (strstr(err.msg, "log could not be read") == NULL || strstr(err.msg, l->says) == NULL))
        fail_msg("%s, log %s: it is not said that it could not be read: %s", s->stage, l->name,
                 err.msg);
}

static void test_every_end_with_every_log(void **state)
{
    (void)state;
    for (size_t s = 0; s < KR_ARRAY_LEN(stages); s++) {
        for (size_t l = 0; l < KR_ARRAY_LEN(logs); l++)
            check(&stages[s], &logs[l]);
    }
}

/* Stages that may yet change: at the end of one's patience they are named, with what to do. */
static void test_patience_ends(void **state)
{
    static const struct {
        const char *stage;
        bool visited;
    } rows[] = {{"NO_APP_FILE", false}, {"BUILDING", false}, {"APP_STARTING", false},
                {"SLEEPING", true},     {"STOPPED", true},   {"SOMETHING_NEW", false}};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_free char *runtime = runtime_of(rows[i].stage, NULL);
        struct fake_answer script[] = {
            {RUNTIME, 200, NULL, runtime},
            {"GET http://app/.kourou/health", 503, NULL, "{\"status\":\"starting\"}"},
            {"GET /logs/build", 404, NULL, "{}"}};
        struct kr_err err = KR_ERR_INIT;
        bool building = strcmp(rows[i].stage, "BUILDING") == 0;
        bool starting = strcmp(rows[i].stage, "APP_STARTING") == 0;

        if (building || starting)
            script[1] = (struct fake_answer){building ? "GET /logs/build" : "GET /logs/run", 404,
                                             NULL, "{}"};
        wait_over(script, rows[i].visited || building || starting ? 2 : 1, true, 0, &err);
        if (err.code != KR_E_TIMEOUT || strstr(err.msg, rows[i].stage) == NULL ||
            strstr(err.hint, "run the same command again") == NULL)
            fail_msg("%s: %s (%s)", rows[i].stage, err.msg, err.hint);
    }
}

static void test_paused_and_not_to_be_started(void **state)
{
    kr_auto_free char *runtime = runtime_of("PAUSED", NULL);
    const struct fake_answer script[] = {
        {RUNTIME, 200, NULL, runtime},
        {"POST /restart", 403, NULL, "{\"error\":\"You've reached your cpu-basic quota limit\"}"}};
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    wait_over(script, 2, false, 3600000, &err);
    assert_int_equal(err.code, KR_E_PLAN);
    assert_non_null(strstr(err.msg, "PAUSED"));
    assert_non_null(strstr(err.msg, "started at http://hub/spaces/alice/demo"));
    assert_non_null(strstr(err.msg, "deployment provision my_deployment"));
    assert_non_null(strstr(err.msg, "quota limit"));
    assert_non_null(strstr(err.hint, "pause or delete other Spaces"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_end_with_every_log),
        cmocka_unit_test(test_patience_ends),
        cmocka_unit_test(test_paused_and_not_to_be_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
