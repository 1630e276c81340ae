/* SPDX-License-Identifier: Apache-2.0 */
/* kourou-native: a worker that runs a pipeline from a shared library. */
#ifndef KR_SERVE_NATIVE_NATIVE_H
#define KR_SERVE_NATIVE_NATIVE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/view.h"

#include <kourou/pipeline.h>

#define KR_NATIVE_FIELDS_MAX 64

struct kr_native {
    const struct kr_pipeline *pipeline;
    void *library;
    void *state;
    size_t inputs, outputs, steps;
    struct kr_buf meta; /* the constant part of the metadata */
};

/* Memory and results of one run; a thread keeps it and uses it again. */
struct kr_work {
    struct kr_run run;
    struct kr_native *native;
    struct kr_view raw[KR_NATIVE_FIELDS_MAX];   /* inputs as JSON text */
    struct kr_buf output[KR_NATIVE_FIELDS_MAX]; /* outputs as JSON text */
    struct kr_buf answer;
    char *arena; /* first block */
    size_t arena_n;
    struct kr_block *blocks; /* further ones */
    char message[512];
    bool wrong; /* an output is none: the run has failed, whatever the step says */
    int step;   /* that runs, for messages */
    bool (*emit)(void *data, const char *event, const char *json, size_t n);
    void *emit_data;
};

/* "libfoo.so:symbol" or "libfoo.so" below root. */
int kr_native_load(struct kr_native *native, const char *root, const char *source,
                   struct kr_err *err) KR_MUST_USE;
void kr_native_unload(struct kr_native *native);

/* describe.c: what a snapshot is made of, as JSON. */
void kr_native_describe(const struct kr_native *native, const char *source, struct kr_buf *out);
void kr_native_schema(const struct kr_field *fields, bool input, struct kr_buf *out);

void kr_work_init(struct kr_work *work, struct kr_native *native);
void kr_work_finish(struct kr_work *work);

/* One invocation. Returns the HTTP status; the body is in work->answer; *ok: the run succeeded. */
int kr_native_invoke(struct kr_work *work, struct kr_view body, const char *run_id, bool *ok);
int kr_native_batch(struct kr_work *work, struct kr_view body, const char *run_id, bool *ok);

/* api.c: the table that steps call. */
extern const struct kr_run_api kr_native_api;
void *kr_work_alloc(struct kr_work *work, size_t size);
void kr_work_reset(struct kr_work *work);

/* loop.c */
struct kr_native_options {
    int fd, wake_r, wake_w, mark, threads;
};

/* This process is the worker from now on: a child that the pipeline's code forks never becomes a
 * second one. kr_native_end_child() ends such a child when that code has returned in it. */
void kr_native_is_worker(const struct kr_native_options *options);
bool kr_native_in_child(void);
void kr_native_end_child(void);

int kr_native_loop(struct kr_native *native, const struct kr_native_options *options);
void kr_native_send(int fd, uint8_t type, uint8_t flags, uint16_t status, uint32_t id,
                    const char *payload, size_t n);

#endif
