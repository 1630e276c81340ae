/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the user that say what has to be installed. */
#ifndef KR_PACK_COMMAND_H
#define KR_PACK_COMMAND_H

#include "base/buf.h"

/* Output of a program run in `folder`, appended to out. An exit status other than 0 is an error
 * with the last line it wrote; `what` names the program in errors. */
int kr_command_output(const char *folder, char *const argv[], const char *what, struct kr_buf *out,
                      struct kr_err *err) KR_MUST_USE;

#endif
