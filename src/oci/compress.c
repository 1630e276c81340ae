/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/compress.h"

#include "base/alloc.h"

#include <libdeflate.h>
#include <string.h>
#include <zstd.h>

/* gzip: every PIECE of the tar becomes a member of its own, so that libdeflate, which wants its
 * input whole, works in bounded memory. Concatenated members are one gzip file by its
 * definition. */
#define PIECE      ((size_t)8 << 20)
#define GZIP_LEVEL 6
#define ZSTD_LEVEL 3

struct kr_packer {
    struct kr_cache_writer *writer;
    struct kr_digest *diff;
    bool zstd;
    struct libdeflate_compressor *gzip;
    ZSTD_CCtx *stream;
    char *in; /* PIECE bytes, gzip only */
    size_t fill;
    bool any; /* a member was written */
    char *out;
    size_t out_size;
};

const char *kr_packer_version(bool zstd)
{
    return zstd ? "zstd-3 " ZSTD_VERSION_STRING : "gzip-6 " LIBDEFLATE_VERSION_STRING;
}

int kr_packer_open(struct kr_cache *cache, bool zstd, struct kr_packer **out, struct kr_err *err)
{
    kr_auto_packer struct kr_packer *p = kr_calloc(1, sizeof(*p));

    p->zstd = zstd;
    p->diff = kr_digest_create(KR_SHA256);
    if (zstd) {
        p->stream = ZSTD_createCCtx();
        if (p->stream == NULL ||
            ZSTD_isError(ZSTD_CCtx_setParameter(p->stream, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
            return kr_fail(err, KR_E_SYSTEM, "zstd could not be set up");
        p->out_size = ZSTD_CStreamOutSize();
    } else {
        p->gzip = libdeflate_alloc_compressor(GZIP_LEVEL);
        if (p->gzip == NULL)
            return kr_fail(err, KR_E_SYSTEM, "libdeflate could not be set up");
        p->in = kr_malloc(PIECE);
        p->out_size = libdeflate_gzip_compress_bound(p->gzip, PIECE);
    }
    p->out = kr_malloc(p->out_size);
    if (kr_cache_writer_open(cache, &p->writer, err) < 0)
        return -(int)err->code;
    *out = kr_steal(&p);
    return 0;
}

void kr_packer_drop(struct kr_packer *p)
{
    if (p == NULL)
        return;
    kr_cache_writer_drop(p->writer);
    kr_digest_destroy(p->diff);
    libdeflate_free_compressor(p->gzip);
    (void)ZSTD_freeCCtx(p->stream);
    free(p->in);
    free(p->out);
    free(p);
}

static int flush_gzip(struct kr_packer *p, struct kr_err *err)
{
    size_t n = libdeflate_gzip_compress(p->gzip, p->in, p->fill, p->out, p->out_size);

    if (n == 0)
        return kr_fail(err, KR_E_SYSTEM, "libdeflate failed");
    p->fill = 0;
    p->any = true;
    return kr_cache_write(p->writer, p->out, n, err);
}

static int write_zstd(struct kr_packer *p, const void *bytes, size_t n, bool end,
                      struct kr_err *err)
{
    ZSTD_inBuffer in = {bytes, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {p->out, p->out_size, 0};

        left = ZSTD_compressStream2(p->stream, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return kr_fail(err, KR_E_SYSTEM, "zstd failed: %s", ZSTD_getErrorName(left));
        if (out.pos > 0 && kr_cache_write(p->writer, p->out, out.pos, err) < 0)
            return -(int)err->code;
    } while (end ? left != 0 : in.pos < in.size);
    return 0;
}

int kr_packer_write(struct kr_packer *p, const void *bytes, size_t n, struct kr_err *err)
{
    const char *from = bytes;

    kr_digest_update(p->diff, bytes, n);
    if (p->zstd)
        return write_zstd(p, bytes, n, false, err);
    while (n > 0) {
        size_t part = n < PIECE - p->fill ? n : PIECE - p->fill;

        memcpy(p->in + p->fill, from, part);
        p->fill += part;
        from += part;
        n -= part;
        if (p->fill == PIECE && flush_gzip(p, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_packer_close(struct kr_packer *own, struct kr_layer *out, struct kr_err *err)
{
    kr_auto_packer struct kr_packer *p = own;

    if (p->zstd ? write_zstd(p, "", 0, true, err) < 0
                : (p->fill > 0 || !p->any) && flush_gzip(p, err) < 0)
        return -(int)err->code;
    memcpy(out->diff_id, "sha256:", 7);
    kr_digest_finish(p->diff, out->diff_id + 7);
    p->diff = NULL;
    out->zstd = p->zstd;
    return kr_cache_publish(kr_steal(&p->writer), NULL, out->digest, &out->size, err);
}
