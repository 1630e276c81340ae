/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that end with a deployment show. */
#ifndef KR_CLI_DEPLOYED_H
#define KR_CLI_DEPLOYED_H

#include "cli/out.h"

/* The deployment's row as panel or in the format asked for. */
int kr_deployed_show(struct kr_cli *cli, enum kr_format format, const json_t *row,
                     struct kr_err *err) KR_MUST_USE;

/* What a deploy would do. */
void kr_deployed_plan(struct kr_cli *cli, enum kr_format format, const json_t *plan);

/* Prints log lines on stdout until the end, or with follow until Ctrl-C. tail -1: all. */
int kr_deployed_logs(struct kr_cli *cli, const char *ref, bool follow, bool build, int64_t tail,
                     struct kr_err *err) KR_MUST_USE;

/* Seconds of a --timeout option as int; 0 stays 0. */
int kr_deployed_seconds(int64_t seconds);

#endif
