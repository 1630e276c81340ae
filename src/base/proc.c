/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proc.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

extern char **environ;

/* Time between SIGTERM and SIGKILL: a user who pressed Ctrl-C does not wait. */
enum { CANCEL_LOOK_MS = 100, CANCEL_TERM_MS = 200, TERM_MS = 2000 };

char **kr_env_copy(void)
{
    size_t n = 0;
    char **copy;

    while (environ[n] != NULL)
        n++;
    copy = kr_calloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        copy[i] = kr_strdup(environ[i]);
    return copy;
}

void kr_env_set(char ***env, const char *name, const char *value)
{
    size_t n = 0, len = strlen(name), at = (size_t)-1;

    for (; (*env)[n] != NULL; n++) {
        if (strncmp((*env)[n], name, len) == 0 && (*env)[n][len] == '=')
            at = n;
    }
    if (at != (size_t)-1) {
        free((*env)[at]);
        (*env)[at] = value != NULL ? kr_asprintf("%s=%s", name, value) : (*env)[n - 1];
        if (value == NULL)
            (*env)[n - 1] = NULL;
        if (value == NULL && at == n - 1)
            (*env)[at] = NULL;
        return;
    }
    if (value == NULL)
        return;
    *env = kr_reallocarray(*env, n + 2, sizeof(char *));
    (*env)[n] = kr_asprintf("%s=%s", name, value);
    (*env)[n + 1] = NULL;
}

void kr_env_free(char **env)
{
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        free(env[i]);
    free(env);
}

/* In the child between fork and exec only async-signal-safe calls are allowed. */
static KR_NORETURN void child_exec(const struct kr_spawn *what, const char *program, int report,
                                   pid_t parent)
{
    int saved[3];
    int null_fd = open("/dev/null", O_RDWR);
    sigset_t none;

    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(what->fds[i] >= 0 ? what->fds[i] : null_fd, F_DUPFD_CLOEXEC, 3);
        if (saved[i] < 0)
            goto failed;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(saved[i], i) < 0)
            goto failed;
    }
    for (size_t i = 0; i < what->keep_count; i++) {
        if (fcntl(what->keep[i], F_SETFD, 0) < 0)
            goto failed;
    }
    if (what->new_session)
        (void)setsid();
    if (what->dies_with_us && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        _exit(126);
    if (what->cwd != NULL && chdir(what->cwd) < 0)
        goto failed;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    execve(program, what->argv, what->env != NULL ? what->env : environ);
failed:
    (void)!write(report, &errno, sizeof(errno));
    _exit(127);
}

int kr_proc_spawn(const struct kr_spawn *what, pid_t *pid, struct kr_err *err)
{
    kr_auto_free char *program = kr_path_find_program(what->argv[0]);
    int report[2], child_errno = 0;
    ssize_t n;
    pid_t child, parent = getpid();

    if (program == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "program '%s' not found", what->argv[0]);
    if (pipe2(report, O_CLOEXEC) < 0)
        return kr_fail_errno(err, errno, "cannot start %s", program);
    child = fork();
    if (child == 0)
        child_exec(what, program, report[1], parent);
    (void)close(report[1]);
    if (child < 0) {
        (void)close(report[0]);
        return kr_fail_errno(err, errno, "cannot start %s", program);
    }
    do {
        n = read(report[0], &child_errno, sizeof(child_errno));
    } while (n < 0 && errno == EINTR);
    (void)close(report[0]);
    if (n > 0) {
        (void)waitpid(child, NULL, 0);
        return kr_fail_errno(err, child_errno, "cannot start %s", program);
    }
    *pid = child;
    return 0;
}

struct pump {
    const struct kr_proc_opts *opts;
    struct kr_buf line[2]; /* the unfinished line of stdout and stderr */
    struct kr_redactor redactor[2];
};

static void take_text(struct pump *p, int which, const char *bytes, size_t n)
{
    struct kr_buf *line = &p->line[which];
    char *end;

    if (line->n + n > line->max)
        kr_buf_reset(line); /* a line without end is not worth keeping */
    kr_buf_add(line, bytes, n < line->max ? n : line->max);
    while (line->n > 0 && (end = memchr(line->p, '\n', line->n)) != NULL) {
        *end = '\0';
        if (end > line->p && end[-1] == '\r')
            end[-1] = '\0';
        p->opts->line(line->p, which == 1, p->opts->data);
        kr_buf_drop(line, (size_t)(end - line->p) + 1);
    }
}

/* Both outputs are closed. */
static void take_rest(struct pump *p)
{
    for (int i = 0; i < 2; i++) {
        kr_auto_buf struct kr_buf said = KR_BUF_INIT(KR_REDACT_BLOCK);

        kr_redactor_end(&p->redactor[i], &said);
        if (said.n > 0)
            take_text(p, i, said.p, said.n);
        if (p->opts->line != NULL && p->line[i].n > 0)
            p->opts->line(p->line[i].p, i == 1, p->opts->data);
        kr_buf_finish(&p->line[i]);
        kr_redactor_finish(&p->redactor[i]);
    }
}

static void take(struct pump *p, int which, const char *bytes, size_t n)
{
    struct kr_buf *sink = which == 0 ? p->opts->out : p->opts->err_out;
    kr_auto_buf struct kr_buf said = KR_BUF_INIT(n + KR_REDACT_BLOCK);

    if (sink != NULL) {
        if (which == 1 && n < sink->max && sink->n > sink->max - n)
            kr_buf_drop(sink, sink->n - (sink->max - n)); /* the end of stderr is what matters */
        kr_buf_add(sink, bytes, n);
    }
    if (p->opts->line == NULL)
        return;
    kr_redactor_feed(&p->redactor[which], bytes, n, &said);
    if (said.n > 0)
        take_text(p, which, said.p, said.n);
}

static void feed_stdin(struct pollfd *to, size_t *done, const struct kr_proc_opts *opts)
{
    ssize_t n = write(to->fd, opts->input + *done, opts->input_len - *done);

    if (n > 0)
        *done += (size_t)n;
    if ((n < 0 && errno != EINTR && errno != EAGAIN) || *done == opts->input_len) {
        (void)close(to->fd);
        to->fd = -1;
    }
}

static bool is_cancelled(const struct kr_proc_opts *opts)
{
    return opts->cancelled != NULL && opts->cancelled(opts->cancel_data);
}

/* A signal that comes just before poll() must not be slept over. */
static int patience(const struct kr_proc_opts *opts, int64_t left)
{
    int64_t most = opts->cancelled != NULL ? CANCEL_LOOK_MS : 1000000;

    return left < 0 && opts->cancelled == NULL ? -1
           : left < 0 || left > most           ? (int)most
                                               : (int)left;
}

/* Moves bytes until both outputs are closed, or time is over or the user has enough (returns false
 * then). */
static bool pump_all(struct pump *p, struct pollfd fds[3], int64_t deadline)
{
    char chunk[16384];
    size_t fed = 0;

    while (fds[1].fd >= 0 || fds[2].fd >= 0) {
        int64_t left = deadline != 0 ? deadline - kr_mono_ms() : -1;

        if ((deadline != 0 && left <= 0) || is_cancelled(p->opts))
            return false;
        if (poll(fds, 3, patience(p->opts, deadline != 0 ? left : -1)) < 0 && errno != EINTR)
            return false;
        if (fds[0].fd >= 0 && (fds[0].revents & (POLLOUT | POLLERR | POLLHUP)) != 0)
            feed_stdin(&fds[0], &fed, p->opts);
        for (int i = 1; i < 3; i++) {
            ssize_t n;

            if (fds[i].fd < 0 || (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
                continue;
            n = read(fds[i].fd, chunk, sizeof(chunk));
            if (n > 0)
                take(p, i - 1, chunk, (size_t)n);
            if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
                (void)close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
    return true;
}

static void end_child(pid_t pid, int grace_ms)
{
    int raw;

    (void)kill(pid, SIGTERM);
    for (int i = 0; i < grace_ms / 10; i++) {
        if (waitpid(pid, &raw, WNOHANG) != 0)
            return;
        kr_sleep_ms(10);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &raw, 0);
}

static int reap(pid_t pid, const struct kr_proc_opts *opts, int *status, int64_t deadline,
                bool *late)
{
    bool looks = deadline != 0 || opts->cancelled != NULL;
    int raw = 0;

    *late = false;
    while (looks && waitpid(pid, &raw, WNOHANG) == 0) {
        if ((deadline != 0 && kr_mono_ms() >= deadline) || is_cancelled(opts)) {
            *late = true;
            end_child(pid, is_cancelled(opts) ? CANCEL_TERM_MS : TERM_MS);
            *status = 128 + SIGTERM;
            return 0;
        }
        kr_sleep_ms(2);
    }
    if (!looks) {
        while (waitpid(pid, &raw, 0) < 0) {
            if (errno != EINTR)
                return -1;
        }
    }
    *status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
    return 0;
}

static int make_pipes(const struct kr_proc_opts *opts, struct pollfd ours[3], int theirs[3])
{
    int ends[2];

    for (int i = 0; i < 3; i++) {
        bool wanted = i == 0   ? opts->input != NULL
                      : i == 1 ? opts->out != NULL || opts->line != NULL
                               : opts->err_out != NULL || opts->line != NULL;

        ours[i] = (struct pollfd){.fd = -1, .events = i == 0 ? POLLOUT : POLLIN};
        theirs[i] = i == 0 ? -1 : STDERR_FILENO;
        if (!wanted)
            continue;
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -1;
        ours[i].fd = i == 0 ? ends[1] : ends[0];
        theirs[i] = i == 0 ? ends[0] : ends[1];
        (void)fcntl(ours[i].fd, F_SETFL, O_NONBLOCK);
    }
    return 0;
}

static void close_all(struct pollfd ours[3], int theirs[3])
{
    for (int i = 0; i < 3; i++) {
        if (theirs[i] > STDERR_FILENO)
            (void)close(theirs[i]);
        theirs[i] = -1;
        if (ours != NULL && ours[i].fd >= 0)
            (void)close(ours[i].fd);
    }
}

int kr_proc_run(char *const argv[], const struct kr_proc_opts *opts, int *status,
                struct kr_err *err)
{
    struct pump p = {.opts = opts,
                     .line = {KR_BUF_INIT((size_t)1 << 20), KR_BUF_INIT((size_t)1 << 20)}};
    int64_t deadline = opts->timeout_ms > 0 ? kr_mono_ms() + opts->timeout_ms : 0;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    struct pollfd ours[3];
    int theirs[3] = {-1, -1, -1};
    struct kr_spawn what = {.argv = argv, .env = opts->env, .cwd = opts->cwd, .dies_with_us = true};
    bool late;
    pid_t pid;

    for (int i = 0; i < 2; i++)
        kr_redactor_init(&p.redactor[i]);
    if (make_pipes(opts, ours, theirs) < 0) {
        close_all(ours, theirs);
        return kr_fail_errno(err, errno, "cannot start %s", argv[0]);
    }
    memcpy(what.fds, theirs, sizeof(theirs));
    if (kr_proc_spawn(&what, &pid, err) < 0) {
        close_all(ours, theirs);
        return -(int)err->code;
    }
    close_all(NULL, theirs);
    if (opts->meanwhile != NULL)
        opts->meanwhile();
    (void)sigaction(SIGPIPE, &ignore, &before);
    (void)pump_all(&p, ours, deadline);
    (void)sigaction(SIGPIPE, &before, NULL);
    take_rest(&p);
    close_all(ours, theirs);
    if (reap(pid, opts, status, deadline, &late) < 0)
        return kr_fail_errno(err, errno, "waiting for %s", argv[0]);
    if (late && is_cancelled(opts))
        return kr_fail(err, KR_E_CANCELLED, "stopped");
    if (late)
        return kr_fail(err, KR_E_TIMEOUT, "%s did not end within %d s", argv[0],
                       opts->timeout_ms / 1000);
    return 0;
}

unsigned long long kr_proc_start_time(pid_t pid)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);
    kr_auto_free char *path = kr_asprintf("/proc/%d/stat", (int)pid);
    struct kr_view rest, field;
    uint64_t ticks = 0;
    char *after;

    if (kr_file_read(path, &text, NULL) < 0)
        return 0;
    after = text.n > 0 ? strrchr(text.p, ')') : NULL; /* the name before may hold anything */
    if (after == NULL || after[1] == '\0')
        return 0;
    rest = kr_view_of(after + 2);
    for (int i = 3; i <= 22; i++)
        (void)kr_view_cut(&rest, ' ', &field);
    return kr_view_u64(field, &ticks) ? ticks : 0;
}
