/* SPDX-License-Identifier: Apache-2.0 */
/* kourou.toml of a source folder. It has one key: `allow-secrets`, an array of file names. */
#ifndef KR_PACK_PROJECT_FILE_H
#define KR_PACK_PROJECT_FILE_H

#include "base/json.h"

#define KR_PROJECT_FILE "kourou.toml"

/* *allow: array of texts, empty without the key. Everything that is not this key with an array of
 * strings, comments and blank lines is an error that names the line. */
int kr_project_file_parse(const char *text, size_t n, json_t **allow,
                          struct kr_err *err) KR_MUST_USE;

/* That file below root; a missing one allows nothing. */
int kr_project_file_read(const char *root, json_t **allow, struct kr_err *err) KR_MUST_USE;

#endif
