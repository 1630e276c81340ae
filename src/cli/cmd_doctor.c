/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: what this machine has and lacks. */
#include "app/doctor.h"

#include <string.h>

#include "base/alloc.h"
#include "cli/checks.h"
#include "cli/cmds.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/view.h"

struct doctor_args {
    const char *output;
};

static size_t count(const json_t *rows, const char *status)
{
    const json_t *row;
    size_t i, n = 0;

    json_array_foreach(rows, i, row) n += strcmp(kr_json_str(row, "status", ""), status) == 0;
    return n;
}

void kr_checks_show(struct kr_cli *cli, const json_t *rows)
{
    const struct kr_term *term = &cli->out;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const char *status = kr_json_str(row, "status", ""), *hint = kr_json_str(row, "hint", NULL);
        enum kr_style style = strcmp(status, "ok") == 0     ? KR_GREEN
                              : strcmp(status, "warn") == 0 ? KR_YELLOW
                                                            : KR_RED;
        kr_auto_free char *detail = kr_strdup(kr_json_str(row, "detail", ""));

        kr_printable(detail);
        kr_buf_addf(&out, "%s%-4s%s  %-18s  %s\n", kr_style(term, style), status,
                    kr_style(term, KR_PLAIN), kr_json_str(row, "check", ""), detail);
        if (hint != NULL)
            kr_buf_addf(&out, "%26s%s\n", "", hint);
    }
    kr_out(cli, &out);
}

int kr_checks_output(struct kr_cli *cli, enum kr_format format, const json_t *rows,
                     struct kr_err *err)
{
    size_t failed = count(rows, "fail");

    if (format == KR_TABLE) {
        kr_checks_show(cli, rows);
    } else if (format == KR_JSON || format == KR_YAML) {
        kr_out_value(cli, format, rows);
    } else {
        kr_auto_json json_t *columns =
            json_pack("[s, s, s, s]", "check", "status", "detail", "hint");
        kr_out_rows(cli, format, columns, rows);
    }
    if (failed > 0)
        return kr_fail(err, KR_E_STATE, "%zu %s failed", failed, failed == 1 ? "check" : "checks");
    return 0;
}

static int run_doctor(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct doctor_args *args = data;
    kr_auto_json json_t *rows = NULL;
    struct kr_err why = KR_ERR_INIT;
    struct kr_ui ui;
    enum kr_format format;

    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    kr_view_ui(cli->view, &ui);
    /* Not by KR_NEEDS_STORE: a store that cannot be opened is one of the findings. */
    if (kr_app_open(cli->prog, &ui, &cli->app, &why) < 0)
        cli->app = NULL;
    if (kr_doctor(cli->app, &why, &rows, err) < 0)
        return -(int)err->code;
    return kr_checks_output(cli, format, rows, err);
}

static const struct kr_opt opts[] = {
    KR_OPT_OUTPUT_ROW(struct doctor_args, output),
    {0},
};
static const char *const examples[] = {"doctor", "doctor --output json", NULL};

static const struct kr_cmd rows[] = {
    {.path = "doctor",
     .help = "Check what this machine has and lacks, and say what to do",
     .opts = opts,
     .needs = KR_LOOKS,
     .examples = examples,
     .size = sizeof(struct doctor_args),
     .run = run_doctor},
};

const struct kr_cmds kr_cmds_doctor = KR_CMDS(rows);
