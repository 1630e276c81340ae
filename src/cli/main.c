/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to a command and its exit status: 0 success, 1 failure, 2 usage, 128 + the signal when
 * it was interrupted. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/lazy.h"
#include "base/redact.h"
#include "cli/cmd.h"
#include "cli/help.h"
#include "cli/opt.h"
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/view.h"

/* Descriptors 0..2 are ours in any case: a file opened later must not become stdout. */
static void fill_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        (void)close(fd);
}

static const char *program_name(const char *argv0)
{
    const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : argv0;

    return name != NULL && strcmp(name, "zenml") == 0 ? "zenml" : "kourou";
}

static void print_error(struct kr_cli *cli, struct kr_err *err)
{
    const struct kr_term *term = &cli->err;

    kr_view_clear(cli->view);
    kr_printable(err->msg); /* what others say may hold codes for the terminal */
    kr_printable(err->hint);
    kr_redact(err->msg, strlen(err->msg));
    kr_redact(err->hint, strlen(err->hint));
    (void)fprintf(stderr, "%sError:%s %s\n", kr_style(term, KR_RED), kr_style(term, KR_PLAIN),
                  err->msg);
    if (err->hint[0] != '\0')
        (void)fprintf(stderr, "  %s\n", err->hint);
}

static void print_help(struct kr_cli *cli, const struct kr_cmd *cmd, const struct kr_group *group)
{
    kr_auto_buf struct kr_buf page = KR_BUF_INIT(1 << 20);

    kr_help(cli->prog, cmd, group, &cli->out, &page);
    kr_out(cli, &page);
}

static int print_version(struct kr_cli *cli)
{
    kr_auto_free char *line = kr_asprintf("%s, version %s\n", cli->prog, KR_VERSION);

    kr_out_text(cli, line);
    return 0;
}

static int run_command(struct kr_cli *cli, const struct kr_cmd *cmd, char **argv, int argc,
                       struct kr_err *err)
{
    struct kr_ui ui;
    enum kr_wish wish;
    void *args = NULL;
    int rc = kr_args_parse(cli->prog, cmd, argv, argc, &args, &wish, err);

    if (rc < 0)
        return rc;
    if (wish == KR_WISH_HELP) {
        print_help(cli, cmd, NULL);
        return 0;
    }
    if (wish == KR_WISH_VERSION)
        return print_version(cli);
    cli->cmd = cmd;
    kr_view_catch_interrupt(cmd->list != NULL || (cmd->needs & KR_LOOKS) != 0);
    kr_view_ui(cli->view, &ui);
    if ((cmd->needs & KR_NEEDS_STORE) != 0)
        rc = kr_app_open(cli->prog, &ui, &cli->app, err);
    if (rc == 0)
        rc = cmd->run(cli, args, err);
    kr_args_destroy(cmd, args);
    if (cli->app != NULL)
        kr_app_close(cli->app);
    cli->app = NULL;
    return rc;
}

/* Without a command: help, the version, or the group's commands. */
static int run_without_command(struct kr_cli *cli, const struct kr_group *group, char **argv,
                               int argc, struct kr_err *err)
{
    const char *word = argc > 0 ? argv[0] : NULL;

    if (word == NULL && group != NULL) {
        print_help(cli, NULL, group);
        return kr_fail(err, KR_E_USAGE, "'%s %s' needs a command", cli->prog, group->path);
    }
    if (word == NULL || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help(cli, NULL, group);
        return 0;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-v") == 0)
        return print_version(cli);
    return kr_fail(err, KR_E_USAGE, "'%s%s%s' has no option '%s'; did you mean '--help'?",
                   cli->prog, group != NULL ? " " : "", group != NULL ? group->path : "", word);
}

static int dispatch(struct kr_cli *cli, char **argv, int argc, struct kr_err *err)
{
    const struct kr_cmd *cmd;
    const struct kr_group *group;
    int used;

    if (kr_cmd_resolve(cli->prog, argv, argc, &cmd, &group, &used, err) < 0)
        return -(int)err->code;
    if (cmd != NULL)
        return run_command(cli, cmd, argv + used, argc - used, err);
    return run_without_command(cli, group, argv + used, argc - used, err);
}

/* What a failed command means for the shell. A question answered with no is no failure. */
static int finish(struct kr_cli *cli, int rc, struct kr_err *err)
{
    struct kr_err out_err = KR_ERR_INIT;
    bool written = kr_out_finish(&out_err) == 0;

    /* The reader has seen enough and went away: `logs | head -1` is no failure. */
    if (kr_out_is_unread() && (rc == 0 || err->code == KR_E_CANCELLED) && !kr_view_interrupted())
        return 0;
    if (rc < 0 && cli->declined && err->code == KR_E_CANCELLED) {
        kr_say(cli, KR_NOTE_INFO, "%s %s canceled", cli->prog, cli->cmd->path);
        rc = 0;
    } else if (rc < 0) {
        if (cli->unasked && err->code == KR_E_CANCELLED)
            (void)kr_hint(err, "pass --yes to answer beforehand");
        if (kr_view_interrupted())
            (void)kr_hint(err, "the same command goes on from here");
        print_error(cli, err);
    }
    if (!written && rc == 0) {
        print_error(cli, &out_err);
        return 1;
    }
    if (rc < 0 && err->code == KR_E_CANCELLED && kr_view_interrupted())
        return 128 + kr_view_signal();
    return rc == 0 ? 0 : err->code == KR_E_USAGE ? 2 : 1;
}

/* Nothing is half-written by that: commands may be killed at any time. */
static void library_is_missing(const char *file, const char *why)
{
    (void)fprintf(stderr,
                  "Error: the library %s cannot be used: %s\n  install it, or the whole package, "
                  "again\n",
                  file, why);
    _exit(1);
}

int main(int argc, char **argv)
{
    struct kr_cli cli = {0};
    struct kr_err err = KR_ERR_INIT;
    int status, rc;

    fill_standard_fds();
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of writing, not the end */
    kr_lazy_on_missing(library_is_missing);
    /* Widths of characters need UTF-8 even where the environment names no language. */
    if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    cli.prog = program_name(argc > 0 ? argv[0] : NULL);
    cli.out = kr_term_of(STDOUT_FILENO);
    cli.err = kr_term_of(STDERR_FILENO);
    cli.view = kr_view_create(&cli);
    rc = dispatch(&cli, argv + 1, argc > 0 ? argc - 1 : 0, &err);
    status = finish(&cli, rc, &err);
    kr_view_destroy(cli.view);
    kr_redact_clear();
    return status;
}
