/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a program under test: kills it at its Nth call that changes a file (KILL_AT=N),
 * with KILL_HALF=1 after half of a write, or with KILL_ERRNO=number lets that call and all later
 * ones fail. KILL_COUNT=FILE gets the number of calls when the program ends. KILL_PROGRAM is the
 * name of the only program that is meant. Calls on pipes, sockets and terminals are not counted. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/* The function that this one stands before. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *real_##name;                                                          \
    if (real_##name == NULL) {                                                                     \
        void *found = dlsym(RTLD_NEXT, #name);                                                     \
        memcpy(&real_##name, &found, sizeof(found));                                               \
    }

static long stop_at, count;
static bool half;
static int fail_with; /* errno of every call from that one on; 0: the program is killed */

__attribute__((constructor)) static void set_up(void)
{
    const char *at = secure_getenv("KILL_AT"), *program = secure_getenv("KILL_PROGRAM");
    const char *number = secure_getenv("KILL_ERRNO"), *base;
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (at == NULL || program == NULL || n <= 0)
        return;
    self[n] = '\0';
    base = strrchr(self, '/');
    if (base == NULL || strcmp(base + 1, program) != 0)
        return;
    stop_at = strtol(at, NULL, 10);
    half = secure_getenv("KILL_HALF") != NULL;
    fail_with = number != NULL ? (int)strtol(number, NULL, 10) : 0;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = secure_getenv("KILL_COUNT");

    if (path != NULL && stop_at > 0) {
        int fd = creat(path, 0600);

        (void)dprintf(fd, "%ld\n", count);
        (void)close(fd);
    }
}

/* The call that is meant, or one after it when calls are to fail. */
static bool is_now(void)
{
    long now = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);

    return stop_at > 0 && (fail_with != 0 ? now >= stop_at : now == stop_at);
}

/* True: the call fails. */
static bool ends(void)
{
    if (fail_with == 0)
        (void)kill(getpid(), SIGKILL);
    errno = fail_with;
    return true;
}

static bool is_file(int fd)
{
    struct stat st;
    int saved = errno;
    bool file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

    errno = saved;
    return file;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    REAL(write)
    if (is_file(fd) && is_now()) {
        if (half)
            (void)!real_write(fd, bytes, n / 2);
        if (ends())
            return -1;
    }
    return real_write(fd, bytes, n);
}

#define PWRITE(name)                                                                               \
    ssize_t name(int fd, const void *bytes, size_t n, off_t at)                                    \
    {                                                                                              \
        REAL(name)                                                                                 \
        if (is_file(fd) && is_now()) {                                                             \
            if (half)                                                                              \
                (void)!real_##name(fd, bytes, n / 2, at);                                          \
            if (ends())                                                                            \
                return -1;                                                                         \
        }                                                                                          \
        return real_##name(fd, bytes, n, at);                                                      \
    }

/* Everything else: nothing of it happens. */
#define STEP(name, parameters, arguments)                                                          \
    int name parameters                                                                            \
    {                                                                                              \
        REAL(name)                                                                                 \
        if (is_now() && ends())                                                                    \
            return -1;                                                                             \
        return real_##name arguments;                                                              \
    }

/* What frees space goes on on a full disk. */
#define FREES(name, parameters, arguments)                                                         \
    int name parameters                                                                            \
    {                                                                                              \
        REAL(name)                                                                                 \
        if (fail_with == 0 && is_now())                                                            \
            (void)ends();                                                                          \
        return real_##name arguments;                                                              \
    }

PWRITE(pwrite)
PWRITE(pwrite64)
STEP(fsync, (int fd), (fd))
STEP(fdatasync, (int fd), (fd))
FREES(ftruncate, (int fd, off_t n), (fd, n))
FREES(ftruncate64, (int fd, off_t n), (fd, n))
FREES(unlink, (const char *path), (path))
FREES(unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
FREES(rmdir, (const char *path), (path))
STEP(mkdir, (const char *path, mode_t mode), (path, mode))
STEP(mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
STEP(rename, (const char *from, const char *to), (from, to))
STEP(renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
STEP(renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
STEP(link, (const char *from, const char *to), (from, to))
STEP(linkat, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
STEP(symlink, (const char *from, const char *to), (from, to))
STEP(fchmod, (int fd, mode_t mode), (fd, mode))
STEP(chmod, (const char *path, mode_t mode), (path, mode))

/* Opening counts when it may create. */
#define OPEN(name, parameters, arguments)                                                          \
    int name parameters                                                                            \
    {                                                                                              \
        REAL(name)                                                                                 \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
        va_start(args, flags);                                                                     \
        mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;                  \
        va_end(args);                                                                              \
        if ((flags & (O_CREAT | __O_TMPFILE)) != 0 && is_now() && ends())                          \
            return -1;                                                                             \
        return real_##name arguments;                                                              \
    }
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))
