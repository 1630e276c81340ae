/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the person at the terminal, and Ctrl-C. */
#include "cli/view.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/redact.h"
#include "cli/screen.h"

enum { ANSWER_MAX = 65536 };

static volatile sig_atomic_t interrupts, first_signal, ends_at_once;

static void on_interrupt(int number)
{
    static const char text[] = "\nStopping; press Ctrl-C again to end at once\n";
    int saved = errno;

    if (ends_at_once || interrupts++ > 0)
        _exit(128 + number);
    first_signal = number;
    if (isatty(STDERR_FILENO) == 1)
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    errno = saved;
}

void kr_view_catch_interrupt(bool at_once)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

    ends_at_once = at_once;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool kr_view_interrupted(void)
{
    return interrupts > 0;
}

int kr_view_signal(void)
{
    return first_signal;
}

/* One line of stdin, without its end; false at end of file or on Ctrl-C. */
static bool read_line(struct kr_buf *line)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    char c;

    for (;;) {
        if (poll(&ready, 1, -1) < 0 && (errno != EINTR || kr_view_interrupted()))
            return false;
        if (ready.revents == 0)
            continue;
        if (read(STDIN_FILENO, &c, 1) != 1)
            return line->n > 0;
        if (c == '\n')
            return true;
        kr_buf_addc(line, c);
    }
}

static void show_question(struct kr_cli *cli, const char *question, const char *end)
{
    kr_auto_free char *text = kr_strdup(question);

    kr_printable(text);
    kr_redact(text, strlen(text));
    kr_view_clear(cli->view);
    (void)fprintf(stderr, "%s%s", text, end);
    (void)fflush(stderr);
}

int kr_ask(struct kr_cli *cli, struct kr_err *err, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(ANSWER_MAX), answer = KR_BUF_INIT(ANSWER_MAX);
    const char *said;
    va_list args;

    if (cli->yes)
        return 0;
    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    if (isatty(STDIN_FILENO) != 1) {
        cli->unasked = true;
        return kr_fail(err, KR_E_CANCELLED, "this needs a yes, and there is no terminal to ask: %s",
                       kr_buf_str(&text)),
               kr_hint(err, "pass --yes to answer beforehand");
    }
    show_question(cli, kr_buf_str(&text), " [y/N]: ");
    if (!read_line(&answer))
        (void)fputc('\n', stderr);
    said = kr_buf_str(&answer);
    if (strcasecmp(said, "y") == 0 || strcasecmp(said, "yes") == 0)
        return 0;
    cli->declined = true;
    return kr_fail(err, KR_E_CANCELLED, "canceled");
}

int kr_prompt(struct kr_cli *cli, const char *question, bool secret, char **text,
              struct kr_err *err)
{
    kr_auto_buf struct kr_buf answer = KR_BUF_INIT(ANSWER_MAX);
    struct termios before, quiet;
    bool got;

    if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &before) != 0)
        return kr_fail(err, KR_E_INVALID, "there is no terminal to ask for: %s", question);
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    if (secret) /* before the question: what is typed early must not be shown either */
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    show_question(cli, question, ": ");
    got = read_line(&answer);
    if (secret) {
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
        (void)fputc('\n', stderr);
    }
    if (!got && kr_view_interrupted())
        return kr_fail(err, KR_E_CANCELLED, "interrupted");
    *text = kr_buf_steal(&answer);
    return 0;
}
