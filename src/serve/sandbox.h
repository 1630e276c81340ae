/* SPDX-License-Identifier: Apache-2.0 */
/* What the server gives up before the first worker starts. All of it is inherited by the workers,
 * which run the pipeline's code, so it holds only what no ordinary program needs: ways to
 * administer the machine. Memory, threads, programs, sockets, files and debuggers stay as they
 * are. */
#ifndef KR_SERVE_SANDBOX_H
#define KR_SERVE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct kr_sandbox {
    bool no_new_privs; /* setuid programs and file capabilities give nothing */
    bool filter;       /* the system calls of administration answer EPERM */
    bool fewer_caps;   /* root without the capabilities of administration, or no root at all */
};

enum { KR_SANDBOX_TEXT = 96 };

/* Takes what the engine grants; a refusal is logged at level debug and is no error. Before any
 * thread or worker. */
void kr_sandbox_enter(struct kr_sandbox *out);

/* "no new privileges, system call filter, no administration capabilities", or "none". */
const char *kr_sandbox_text(const struct kr_sandbox *sandbox, char text[KR_SANDBOX_TEXT]);

#endif
