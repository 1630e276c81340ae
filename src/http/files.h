/* SPDX-License-Identifier: Apache-2.0 */
/* Static files of a folder. */
#ifndef KR_HTTP_FILES_H
#define KR_HTTP_FILES_H

#include <stddef.h>

struct kr_conn;

/* Answers with the file below root that the request's path names, without its first `skip` bytes;
 * 404 when there is none. A path without a suffix that a browser asks for is a path of the
 * single-page application in index.html. */
void kr_files_reply(struct kr_conn *conn, const char *root, size_t skip);

#endif
