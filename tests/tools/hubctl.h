/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KR_TESTS_HUBCTL_H
#define KR_TESTS_HUBCTL_H

#include "hub/space.h"

/* Reads stdin as JSON (an empty one is {}). */
int read_input(json_t **out, struct kr_err *err);

/* Commands about files: each gives its answer in *out. */
int cmd_tree(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err);
int cmd_read(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err);
int cmd_plan(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err);
int cmd_sync(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err);
int cmd_readme(struct kr_hub *hub, char **args, json_t **out, struct kr_err *err);

#endif
