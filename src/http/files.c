/* SPDX-License-Identifier: Apache-2.0 */
#include "http/files.h"

#include "base/alloc.h"
#include "base/path.h"
#include "http/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HTML "text/html; charset=utf-8"

static const char *type_of(const char *path)
{
    static const struct {
        const char *end, *type;
    } types[] = {{".html", HTML},
                 {".js", "text/javascript; charset=utf-8"},
                 {".mjs", "text/javascript; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".json", "application/json"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"},
                 {".jpg", "image/jpeg"},
                 {".jpeg", "image/jpeg"},
                 {".gif", "image/gif"},
                 {".webp", "image/webp"},
                 {".ico", "image/x-icon"},
                 {".woff2", "font/woff2"},
                 {".wasm", "application/wasm"},
                 {".txt", "text/plain; charset=utf-8"}};

    for (size_t i = 0; i < KR_ARRAY_LEN(types); i++) {
        if (kr_ends_with(path, types[i].end))
            return types[i].type;
    }
    return "application/octet-stream";
}

/* NULL when it holds a NUL. */
static char *decode(struct kr_view path)
{
    char *out = kr_malloc(path.n + 1);
    size_t n = kr_percent_decode(path, out);

    out[n] = '\0';
    if (strlen(out) != n) {
        free(out);
        return NULL;
    }
    return out;
}

/* Names that begin with a dot are not meant for visitors: .env, .git, .htpasswd. */
static bool has_dot_name(const char *path)
{
    return path[0] == '.' || strstr(path, "/.") != NULL;
}

/* Opens a regular file below the folder. Links that lead out of it, or to a name that
 * begins with a dot, are refused; so is what is no file, without opening it: a pipe would hold the
 * server up. */
static int open_below(const char *root, const char *name, struct stat *st)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *path = NULL, *real = NULL, *real_root = NULL;
    kr_auto_fd int fd = -1;

    if (has_dot_name(name) || kr_path_under(root, name, &path, &err) < 0)
        return -1;
    real = realpath(path, NULL);
    real_root = realpath(root, NULL);
    if (real == NULL || real_root == NULL || !kr_starts_with(real, real_root) ||
        real[strlen(real_root)] != '/' || has_dot_name(real + strlen(real_root)) ||
        stat(real, st) < 0 || !S_ISREG(st->st_mode))
        return -1;
    fd = open(real, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
        return -1;
    return kr_steal_fd(&fd);
}

static bool wants_html(const struct kr_conn *conn)
{
    struct kr_view accept = kr_request_known(&conn->req, conn->in, KR_H_ACCEPT);

    return accept.p != NULL && memmem(accept.p, accept.n, "text/html", 9) != NULL;
}

void kr_files_reply(struct kr_conn *conn, const char *root, size_t skip)
{
    struct kr_view path = kr_request_view(conn->in, conn->req.path);
    kr_auto_free char *name = NULL;
    struct kr_reply reply = {.status = 200, .fd = -1, .on_disk = true};
    struct stat st;

    path.p += skip < path.n ? skip + 1 : path.n;
    path.n -= skip < path.n ? skip + 1 : path.n;
    name = decode(path);
    if (name == NULL) {
        kr_conn_error(conn, 404, "Not Found");
        return;
    }
    if (name[0] == '\0' || name[strlen(name) - 1] == '/') {
        char *index = kr_asprintf("%sindex.html", name);

        free(name);
        name = index;
    }
    reply.fd = open_below(root, name, &st);
    reply.type = type_of(name);
    if (reply.fd < 0 && wants_html(conn) &&
        strrchr(name, '.') == NULL) { /* a single-page application's path */
        reply.fd = open_below(root, "index.html", &st);
        reply.type = HTML;
    }
    if (reply.fd < 0) {
        kr_conn_error(conn, 404, "Not Found");
        return;
    }
    reply.fd_size = (uint64_t)st.st_size;
    kr_conn_reply(conn, &reply);
}
