/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption of values at rest (XChaCha20-Poly1305 of libsodium); the only part that knows
 * libsodium. */
#ifndef KR_STORE_CRYPT_H
#define KR_STORE_CRYPT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { KR_CRYPT_KEY = 32, KR_CRYPT_SALT = 16, KR_CRYPT_EXTRA = 24 + 16 };

struct kr_crypt_key {
    unsigned char bytes[KR_CRYPT_KEY];
};

/* A key made of any text and a salt; takes some tens of milliseconds on purpose. */
int kr_crypt_key_of_text(const char *text, const unsigned char salt[KR_CRYPT_SALT],
                         struct kr_crypt_key *key, struct kr_err *err) KR_MUST_USE;
void kr_crypt_key_random(struct kr_crypt_key *key);
void kr_crypt_wipe(void *bytes, size_t n);

/* Hexadecimal text of n bytes (2n + 1 characters), and back (false when text is not exactly
 * that). */
void kr_crypt_hex(const unsigned char *bytes, size_t n, char *hex);
bool kr_crypt_unhex(const char *hex, unsigned char *bytes, size_t n);

/* Nonce and ciphertext of n bytes, n + KR_CRYPT_EXTRA long; the caller frees. It only opens with
 * the same context. */
unsigned char *kr_crypt_seal(const struct kr_crypt_key *key, const char *context, const void *bytes,
                             size_t n) KR_MUST_USE;

/* The plain text with a NUL behind it, or NULL when key, context or bytes are wrong. The caller
 * wipes and frees. */
char *kr_crypt_open(const struct kr_crypt_key *key, const char *context, const void *sealed,
                    size_t n) KR_MUST_USE;

#endif
