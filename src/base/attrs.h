/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KR_BASE_ATTRS_H
#define KR_BASE_ATTRS_H

#include <stddef.h>

#define KR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define KR_MUST_USE          __attribute__((warn_unused_result))
#define KR_UNUSED            __attribute__((unused))
#define KR_NORETURN          __attribute__((noreturn))
#define KR_SENTINEL          __attribute__((sentinel))

/* Behind a declaration: its last argument, the error, may be NULL (tools/check-null-err.py). */
#define KR_ERR_OPTIONAL

#define KR_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
