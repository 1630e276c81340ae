/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages, made from the command tables: one for the program, one for each top-level group. */
#ifndef KR_CLI_MAN_H
#define KR_CLI_MAN_H

#include "base/buf.h"
#include "cli/cmd.h"

/* Appends the page in man(7) format; group NULL: the program's page. */
void kr_man(const struct kr_group *group, struct kr_buf *out);

#endif
