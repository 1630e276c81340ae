/* SPDX-License-Identifier: Apache-2.0 */
/* Texts from the command line become the JSON values that a schema asks for. Pure. */
#ifndef KR_APP_TYPED_H
#define KR_APP_TYPED_H

#include "base/json.h"

/* texts: {"name":"text"}; schema: JSON Schema of an object (NULL: none is known, so values are
 * guessed). A text that cannot be what its parameter wants, missing required parameters and unknown
 * ones are KR_E_INVALID naming them.
 *
 * Of several possible types the most special one wins: null ("null"), integer, number, boolean
 * (true/false, yes/no, on/off, 1/0), list and map (as JSON), and text last. *out is the
 * caller's. */
int kr_typed_parameters(const json_t *schema, const json_t *texts, json_t **out,
                        struct kr_err *err) KR_MUST_USE;

#endif
