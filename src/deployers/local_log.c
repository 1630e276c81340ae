/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a server's log while it is written and rotated (server.log -> server.log.1 -> ...). */
#include "deployers/local.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/view.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_ROTATED = 100, FOLLOW_MS = 100, MAX_LINE = 1 << 20, SHOWN_LINES = 20 };

/* A line of the log as an object, or NULL when it is not one of the server's records. Its texts may
 * hold line ends; to whoever gets lines they are one. */
static json_t *record_of(const char *line)
{
    kr_auto_json json_t *record = NULL;
    json_t *value;
    const char *key;

    if (line[0] != '{' || kr_json_parse(line, strlen(line), "log", &record, NULL) < 0 ||
        kr_json_str(record, "time", NULL) == NULL)
        return NULL;
    json_object_foreach(record, key, value)
    {
        kr_auto_free char *text = kr_strdup(json_string_value(value));

        if (text != NULL)
            (void)json_string_set(value, kr_blank(text, "\n\r"));
    }
    return kr_steal(&record);
}

/* A record as people read it; other lines stay as they are. Caller frees. */
static char *readable(const char *line)
{
    kr_auto_json json_t *record = record_of(line);
    const char *time = kr_json_str(record, "time", ""), *part = kr_json_str(record, "part", "?");
    const char *message = kr_json_str(record, "message", NULL);

    if (message != NULL)
        return kr_asprintf("%s %-5s %s: %s", time, kr_json_str(record, "level", ""), part, message);
    if (kr_json_str(record, "method", NULL) == NULL)
        return kr_strdup(line);
    return kr_asprintf("%s %-5s %s: %s %s %lld %.3f ms %s", time, kr_json_str(record, "level", ""),
                       part, kr_json_str(record, "method", ""), kr_json_str(record, "path", ""),
                       (long long)kr_json_int(record, "status", 0),
                       json_number_value(json_object_get(record, "ms")),
                       kr_json_str(record, "request_id", ""));
}

struct reader {
    void (*line)(void *data, const char *line);
    void *data;
    struct kr_buf part; /* an unfinished line */
};

static void take(struct reader *r, const char *bytes, size_t n)
{
    struct kr_view rest = {bytes, n}, head;

    while (kr_view_cut(&rest, '\n', &head)) {
        kr_buf_add(&r->part, head.p, head.n);
        r->line(r->data, kr_buf_str(&r->part));
        kr_buf_reset(&r->part);
    }
    kr_buf_add(&r->part, head.p, head.n);
}

static void drain(struct reader *r, int fd)
{
    char chunk[65536];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        take(r, chunk, (size_t)n);
}

/* Offset at which the last `lines` lines of the file begin; *lines becomes how many were
 * missing. */
static off_t tail_offset(int fd, int64_t *lines)
{
    char chunk[65536];
    off_t end = lseek(fd, 0, SEEK_END), at = end;

    while (at > 0) {
        size_t n = at < (off_t)sizeof(chunk) ? (size_t)at : sizeof(chunk);

        at -= (off_t)n;
        if (pread(fd, chunk, n, at) != (ssize_t)n)
            return at;
        for (size_t i = n; i > 0; i--) {
            off_t here = at + (off_t)i;

            if (chunk[i - 1] != '\n' || here == end)
                continue;
            if (--*lines == 0)
                return here;
        }
    }
    if (end > 0)
        --*lines;
    return 0;
}

static char *rotated_name(const struct kr_local *local, int number)
{
    return number == 0 ? kr_asprintf("%s/server.log", local->dir)
                       : kr_asprintf("%s/server.log.%d", local->dir, number);
}

/* Gives the last `tail` lines of all files together (-1: everything), and leaves *current at the
 * end of the newest one. */
static void show_existing(const struct kr_local *local, int64_t tail, struct reader *r,
                          int *current)
{
    int fds[MAX_ROTATED], count = 0;
    off_t from[MAX_ROTATED] = {0};
    int64_t missing = tail;

    while (count < MAX_ROTATED) {
        kr_auto_free char *path = rotated_name(local, count);
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            break;
        fds[count] = fd;
        if (tail == 0)
            from[count] = lseek(fd, 0, SEEK_END);
        else if (tail > 0)
            from[count] = tail_offset(fd, &missing);
        count++;
        if (tail >= 0 && missing <= 0)
            break;
    }
    for (int i = count - 1; i >= 0; i--) {
        if (lseek(fds[i], from[i], SEEK_SET) >= 0)
            drain(r, fds[i]);
        if (i > 0)
            (void)close(fds[i]);
    }
    *current = count > 0 ? fds[0] : -1;
}

/* Whether the file behind fd is not the one at path any more. */
static bool was_rotated(int fd, const char *path)
{
    struct stat ours, theirs;

    return fd < 0 || (stat(path, &theirs) == 0 && fstat(fd, &ours) == 0 &&
                      (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev));
}

/* Until Ctrl-C, until the folder is gone, or until the process (NULL: none) ended. */
static void follow(const struct kr_local *local, const struct kr_process *process, struct reader *r,
                   int *current)
{
    kr_auto_free char *path = rotated_name(local, 0);

    while (!kr_denv_cancelled(local->env) && kr_path_is_dir(local->dir) &&
           (process == NULL || kr_process_alive(*process))) {
        if (*current >= 0)
            drain(r, *current);
        if (was_rotated(*current, path)) {
            int fresh = open(path, O_RDONLY | O_CLOEXEC);

            if (*current >= 0) {
                drain(r, *current); /* what came between the read and the rename */
                (void)close(*current);
            }
            *current = fresh;
            if (fresh >= 0)
                continue;
        }
        kr_sleep_ms(FOLLOW_MS);
    }
}

static void give_line(void *data, const char *line)
{
    const struct kr_log_request *request = data;
    kr_auto_free char *text = readable(line);

    request->line(request->data, text);
}

int kr_local_logs(const struct kr_deployer_env *env, const struct kr_deployment *what,
                  const struct kr_log_request *request, struct kr_err *err)
{
    kr_auto_local struct kr_local local = {0};
    struct reader r = {
        .line = give_line, .data = (void *)(uintptr_t)request, .part = KR_BUF_INIT(MAX_LINE)};
    int current = -1;

    if (request->build)
        return kr_fail(err, KR_E_INVALID, "a local deployment has no build log");
    kr_local_open(env, what, &local);
    show_existing(&local, request->follow && request->tail < 0 ? 100 : request->tail, &r, &current);
    if (current < 0 && !request->follow) {
        kr_buf_finish(&r.part);
        (void)kr_fail(err, KR_E_NOT_FOUND, "deployment '%s' has written no log yet", what->name);
        return kr_hint(err, "%s deployment provision %s", env->prog, what->name);
    }
    if (request->follow)
        follow(&local, NULL, &r, &current);
    if (r.part.n > 0)
        r.line(r.data, kr_buf_str(&r.part));
    kr_buf_finish(&r.part);
    if (current >= 0)
        (void)close(current);
    return 0;
}

int64_t kr_local_log_end(const struct kr_local *local)
{
    kr_auto_free char *path = rotated_name(local, 0);
    struct stat st;

    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static void collect_line(void *data, const char *line)
{
    json_t *lines = data, *record = record_of(line);

    if (record == NULL) {
        record = json_object();
        kr_json_set_str(record, "message", line);
    }
    (void)json_array_append_new(lines, record);
}

static bool is_from(const json_t *record, const char *level, const char *part)
{
    return strcmp(kr_json_str(record, "level", ""), level) == 0 &&
           strcmp(kr_json_str(record, "part", ""), part) == 0;
}

/* Each end of a worker is a record of its own; what stands before the last one is the last
 * attempt. */
static void last_attempt(const json_t *lines, size_t *from, size_t *to)
{
    const json_t *record;
    size_t i;

    *from = 0;
    *to = json_array_size(lines);
    json_array_foreach(lines, i, record)
    {
        if (!is_from(record, "error", "worker"))
            continue;
        if (*to != json_array_size(lines))
            *from = *to + 1;
        *to = i;
    }
}

/* The worker's lines come as "[0] text". */
static const char *without_index(const char *text)
{
    size_t n = text[0] == '[' ? strspn(text + 1, "0123456789") : 0;

    return n > 0 && text[n + 1] == ']' && text[n + 2] == ' ' ? text + n + 3 : text;
}

static json_t *collect(const struct kr_local *local, int64_t from)
{
    kr_auto_free char *path = rotated_name(local, 0);
    json_t *lines = json_array();
    struct reader r = {.line = collect_line, .data = lines, .part = KR_BUF_INIT(MAX_LINE)};
    kr_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && lseek(fd, (off_t)from, SEEK_SET) >= 0)
        drain(&r, fd);
    if (r.part.n > 0)
        r.line(r.data, kr_buf_str(&r.part));
    kr_buf_finish(&r.part);
    return lines;
}

char *kr_local_log_show(const struct kr_local *local, int64_t from)
{
    kr_auto_json json_t *lines = collect(local, from);
    const char *cause = NULL;
    size_t first, end, i;
    const json_t *record;

    last_attempt(lines, &first, &end);
    if (end > first + SHOWN_LINES)
        first = end - SHOWN_LINES;
    for (i = first; i < end; i++) {
        const char *text = kr_json_str(json_array_get(lines, i), "message", NULL);

        if (text != NULL)
            kr_denv_log_line(local->env, "server", without_index(text));
    }
    json_array_foreach(lines, i, record)
    {
        if (is_from(record, "error", "serve") || kr_json_str(record, "time", NULL) == NULL)
            cause = kr_json_str(record, "message", cause);
    }
    return kr_strdup(cause);
}

static void show_line(void *data, const char *line)
{
    const struct kr_deployer_env *env = data;
    kr_auto_free char *text = readable(line);

    kr_denv_log_line(env, "server", text);
}

void kr_local_log_watch(const struct kr_local *local)
{
    struct reader r = {
        .line = show_line, .data = (void *)(uintptr_t)local->env, .part = KR_BUF_INIT(MAX_LINE)};
    int current = -1;

    show_existing(local, 0, &r, &current);
    follow(local, &local->live.process, &r, &current);
    kr_buf_finish(&r.part);
    if (current >= 0)
        (void)close(current);
}
