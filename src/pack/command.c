/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/command.h"

#include "base/proc.h"
#include "base/view.h"

enum { COMMAND_MS = 120000, COMPLAINT_MAX = 65536 };

int kr_command_output(const char *folder, char *const argv[], const char *what, struct kr_buf *out,
                      struct kr_err *err)
{
    kr_auto_buf struct kr_buf complaint = KR_BUF_INIT(COMPLAINT_MAX);
    struct kr_proc_opts opts = {
        .cwd = folder, .out = out, .err_out = &complaint, .timeout_ms = COMMAND_MS};
    struct kr_view last;
    int status;

    if (kr_proc_run(argv, &opts, &status, err) < 0)
        return kr_wrap(err, "%s", what);
    if (kr_buf_check(out, err) < 0)
        return kr_wrap(err, "output of %s", what);
    last = kr_view_last_line((struct kr_view){kr_buf_str(&complaint), complaint.n});
    if (status != 0)
        return kr_fail(err, KR_E_INVALID, "%s ended with status %d%s" KR_VIEW_FMT, what, status,
                       last.n > 0 ? ": " : "", KR_VIEW_ARG(last));
    return 0;
}
