/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/outputs.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/view.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 64, PIPES_MAX = 8, ANCESTORS_MAX = 16, MEMORY_MAX = 1 << 20 };

struct id {
    dev_t dev;
    ino_t ino;
};

struct kr_outputs {
    struct id files[FILES_MAX];
    size_t n;
    ino_t pipes[PIPES_MAX];
    size_t pipe_count;
    char *memory;         /* file */
    struct kr_buf before; /* its lines: "dev ino path" */
    struct kr_buf fresh;
};

static void add_file(struct kr_outputs *o, const struct stat *st)
{
    for (size_t i = 0; i < o->n; i++) {
        if (o->files[i].dev == st->st_dev && o->files[i].ino == st->st_ino)
            return;
    }
    if (o->n < FILES_MAX)
        o->files[o->n++] = (struct id){st->st_dev, st->st_ino};
}

static bool add_pipe(struct kr_outputs *o, ino_t ino)
{
    for (size_t i = 0; i < o->pipe_count; i++) {
        if (o->pipes[i] == ino)
            return false;
    }
    if (o->pipe_count == PIPES_MAX)
        return false;
    o->pipes[o->pipe_count++] = ino;
    return true;
}

/* Flags that a descriptor of another process was opened with; -1 when it may not be known. */
static long flags_of(const char *pid, const char *fd)
{
    kr_auto_free char *path = kr_asprintf("/proc/%s/fdinfo/%s", pid, fd);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);
    const char *at;

    if (kr_file_read(path, &text, NULL) < 0)
        return -1;
    at = strstr(kr_buf_str(&text), "flags:");
    return at != NULL ? strtol(at + 6, NULL, 8) : -1; /* as the kernel writes it */
}

/* What happens to a descriptor of a process that reads what we say, or that called us. */
typedef void (*on_fd)(struct kr_outputs *o, const char *pid, const char *fd, const struct stat *st);

static void each_fd(struct kr_outputs *o, const char *pid, on_fd act)
{
    kr_auto_free char *dir = kr_asprintf("/proc/%s/fd", pid);
    kr_auto_dir DIR *d = opendir(dir);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        struct stat st;

        if (entry->d_name[0] != '.' && fstatat(dirfd(d), entry->d_name, &st, 0) == 0)
            act(o, pid, entry->d_name, &st);
    }
}

/* Only what is open for writing alone, as logs are: a database that somebody works on is open for
 * both. */
static void take_written(struct kr_outputs *o, const char *pid, const char *fd,
                         const struct stat *st)
{
    long flags;

    if (!S_ISREG(st->st_mode))
        return;
    flags = flags_of(pid, fd);
    if (flags >= 0 && (flags & O_ACCMODE) == O_WRONLY)
        add_file(o, st);
}

/* Its own outputs may go to a pipe in turn. */
static void take_pipe(struct kr_outputs *o, const char *pid, const char *fd, const struct stat *st)
{
    if (S_ISFIFO(st->st_mode) && (strcmp(fd, "1") == 0 || strcmp(fd, "2") == 0) &&
        (flags_of(pid, fd) & O_ACCMODE) != O_RDONLY)
        (void)add_pipe(o, st->st_ino);
}

static bool reads_ours(const struct kr_outputs *o, const char *pid)
{
    kr_auto_free char *dir = kr_asprintf("/proc/%s/fd", pid);
    kr_auto_dir DIR *d = opendir(dir);
    struct dirent *entry;

    while (d != NULL && (entry = readdir(d)) != NULL) {
        struct stat st;

        if (entry->d_name[0] == '.' || fstatat(dirfd(d), entry->d_name, &st, 0) < 0 ||
            !S_ISFIFO(st.st_mode))
            continue;
        for (size_t i = 0; i < o->pipe_count; i++) {
            if (o->pipes[i] == st.st_ino && (flags_of(pid, entry->d_name) & O_ACCMODE) == O_RDONLY)
                return true;
        }
    }
    return false;
}

/* Readers of our pipes, readers of theirs, and so on. */
static void follow_pipes(struct kr_outputs *o)
{
    size_t known;

    do {
        kr_auto_dir DIR *d = opendir("/proc");
        struct dirent *entry;

        known = o->pipe_count;
        while (d != NULL && (entry = readdir(d)) != NULL) {
            if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !reads_ours(o, entry->d_name))
                continue;
            each_fd(o, entry->d_name, take_written);
            each_fd(o, entry->d_name, take_pipe);
        }
    } while (o->pipe_count > known);
}

/* Those that called us: `script`, a shell whose own output goes to a file. */
static void follow_callers(struct kr_outputs *o)
{
    char pid[24];
    long at = (long)getppid();

    for (int i = 0; i < ANCESTORS_MAX && at > 1; i++) {
        kr_auto_buf struct kr_buf text = KR_BUF_INIT(8192);
        kr_auto_free char *path = kr_asprintf("/proc/%ld/stat", at);
        const char *end;

        (void)snprintf(pid, sizeof(pid), "%ld", at);
        each_fd(o, pid, take_written);
        if (kr_file_read(path, &text, NULL) < 0)
            return;
        end = strrchr(kr_buf_str(&text), ')');
        at = end != NULL && strlen(end) > 4 ? strtol(end + 4, NULL, 10) : 0;
    }
}

struct kr_outputs *kr_outputs_open(const char *memory_dir)
{
    struct kr_outputs *o = kr_calloc(1, sizeof(*o));

    kr_buf_init(&o->before, MEMORY_MAX);
    kr_buf_init(&o->fresh, MEMORY_MAX);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        struct stat st;

        if (fstat(fd, &st) < 0)
            continue;
        if (S_ISREG(st.st_mode))
            add_file(o, &st);
        else if (S_ISFIFO(st.st_mode))
            (void)add_pipe(o, st.st_ino);
    }
    if (o->pipe_count > 0)
        follow_pipes(o);
    follow_callers(o);
    if (memory_dir != NULL) {
        o->memory = kr_path_join(memory_dir, "outputs");
        (void)!kr_file_read(o->memory, &o->before, NULL);
    }
    return o;
}

bool kr_outputs_has(struct kr_outputs *o, const char *full, const struct stat *st)
{
    kr_auto_free char *line = kr_asprintf("%" PRIu64 " %" PRIu64 " %s\n", (uint64_t)st->st_dev,
                                          (uint64_t)st->st_ino, full);
    bool before = strstr(kr_buf_str(&o->before), line) != NULL;
    bool now = false;

    for (size_t i = 0; i < o->n; i++)
        now |= o->files[i].dev == st->st_dev && o->files[i].ino == st->st_ino;
    if (now && !before && strstr(kr_buf_str(&o->fresh), line) == NULL)
        kr_buf_adds(&o->fresh, line);
    return now || before;
}

void kr_outputs_close(struct kr_outputs *o)
{
    if (o == NULL)
        return;
    if (o->memory != NULL && o->fresh.n > 0 && !o->fresh.failed) {
        kr_buf_adds(&o->before, kr_buf_str(&o->fresh));
        if (!o->before.failed) /* not being able to remember costs a note at most */
            (void)!kr_file_write_atomic(o->memory, o->before.p, o->before.n, 0600, NULL);
    }
    kr_buf_finish(&o->before);
    kr_buf_finish(&o->fresh);
    free(o->memory);
    free(o);
}
