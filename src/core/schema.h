/* SPDX-License-Identifier: Apache-2.0 */
/* All settings tables as one document: what Python's classes, the JSON schema of configuration
 * files and the documentation are made from. */
#ifndef KR_CORE_SCHEMA_H
#define KR_CORE_SCHEMA_H

#include "core/setting.h"

/* An array of tables, each {"table": "deployer.docker", "kind": "settings" | kind of component |
 * "map", "flavor", "title", "about", "rows": [...]}. "map" tables are those of maps inside of
 * settings; the rows that take them name them. */
json_t *kr_schema(void) KR_MUST_USE;

/* One row: name, type, range, choices, default, help, reader, flavor and the marks of its row. */
json_t *kr_schema_row(const struct kr_setting *row) KR_MUST_USE;

#endif
