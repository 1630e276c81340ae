/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/server.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/redact.h"
#include "serve/gate.h"

#include <string.h>
#include <unistd.h>

static int report(const struct kr_err *err, int status)
{
    kr_log(KR_LOG_ERROR, "serve", "%s%s%s", err->msg, err->hint[0] != '\0' ? "; " : "", err->hint);
    return status;
}

int main(int argc, char **argv)
{
    struct kr_server *srv = kr_calloc(1, sizeof(*srv));
    struct kr_err err = KR_ERR_INIT;
    int status = 0;

    kr_log_setup(STDERR_FILENO, KR_LOG_INFO, isatty(STDERR_FILENO) == 0);
    srv->front.listener.fd = srv->signals.fd = -1;
    if (kr_options_parse(argc, argv, &srv->opt, &err) < 0) {
        status = report(&err, err.code == KR_E_USAGE ? 2 : 1);
    } else if (srv->opt.help) {
        kr_options_help(STDOUT_FILENO);
    } else if (srv->opt.version) {
        (void)dprintf(STDOUT_FILENO, "kourou-serve %s\n", KR_VERSION);
    } else if (srv->opt.settings) {
        if (kr_config_load(&srv->opt, &srv->cfg, &err) < 0)
            status = report(&err, 1);
        else
            kr_options_show(&srv->opt, STDOUT_FILENO);
    } else if (srv->opt.hold != NULL) {
        status = kr_hold(&srv->opt, &err) < 0 ? report(&err, 1) : 0;
    } else if (kr_server_start(srv, &err) < 0 || kr_loop_run(&srv->front.loop, &err) < 0) {
        status = report(&err, err.code == KR_E_USAGE ? 2 : 1);
    } else {
        status = srv->exit_status;
    }
    kr_server_finish(srv);
    kr_redact_clear();
    free(srv);
    return status;
}
