/* SPDX-License-Identifier: Apache-2.0 */
/* Secret values in what is told of failures: what an exception says may hold what the step knew.
 * Outputs and what an endpoint of the pipeline's own answers are the pipeline's to say. */
#ifndef KR_SERVE_MASK_H
#define KR_SERVE_MASK_H

#include "base/buf.h"
#include "base/view.h"
#include "serve/call.h"

/* The text without them; lives in copy. */
struct kr_view kr_mask_text(struct kr_view text, struct kr_buf *copy);

/* Masks an answer about a failure, and in the answer of a batch what is said of items that failed;
 * in its memory file, or in copy. False: the file cannot be changed, so that nothing of it may be
 * shown. */
bool kr_mask_answer(bool batch, struct kr_answer *a, struct kr_buf *copy);

/* A part of a stream: masked when it tells of a failure. */
struct kr_view kr_mask_event(struct kr_view bytes, struct kr_buf *copy);

#endif
