/* SPDX-License-Identifier: Apache-2.0 */
/* Exclusive work on a named thing across processes: the kernel drops the lock when its holder ends,
 * whatever the end. */
#include "store/sql.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

static int lock_path(const struct kr_store *store, const char *what, char **path,
                     struct kr_err *err)
{
    kr_auto_free char *dir = kr_strdup(store->path), *locks = NULL, *name = NULL;
    char *slash = strrchr(dir, '/'), hex[KR_SHA256_HEX];

    if (slash != NULL)
        *slash = '\0';
    locks = kr_path_join(slash != NULL ? dir : ".", "locks");
    if (kr_mkdir_p(locks, 0700, err) < 0)
        return -(int)err->code;
    kr_sha256_hex(what, strlen(what), hex);
    hex[32] = '\0';
    name = kr_asprintf("%s.lock", hex);
    *path = kr_path_join(locks, name);
    return 0;
}

/* Says who holds the lock, as it wrote into the file. */
static int held(int fd, const char *what, struct kr_err *err)
{
    char text[100];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    const char *thing = strchr(what, ':') != NULL ? strchr(what, ':') + 1 : what;
    char *since;

    text[n > 0 ? n : 0] = '\0';
    since = strchr(text, '\n');
    if (since == NULL)
        (void)kr_fail(err, KR_E_CONFLICT, "another process is working on '%s'", thing);
    else {
        *since++ = '\0';
        since[strcspn(since, "\n")] = '\0';
        (void)kr_fail(err, KR_E_CONFLICT, "process %s has been working on '%s' since %s", text,
                      thing, since);
    }
    return kr_hint(err, "wait for it to end, or end it, and run the command again");
}

int kr_store_lock(struct kr_store *store, const char *what, int *lock_fd, struct kr_err *err)
{
    kr_auto_free char *path = NULL;
    kr_auto_fd int fd = -1;
    char text[100], now[KR_ISO_SIZE];
    int n;

    if (lock_path(store, what, &path, err) < 0)
        return -(int)err->code;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return kr_fail_errno(err, errno, "%s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return held(fd, what, err);
        if (errno != EINTR)
            return kr_fail_errno(err, errno, "%s", path);
    }
    n = snprintf(text, sizeof(text), "%ld\n%s\n", (long)getpid(), kr_iso8601(kr_wall_ms(), now));
    /* Only a help for whoever finds it locked: failing to write it does no harm. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) != n)
        kr_log(KR_LOG_DEBUG, "store", "%s: cannot say who holds it", path);
    *lock_fd = kr_steal_fd(&fd);
    return 0;
}
