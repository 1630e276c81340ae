/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of the checks of app/doctor.h, for people. */
#ifndef KR_CLI_CHECKS_H
#define KR_CLI_CHECKS_H

#include "cli/cmd.h"

/* One line a finding, what to do below it. */
void kr_checks_show(struct kr_cli *cli, const json_t *rows);

/* How many findings have that status. */
size_t kr_checks_count(const json_t *rows, const char *status);

#endif
