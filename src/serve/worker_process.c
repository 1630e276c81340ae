/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a worker's process with the descriptors of the protocol. */
#include "serve/worker.h"

#include "base/alloc.h"
#include "serve/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct fds {
    int sock[2], console[2], wake[2], mark;
};

static int open_fds(struct fds *f, struct kr_err *err)
{
    int size = 1 << 20;

    *f = (struct fds){{-1, -1}, {-1, -1}, {-1, -1}, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->sock) < 0 ||
        pipe2(f->console, O_CLOEXEC) < 0 || pipe2(f->wake, O_CLOEXEC) < 0)
        return kr_fail_errno(err, errno, "descriptors of a worker");
    f->mark = memfd_create("kourou-mark", MFD_CLOEXEC);
    if (f->mark < 0 || ftruncate(f->mark, 4096) < 0)
        return kr_fail_errno(err, errno, "mark of a worker");
    (void)setsockopt(f->sock[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(f->sock[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (fcntl(f->sock[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(f->console[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(f->wake[1], F_SETFL, O_NONBLOCK) < 0)
        return kr_fail_errno(err, errno, "descriptors of a worker");
    return 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void close_fds(struct fds *f)
{
    close_fd(&f->sock[0]);
    close_fd(&f->sock[1]);
    close_fd(&f->console[0]);
    close_fd(&f->console[1]);
    close_fd(&f->wake[0]);
    close_fd(&f->wake[1]);
    close_fd(&f->mark);
}

/* Only async-signal-safe calls from here to exec. */
static KR_NORETURN void child(const struct fds *f, char *const *argv,
                              const struct kr_pool_config *cfg, pid_t parent)
{
    const int keep[] = {f->sock[1], f->wake[0], f->wake[1], f->mark};
    sigset_t none;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), fd;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < KR_ARRAY_LEN(keep); i++)
        (void)fcntl(keep[i], F_SETFD, 0);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(f->console[1], 1) < 0 ||
        dup2(f->console[1], 2) < 0)
        _exit(126);
    /* When memory runs out the kernel shall take a worker, not the front. */
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!write(fd, "500", 3);
    if (cfg->cwd != NULL && chdir(cfg->cwd) < 0)
        _exit(126);
    (void)execvpe(argv[0], argv, cfg->env);
    (void)dprintf(2, "cannot execute %s: errno %d\n", argv[0], errno);
    _exit(127);
}

static char **full_argv(const struct kr_worker *w, const struct fds *f, char numbers[6][16])
{
    static const char *const names[] = {"--fd",   "--wake-r",  "--wake-w",
                                        "--mark", "--threads", "--template"};
    const struct kr_pool_config *cfg = &w->pool->cfg;
    const int values[] = {f->sock[1], f->wake[0], f->wake[1], f->mark, (int)cfg->threads, 1};
    size_t options = w->role == KR_ROLE_TEMPLATE ? 6 : 5;
    size_t n = 0;
    char **argv;

    while (cfg->argv[n] != NULL)
        n++;
    argv = kr_calloc(n + 13, sizeof(char *));
    memcpy(argv, cfg->argv, n * sizeof(char *));
    for (size_t i = 0; i < options; i++) {
        (void)snprintf(numbers[i], 16, "%d", values[i]);
        argv[n++] = (char *)(uintptr_t)names[i];
        argv[n++] = numbers[i];
    }
    return argv;
}

int kr_worker_exec(struct kr_worker *w, int *sock, int *console, struct kr_err *err)
{
    const struct kr_pool_config *cfg = &w->pool->cfg;
    pid_t parent = getpid();
    kr_auto_free char **argv = NULL;
    char numbers[6][16];
    struct fds f;
    void *page;

    if (open_fds(&f, err) < 0) {
        close_fds(&f);
        return -(int)err->code;
    }
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f.mark, 0);
    argv = full_argv(w, &f, numbers);
    w->pid = page == MAP_FAILED ? -1 : fork();
    if (w->pid < 0) {
        int code = errno;

        if (page != MAP_FAILED)
            (void)munmap(page, 4096);
        close_fds(&f);
        return kr_fail_errno(err, code, "start a worker");
    }
    if (w->pid == 0)
        child(&f, argv, cfg, parent);
    (void)setpgid(w->pid, w->pid);
    w->mark = page;
    w->wake_fd = kr_steal_fd(&f.wake[1]);
    *sock = kr_steal_fd(&f.sock[0]);
    *console = kr_steal_fd(&f.console[0]);
    close_fds(&f);
    return 0;
}

/* The same descriptors go to the template, which forks a process that has them. */
int kr_worker_fork(struct kr_worker *w, int *sock, int *console, struct kr_err *err)
{
    kr_auto_buf struct kr_buf frame = KR_BUF_INIT(64);
    char control[KR_FDPASS_ROOM] = {0};
    struct iovec iov = {.iov_len = KR_FRAME_HEADER};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct fds f;
    void *page = MAP_FAILED;
    int code = 0;

    if (open_fds(&f, err) < 0) {
        close_fds(&f);
        return -(int)err->code;
    }
    kr_frame_put(&frame, KR_T_SPAWN, 0, 0, (uint32_t)w->index, 0);
    iov.iov_base = frame.p;
    kr_fdpass_attach_some(&msg, control, (const int[]){f.sock[1], f.console[1], f.mark});
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f.mark, 0);
    if (page == MAP_FAILED ||
        sendmsg(w->pool->template->sock.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) != KR_FRAME_HEADER)
        code = errno;
    if (code != 0) {
        if (page != MAP_FAILED)
            (void)munmap(page, 4096);
        close_fds(&f);
        return kr_fail_errno(err, code, "ask the template for a process");
    }
    w->pid = 0;
    w->forking = true;
    w->mark = page;
    *sock = kr_steal_fd(&f.sock[0]);
    *console = kr_steal_fd(&f.console[0]);
    close_fds(&f);
    return 0;
}
