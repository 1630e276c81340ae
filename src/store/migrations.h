/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of src/store/migrations/, embedded by tools/embed.py. Text n brings format n to n + 1. */
#ifndef KR_STORE_MIGRATIONS_H
#define KR_STORE_MIGRATIONS_H

#include <stddef.h>

extern const char *const kr_store_migrations[];
extern const size_t kr_store_migrations_count;

#endif
