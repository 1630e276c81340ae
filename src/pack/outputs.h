/* SPDX-License-Identifier: Apache-2.0 */
/* Files that what this command says is written to: standard output and error themselves, and what
 * those write who read from them (tee, script, the program that called us). They change while they
 * would be sent, and show the next deploy's reader what this one said. */
#ifndef KR_PACK_OUTPUTS_H
#define KR_PACK_OUTPUTS_H

#include <stdbool.h>
#include <sys/stat.h>

struct kr_outputs;

/* memory_dir: where they are remembered for later commands, or NULL. Never fails. */
struct kr_outputs *kr_outputs_open(const char *memory_dir);
void kr_outputs_close(struct kr_outputs *outputs); /* writes down what is new */

/* full: path of a regular file, without links. */
bool kr_outputs_has(struct kr_outputs *outputs, const char *full, const struct stat *st);

#endif
