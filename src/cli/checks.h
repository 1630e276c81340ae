/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of the checks of app/doctor.h, for people. */
#ifndef KR_CLI_CHECKS_H
#define KR_CLI_CHECKS_H

#include "cli/out.h"

/* One line a finding, what to do below it. */
void kr_checks_show(struct kr_cli *cli, const json_t *rows);

/* The findings in any format; one that failed makes the command fail. */
int kr_checks_output(struct kr_cli *cli, enum kr_format format, const json_t *rows,
                     struct kr_err *err) KR_MUST_USE;

#endif
