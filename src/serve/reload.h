/* SPDX-License-Identifier: Apache-2.0 */
/* --reload: watches the .py files below the root; after a change the pool gets new workers. */
#ifndef KR_SERVE_RELOAD_H
#define KR_SERVE_RELOAD_H

#include "http/loop.h"

struct kr_pool;
struct kr_reload;

/* *out is NULL-safe to close. What cannot be watched is logged; only no watching at all is an
 * error. */
int kr_reload_open(struct kr_loop *loop, struct kr_pool *pool, const char *root,
                   struct kr_reload **out, struct kr_err *err) KR_MUST_USE;
void kr_reload_close(struct kr_reload *reload);

#endif
