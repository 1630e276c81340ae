/* SPDX-License-Identifier: Apache-2.0 */
/* Included by force before every source file: a banned call becomes a compile error that names
 * it. */
#ifndef KR_BASE_BANNED_H
#define KR_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Some of them are macros with some compilers. */
#undef strncpy
#undef strncat
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef sscanf

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol sscanf
#pragma GCC poison gmtime localtime asctime ctime mktemp tmpnam system popen

#endif
