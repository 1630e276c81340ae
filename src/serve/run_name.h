/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a run, the same in its answer, in the journal and in lists. A request may give it;
 * otherwise the worker makes it, and says it in its answer. */
#ifndef KR_SERVE_RUN_NAME_H
#define KR_SERVE_RUN_NAME_H

#include "base/attrs.h"
#include "base/view.h"

struct kr_client;
struct kr_answer;

/* The request's: text of a JSON string as it stands between the quotes, .p NULL for none. */
void kr_run_name_given(struct kr_client *client, struct kr_view text);

/* From an answer, or from the first event of a stream, when the request gave none. */
void kr_run_name_answered(struct kr_client *client, const struct kr_answer *answer);
void kr_run_name_streamed(struct kr_client *client, struct kr_view event);

void kr_run_name_forget(struct kr_client *client);

/* What is known, else as a worker would make it. Caller frees. */
char *kr_run_name(const struct kr_client *client) KR_MUST_USE;

#endif
