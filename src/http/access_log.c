/* SPDX-License-Identifier: Apache-2.0 */
/* One record per request, written in batches, and the log file with its rotation. Successful
 * requests beyond 200 in a second are only counted: a log that costs more than the work is of no
 * use. */
#include "http/access_log.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/redact.h"
#include "http/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define PER_SECOND 200
#define BATCH_MAX  (1u << 20)
#define PATH_SHOWN 512

static struct {
    int fd;
    char *path;
    int64_t size_max, files;
    bool json;
    enum kr_log_level level;
} log_file = {.fd = STDERR_FILENO};

static enum kr_log_level level_of(const char *name)
{
    static const char *const names[] = {"debug", "info", "warning"};

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        if (strcmp(names[i], name) == 0)
            return (enum kr_log_level)i;
    }
    return KR_LOG_ERROR;
}

static int open_file(struct kr_err *err)
{
    int fd = open(log_file.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return kr_fail_errno(err, errno, "log file %s", log_file.path);
    if (log_file.fd > STDERR_FILENO) {
        (void)dup3(fd, log_file.fd, O_CLOEXEC); /* the number stays: kr_log() keeps writing to it */
        (void)close(fd);
    } else {
        log_file.fd = fd;
    }
    return 0;
}

int kr_log_open(const struct kr_log_config *config, struct kr_err *err)
{
    log_file.level = level_of(config->level);
    log_file.size_max = config->size_max;
    log_file.files = config->files;
    log_file.json = config->file != NULL || isatty(STDERR_FILENO) == 0;
    if (config->file != NULL) {
        log_file.path = kr_strdup(config->file);
        if (open_file(err) < 0)
            return -(int)err->code;
    }
    kr_log_setup(log_file.fd, log_file.level, log_file.json);
    return 0;
}

void kr_log_close(void)
{
    kr_log_setup(STDERR_FILENO, log_file.level, log_file.json);
    if (log_file.fd > STDERR_FILENO)
        (void)close(log_file.fd);
    log_file.fd = STDERR_FILENO;
    free(log_file.path);
    log_file.path = NULL;
}

/* x.log -> x.log.1 -> x.log.2 ...; another process that has the file open goes on in x.log.1. */
static void rotate_if_large(void)
{
    struct kr_err err = KR_ERR_INIT;
    struct stat st, named;

    if (log_file.path == NULL || fstat(log_file.fd, &st) < 0 || st.st_size < log_file.size_max)
        return;
    if (stat(log_file.path, &named) == 0 && named.st_ino == st.st_ino) {
        for (int64_t i = log_file.files - 1; i >= 0; i--) {
            kr_auto_free char *from = i == 0 ? kr_strdup(log_file.path)
                                             : kr_asprintf("%s.%lld", log_file.path, (long long)i);
            kr_auto_free char *to = kr_asprintf("%s.%lld", log_file.path, (long long)i + 1);

            (void)rename(from, to);
        }
    }
    (void)open_file(&err);
}

static void add_json_text(struct kr_buf *out, struct kr_view text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c == '"' || c == '\\')
            kr_buf_addc(out, '\\');
        if (c < 0x20 || c >= 0x7f)
            kr_buf_addf(out, "\\u%04x", c);
        else
            kr_buf_addc(out, (char)c);
    }
}

static bool wanted(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;
    bool quiet = conn->route != NULL && conn->route->probe &&
                 (conn->status < 400 || front->ops->is_expected(conn));

    if (front->log_second != front->loop.now_ms / 1000) {
        if (front->log_dropped > 0)
            kr_log(KR_LOG_INFO, "access", "%u more requests in that second", front->log_dropped);
        front->log_second = front->loop.now_ms / 1000;
        front->log_count = front->log_dropped = 0;
    }
    if (log_file.level > (quiet ? KR_LOG_DEBUG : conn->status >= 500 ? KR_LOG_WARN : KR_LOG_INFO))
        return false;
    if (front->log_count >= (conn->status >= 400 ? 2 * PER_SECOND : PER_SECOND)) {
        front->log_dropped++;
        return false;
    }
    front->log_count++;
    return true;
}

void kr_access_log(struct kr_conn *conn, int64_t us)
{
    struct kr_buf *out = &conn->front->log_lines;
    const char *method = conn->req.head_done ? kr_request_method(&conn->req) : "-";
    struct kr_view path = conn->req.path.n > 0 ? kr_request_view(conn->in, conn->req.path)
                                               : (struct kr_view){.p = "-", .n = 1};
    char stamp[KR_ISO_SIZE], shown[PATH_SHOWN];

    if (!wanted(conn))
        return;
    (void)kr_iso8601(kr_wall_ms(), stamp);
    path.n = path.n < sizeof(shown) ? path.n : sizeof(shown);
    memcpy(shown, path.p, path.n);
    path.p = shown;
    kr_redact_cut(shown, path.n);
    if (log_file.json) {
        kr_buf_addf(out,
                    "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"access\",\"request_id\":\"%s\","
                    "\"method\":\"%s\",\"path\":\"",
                    stamp, conn->status >= 500 ? "warning" : "info", conn->request_id, method);
        add_json_text(out, path);
        kr_buf_addf(out, "\",\"status\":%d,\"ms\":%.3f,\"in\":%llu,\"out\":%llu}\n", conn->status,
                    (double)us / 1000.0, (unsigned long long)conn->req.body_n,
                    (unsigned long long)conn->sent);
    } else {
        kr_buf_addf(out, "%s %-7s access: %s ", stamp, conn->status >= 500 ? "warning" : "info",
                    method);
        add_json_text(out, path);
        kr_buf_addf(out, " %d %.3f ms %s\n", conn->status, (double)us / 1000.0, conn->request_id);
    }
    if (out->failed)
        kr_buf_reset(out);
}

void kr_access_log_flush(struct kr_front *front)
{
    static int64_t last_check;

    if (front->log_lines.n > 0) {
        (void)!write(log_file.fd, front->log_lines.p, front->log_lines.n);
        kr_buf_reset(&front->log_lines);
    }
    if (front->loop.now_ms - last_check >= 1000) {
        last_check = front->loop.now_ms;
        rotate_if_large();
    }
}
