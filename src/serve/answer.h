/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to invocations that the server puts together itself. */
#ifndef KR_SERVE_ANSWER_H
#define KR_SERVE_ANSWER_H

#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_client;
struct kr_server;

void kr_answer_init(struct kr_server *srv);
void kr_answer_finish(struct kr_server *srv);
/* The answer to a run that gave these outputs (JSON) after so many microseconds; for a call whose
 * arguments were read. Lives until the next one. */
struct kr_view kr_answer_outputs(const struct kr_client *client, struct kr_view outputs,
                                 uint32_t us);
/* The answer in place of a worker's: what every failed invocation has, and whether to try again.
 * Caller frees. */
char *kr_answer_failure(const struct kr_client *client, bool retryable, const char *detail);

#endif
