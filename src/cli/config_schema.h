/* SPDX-License-Identifier: Apache-2.0 */
/* python/kourou/config.schema.json, as a text inside of the program. */
#ifndef KR_CLI_CONFIG_SCHEMA_H
#define KR_CLI_CONFIG_SCHEMA_H

#include <stddef.h>

extern const char *const kr_config_schema[]; /* one text */
extern const size_t kr_config_schema_count;

#endif
