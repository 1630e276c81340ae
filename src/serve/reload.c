/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/reload.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"
#include "base/view.h"
#include "serve/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_MS 200 /* a change is over when nothing was written for this long */

enum { DEPTH_MAX = 32, DIRS_MAX = 8192 };

struct kr_reload {
    struct kr_watch watch;
    struct kr_timer timer;
    struct kr_loop *loop;
    struct kr_pool *pool;
    char **dirs; /* path of a watch descriptor, or NULL */
    size_t n, watched;
    bool told; /* that not everything can be watched */
};

static void remember(struct kr_reload *r, size_t wd, const char *path)
{
    if (wd >= r->n) {
        size_t n = wd + 64;

        r->dirs = kr_reallocarray(r->dirs, n, sizeof(char *));
        memset(r->dirs + r->n, 0, (n - r->n) * sizeof(char *));
        r->n = n;
    }
    r->watched += r->dirs[wd] == NULL;
    free(r->dirs[wd]);
    r->dirs[wd] = kr_strdup(path);
}

/* Folders of tools and environments hold no code of the pipeline. */
static bool is_code_dir(int parent, const char *name)
{
    kr_auto_free char *mark = kr_asprintf("%s/pyvenv.cfg", name);
    struct stat st;

    return name[0] != '.' && strcmp(name, "__pycache__") != 0 &&
           strcmp(name, "node_modules") != 0 &&
           fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
           faccessat(parent, mark, F_OK, 0) != 0;
}

/* Watches a folder and those in it. Returns whether there is a .py file. */
static bool add_tree(struct kr_reload *r, const char *path, int depth)
{
    int wd = r->watched < DIRS_MAX
                 ? inotify_add_watch(r->watch.fd, path,
                                     IN_CLOSE_WRITE | IN_MOVE | IN_DELETE | IN_CREATE | IN_ONLYDIR)
                 : -1;
    kr_auto_dir DIR *dir = wd >= 0 ? opendir(path) : NULL;
    const struct dirent *entry;
    bool code = false;

    if (wd >= 0)
        remember(r, (size_t)wd, path);
    if (wd < 0 && !r->told && errno != ENOENT) {
        kr_log(KR_LOG_WARN, "reload", "%s and further folders are not watched: %s", path,
               r->watched >= DIRS_MAX ? "too many" : strerror(errno));
        r->told = true;
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *below = NULL;

        if (kr_ends_with(entry->d_name, ".py"))
            code = true;
        if (depth >= DEPTH_MAX || !is_code_dir(dirfd(dir), entry->d_name))
            continue;
        below = kr_path_join(path, entry->d_name);
        code = add_tree(r, below, depth + 1) || code;
    }
    return code;
}

/* Whether the event is a change of code. */
static bool take(struct kr_reload *r, const struct inotify_event *event)
{
    size_t wd = (size_t)event->wd;
    kr_auto_free char *path = NULL;
    kr_auto_fd int parent = -1;

    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true; /* it is not known what happened */
    if (event->wd < 0 || wd >= r->n || r->dirs[wd] == NULL)
        return false;
    if ((event->mask & IN_IGNORED) != 0) {
        free(r->dirs[wd]);
        r->dirs[wd] = NULL;
        r->watched--;
        return false;
    }
    if (event->len == 0)
        return false;
    if ((event->mask & IN_ISDIR) == 0)
        return (event->mask & IN_CREATE) == 0 && kr_ends_with(event->name, ".py");
    if ((event->mask & (IN_CREATE | IN_MOVED_TO)) == 0)
        return (event->mask & IN_MOVED_FROM) != 0; /* deleted: its files said so */
    parent = open(r->dirs[wd], O_PATH | O_DIRECTORY | O_CLOEXEC);
    path = kr_path_join(r->dirs[wd], event->name);
    return parent >= 0 && is_code_dir(parent, event->name) && add_tree(r, path, 0);
}

static void on_events(struct kr_watch *watch, uint32_t events)
{
    struct kr_reload *r = (struct kr_reload *)watch;
    char room[16384] __attribute__((aligned(8)));
    bool changed = false;
    ssize_t n;

    (void)events;
    while ((n = read(watch->fd, room, sizeof(room))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(room + at);

            changed = take(r, event) || changed;
            at += (ssize_t)sizeof(*event) + (ssize_t)event->len;
        }
    }
    if (!changed)
        return;
    kr_timer_stop(&r->timer);
    kr_timer_at(r->loop, &r->timer, r->loop->now_ms + QUIET_MS);
}

static void on_quiet(struct kr_timer *timer)
{
    struct kr_reload *r = (struct kr_reload *)((char *)timer - offsetof(struct kr_reload, timer));

    kr_pool_reload(r->pool);
}

int kr_reload_open(struct kr_loop *loop, struct kr_pool *pool, const char *root,
                   struct kr_reload **out, struct kr_err *err)
{
    struct kr_reload *r = kr_calloc(1, sizeof(*r));

    *out = r;
    r->loop = loop;
    r->pool = pool;
    r->timer.on_time = on_quiet;
    r->watch =
        (struct kr_watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .on_ready = on_events};
    if (r->watch.fd < 0)
        return kr_fail_errno(err, errno, "watch %s", root);
    if (kr_watch_add(loop, &r->watch, EPOLLIN, err) < 0)
        return -(int)err->code;
    (void)add_tree(r, root, 0);
    if (r->watched == 0)
        return kr_fail(err, KR_E_SYSTEM, "the code in %s cannot be watched", root);
    kr_log(KR_LOG_INFO, "reload", "%zu folders below %s are watched", r->watched, root);
    return 0;
}

void kr_reload_close(struct kr_reload *r)
{
    if (r == NULL)
        return;
    kr_timer_forget(r->loop, &r->timer);
    kr_watch_close(r->loop, &r->watch);
    for (size_t i = 0; i < r->n; i++)
        free(r->dirs[i]);
    free(r->dirs);
    free(r);
}
