/* SPDX-License-Identifier: Apache-2.0 */
/* One invocation: read and check the request, run the steps, write the answer. */
#include "serve/native/native.h"

#include "base/alloc.h"
#include "http/loop.h"
#include "serve/native/check.h"
#include "serve/scan.h"

#include <string.h>

#define IN_BODY       "\"body\""
#define IN_PARAMETERS "\"body\",\"parameters\""
#define BATCH_MAX     100000

struct request {
    struct kr_view parameters, run_name; /* spans; run_name with its quotes, or empty */
};

static const struct kr_view nothing = {.p = "", .n = 0};

static bool key_is(struct kr_view key, const char *name)
{
    size_t n = strlen(name);

    return key.n == n + 2 && memcmp(key.p + 1, name, n) == 0;
}

/* As the Python worker has it: not too long, and without NUL. */
static void check_name(struct kr_view span, struct kr_problems *problems)
{
    kr_auto_free char *text = kr_malloc(span.n);
    size_t n = kr_value_text(span, text), characters = 0;

    for (size_t i = 0; i < n; i++)
        characters += ((unsigned char)text[i] & 0xc0) != 0x80;
    if (characters > KR_RUN_NAME_MAX)
        kr_problem(problems, "string_too_long", IN_BODY, kr_view_of("run_name"),
                   "String should have at most 255 characters", nothing);
    else if (memchr(text, '\0', n) != NULL)
        kr_problem(problems, "string_pattern_mismatch", IN_BODY, kr_view_of("run_name"),
                   "A run's name cannot hold the character NUL", nothing);
}

static bool read_request(struct kr_view body, struct request *out, struct kr_problems *problems)
{
    struct kr_view whole, key, value;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true, found = false;

    *out = (struct request){.parameters = nothing, .run_name = nothing};
    kr_reader_init(&r, body);
    kind = kr_value_take(&r, &whole);
    if (kind == KR_V_BAD || !kr_at_end(&r)) {
        kr_problem(problems, "json_invalid", IN_BODY, nothing, "The body is not valid JSON",
                   nothing);
        return false;
    }
    if (kind != KR_V_OBJECT) {
        kr_problem(problems, "model_type", IN_BODY, nothing, "Input should be an object", whole);
        return false;
    }
    kr_reader_init(&r, whole);
    (void)kr_open(&r, '{');
    while (kr_next_member(&r, &first, &key, &kind, &value)) {
        if (key_is(key, "parameters") && kind == KR_V_OBJECT) {
            out->parameters = value;
            found = true;
        } else if (key_is(key, "parameters")) {
            kr_problem(problems, "model_type", IN_PARAMETERS, nothing, "Input should be an object",
                       value);
            found = true;
        } else if (key_is(key, "run_name") && kind == KR_V_STRING) {
            check_name(value, problems);
            out->run_name = value;
        } else if (key_is(key, "run_name") && kind != KR_V_NULL) {
            kr_problem(problems, "string_type", IN_BODY, kr_view_of("run_name"),
                       "Input should be a valid string", value);
        } else if (key_is(key, "timeout") && kind != KR_V_NULL && kind != KR_V_NUMBER) {
            kr_problem(problems, "float_type", IN_BODY, kr_view_of("timeout"),
                       "Input should be a valid number", value);
        } else if (key_is(key, "skip_artifact_materialization") && kind != KR_V_TRUE &&
                   kind != KR_V_FALSE) {
            kr_problem(problems, "bool_type", IN_BODY, kr_view_of("skip_artifact_materialization"),
                       "Input should be a valid boolean", value);
        }
    }
    if (!found)
        kr_problem(problems, "missing", IN_PARAMETERS, nothing, "Field required", nothing);
    return problems->n == 0;
}

static size_t find_field(const struct kr_native *native, struct kr_view key)
{
    for (size_t i = 0; i < native->inputs; i++) {
        if (key_is(key, native->pipeline->inputs[i].name))
            return i;
    }
    return native->inputs;
}

static bool read_parameters(struct kr_work *work, struct kr_view parameters,
                            struct kr_problems *problems)
{
    const struct kr_native *native = work->native;
    struct kr_view key, value;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true;

    for (size_t i = 0; i < native->inputs; i++)
        work->raw[i] = nothing;
    kr_reader_init(&r, parameters);
    (void)kr_open(&r, '{');
    while (kr_next_member(&r, &first, &key, &kind, &value)) {
        size_t at = find_field(native, key);

        if (at == native->inputs) {
            key.p++;
            key.n -= 2;
            kr_problem(problems, "extra_forbidden", IN_PARAMETERS, key,
                       "Extra inputs are not permitted", value);
        } else {
            (void)kr_check_value(&native->pipeline->inputs[at], kind, value, IN_PARAMETERS,
                                 problems);
            work->raw[at] = value;
        }
    }
    for (size_t i = 0; i < native->inputs; i++) {
        const struct kr_field *field = &native->pipeline->inputs[i];

        if (work->raw[i].n == 0 && field->dflt == NULL)
            kr_problem(problems, "missing", IN_PARAMETERS, kr_view_of(field->name),
                       "Field required", nothing);
        else if (work->raw[i].n == 0)
            work->raw[i] = kr_view_of(field->dflt);
    }
    return problems->n == 0;
}

static bool run_steps(struct kr_work *work)
{
    const struct kr_pipeline *pipeline = work->native->pipeline;

    for (work->step = 0; pipeline->steps[work->step].name != NULL; work->step++) {
        bool failed = pipeline->steps[work->step].run(&work->run) != 0 || work->wrong;

        kr_native_end_child();
        if (failed)
            return false;
    }
    return true;
}

static void write_outputs(struct kr_work *work, struct kr_buf *out)
{
    for (size_t i = 0; i < work->native->outputs; i++) {
        const struct kr_buf *value = &work->output[i];

        kr_buf_addc(out, i == 0 ? '{' : ',');
        kr_write_text(out, work->native->pipeline->outputs[i].name,
                      strlen(work->native->pipeline->outputs[i].name));
        kr_buf_addc(out, ':');
        if (value->n > 0 && !value->failed)
            kr_buf_add(out, value->p, value->n);
        else
            kr_buf_add(out, "null", 4);
    }
    kr_buf_adds(out, work->native->outputs == 0 ? "{}" : "}");
}

static void write_used(struct kr_work *work, struct kr_buf *out)
{
    for (size_t i = 0; i < work->native->inputs; i++) {
        const char *name = work->native->pipeline->inputs[i].name;

        kr_buf_addc(out, i == 0 ? '{' : ',');
        kr_write_text(out, name, strlen(name));
        kr_buf_addc(out, ':');
        kr_buf_add(out, work->raw[i].p, work->raw[i].n);
    }
    kr_buf_adds(out, work->native->inputs == 0 ? "{}" : "}");
}

static void write_seconds(struct kr_buf *out, int64_t us)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%lld.%06lld", (long long)(us / 1000000),
                     (long long)(us % 1000000));

    kr_buf_add(out, text, (size_t)n);
}

static void write_answer(struct kr_work *work, const struct request *request, bool ok, int64_t us)
{
    const struct kr_pipeline *pipeline = work->native->pipeline;
    struct kr_buf *out = &work->answer;

    kr_buf_adds(out, ok ? "{\"success\":true,\"outputs\":" : "{\"success\":false,\"outputs\":null");
    if (ok)
        write_outputs(work, out);
    kr_buf_adds(out, ",\"execution_time\":");
    write_seconds(out, us);
    kr_buf_add(out, work->native->meta.p, work->native->meta.n);
    kr_buf_adds(out, work->run.id);
    kr_buf_adds(out, "\",\"run_name\":");
    if (request->run_name.n > 2) { /* not "" */
        kr_buf_add(out, request->run_name.p, request->run_name.n);
    } else {
        kr_buf_addc(out, '"');
        kr_buf_adds(out, pipeline->name);
        kr_buf_addc(out, '-');
        kr_buf_add(out, work->run.id, 8);
        kr_buf_addc(out, '"');
    }
    kr_buf_adds(out, ",\"parameters_used\":");
    write_used(work, out);
    if (ok) {
        kr_buf_adds(out, "},\"error\":null}");
    } else {
        char text[700];

        (void)snprintf(text, sizeof(text), "Failed to execute pipeline: step '%s': %s",
                       pipeline->steps[work->step].name,
                       work->message[0] != '\0' ? work->message : "failed");
        kr_buf_adds(out, "},\"error\":");
        kr_write_text(out, text, strlen(text));
        kr_buf_addc(out, '}');
    }
}

/* Appends one answer to work->answer. */
static int invoke(struct kr_work *work, struct kr_view body, const char *run_id, bool *ok)
{
    struct kr_buf *out = &work->answer;
    struct kr_problems problems = {.out = out, .n = 0};
    struct request request;
    size_t before = out->n;
    int64_t began = kr_mono_us();

    kr_work_reset(work);
    work->run.id = run_id;
    kr_buf_adds(out, "{\"detail\":[");
    *ok = false;
    if (!read_request(body, &request, &problems) ||
        !read_parameters(work, request.parameters, &problems)) {
        kr_buf_adds(out, "]}");
        return 422;
    }
    out->n = before;
    *ok = run_steps(work);
    write_answer(work, &request, *ok, kr_mono_us() - began);
    return *ok ? 200 : 500;
}

int kr_native_invoke(struct kr_work *work, struct kr_view body, const char *run_id, bool *ok)
{
    kr_buf_reset(&work->answer);
    return invoke(work, body, run_id, ok);
}

/* The list of a batch: the body itself, or its member "items". */
static bool find_items(struct kr_view body, struct kr_view *items)
{
    struct kr_view key, value;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true, found = false;

    kr_reader_init(&r, body);
    kind = kr_value_take(&r, items);
    if (kind == KR_V_BAD || !kr_at_end(&r))
        return false;
    if (kind == KR_V_ARRAY)
        return true;
    kr_reader_init(&r, *items);
    if (kind != KR_V_OBJECT || !kr_open(&r, '{'))
        return false;
    while (kr_next_member(&r, &first, &key, &kind, &value)) {
        if (key_is(key, "items") && kind == KR_V_ARRAY) {
            *items = value;
            found = true;
        }
    }
    return found;
}

int kr_native_batch(struct kr_work *work, struct kr_view body, const char *run_id, bool *ok)
{
    struct kr_buf *out = &work->answer;
    struct kr_view items, item;
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true;
    size_t n = 0;

    kr_buf_reset(out);
    *ok = false;
    if (!find_items(body, &items)) {
        kr_buf_adds(
            out,
            "{\"detail\":[{\"type\":\"list_type\",\"loc\":[\"body\"],\"msg\":\"Input should be a "
            "list of invocations\"}]}");
        return 422;
    }
    kr_buf_addc(out, '[');
    kr_reader_init(&r, items);
    (void)kr_open(&r, '[');
    while (kr_next_item(&r, &first, &kind, &item) && n < BATCH_MAX) {
        char id[64];
        size_t before;
        bool fine;

        if (n > 0)
            kr_buf_addc(out, ',');
        before = out->n;
        (void)snprintf(id, sizeof(id), "%s-%zu", run_id, n);
        if (invoke(work, item, id, &fine) ==
            422) { /* {"detail":...} becomes an item with success false */
            kr_auto_free char *detail = kr_strndup(out->p + before + 1, out->n - before - 1);

            out->n = before;
            kr_buf_adds(
                out, "{\"success\":false,\"outputs\":null,\"execution_time\":0,\"metadata\":null,"
                     "\"error\":\"The request does not fit the input schema\",");
            kr_buf_adds(out, detail);
        }
        n++;
    }
    kr_buf_addc(out, ']');
    *ok = true;
    return 200;
}
