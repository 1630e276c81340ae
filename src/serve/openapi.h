/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the OpenAPI document that are the same for every pipeline (openapi_parts.c). */
#ifndef KR_SERVE_OPENAPI_H
#define KR_SERVE_OPENAPI_H

extern const char kr_openapi_schemas[];
extern const char kr_openapi_run_parameters[];
extern const char kr_openapi_security[];

#endif
