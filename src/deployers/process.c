/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/process.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/view.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MAX_ARGS = 1 << 18, MAX_FOUND = 64, FAREWELL_MS = 3000 };

struct stat_line {
    char state;
    pid_t parent;
    unsigned long long start;
};

static bool read_stat(pid_t pid, struct stat_line *out)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);
    char path[32], *after;
    struct kr_view rest, field = {0};
    uint64_t ticks = 0, parent = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (pid <= 0 || kr_file_read(path, &text, NULL) < 0 || text.n == 0)
        return false;
    after = strrchr(text.p, ')'); /* the name before may hold anything */
    if (after == NULL || after[1] == '\0' || after[2] == '\0')
        return false;
    out->state = after[2];
    rest = kr_view_of(after + 2);
    for (int i = 3; i <= 22; i++) {
        (void)kr_view_cut(&rest, ' ', &field);
        if (i == 4 && !kr_view_u64(field, &parent))
            return false;
    }
    if (!kr_view_u64(field, &ticks))
        return false;
    out->parent = (pid_t)parent;
    out->start = ticks;
    return out->state != 'Z' && out->state != 'X';
}

struct kr_process kr_process_now(pid_t pid)
{
    struct stat_line line;

    if (!read_stat(pid, &line))
        return (struct kr_process){0};
    return (struct kr_process){.pid = pid, .start = line.start};
}

bool kr_process_alive(struct kr_process process)
{
    struct stat_line line;

    if (process.pid <= 0)
        return false;
    (void)waitpid(process.pid, NULL, WNOHANG);
    return read_stat(process.pid, &line) && line.start == process.start;
}

/* A descriptor that stays tied to this very process, or -1. */
static int open_process(struct kr_process process)
{
    kr_auto_fd int fd = (int)syscall(SYS_pidfd_open, process.pid, 0);

    if (fd < 0 || !kr_process_alive(process))
        return -1;
    return kr_steal_fd(&fd);
}

static void send_signal(int fd, struct kr_process process, int number)
{
    if (fd >= 0)
        (void)syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
    else if (kr_process_alive(process))
        (void)kill(process.pid, number);
}

static bool wait_gone(int fd, struct kr_process process, int64_t ms)
{
    int64_t end = kr_mono_ms() + ms;

    while (kr_process_alive(process)) {
        int64_t now = kr_mono_ms(), left = end - now, most = fd < 0 ? 10 : 1000;
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        if (left <= 0)
            return false;
        most = left < most ? left : most;
        if (fd < 0)
            kr_sleep_ms(most);
        else if (poll(&wait, 1, (int)most) > 0)
            fd = -1; /* ended: only its parent has to notice */
        end += kr_stood_still_ms(now, most);
    }
    return true;
}

bool kr_process_wait_gone(struct kr_process process, int64_t ms)
{
    kr_auto_fd int fd = open_process(process);

    return wait_gone(fd, process, ms);
}

bool kr_process_ask_to_end(struct kr_process process, int64_t ms)
{
    kr_auto_fd int fd = open_process(process);

    if (!kr_process_alive(process))
        return true;
    send_signal(fd, process, SIGTERM);
    return wait_gone(fd, process, ms);
}

bool kr_process_stop(struct kr_process process, int64_t grace_ms)
{
    kr_auto_fd int fd = open_process(process);

    if (!kr_process_alive(process))
        return true;
    send_signal(fd, process, SIGTERM);
    if (wait_gone(fd, process, grace_ms))
        return true;
    send_signal(fd, process, SIGTERM); /* asked again, a server tells those who wait, and ends */
    if (wait_gone(fd, process, FAREWELL_MS))
        return true;
    if (getpgid(process.pid) == process.pid && kr_process_alive(process))
        (void)kill(-process.pid, SIGKILL);
    send_signal(fd, process, SIGKILL);
    return wait_gone(fd, process, 5000);
}

static bool read_args(pid_t pid, struct kr_buf *args)
{
    char path[40];

    kr_buf_reset(args);
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    return kr_file_read(path, args, NULL) == 0 && args->n > 0;
}

/* The argument behind `option`, or NULL. */
static const char *option_of(const struct kr_buf *args, const char *option)
{
    const char *end = args->p + args->n;

    for (const char *p = args->p; p < end; p += strlen(p) + 1) {
        if (strcmp(p, option) == 0 && p + strlen(p) + 1 < end)
            return p + strlen(p) + 1;
    }
    return NULL;
}

static bool is_program(const struct kr_buf *args, const char *program)
{
    const char *slash = strrchr(args->p, '/');

    return strcmp(slash != NULL ? slash + 1 : args->p, program) == 0;
}

size_t kr_process_find(const char *program, const char *option, const char *value,
                       struct kr_process *found, size_t max)
{
    kr_auto_dir DIR *proc = opendir("/proc");
    kr_auto_buf struct kr_buf args = KR_BUF_INIT(MAX_ARGS);
    struct kr_process all[MAX_FOUND];
    pid_t parents[MAX_FOUND];
    size_t n = 0, kept = 0;
    struct dirent *entry;

    while (proc != NULL && n < MAX_FOUND && (entry = readdir(proc)) != NULL) {
        struct stat_line line;
        const char *is;
        uint64_t pid;

        if (!kr_view_u64(kr_view_of(entry->d_name), &pid) || !read_args((pid_t)pid, &args) ||
            !is_program(&args, program))
            continue;
        is = option_of(&args, option);
        if (is == NULL || strcmp(is, value) != 0 || !read_stat((pid_t)pid, &line))
            continue;
        parents[n] = line.parent;
        all[n++] = (struct kr_process){.pid = (pid_t)pid, .start = line.start};
    }
    for (size_t i = 0; i < n && kept < max; i++) {
        bool child = false; /* between fork and exec a child still looks like its parent */

        for (size_t k = 0; k < n; k++)
            child = child || parents[i] == all[k].pid;
        if (!child)
            found[kept++] = all[i];
    }
    return kept;
}

char *kr_process_option(struct kr_process process, const char *option)
{
    kr_auto_buf struct kr_buf args = KR_BUF_INIT(MAX_ARGS);

    if (!kr_process_alive(process) || !read_args(process.pid, &args))
        return NULL;
    return kr_strdup(option_of(&args, option));
}

/* Inode of the socket that listens on the port, from one of the kernel's tables; 0: none. */
static uint64_t inode_in(const char *table, int port)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT((size_t)1 << 24);
    struct kr_view rest, line, field = {0};
    char want[8];
    uint64_t inode = 0;

    if (kr_file_read(table, &text, NULL) < 0)
        return 0;
    (void)snprintf(want, sizeof(want), ":%04X", (unsigned)port);
    rest = (struct kr_view){kr_buf_str(&text), text.n};
    while (kr_view_cut(&rest, '\n', &line)) {
        struct kr_view fields[10];
        size_t n = 0;

        while (n < 10 && line.n > 0) {
            (void)kr_view_cut(&line, ' ', &field);
            if (field.n > 0)
                fields[n++] = field;
        }
        if (n == 10 && fields[1].n > 5 && kr_view_eq(fields[3], "0A") &&
            memcmp(fields[1].p + fields[1].n - 5, want, 5) == 0 && kr_view_u64(fields[9], &inode))
            return inode;
    }
    return 0;
}

static bool holds(const char *pid, const char *socket)
{
    kr_auto_free char *path = kr_asprintf("/proc/%s/fd", pid);
    kr_auto_dir DIR *dir = opendir(path);
    struct dirent *entry;
    char target[64];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        if (n > 0 && (size_t)n == strlen(socket) && memcmp(target, socket, (size_t)n) == 0)
            return true;
    }
    return false;
}

static char *describe(const char *pid)
{
    kr_auto_free char *path = kr_asprintf("/proc/%s/comm", pid);
    kr_auto_buf struct kr_buf name = KR_BUF_INIT(256);
    struct kr_view trimmed;

    if (kr_file_read(path, &name, NULL) < 0)
        return kr_asprintf("pid %s", pid);
    trimmed = kr_view_trim(kr_view_of(kr_buf_str(&name)));
    return kr_asprintf("pid %s (" KR_VIEW_FMT ")", pid, KR_VIEW_ARG(trimmed));
}

char *kr_process_of_port(int port)
{
    uint64_t inode = inode_in("/proc/net/tcp", port);
    kr_auto_dir DIR *proc = NULL;
    char socket[40];
    struct dirent *entry;

    if (inode == 0)
        inode = inode_in("/proc/net/tcp6", port);
    if (inode == 0)
        return NULL;
    (void)snprintf(socket, sizeof(socket), "socket:[%llu]", (unsigned long long)inode);
    proc = opendir("/proc");
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        uint64_t pid;

        if (kr_view_u64(kr_view_of(entry->d_name), &pid) && holds(entry->d_name, socket))
            return describe(entry->d_name);
    }
    return NULL;
}
