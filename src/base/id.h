/* SPDX-License-Identifier: Apache-2.0 */
/* Identifiers and random text, from the kernel's random source. */
#ifndef KR_BASE_ID_H
#define KR_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>

#define KR_UUID_SIZE  37
#define KR_UUID_BYTES 16

/* A random (version 4) UUID in lower case into text; returns text. */
const char *kr_uuid4(char text[KR_UUID_SIZE]);
/* The one that these random bytes make. */
const char *kr_uuid4_of(const unsigned char random[KR_UUID_BYTES], char text[KR_UUID_SIZE]);

bool kr_uuid_is(const char *text);

/* n characters of [A-Za-z0-9] plus NUL into text (n + 1 bytes): auth keys, nonces. */
void kr_random_alnum(char *text, size_t n);

void kr_random_bytes(void *bytes, size_t n);

#endif
