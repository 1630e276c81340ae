/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments: the parameters of an invocation, checked and in the order of the pipeline, in a form
 * that a Python worker reads in one step (docs/worker-protocol.md). A worker that wants them says
 * so when it is ready; it can when every parameter is a text, a number or a truth value. */
#ifndef KR_SERVE_ARGUMENTS_H
#define KR_SERVE_ARGUMENTS_H

#include "base/buf.h"
#include "base/json.h"
#include "base/view.h"
#include "serve/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define KR_ARGUMENTS_MAX      64 /* parameters; pipelines with more read bodies themselves */
#define KR_ARGUMENTS_BODY_MAX (16u * 1024) /* longer bodies go to the worker as they are */

struct kr_argument;

/* What the workers said. All zero: nothing yet. */
struct kr_arguments {
    uint32_t edition; /* another one for other parameters; 0: workers want bodies as they are */
    uint32_t editions;
    json_t *said;
    struct kr_argument *list;
    size_t n;
    char *run_prefix; /* what comes before the run id in a run's name, as JSON without quotes */
};

/* Takes over what a READY frame says, which may be NULL. Anything not understood counts as nothing
 * said. */
void kr_arguments_learn(struct kr_arguments *a, const json_t *ready);
void kr_arguments_finish(struct kr_arguments *a);

/* Puts the arguments of an invocation's body into `out`, which is emptied before: the tuple for the
 * worker, and from *tail_at on what the answer says of this run: the members run_name and
 * parameters_used of its metadata, with all defaults. False: the body needs the worker's own
 * reader, be it wrong, or right in a way that only the worker knows. */
bool kr_arguments_read(const struct kr_arguments *a, struct kr_view body,
                       const char run_id[KR_RUN_ID_LEN + 1], struct kr_buf *out, size_t *tail_at);

#endif
