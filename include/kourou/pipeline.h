/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines written in C.
 *
 * A pipeline is a shared library that exports one `struct kr_pipeline` named kourou_pipeline (or
 * another name, given as libfoo.so:name). `kourou-native` loads it, checks every request against
 * the declared inputs, runs the steps in order and writes the declared outputs. It needs nothing to
 * link with: the library calls back through a table. docs/pipelines-c.md is the guide,
 * examples/native a complete pipeline. */
#ifndef KOUROU_PIPELINE_H
#define KOUROU_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KR_PIPELINE_ABI 1

enum kr_type {
    KR_TYPE_STRING,  /* text, UTF-8 */
    KR_TYPE_INTEGER, /* 64 bits, signed */
    KR_TYPE_NUMBER,
    KR_TYPE_BOOLEAN,
    KR_TYPE_NUMBERS, /* a list of numbers */
    KR_TYPE_JSON     /* any JSON value, as text */
};

/* One input or output. Inputs are read, outputs are written by their position in the table. */
struct kr_field {
    const char *name; /* NULL ends a table */
    enum kr_type type;
    const char *description; /* may be NULL */
    const char *dflt;        /* inputs: JSON text, NULL means that it must be given */
    double minimum,
        maximum;        /* of numbers and of the items of a list; used when minimum < maximum */
    size_t least, most; /* characters of a text, items of a list; used when most is not 0 */
};

struct kr_run;

struct kr_step {
    const char *name;               /* NULL ends a table */
    int (*run)(struct kr_run *run); /* 0, or what kr_fail_run() returns */
    const char *description;
};

struct kr_pipeline {
    uint32_t abi; /* KR_PIPELINE_ABI */
    const char *name;
    const char *description;
    const struct kr_field *inputs;
    const struct kr_field *outputs;
    const struct kr_step *steps;
    /* Once per worker process, before the first request. *state is then given to every run. A
     * message in `error` (at most `size` bytes) and a result other than 0 stop the worker. May be
     * NULL. */
    int (*on_init)(const char *root, void **state, char *error, size_t size);
    void (*on_cleanup)(void *state); /* may be NULL */
    bool concurrent;                 /* steps may run in several threads at a time */
    bool streams;                    /* steps call kr_emit() */
};

struct kr_text {
    const char *p; /* not NUL-terminated */
    size_t n;
};

struct kr_numbers {
    const double *p;
    size_t n;
};

/* What kourou-native offers; used through the functions below. */
struct kr_run_api {
    struct kr_text (*text)(struct kr_run *run, size_t input);
    int64_t (*integer)(struct kr_run *run, size_t input);
    double (*number)(struct kr_run *run, size_t input);
    struct kr_numbers (*numbers)(struct kr_run *run, size_t input);
    void (*put_text)(struct kr_run *run, size_t output, const char *text, size_t n);
    void (*put_integer)(struct kr_run *run, size_t output, int64_t value);
    void (*put_number)(struct kr_run *run, size_t output, double value);
    void (*put_numbers)(struct kr_run *run, size_t output, const double *values, size_t n);
    void (*put_json)(struct kr_run *run, size_t output, const char *json, size_t n);
    void *(*alloc)(struct kr_run *run, size_t size);
    int (*fail_run)(struct kr_run *run, const char *message);
    bool (*emit)(struct kr_run *run, const char *json, size_t n);
};

/* One run. `data` is free for the steps of this run, NULL at its start. */
struct kr_run {
    const struct kr_run_api *api;
    void *state; /* from on_init */
    void *data;
    const char *id;
};

/* Inputs: checked already, so these cannot fail. The memory lives as long as the run. */
static inline struct kr_text kr_text(struct kr_run *run, size_t input)
{
    return run->api->text(run, input); /* also the text of a KR_TYPE_JSON input */
}

static inline int64_t kr_integer(struct kr_run *run, size_t input)
{
    return run->api->integer(run, input);
}

static inline double kr_number(struct kr_run *run, size_t input)
{
    return run->api->number(run, input);
}

static inline bool kr_boolean(struct kr_run *run, size_t input)
{
    return run->api->integer(run, input) != 0;
}

static inline struct kr_numbers kr_numbers(struct kr_run *run, size_t input)
{
    return run->api->numbers(run, input);
}

/* Outputs: copied. One that was not written is null. */
static inline void kr_put_text(struct kr_run *run, size_t output, const char *text, size_t n)
{
    run->api->put_text(run, output, text, n);
}

static inline void kr_put_integer(struct kr_run *run, size_t output, int64_t value)
{
    run->api->put_integer(run, output, value);
}

static inline void kr_put_number(struct kr_run *run, size_t output, double value)
{
    run->api->put_number(run, output, value);
}

static inline void kr_put_boolean(struct kr_run *run, size_t output, bool value)
{
    run->api->put_json(run, output, value ? "true" : "false", value ? 4 : 5);
}

static inline void kr_put_numbers(struct kr_run *run, size_t output, const double *values, size_t n)
{
    run->api->put_numbers(run, output, values, n);
}

static inline void kr_put_json(struct kr_run *run, size_t output, const char *json, size_t n)
{
    run->api->put_json(run, output, json, n);
}

/* Memory that is given back when the run ends; never NULL, aligned for any type. */
static inline void *kr_run_alloc(struct kr_run *run, size_t size)
{
    return run->api->alloc(run, size);
}

/* return kr_fail_run(run, "no such class"); ends the run with success false and this message. */
static inline int kr_fail_run(struct kr_run *run, const char *message)
{
    return run->api->fail_run(run, message);
}

/* Sends a message to the client of a streaming invocation; does nothing in others. False: the
 * client has gone, so the step may stop. */
static inline bool kr_emit(struct kr_run *run, const char *json, size_t n)
{
    return run->api->emit(run, json, n);
}

#ifdef __cplusplus
}
#endif

#endif
