/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that reads the environment. */
#ifndef KR_BASE_ENV_H
#define KR_BASE_ENV_H

#include "base/attrs.h"

#include <stdbool.h>

/* Value of a variable, or NULL when unset or empty. Valid until the environment changes. */
const char *kr_env_get(const char *name);

/* 1, ON, YES, TRUE in any case. */
bool kr_env_truthy(const char *name);

/* $HOME, else the home of the user that we run as, else NULL. Not in kourou-serve, as the two
 * below. */
const char *kr_env_home(void);

/* Config and data folders: $KOUROU_HOME if set, else the XDG places; NULL without a home. Caller
 * frees. */
char *kr_env_config_dir(void) KR_MUST_USE;
char *kr_env_data_dir(void) KR_MUST_USE;

#endif
