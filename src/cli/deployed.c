/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/deployed.h"

#include <limits.h>
#include <string.h>

#include "app/deployment.h"
#include "base/alloc.h"
#include "cli/panel.h"
#include "cli/screen.h"
#include "cli/view.h"

int kr_deployed_show(struct kr_cli *cli, enum kr_format format, const json_t *row,
                     struct kr_err *err)
{
    struct kr_deployment_panel what = {.after_deploy = true};

    if (kr_json_bool(row, "unchanged", false))
        kr_say(cli, KR_NOTE_INFO, "Nothing changed: '%s' is as wanted already",
               kr_json_str(row, "name", ""));
    if (format == KR_TABLE)
        return kr_panel_deployment(cli, row, &what, err);
    kr_out_row(cli, format, row);
    return 0;
}

void kr_deployed_plan(struct kr_cli *cli, enum kr_format format, const json_t *plan)
{
    if (format == KR_CSV || format == KR_TSV)
        kr_out_row(cli, format, plan);
    else
        kr_out_value(cli, format == KR_TABLE ? KR_YAML : format, plan);
}

static void on_line(void *data, const char *line)
{
    struct kr_cli *cli = data;
    kr_auto_free char *copy = kr_strdup(line);
    kr_auto_buf struct kr_buf whole = KR_BUF_INIT(SIZE_MAX);

    if (cli->out.tty)
        kr_printable(copy);
    kr_buf_addf(&whole, "%s\n", copy);
    kr_out_data(cli, &whole);
    kr_out_flush();
}

int kr_deployed_logs(struct kr_cli *cli, const char *ref, bool follow, bool build, int64_t tail,
                     struct kr_err *err)
{
    struct kr_logs_request request = {
        .follow = follow, .build = build, .tail = tail, .line = on_line, .data = cli};
    int rc = kr_deployment_logs(cli->app, ref, &request, err);

    if (rc < 0 && follow && kr_view_interrupted() && err->code == KR_E_CANCELLED) {
        kr_err_clear(err); /* Ctrl-C is how following ends */
        return 0;
    }
    return rc;
}

int kr_deployed_seconds(int64_t seconds)
{
    return seconds > INT_MAX / 1000 ? INT_MAX / 1000 : (int)seconds;
}
