/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. A target is one file fuzz_<name>.c that defines
 * LLVMFuzzerTestOneInput; docs/fuzzing.md says how targets are run and replayed. */
#ifndef KR_FUZZ_FUZZ_H
#define KR_FUZZ_FUZZ_H

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that does not hold: stops with the line, in every kind of build. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A clear error for calls whose error is of no interest. */
static inline struct kr_err *fuzz_err(void)
{
    static struct kr_err err;

    kr_err_clear(&err);
    return &err;
}

/* For results of which none is wrong. */
static inline void fuzz_any(int rc)
{
    (void)rc;
}

/* The rest of an input, taken piece by piece. */
struct fuzz_input {
    const uint8_t *p;
    size_t n;
};

/* 0 at the end. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

/* Copy of the bytes up to the separator (or the end) with a NUL behind them; the separator is
 * skipped. Its allocation is exact, so that reading past it is seen. */
static inline char *fuzz_part(struct fuzz_input *in, const char *separator, size_t *n)
{
    size_t k = strlen(separator);
    const uint8_t *end = in->n == 0 ? NULL : memmem(in->p, in->n, separator, k);
    char *text;

    *n = end != NULL ? (size_t)(end - in->p) : in->n;
    text = kr_malloc(*n + 1);
    if (*n != 0)
        memcpy(text, in->p, *n);
    text[*n] = '\0';
    in->p += *n + (end != NULL ? k : 0);
    in->n -= *n + (end != NULL ? k : 0);
    return text;
}

/* The next line without its end, and all that is left. Texts may hold NUL, and end there for
 * callers that read texts. */
static inline char *fuzz_line(struct fuzz_input *in)
{
    size_t n;

    return fuzz_part(in, "\n", &n);
}

static inline char *fuzz_rest(struct fuzz_input *in)
{
    char *text = kr_malloc(in->n + 1);

    if (in->n != 0)
        memcpy(text, in->p, in->n);
    text[in->n] = '\0';
    in->n = 0;
    return text;
}

/* A file in memory that holds the bytes, at its start. */
static inline int fuzz_file(const void *bytes, size_t n)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

#endif
