/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the files that a pipeline's code loads and reads while it is imported are among those
 * that are sent. */
#ifndef KR_PACK_NEEDS_H
#define KR_PACK_NEEDS_H

#include "base/json.h"
#include "core/files.h"
#include "pack/dockerignore.h"

struct kr_needs {
    const char *root;
    const json_t *needs;         /* of the compiler: {"files":[...],"outside":[...],"cut":bool} */
    const struct kr_files *sent; /* the source bundle */
    const json_t *left_out;      /* sentences about what the bundle left out, with quoted paths */
    const struct kr_dockerignore *rules; /* what a build leaves out besides, or NULL */
    const char *rules_name;              /* of the file with these rules */
    bool only_warn;                      /* the folder itself is served: nothing is missing yet */
    const char *prog;                    /* "kourou": what hints call us */
};

/* KR_E_INVALID names the first file that is missing, who needs it, why it is not sent and the way
 * out. What the code may do without (left out on purpose and read by a library, files of other
 * places) is a sentence in warnings. */
int kr_needs_files(const struct kr_needs *in, json_t *warnings, struct kr_err *err) KR_MUST_USE;

#endif
