/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and SHA-1 (git object names), streaming; the only file that knows libcrypto. */
#ifndef KR_BASE_DIGEST_H
#define KR_BASE_DIGEST_H

#include "base/attrs.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define KR_SHA256_HEX 65
#define KR_SHA1_HEX   41

enum kr_digest_kind { KR_SHA256, KR_SHA1 };

struct kr_digest; /* a running computation */

struct kr_digest *kr_digest_create(enum kr_digest_kind kind) KR_MUST_USE;
void kr_digest_update(struct kr_digest *d, const void *bytes, size_t n);
/* Writes lower-case hex plus NUL (65 or 41 bytes) and frees d. */
void kr_digest_finish(struct kr_digest *d, char *hex);
void kr_digest_destroy(struct kr_digest *d); /* NULL is fine */

void kr_sha256_hex(const void *bytes, size_t n, char hex[KR_SHA256_HEX]);

/* SHA-1 of "blob <n>\0" + bytes, as git and the Hub name regular files; n bytes are to follow. */
struct kr_digest *kr_git_blob_create(uint64_t n) KR_MUST_USE;
void kr_git_blob_hex(const void *bytes, size_t n, char hex[KR_SHA1_HEX]);

/* Digest and size of a file in one pass. blob may be NULL. */
int kr_digest_file(const char *path, char sha256[KR_SHA256_HEX], char *blob, uint64_t *size,
                   struct kr_err *err) KR_MUST_USE;

#endif
