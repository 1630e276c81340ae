/* SPDX-License-Identifier: Apache-2.0 */
/* What a plain (unquoted) scalar means under YAML's core schema. */
#ifndef KR_BASE_YAML_SCALAR_H
#define KR_BASE_YAML_SCALAR_H

#include "base/json.h"

/* The value, the caller's; or NULL, and *problem says what is wrong with it: numbers that no record
 * can hold, and text that is not UTF-8. */
json_t *kr_yaml_plain(const char *text, const char **problem);

#endif
