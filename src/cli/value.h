/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the command line as values. */
#ifndef KR_CLI_VALUE_H
#define KR_CLI_VALUE_H

#include "base/json.h"

#define KR_AT_FILE_MAX 10240 /* bytes that @file may bring */

/* "@file" gives the file's contents ("~" is expanded), "@-" standard input, "-" the same without
 * its last line end, "@@x" gives "@x", anything else itself. `what` names the argument in errors.
 * *out is a new JSON string. */
int kr_value_text(const char *what, const char *text, json_t **out, struct kr_err *err) KR_MUST_USE;

/* A new JSON string, or an error when text is not UTF-8. */
int kr_value_string(const char *what, const char *text, json_t **out,
                    struct kr_err *err) KR_MUST_USE;

/* "K=V" into pairs; V may be empty. */
int kr_value_pair(const char *what, const char *text, json_t *pairs,
                  struct kr_err *err) KR_MUST_USE;

/* JSON or YAML text of an object whose values become texts (-v of secrets); "@file" is read. */
int kr_value_object(const char *what, const char *text, json_t **out,
                    struct kr_err *err) KR_MUST_USE;

/* true, yes, on, 1, t, y and their opposites; -1 for anything else. */
int kr_value_bool(const char *text);

#endif
