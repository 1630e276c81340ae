/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/redact.h"
#include "cli/out.h"
#include "cli/screen.h"

#define ERASE "\r\033[2K"

enum { LINE_MAX_BYTES = 16384, TICK_MS = 120 };

struct kr_view_state {
    struct kr_cli *cli;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t ticker; /* redraws the elapsed time; runs on terminals from the first step on */
    bool ticking, stop;
    bool active;  /* a step is under way */
    bool drawn;   /* the live line is on the screen */
    bool restore; /* bring it back at the next tick */
    unsigned frame;
    int64_t since, done, total;
    bool bytes;
    char step[64], text[512];
};

static void put(struct kr_view_state *view, struct kr_buf *line)
{
    if (line->n == 0)
        return;
    line->n = kr_screen(&view->cli->err, line->p, line->n);
    kr_redact(line->p, line->n);
    (void)fwrite(line->p, 1, line->n, stderr);
    (void)fflush(stderr);
}

static void add_size(struct kr_buf *out, int64_t n, bool bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)n;
    size_t unit = 0;

    if (!bytes) {
        kr_buf_addf(out, "%lld", (long long)n);
        return;
    }
    for (; value >= 1000 && unit + 1 < KR_ARRAY_LEN(units); unit++)
        value /= 1000;
    kr_buf_addf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void add_counts(struct kr_buf *out, const struct kr_view_state *view)
{
    int64_t ms = kr_mono_ms() - view->since;

    if (view->done > 0 || view->total > 0) {
        kr_buf_adds(out, "  ");
        add_size(out, view->done, view->bytes);
        if (view->total > 0) {
            kr_buf_adds(out, " of ");
            add_size(out, view->total, view->bytes);
        }
    }
    if (ms >= 60000)
        kr_buf_addf(out, "  %lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
    else if (ms >= 1000)
        kr_buf_addf(out, "  %.1f s", (double)ms / 1000);
}

static void erase(struct kr_view_state *view)
{
    if (!view->drawn)
        return;
    (void)fputs(ERASE, stderr);
    (void)fflush(stderr);
    view->drawn = false;
    view->restore = true;
}

static void draw(struct kr_view_state *view)
{
    static const char *const frames[] = {"\u280b", "\u2819", "\u2838",
                                         "\u2834", "\u2826", "\u2807"};
    kr_auto_buf struct kr_buf line = KR_BUF_INIT(LINE_MAX_BYTES);
    kr_auto_buf struct kr_buf counts = KR_BUF_INIT(LINE_MAX_BYTES);
    const struct kr_term *term = &view->cli->err;
    int room = (term->width > 0 ? term->width : 80) - 4;
    kr_auto_free char *text = kr_strdup(view->text);

    if (!term->live || !view->active)
        return;
    add_counts(&counts, view);
    room -= kr_term_columns(kr_buf_str(&counts));
    for (size_t n = strlen(text); n > 0 && kr_term_columns(text) > room;)
        text[--n] = '\0';
    (void)fputs(ERASE, stderr);
    kr_buf_addf(&line, "%s%s%s %s%s%s%s", kr_style(term, KR_CYAN),
                frames[view->frame++ % KR_ARRAY_LEN(frames)], kr_style(term, KR_PLAIN), text,
                kr_style(term, KR_DIM), kr_buf_str(&counts), kr_style(term, KR_PLAIN));
    put(view, &line);
    view->drawn = true;
    view->restore = false;
}

static void *tick(void *data)
{
    struct kr_view_state *view = data;

    (void)pthread_mutex_lock(&view->lock);
    while (!view->stop) {
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&view->wake, &view->lock, &until);
        if (!view->stop && view->active)
            draw(view);
    }
    (void)pthread_mutex_unlock(&view->lock);
    return NULL;
}

static void start_ticking(struct kr_view_state *view)
{
    if (!view->ticking && view->cli->err.live)
        view->ticking = pthread_create(&view->ticker, NULL, tick, view) == 0;
}

struct kr_view_state *kr_view_create(struct kr_cli *cli)
{
    struct kr_view_state *view = kr_calloc(1, sizeof(*view));
    pthread_condattr_t attr;

    view->cli = cli;
    (void)pthread_mutex_init(&view->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&view->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    return view;
}

void kr_view_destroy(struct kr_view_state *view)
{
    if (view == NULL)
        return;
    (void)pthread_mutex_lock(&view->lock);
    view->stop = true;
    view->active = false;
    erase(view);
    (void)pthread_cond_signal(&view->wake);
    (void)pthread_mutex_unlock(&view->lock);
    if (view->ticking)
        (void)pthread_join(view->ticker, NULL);
    (void)pthread_cond_destroy(&view->wake);
    (void)pthread_mutex_destroy(&view->lock);
    free(view);
}

void kr_view_clear(struct kr_view_state *view)
{
    if (view == NULL)
        return;
    (void)pthread_mutex_lock(&view->lock);
    erase(view);
    view->active = false;
    (void)pthread_mutex_unlock(&view->lock);
}

void kr_view_note(struct kr_view_state *view, enum kr_note kind, const char *text)
{
    kr_auto_buf struct kr_buf line = KR_BUF_INIT(1 << 20);
    const struct kr_term *term = &view->cli->err;
    kr_auto_free char *copy = kr_strdup(text);

    if (view->cli->quiet && kind != KR_NOTE_WARN)
        return;
    kr_printable(copy);
    (void)pthread_mutex_lock(&view->lock);
    erase(view);
    if (kind == KR_NOTE_WARN)
        kr_buf_addf(&line, "%sWarning:%s %s\n", kr_style(term, KR_YELLOW), kr_style(term, KR_PLAIN),
                    copy);
    else if (kind == KR_NOTE_SUCCESS)
        kr_buf_addf(&line, "%s%s%s\n", kr_style(term, KR_GREEN), copy, kr_style(term, KR_PLAIN));
    else
        kr_buf_addf(&line, "%s\n", copy);
    put(view, &line);
    (void)pthread_mutex_unlock(&view->lock);
}

/* The step is over, or another one began: its line stays on the screen. */
static void settle(struct kr_view_state *view, bool finished)
{
    kr_auto_buf struct kr_buf line = KR_BUF_INIT(LINE_MAX_BYTES);
    const struct kr_term *term = &view->cli->err;

    erase(view);
    if (term->live)
        kr_buf_addf(&line, "%s%s%s ", kr_style(term, KR_GREEN), finished ? "\u2714" : "\u00b7",
                    kr_style(term, KR_PLAIN));
    if (term->live || finished) {
        kr_buf_adds(&line, view->text);
        add_counts(&line, view);
        kr_buf_addc(&line, '\n');
        put(view, &line);
    }
    view->active = false;
}

static void on_progress(void *data, const struct kr_progress *p)
{
    struct kr_view_state *view = data;
    kr_auto_buf struct kr_buf line = KR_BUF_INIT(LINE_MAX_BYTES);
    const char *step = p->step != NULL ? p->step : "";
    kr_auto_free char *text = kr_strdup(p->text != NULL ? p->text : step);
    bool same;

    if (view->cli->quiet)
        return;
    kr_printable(text);
    (void)pthread_mutex_lock(&view->lock);
    same = view->active && strcmp(view->step, step) == 0;
    if (view->active && !same)
        settle(view, false);
    if (!same) {
        view->since = kr_mono_ms();
        (void)snprintf(view->step, sizeof(view->step), "%s", step);
    }
    if (!view->cli->err.live && !p->finished && (!same || strcmp(view->text, text) != 0)) {
        kr_buf_addf(&line, "%s\n", text);
        put(view, &line);
    }
    if ((size_t)snprintf(view->text, sizeof(view->text), "%s", text) >= sizeof(view->text))
        kr_redact_cut(view->text, strlen(view->text));
    view->done = p->done;
    view->total = p->total;
    view->bytes = p->bytes;
    view->active = true;
    if (p->finished) {
        settle(view, true);
    } else {
        start_ticking(view);
        if (!same)
            draw(view);
    }
    (void)pthread_mutex_unlock(&view->lock);
}

static void on_log_line(void *data, const char *source, const char *text)
{
    struct kr_view_state *view = data;
    kr_auto_buf struct kr_buf line = KR_BUF_INIT(1 << 20);
    const struct kr_term *term = &view->cli->err;
    kr_auto_free char *copy = kr_strdup(text);

    if (view->cli->quiet)
        return;
    kr_printable(copy);
    (void)pthread_mutex_lock(&view->lock);
    erase(view);
    kr_buf_addf(&line, "%s%s | %s%s\n", kr_style(term, KR_DIM), source != NULL ? source : "log",
                copy, kr_style(term, KR_PLAIN));
    put(view, &line);
    if (view->restore)
        draw(view);
    (void)pthread_mutex_unlock(&view->lock);
}

static void on_note(void *data, enum kr_note kind, const char *text)
{
    kr_view_note(data, kind, text);
}

static bool on_confirm(void *data, const char *question)
{
    struct kr_view_state *view = data;
    struct kr_err err = KR_ERR_INIT;

    return kr_ask(view->cli, &err, "%s", question) == 0;
}

static bool on_cancelled(void *data)
{
    (void)data;
    return kr_view_interrupted() || ferror(stdout) != 0; /* the reader of our output went away */
}

void kr_view_ui(struct kr_view_state *view, struct kr_ui *ui)
{
    *ui = (struct kr_ui){.data = view,
                         .note = on_note,
                         .progress = on_progress,
                         .log_line = on_log_line,
                         .confirm = on_confirm,
                         .cancelled = on_cancelled};
}
