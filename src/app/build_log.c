/* SPDX-License-Identifier: Apache-2.0 */
#include "app/build_log.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20, DROP = TEXT_MAX / 4, LINE_MAX_SHOWN = 4096, KEPT = 200 };

void kr_build_log_init(struct kr_build_log *log)
{
    *log = (struct kr_build_log){.step = NULL};
    kr_buf_init(&log->text, TEXT_MAX);
}

void kr_build_log_finish(struct kr_build_log *log)
{
    kr_buf_finish(&log->text);
    free(log->step);
    log->step = NULL;
}

/* The end says why a build failed: when there is too much, the start goes. */
static void make_room(struct kr_build_log *log, size_t n)
{
    const char *end;
    size_t drop = DROP;

    if (log->text.n + n <= TEXT_MAX)
        return;
    end = memchr(log->text.p + drop, '\n', log->text.n - drop);
    if (end != NULL)
        drop = (size_t)(end - log->text.p) + 1;
    kr_buf_drop(&log->text, drop);
    log->cut = true;
}

void kr_build_log_line(struct kr_build_log *log, const char *line)
{
    kr_auto_free char *copy = NULL;

    if (log == NULL)
        return;
    copy = kr_strdup(line);
    kr_redact(copy, strlen(copy));
    if (strlen(copy) > LINE_MAX_SHOWN)
        copy[LINE_MAX_SHOWN] = '\0';
    make_room(log, strlen(copy) + 1);
    kr_buf_addf(&log->text, "%s\n", copy);
}

void kr_build_log_step(struct kr_build_log *log, const char *text)
{
    if (log == NULL || (log->step != NULL && strcmp(log->step, text) == 0))
        return;
    free(log->step);
    log->step = kr_strdup(text);
    kr_build_log_line(log, text);
}

/* -- files ------------------------------------------------------------------------------------- */

static char *folder_of(const struct kr_app *app)
{
    return kr_path_join(app->data_dir, "builds");
}

static char *file_of(const struct kr_app *app, const char *id)
{
    return kr_asprintf("%s/builds/%s.log", app->data_dir, id);
}

/* The oldest go, one for each that came. */
static void prune(struct kr_app *app)
{
    kr_auto_free char *folder = folder_of(app), *oldest = NULL;
    kr_auto_dir DIR *dir = opendir(folder);
    struct timespec least = {0};
    struct dirent *entry;
    size_t n = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        kr_auto_free char *path = kr_path_join(folder, entry->d_name);
        struct stat st;

        if (entry->d_name[0] == '.' || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        n++;
        if (oldest != NULL &&
            (st.st_mtim.tv_sec > least.tv_sec ||
             (st.st_mtim.tv_sec == least.tv_sec && st.st_mtim.tv_nsec >= least.tv_nsec)))
            continue;
        least = st.st_mtim;
        free(oldest);
        oldest = kr_steal(&path);
    }
    if (n > KEPT && oldest != NULL && unlink(oldest) < 0)
        kr_log(KR_LOG_DEBUG, "app", "%s: %s", oldest, strerror(errno));
}

void kr_build_log_use(struct kr_app *app, const char *deployment, const char *build)
{
    kr_auto_free char *to = file_of(app, deployment);
    kr_auto_free char *from = build != NULL ? file_of(app, build) : NULL;

    if (unlink(to) < 0 && errno != ENOENT)
        kr_log(KR_LOG_DEBUG, "app", "%s: %s", to, strerror(errno));
    if (from != NULL && link(from, to) < 0)
        kr_log(KR_LOG_DEBUG, "app", "%s: %s", from, strerror(errno));
}

void kr_build_log_keep(struct kr_app *app, struct kr_build_log *log, const char *deployment,
                       const char *build)
{
    kr_auto_free char *folder = folder_of(app),
                      *file = file_of(app, build != NULL ? build : deployment);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(2 * TEXT_MAX);
    struct kr_err err = KR_ERR_INIT;

    if (log->cut)
        kr_buf_adds(&text, "... the start of this log was too long to be kept\n");
    kr_buf_add(&text, kr_buf_str(&log->text), log->text.n);
    if (kr_mkdir_p(folder, 0700, &err) < 0 ||
        kr_file_write_atomic(file, kr_buf_str(&text), text.n, 0600, &err) < 0) {
        kr_note(app, KR_NOTE_WARN, "the log of the build could not be kept: %s", err.msg);
        return;
    }
    if (build != NULL)
        kr_build_log_use(app, deployment, build);
    prune(app);
}

int kr_build_log_show(struct kr_app *app, const char *id, int64_t tail,
                      void (*line)(void *data, const char *line), void *data, bool *shown,
                      struct kr_err *err)
{
    kr_auto_free char *file = file_of(app, id);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(2 * TEXT_MAX + 1);
    struct kr_view rest, one;
    int64_t lines = 0, at = 0;
    bool more = true;

    *shown = kr_path_exists(file);
    if (!*shown)
        return 0;
    if (kr_file_read(file, &text, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    rest = (struct kr_view){kr_buf_str(&text), text.n};
    while (more && rest.n > 0) {
        kr_auto_free char *copy = NULL;

        more = kr_view_cut(&rest, '\n', &one);
        if (tail >= 0 && at++ < lines - tail)
            continue;
        copy = kr_view_dup(one);
        line(data, copy);
    }
    return 0;
}
