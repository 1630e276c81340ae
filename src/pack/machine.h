/* SPDX-License-Identifier: Apache-2.0 */
/* The processor that a program or library is made for, named as Docker names it: "amd64", "arm64".
 */
#ifndef KR_PACK_MACHINE_H
#define KR_PACK_MACHINE_H

#include "base/err.h"

#define KR_MACHINE_DEFAULT "amd64" /* of Spaces, and of images that are pushed */

/* *machine: a word that stays valid; "another processor" for one that has no name here. A file that
 * is no ELF program or library of Linux is KR_E_INVALID. */
int kr_machine_of(const char *path, const char **machine, struct kr_err *err) KR_MUST_USE;

/* The file `name` of folder for that processor: the file itself, or the one in its subfolder
 * linux-<machine>. KR_E_INVALID when neither is; the hint says where the right one is put. *path is
 * the caller's. */
int kr_machine_program(const char *folder, const char *name, const char *machine, char **path,
                       struct kr_err *err) KR_MUST_USE;

/* Checks a library of the user's. `what` names it in the error. */
int kr_machine_check(const char *path, const char *machine, const char *what,
                     struct kr_err *err) KR_MUST_USE;

#endif
