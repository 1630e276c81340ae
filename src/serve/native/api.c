/* SPDX-License-Identifier: Apache-2.0 */
/* What steps can ask for: inputs, outputs, memory. Positions out of range abort: that is a mistake
 * in the pipeline's code, and the front answers for a worker that aborts. */
#include "serve/native/native.h"

#include "base/alloc.h"
#include "serve/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_FIRST 65536
#define ALIGNMENT   16

struct kr_block {
    struct kr_block *next;
    _Alignas(ALIGNMENT) char bytes[];
};

void *kr_work_alloc(struct kr_work *work, size_t size)
{
    size_t need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct kr_block *block;

    if (size > (size_t)-1 / 2)
        abort();
    if (work->arena == NULL)
        work->arena = aligned_alloc(ALIGNMENT, ARENA_FIRST);
    if (work->arena != NULL && need <= ARENA_FIRST - work->arena_n) {
        work->arena_n += need;
        return work->arena + work->arena_n - need;
    }
    block = kr_malloc(sizeof(*block) + need);
    block->next = work->blocks;
    work->blocks = block;
    return block->bytes;
}

void kr_work_reset(struct kr_work *work)
{
    while (work->blocks != NULL) {
        struct kr_block *block = work->blocks;

        work->blocks = block->next;
        free(block);
    }
    work->arena_n = 0;
    work->message[0] = '\0';
    work->wrong = false;
    work->run.data = NULL;
    for (size_t i = 0; i < work->native->outputs; i++)
        kr_buf_reset(&work->output[i]);
}

void kr_work_init(struct kr_work *work, struct kr_native *native)
{
    memset(work, 0, sizeof(*work));
    work->native = native;
    work->run.api = &kr_native_api;
    work->run.state = native->state;
    kr_buf_init(&work->answer, 1u << 30);
    for (size_t i = 0; i < native->outputs; i++)
        kr_buf_init(&work->output[i], 1u << 29);
}

void kr_work_finish(struct kr_work *work)
{
    kr_work_reset(work);
    free(work->arena);
    kr_buf_finish(&work->answer);
    for (size_t i = 0; i < work->native->outputs; i++)
        kr_buf_finish(&work->output[i]);
}

static struct kr_work *work_of(struct kr_run *run)
{
    return (struct kr_work *)run;
}

static struct kr_view input_of(struct kr_run *run, size_t input)
{
    struct kr_work *work = work_of(run);

    if (input >= work->native->inputs)
        abort();
    return work->raw[input];
}

static struct kr_buf *output_of(struct kr_run *run, size_t output)
{
    struct kr_work *work = work_of(run);

    if (output >= work->native->outputs)
        abort();
    kr_buf_reset(&work->output[output]);
    return &work->output[output];
}

static struct kr_text get_text(struct kr_run *run, size_t input)
{
    struct kr_view raw = input_of(run, input);
    char *text;

    if (work_of(run)->native->pipeline->inputs[input].type != KR_TYPE_STRING)
        return (struct kr_text){.p = raw.p, .n = raw.n};
    text = kr_work_alloc(work_of(run), raw.n);
    return (struct kr_text){.p = text, .n = kr_value_text(raw, text)};
}

static int64_t get_integer(struct kr_run *run, size_t input)
{
    struct kr_view raw = input_of(run, input);
    int64_t value = 0;

    if (raw.n > 0 && raw.p[0] == 't')
        return 1;
    return kr_value_integer(raw, &value) ? value : 0;
}

static double get_number(struct kr_run *run, size_t input)
{
    return kr_value_number(input_of(run, input));
}

static struct kr_numbers get_numbers(struct kr_run *run, size_t input)
{
    struct kr_view raw = input_of(run, input), item;
    double *values = kr_work_alloc(work_of(run), (raw.n / 2 + 1) * sizeof(double));
    enum kr_value_kind kind;
    struct kr_reader r;
    bool first = true;
    size_t n = 0;

    kr_reader_init(&r, raw);
    (void)kr_open(&r, '[');
    while (kr_next_item(&r, &first, &kind, &item))
        values[n++] = kr_value_number(item);
    return (struct kr_numbers){.p = values, .n = n};
}

static void put_text(struct kr_run *run, size_t output, const char *text, size_t n)
{
    kr_write_text(output_of(run, output), text, n);
}

static void put_integer(struct kr_run *run, size_t output, int64_t value)
{
    kr_write_integer(output_of(run, output), value);
}

/* JSON has no NaN and no infinity. */
static void add_number(struct kr_run *run, size_t output, double value, struct kr_buf *out)
{
    struct kr_work *work = work_of(run);

    kr_write_number(out, value);
    if (isfinite(value) || work->wrong)
        return;
    work->wrong = true;
    (void)snprintf(work->message, sizeof(work->message), "output '%s' is %s, which JSON cannot say",
                   work->native->pipeline->outputs[output].name,
                   isnan(value) ? "not a number" : "infinite");
}

static void put_number(struct kr_run *run, size_t output, double value)
{
    add_number(run, output, value, output_of(run, output));
}

static void put_numbers(struct kr_run *run, size_t output, const double *values, size_t n)
{
    struct kr_buf *out = output_of(run, output);

    kr_buf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            kr_buf_addc(out, ',');
        add_number(run, output, values[i], out);
    }
    kr_buf_addc(out, ']');
}

static void put_json(struct kr_run *run, size_t output, const char *json, size_t n)
{
    kr_buf_add(output_of(run, output), json, n);
}

static void *alloc(struct kr_run *run, size_t size)
{
    return kr_work_alloc(work_of(run), size);
}

static int fail(struct kr_run *run, const char *message)
{
    if (work_of(run)->wrong)
        return -1; /* that is what was wrong first */
    (void)snprintf(work_of(run)->message, sizeof(work_of(run)->message), "%s", message);
    return -1;
}

static bool emit(struct kr_run *run, const char *json, size_t n)
{
    struct kr_work *work = work_of(run);

    return work->emit == NULL || work->emit(work->emit_data, "user_message", json, n);
}

const struct kr_run_api kr_native_api = {
    .text = get_text,
    .integer = get_integer,
    .number = get_number,
    .numbers = get_numbers,
    .put_text = put_text,
    .put_integer = put_integer,
    .put_number = put_number,
    .put_numbers = put_numbers,
    .put_json = put_json,
    .alloc = alloc,
    .fail_run = fail,
    .emit = emit,
};
