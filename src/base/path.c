/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/view.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

char *kr_path_join(const char *a, const char *b)
{
    size_t n = strlen(a);

    if (b[0] == '/' || n == 0)
        return kr_strdup(b);
    if (b[0] == '\0')
        return kr_strdup(a);
    return kr_asprintf(a[n - 1] == '/' ? "%s%s" : "%s/%s", a, b);
}

char *kr_path_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL || slash == path ? kr_strdup("/")
                                          : kr_strndup(path, (size_t)(slash - path));
}

int kr_path_check_relative(const char *name, struct kr_err *err)
{
    struct kr_view rest = kr_view_of(name), part;
    bool more = true;

    if (name[0] == '\0')
        return kr_fail(err, KR_E_INVALID, "empty path");
    if (name[0] == '/')
        return kr_fail(err, KR_E_INVALID, "'%s' is an absolute path", name);
    for (const char *p = name; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return kr_fail(err, KR_E_INVALID, "path '%s' has a control character", name);
    }
    while (more) {
        more = kr_view_cut(&rest, '/', &part);
        if (part.n == 0 || kr_view_eq(part, ".") || kr_view_eq(part, ".."))
            return kr_fail(err, KR_E_INVALID, "path '%s' has an empty, '.' or '..' component",
                           name);
    }
    return 0;
}

int kr_path_under(const char *root, const char *name, char **out, struct kr_err *err)
{
    if (kr_path_check_relative(name, err) < 0)
        return -(int)err->code;
    *out = kr_path_join(root, name);
    return 0;
}

int kr_file_read(const char *path, struct kr_buf *buf, struct kr_err *err)
{
    kr_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[16384];
    struct stat st;
    ssize_t n;

    if (fd < 0)
        return kr_fail_errno(err, errno, "%s", path);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        (uint64_t)st.st_size <= buf->max)
        (void)kr_buf_reserve(buf, (size_t)st.st_size);
    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kr_fail_errno(err, errno, "%s", path);
        kr_buf_add(buf, chunk, (size_t)n);
        if (buf->failed)
            return kr_fail(err, KR_E_LIMIT, "%s is larger than %zu bytes", path, buf->max);
    }
    return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

int kr_file_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode,
                         struct kr_err *err)
{
    kr_auto_free char *temp = kr_asprintf("%s.XXXXXX", path);
    kr_auto_fd int fd = mkostemp(temp, O_CLOEXEC);
    int saved;

    if (fd < 0)
        return kr_fail_errno(err, errno, "%s", path);
    if (write_all(fd, bytes, n) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
        rename(temp, path) < 0) {
        saved = errno;
        (void)unlink(temp);
        return kr_fail_errno(err, saved, "%s", path);
    }
    return 0;
}

int kr_mkdir_p(const char *path, mode_t mode, struct kr_err *err)
{
    kr_auto_free char *copy = kr_strdup(path);

    for (char *p = copy + 1; copy[0] != '\0'; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return kr_fail_errno(err, errno, "folder %s", copy);
        *p = c;
        if (c == '\0')
            break;
    }
    if (!kr_path_is_dir(path))
        return kr_fail_errno(err, ENOTDIR, "folder %s", path);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if ((flag == FTW_DP ? rmdir(path) : unlink(path)) < 0 && errno != ENOENT)
        return errno;
    return 0;
}

int kr_remove_tree(const char *path, struct kr_err *err)
{
    int rc = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

    if (rc < 0 && errno == ENOENT)
        return 0;
    if (rc != 0)
        return kr_fail_errno(err, rc < 0 ? errno : rc, "cannot remove %s", path);
    return 0;
}

bool kr_path_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

bool kr_path_is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *kr_path_find_program(const char *name)
{
    const char *path = kr_env_get("PATH");
    struct kr_view rest, part;
    bool more = true;

    if (strchr(name, '/') != NULL)
        return is_program(name) ? kr_strdup(name) : NULL;
    if (path == NULL)
        path = "/usr/local/bin:/usr/bin:/bin";
    rest = kr_view_of(path);
    while (more) {
        kr_auto_free char *full = NULL;

        more = kr_view_cut(&rest, ':', &part);
        if (part.n == 0)
            continue; /* the current folder is never meant */
        full = kr_asprintf(KR_VIEW_FMT "/%s", KR_VIEW_ARG(part), name);
        if (is_program(full))
            return kr_steal(&full);
    }
    return NULL;
}

char *kr_path_of_self(void)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash;

    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    slash = strrchr(exe, '/');
    if (slash == NULL)
        return NULL;
    *slash = '\0';
    return kr_strdup(exe[0] != '\0' ? exe : "/");
}
