/* SPDX-License-Identifier: Apache-2.0 */
/* What the shell may offer next; never fails, never asks, never takes long. */
#ifndef KR_CLI_COMPLETE_H
#define KR_CLI_COMPLETE_H

#include "base/buf.h"
#include "cli/cmd.h"

/* words: what follows the program's name, the word under the cursor last (it may be empty). Appends
 * a line for each candidate, "word" or "word<TAB>sentence"; candidates are whole words, of
 * "--option=value" too. A line ":files" or ":dirs" asks the shell for names of files or folders. */
void kr_complete(struct kr_cli *cli, char *const *words, int count, struct kr_buf *out);

/* The script that a shell loads; NULL for an unknown shell. Caller frees. */
char *kr_complete_script(const char *shell, const char *prog) KR_MUST_USE;

#endif
