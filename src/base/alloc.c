/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static KR_NORETURN void out_of_memory(void)
{
    static const char text[] = "kourou: out of memory\n";

    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

void *kr_malloc(size_t size)
{
    void *p = malloc(size != 0 ? size : 1);

    if (p == NULL)
        out_of_memory();
    return p;
}

void *kr_calloc(size_t count, size_t size)
{
    void *p = calloc(count != 0 ? count : 1, size != 0 ? size : 1);

    if (p == NULL)
        out_of_memory();
    return p;
}

void *kr_reallocarray(void *old, size_t count, size_t size)
{
    void *p;

    if (count == 0 || size == 0)
        count = size = 1;
    p = reallocarray(old, count, size);
    if (p == NULL)
        out_of_memory();
    return p;
}

char *kr_strdup(const char *text)
{
    return text != NULL ? kr_strndup(text, strlen(text)) : NULL;
}

char *kr_strndup(const char *text, size_t n)
{
    size_t len = strnlen(text, n);
    char *copy = kr_malloc(len + 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *kr_asprintf(const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0)
        out_of_memory();
    return text;
}
