/* SPDX-License-Identifier: Apache-2.0 */
/* YAML files as JSON values (YAML 1.2 core schema and merge keys), and JSON values as YAML; yaml.c
 * is the only place that knows libyaml. Aliases are refused beyond a bound; duplicate keys, tags of
 * other schemas, infinite numbers and second documents always. */
#ifndef KR_BASE_YAML_H
#define KR_BASE_YAML_H

#include "base/buf.h"
#include "base/json.h"

/* `what` names the document in errors (they carry line and column). *out is the caller's. */
int kr_yaml_parse(const char *text, size_t n, const char *what, json_t **out,
                  struct kr_err *err) KR_MUST_USE;
int kr_yaml_read_file(const char *path, size_t max, json_t **out, struct kr_err *err) KR_MUST_USE;

/* Appends value as block YAML; strings that would read back as something else are quoted. */
void kr_yaml_write(const json_t *value, struct kr_buf *out);

#endif
