/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "base/alloc.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

struct kr_digest {
    EVP_MD_CTX *ctx;
};

struct kr_digest *kr_digest_create(enum kr_digest_kind kind)
{
    struct kr_digest *d = kr_calloc(1, sizeof(*d));

    d->ctx = EVP_MD_CTX_new();
    if (d->ctx == NULL ||
        EVP_DigestInit_ex(d->ctx, kind == KR_SHA256 ? EVP_sha256() : EVP_sha1(), NULL) != 1)
        abort();
    return d;
}

void kr_digest_update(struct kr_digest *d, const void *bytes, size_t n)
{
    if (EVP_DigestUpdate(d->ctx, bytes, n) != 1)
        abort();
}

void kr_digest_finish(struct kr_digest *d, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    if (EVP_DigestFinal_ex(d->ctx, raw, &n) != 1)
        abort();
    for (unsigned int i = 0; i < n; i++) {
        hex[2 * i] = digits[raw[i] >> 4];
        hex[2 * i + 1] = digits[raw[i] & 15];
    }
    hex[2 * n] = '\0';
    kr_digest_destroy(d);
}

void kr_digest_destroy(struct kr_digest *d)
{
    if (d == NULL)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

void kr_sha256_hex(const void *bytes, size_t n, char hex[KR_SHA256_HEX])
{
    struct kr_digest *d = kr_digest_create(KR_SHA256);

    kr_digest_update(d, bytes, n);
    kr_digest_finish(d, hex);
}

struct kr_digest *kr_git_blob_create(uint64_t n)
{
    struct kr_digest *d = kr_digest_create(KR_SHA1);
    char head[40];
    int len = snprintf(head, sizeof(head), "blob %llu", (unsigned long long)n);

    kr_digest_update(d, head, (size_t)len + 1);
    return d;
}

void kr_git_blob_hex(const void *bytes, size_t n, char hex[KR_SHA1_HEX])
{
    struct kr_digest *d = kr_git_blob_create(n);

    kr_digest_update(d, bytes, n);
    kr_digest_finish(d, hex);
}

int kr_digest_file(const char *path, char sha256[KR_SHA256_HEX], char *blob, uint64_t *size,
                   struct kr_err *err)
{
    kr_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct kr_digest *sha, *git;
    unsigned char chunk[65536];
    struct stat st;
    uint64_t total = 0;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return kr_fail_errno(err, errno, "%s", path);
    sha = kr_digest_create(KR_SHA256);
    git = blob != NULL ? kr_git_blob_create((uint64_t)st.st_size) : NULL;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        kr_digest_update(sha, chunk, (size_t)n);
        if (git != NULL)
            kr_digest_update(git, chunk, (size_t)n);
        total += (uint64_t)n;
    }
    if (n < 0 || total != (uint64_t)st.st_size) {
        int saved = errno;

        kr_digest_destroy(sha);
        kr_digest_destroy(git);
        if (n < 0)
            return kr_fail_errno(err, saved, "%s", path);
        return kr_fail(err, KR_E_CONFLICT, "%s changed while it was read", path);
    }
    kr_digest_finish(sha, sha256);
    if (git != NULL)
        kr_digest_finish(git, blob);
    *size = total;
    return 0;
}
