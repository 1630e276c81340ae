/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is by its contents, whatever its name. */
#ifndef KR_PACK_CONTENT_H
#define KR_PACK_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The letters stand in the memory of digests. */
enum kr_content {
    KR_CONTENT_PLAIN = '-',
    KR_CONTENT_OURS = 'o',       /* store, journal, log or memory of Kourou */
    KR_CONTENT_KEY = 'k',        /* 64 hexadecimal digits: an encryption key, or a checksum */
    KR_CONTENT_COMPANION = 'w',  /* of a SQLite database: -wal, -journal, -shm */
    KR_CONTENT_CREDENTIAL = 'c', /* private key, keystore, login file of a known form */
    KR_CONTENT_PUBLIC = 'p',     /* certificates and public keys only */
    KR_CONTENT_SAYS = 's',       /* text with a password, token or secret in it */
    KR_CONTENT_POINTER = 'l',    /* of Git LFS: the file itself is elsewhere */
};

enum { KR_CONTENT_HEAD = 65536 };

#define KR_CONTENT_EDITION "1" /* another one when what follows judges otherwise */

/* head: the first KR_CONTENT_HEAD bytes of the file, or all of it. says: whether it matters that a
 * text has a password in it. */
enum kr_content kr_content_of(const void *head, size_t n, uint64_t size, bool says);

/* Whether bytes behind the head of a file of public certificates show that there is more in it. */
bool kr_content_has_private_key(const void *bytes, size_t n);

#endif
