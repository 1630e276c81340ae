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
#include "base/log.h"
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

/* -q and -v: what is said on the way. */
static void set_talk(struct kr_cli *cli, unsigned wish)
{
    cli->quiet = cli->quiet || (wish & KR_WISH_QUIET) != 0;
    if ((wish & KR_WISH_VERBOSE) != 0)
        kr_log_setup(STDERR_FILENO, KR_LOG_DEBUG, false);
}

static int run_command(struct kr_cli *cli, const struct kr_cmd *cmd, char **argv, int argc,
                       struct kr_err *err)
{
    struct kr_ui ui;
    unsigned wish;
    void *args = NULL;
    int rc;

    cli->cmd = cmd;
    rc = kr_args_parse(cli->prog, cmd, argv, argc, &args, &wish, err);
    if (rc < 0)
        return rc;
    if ((wish & KR_WISH_HELP) != 0) {
        print_help(cli, cmd, NULL);
        return 0;
    }
    if ((wish & KR_WISH_VERSION) != 0)
        return print_version(cli);
    set_talk(cli, wish);
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
    if (word == NULL || kr_wish_of(word) == KR_WISH_HELP) {
        print_help(cli, NULL, group);
        return 0;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-v") == 0)
        return print_version(cli);
    if (kr_wish_of(word) != KR_WISH_RUN)
        return kr_fail(err, KR_E_USAGE, "%s needs a command", word);
    return kr_fail(err, KR_E_USAGE, "'%s%s%s' has no option '%s'; did you mean '--help'?",
                   cli->prog, group != NULL ? " " : "", group != NULL ? group->path : "", word);
}

/* The page of what the words name: `help deployment list`, `deployment help list`. */
static int show_page(struct kr_cli *cli, char **words, int n, struct kr_err *err)
{
    const struct kr_cmd *cmd;
    const struct kr_group *group;
    int used;

    if (kr_cmd_resolve(cli->prog, words, n, &cmd, &group, &used, err) < 0)
        return -(int)err->code;
    cli->group = group;
    if (used < n && kr_wish_of(words[used]) == KR_WISH_RUN)
        return kr_fail(err, KR_E_USAGE, "help is about commands; '%s' is none", words[used]);
    print_help(cli, cmd, cmd != NULL ? NULL : group);
    return 0;
}

/* Place of the word `help` behind a group, or at the beginning; -1: there is none. */
static int place_of_help(char **argv, int argc)
{
    kr_auto_buf struct kr_buf path = KR_BUF_INIT(4096);

    for (int i = 0; i < argc && argv[i][0] != '-'; i++) {
        if (strcmp(argv[i], "help") == 0)
            return i;
        kr_buf_addf(&path, "%s%s", i > 0 ? " " : "", argv[i]);
        if (kr_group_find(kr_buf_str(&path)) == NULL)
            return -1;
    }
    return -1;
}

static int dispatch(struct kr_cli *cli, char **argv, int argc, struct kr_err *err)
{
    const struct kr_cmd *cmd;
    int used, help;

    for (; argc > 1 && (kr_wish_of(argv[0]) & (KR_WISH_QUIET | KR_WISH_VERBOSE)) != 0;
         argv++, argc--)
        set_talk(cli, (unsigned)kr_wish_of(argv[0]));
    help = place_of_help(argv, argc);
    if (help >= 0) {
        memmove(argv + help, argv + help + 1, (size_t)(argc - help - 1) * sizeof(*argv));
        return show_page(cli, argv, argc - 1, err);
    }
    if (kr_cmd_resolve(cli->prog, argv, argc, &cmd, &cli->group, &used, err) < 0)
        return -(int)err->code;
    if (cmd != NULL)
        return run_command(cli, cmd, argv + used, argc - used, err);
    return run_without_command(cli, cli->group, argv + used, argc - used, err);
}

/* Behind an error of usage: where it is said how the command is used. */
static void print_usage_help(const struct kr_cli *cli, const struct kr_err *err)
{
    const char *path = cli->cmd != NULL     ? cli->cmd->path
                       : cli->group != NULL ? cli->group->path
                                            : NULL;

    if (strstr(err->msg, "--help'") != NULL || strstr(err->hint, "--help'") != NULL)
        return;
    (void)fprintf(stderr, "  '%s%s%s --help' %s\n", cli->prog, path != NULL ? " " : "",
                  path != NULL ? path : "",
                  cli->cmd != NULL ? "shows how it is used" : "lists the commands");
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
        if (err->code == KR_E_USAGE)
            print_usage_help(cli, err);
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
