/* SPDX-License-Identifier: Apache-2.0 */
#include "store/crypt.h"

#include "base/alloc.h"

#include <sodium.h>
#include <string.h>

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    KDF_PASSES = 3,
    KDF_MEMORY = 16 << 20,
};
_Static_assert(NONCE + TAG == KR_CRYPT_EXTRA, "room for nonce and tag");
_Static_assert(KR_CRYPT_KEY == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "size of a key");
_Static_assert(KR_CRYPT_SALT == crypto_pwhash_SALTBYTES, "size of a salt");

static void need_sodium(void)
{
    if (sodium_init() < 0)
        abort(); /* no randomness: going on would make guessable nonces */
}

int kr_crypt_key_of_text(const char *text, const unsigned char salt[KR_CRYPT_SALT],
                         struct kr_crypt_key *key, struct kr_err *err)
{
    need_sodium();
    if (crypto_pwhash(key->bytes, sizeof(key->bytes), text, strlen(text), salt, KDF_PASSES,
                      KDF_MEMORY, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return kr_fail(err, KR_E_SYSTEM, "no memory to make the encryption key");
    return 0;
}

void kr_crypt_key_random(struct kr_crypt_key *key)
{
    need_sodium();
    randombytes_buf(key->bytes, sizeof(key->bytes));
}

void kr_crypt_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}

void kr_crypt_hex(const unsigned char *bytes, size_t n, char *hex)
{
    (void)sodium_bin2hex(hex, 2 * n + 1, bytes, n);
}

bool kr_crypt_unhex(const char *hex, unsigned char *bytes, size_t n)
{
    size_t got = 0;

    return strlen(hex) == 2 * n && sodium_hex2bin(bytes, n, hex, 2 * n, NULL, &got, NULL) == 0 &&
           got == n;
}

unsigned char *kr_crypt_seal(const struct kr_crypt_key *key, const char *context, const void *bytes,
                             size_t n)
{
    unsigned char *sealed = kr_malloc(n + KR_CRYPT_EXTRA);

    need_sodium();
    randombytes_buf(sealed, NONCE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + NONCE, NULL, bytes, n,
                                                     (const unsigned char *)context,
                                                     strlen(context), NULL, sealed, key->bytes);
    return sealed;
}

char *kr_crypt_open(const struct kr_crypt_key *key, const char *context, const void *sealed,
                    size_t n)
{
    const unsigned char *bytes = sealed;
    char *plain;

    need_sodium();
    if (n < KR_CRYPT_EXTRA)
        return NULL;
    plain = kr_malloc(n - KR_CRYPT_EXTRA + 1);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)plain, NULL, NULL, bytes + NONCE, n - NONCE,
            (const unsigned char *)context, strlen(context), bytes, key->bytes) != 0) {
        free(plain);
        return NULL;
    }
    plain[n - KR_CRYPT_EXTRA] = '\0';
    return plain;
}
