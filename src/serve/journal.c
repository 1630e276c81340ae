/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder: runs are put into a buffer by the loop and written by a thread in batches of 50 ms.
 * What cannot be kept is dropped and counted; an answer never waits for the disk. */
#include "serve/journal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"
#include "serve/client.h"
#include "serve/server.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MS   50
#define BUFFER_MAX 32768

struct query {
    struct query *next;
    struct kr_conn *conn; /* NULL: the client has gone */
    int64_t page, size;
    char status[16];
    char *text;
};

struct kr_journal {
    struct kr_watch done; /* answered questions wait */
    struct kr_server *srv;
    struct kr_journal_db *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct kr_run_record *buffer, *spare;
    size_t n, cap, spare_cap;
    uint64_t dropped;
    struct query *asked, *answered, *at_work;
};

static void batch_deadline(struct timespec *ts)
{
    (void)clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_nsec += BATCH_MS * 1000000L;
    if (ts->tv_nsec >= 1000000000L) {
        ts->tv_sec++;
        ts->tv_nsec -= 1000000000L;
    }
}

/* Lock held. Returns how many records were taken into j->spare. */
static size_t take_batch(struct kr_journal *j)
{
    struct timespec until;
    struct kr_run_record *records;
    size_t n, cap;

    while (!j->stop && j->n == 0 && j->asked == NULL)
        (void)pthread_cond_wait(&j->wake, &j->lock);
    batch_deadline(&until);
    while (!j->stop && j->asked == NULL && j->n < BUFFER_MAX / 2 &&
           pthread_cond_timedwait(&j->wake, &j->lock, &until) != ETIMEDOUT)
        ;
    n = j->n;
    records = j->buffer;
    cap = j->cap;
    j->buffer = j->spare;
    j->cap = j->spare_cap;
    j->n = 0;
    j->spare = records;
    j->spare_cap = cap;
    return n;
}

static void answer(struct kr_journal *j)
{
    static const uint64_t one = 1;

    while (j->at_work != NULL) {
        struct query *q = j->at_work;

        q->text =
            kr_journal_db_page(j->db, q->page, q->size, q->status[0] != '\0' ? q->status : NULL);
        (void)pthread_mutex_lock(&j->lock);
        j->at_work = q->next;
        q->next = j->answered;
        j->answered = q;
        (void)pthread_mutex_unlock(&j->lock);
        (void)!write(j->done.fd, &one, sizeof(one));
    }
}

static void forget_names(const struct kr_run_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(records[i].name);
}

static void *recorder(void *data)
{
    struct kr_journal *j = data;
    bool stop = false;

    while (!stop) {
        struct kr_err err = KR_ERR_INIT;
        size_t n;

        (void)pthread_mutex_lock(&j->lock);
        n = take_batch(j);
        stop = j->stop;
        j->at_work = j->asked;
        j->asked = NULL;
        (void)pthread_mutex_unlock(&j->lock);
        if (n > 0 && kr_journal_db_write(j->db, j->spare, n, &err) < 0) {
            kr_log(KR_LOG_ERROR, "journal", "%s (%zu runs are lost)", err.msg, n);
            (void)pthread_mutex_lock(&j->lock);
            j->dropped += n;
            (void)pthread_mutex_unlock(&j->lock);
        }
        forget_names(j->spare, n);
        answer(j);
    }
    return NULL;
}

void kr_journal_add(struct kr_server *srv, const struct kr_run_record *record)
{
    struct kr_journal *j = srv->journal;
    bool first;

    (void)pthread_mutex_lock(&j->lock);
    first = j->n == 0;
    if (j->n == BUFFER_MAX) {
        j->dropped++;
        forget_names(record, 1);
    } else {
        if (j->n == j->cap) {
            j->cap = j->cap == 0 ? 64 : j->cap * 2;
            j->buffer = kr_reallocarray(j->buffer, j->cap, sizeof(*j->buffer));
        }
        j->buffer[j->n++] = *record;
    }
    (void)pthread_mutex_unlock(&j->lock);
    if (first)
        (void)pthread_cond_signal(&j->wake);
}

uint64_t kr_journal_dropped(const struct kr_server *srv)
{
    return srv->journal != NULL ? srv->journal->dropped : 0;
}

/* -- questions --------------------------------------------------------------------------------- */

bool kr_journal_query(struct kr_conn *conn, int64_t page, int64_t size, const char *status)
{
    struct kr_journal *j = kr_server_of(conn)->journal;
    struct query *q, **link;

    if (j == NULL)
        return false;
    q = kr_calloc(1, sizeof(*q));
    q->conn = conn;
    q->page = page;
    q->size = size;
    (void)snprintf(q->status, sizeof(q->status), "%s", status != NULL ? status : "");
    (void)pthread_mutex_lock(&j->lock);
    for (link = &j->asked; *link != NULL; link = &(*link)->next)
        ;
    *link = q;
    (void)pthread_mutex_unlock(&j->lock);
    (void)pthread_cond_signal(&j->wake);
    kr_client_of(conn)->ticket = 1;
    return true;
}

static void forget_in(struct query *list, const struct kr_conn *conn)
{
    for (; list != NULL; list = list->next) {
        if (list->conn == conn)
            list->conn = NULL;
    }
}

void kr_journal_forget(struct kr_conn *conn)
{
    struct kr_journal *j = kr_server_of(conn)->journal;

    if (j == NULL || kr_client_of(conn)->ticket == 0)
        return;
    (void)pthread_mutex_lock(&j->lock);
    forget_in(j->asked, conn);
    forget_in(j->at_work, conn);
    forget_in(j->answered, conn);
    (void)pthread_mutex_unlock(&j->lock);
    kr_client_of(conn)->ticket = 0;
}

static void on_done(struct kr_watch *watch, uint32_t events)
{
    struct kr_journal *j = (struct kr_journal *)watch;
    struct query *q;
    uint64_t count;

    (void)events;
    (void)!read(watch->fd, &count, sizeof(count));
    (void)pthread_mutex_lock(&j->lock);
    q = j->answered;
    j->answered = NULL;
    (void)pthread_mutex_unlock(&j->lock);
    while (q != NULL) {
        struct query *next = q->next;

        if (q->conn != NULL) {
            kr_client_of(q->conn)->ticket = 0;
            kr_conn_reply_text(q->conn, 200, "application/json", q->text, strlen(q->text));
        }
        free(q->text);
        free(q);
        q = next;
    }
}

/* -- life -------------------------------------------------------------------------------------- */

static int open_db(struct kr_server *srv, struct kr_journal *j, struct kr_err *err)
{
    kr_auto_free char *path = NULL;
    mode_t old;
    int code;

    if (srv->opt.data_dir != NULL) {
        if (kr_mkdir_p(srv->opt.data_dir, 0700, err) < 0)
            return -(int)err->code;
        path = kr_path_join(srv->opt.data_dir, "runs.db");
    }
    old = umask(0077);
    code = kr_journal_db_open(path, srv->opt.runs_kept, &j->db, err);
    (void)umask(old);
    if (code < 0)
        return code;
    srv->executions.count = (uint64_t)kr_journal_db_total(j->db);
    return 0;
}

static int start_thread(struct kr_journal *j, struct kr_err *err)
{
    pthread_condattr_t attr;
    int code;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&j->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&j->lock, NULL);
    code = pthread_create(&j->thread, NULL, recorder, j);
    return code == 0 ? 0 : kr_fail_errno(err, code, "recorder thread");
}

/* A journal that cannot be opened is reported, and the server serves without it. */
int kr_journal_open(struct kr_server *srv, struct kr_err *err)
{
    struct kr_journal *j = kr_calloc(1, sizeof(*j));
    struct kr_err why = KR_ERR_INIT;

    j->srv = srv;
    j->done = (struct kr_watch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .on_ready = on_done};
    if (open_db(srv, j, &why) < 0) {
        kr_log(KR_LOG_ERROR, "journal", "%s; runs are not recorded", why.msg);
        (void)close(j->done.fd);
        free(j);
        return 0;
    }
    if (kr_watch_add(&srv->front.loop, &j->done, EPOLLIN, err) < 0 || start_thread(j, err) < 0)
        return -(int)err->code;
    srv->journal = j;
    return 0;
}

static void free_queries(struct query *q)
{
    while (q != NULL) {
        struct query *next = q->next;

        free(q->text);
        free(q);
        q = next;
    }
}

void kr_journal_close(struct kr_server *srv)
{
    struct kr_journal *j = srv->journal;

    if (j == NULL)
        return;
    (void)pthread_mutex_lock(&j->lock);
    j->stop = true;
    (void)pthread_mutex_unlock(&j->lock);
    (void)pthread_cond_signal(&j->wake);
    (void)pthread_join(j->thread, NULL);
    (void)pthread_cond_destroy(&j->wake);
    (void)pthread_mutex_destroy(&j->lock);
    (void)close(j->done.fd);
    kr_journal_db_close(j->db);
    free_queries(j->answered);
    free_queries(j->asked);
    forget_names(j->buffer, j->n);
    free(j->buffer);
    free(j->spare);
    free(j);
    srv->journal = NULL;
}
