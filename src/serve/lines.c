/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool kr_lines_read(struct kr_lines *lines, int fd)
{
    ssize_t n = read(fd, lines->text + lines->n, sizeof(lines->text) - 1 - lines->n);

    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0 || lines->n + (size_t)n == sizeof(lines->text) - 1)
        return false;
    lines->n += (size_t)n;
    lines->text[lines->n] = '\0';
    return true;
}

const char *kr_lines_next(struct kr_lines *lines)
{
    char *end;

    lines->n -= lines->taken;
    memmove(lines->text, lines->text + lines->taken, lines->n + 1);
    lines->taken = 0;
    end = strchr(lines->text, '\n');
    if (end == NULL)
        return NULL;
    *end = '\0';
    lines->taken = (size_t)(end - lines->text) + 1;
    return lines->text;
}
