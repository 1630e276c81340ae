/* SPDX-License-Identifier: Apache-2.0 */
/* What a deployment on this machine says: its answer to a look at its health, and its log, into
 * which the user's code writes. The first byte is 'h' or 'l'. For a look come the pieces of the
 * answer, with a line "--" between them; for a log how many lines are wanted, then the files, the
 * newest first, with a line "--" between them. */
#include "fuzz_folder.h"

#include "deployers/local.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MAX_FILES = 3 };

static struct fuzz_input answer;

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t n, int flags);

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
    FUZZ_CHECK(fd >= 0 && to->sa_family == AF_INET && n == sizeof(struct sockaddr_in));
    return 0;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
    FUZZ_CHECK(fd >= 0 && memmem(bytes, n, "\r\n\r\n", 4) != NULL && flags == MSG_NOSIGNAL);
    return (ssize_t)n;
}

ssize_t __wrap_recv(int fd, void *to, size_t n, int flags)
{
    size_t size = 0;

    FUZZ_CHECK(fd >= 0 && flags == 0);
    while (answer.n != 0 && size == 0) { /* an empty piece is not the end */
        struct fuzz_input rest = answer;
        kr_auto_free char *piece = fuzz_part(&answer, "\n--\n", &size);

        if (size > n) { /* the rest of it comes with the next call */
            answer = (struct fuzz_input){rest.p + n, rest.n - n};
            size = n;
        }
        memcpy(to, piece, size);
    }
    return (ssize_t)size;
}

static void look(const struct kr_local *local)
{
    kr_auto_json json_t *snapshot = json_object();
    const struct kr_deployment what = {.id = "one", .name = "churn", .snapshot = snapshot};
    const struct kr_local_server server = {.generation = 1, .port = 8000, .address = "127.0.0.1"};
    struct kr_local asked = *local;
    kr_auto_free char *detail = NULL;
    enum kr_local_health health;

    asked.what = &what;
    health = kr_local_look(&asked, &server, 1000, &detail);
    FUZZ_CHECK(detail == NULL || health == KR_LOCAL_STARTING || health == KR_LOCAL_BROKEN);
}

static void count_line(void *data, const char *line)
{
    FUZZ_CHECK(strchr(line, '\n') == NULL);
    ++*(int64_t *)data;
}

static void shown_line(void *data, const char *source, const char *line)
{
    FUZZ_CHECK(strcmp(source, "server") == 0);
    count_line(data, line);
}

static int64_t lines_of(const struct kr_deployer_env *env, const struct kr_deployment *what,
                        int64_t tail)
{
    int64_t lines = 0;
    const struct kr_log_request request = {.tail = tail, .line = count_line, .data = &lines};

    FUZZ_CHECK(kr_local_logs(env, what, &request, fuzz_err()) == 0);
    return lines;
}

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *file = fopen(path, "we");

    FUZZ_CHECK(file != NULL && fwrite(text, 1, n, file) == n && fclose(file) == 0);
}

/* The server turns to a new file at the end of a line, so only the newest may end within one. */
static void write_files(const struct kr_local *local, struct fuzz_input in)
{
    for (int i = 0; i < MAX_FILES; i++) {
        kr_auto_free char *path = i == 0 ? kr_asprintf("%s/server.log", local->dir)
                                         : kr_asprintf("%s/server.log.%d", local->dir, i);
        size_t n;
        kr_auto_free char *text = fuzz_part(&in, "\n--\n", &n);

        if (i > 0 && n > 0)
            text[n++] = '\n'; /* where the NUL was */
        write_file(path, text, n);
    }
}

static void read_log(struct kr_local *local, struct fuzz_input in)
{
    int64_t shown = 0;
    uint8_t wanted = fuzz_byte(&in);
    struct kr_deployer_env env = {
        .log_line = shown_line, .data = &shown, .data_dir = fuzz_folder()};
    kr_auto_free char *cause = NULL;
    int64_t all;

    local->env = &env;
    write_files(local, in);
    all = lines_of(&env, local->what, -1);
    FUZZ_CHECK(lines_of(&env, local->what, wanted) == (wanted < all ? wanted : all));
    cause = kr_local_log_show(local, wanted);
    FUZZ_CHECK(shown <= 20 && (cause == NULL || strchr(cause, '\n') == NULL));
    FUZZ_CHECK(kr_local_log_end(local) >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kr_deployment what = {.id = "one", .name = "churn"};
    const struct kr_deployer_env env = {.data_dir = fuzz_folder()};
    kr_auto_local struct kr_local local = {0};
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);

    kr_local_open(&env, &what, &local);
    FUZZ_CHECK(kr_mkdir_p(local.dir, 0700, fuzz_err()) == 0);
    if (which == 'h') {
        answer = in;
        look(&local);
    } else if (which == 'l') {
        read_log(&local, in);
    }
    return 0;
}
