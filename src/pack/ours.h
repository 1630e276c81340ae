/* SPDX-License-Identifier: Apache-2.0 */
/* What belongs to Kourou, recognised by what it is: homes (with store, key, caches, logs, kept code
 * and control sockets), those of the user and forgotten ones, whatever they are called. */
#ifndef KR_PACK_OURS_H
#define KR_PACK_OURS_H

#include <stdbool.h>
#include <sys/stat.h>

/* Whether the folder is a home, or a part of one. st: what lstat says of it. */
bool kr_ours_folder(const char *full, const char *name, const struct stat *st);

/* Whether an entry of that name directly in a home is one of Kourou's: for a home that is the
 * source folder itself. */
bool kr_ours_name(const char *name);

/* Whether the file belongs to a SQLite database beside it that is not Kourou's: full without
 * "-wal", "-journal" or "-shm" is one. */
bool kr_ours_has_other_base(const char *full);

#endif
