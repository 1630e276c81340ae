/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that come over a socket of the control protocol, in whatever pieces. */
#ifndef KR_SERVE_LINES_H
#define KR_SERVE_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct kr_lines {
    char text[128]; /* a longer line is no command */
    size_t n, taken;
};

/* Reads what is there now; false at the end, and when a line is too long. */
bool kr_lines_read(struct kr_lines *lines, int fd);

/* The next whole line without its end, valid until the next call; NULL when there is none. */
const char *kr_lines_next(struct kr_lines *lines);

#endif
