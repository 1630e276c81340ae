/* SPDX-License-Identifier: Apache-2.0 */
/* The command arrays, one per cmd_*.c; cmd.c joins them. */
#ifndef KR_CLI_CMDS_H
#define KR_CLI_CMDS_H

#include "cli/cmd.h"

extern const struct kr_cmds kr_cmds_general;
extern const struct kr_cmds kr_cmds_integration;
extern const struct kr_cmds kr_cmds_secret;
extern const struct kr_cmds kr_cmds_stack;
extern const struct kr_cmds kr_cmds_stack_io;
extern const struct kr_cmds kr_cmds_component;
extern const struct kr_cmds kr_cmds_check;
extern const struct kr_cmds kr_cmds_flavor;
extern const struct kr_cmds kr_cmds_pipeline;
extern const struct kr_cmds kr_cmds_snapshot;
extern const struct kr_cmds kr_cmds_deployment;
extern const struct kr_cmds kr_cmds_deployment_life;
extern const struct kr_cmds kr_cmds_deployment_call;
extern const struct kr_cmds kr_cmds_doctor;
extern const struct kr_cmds kr_cmds_schema;
extern const struct kr_cmds kr_cmds_completion;

#endif
