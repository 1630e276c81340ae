/* SPDX-License-Identifier: Apache-2.0 */
#include "http/front.h"

#include "base/log.h"
#include "http/access_log.h"
#include "http/conn.h"

#include <sys/resource.h>
#include <unistd.h>

#define SCRATCH_MAX (1u << 20)
#define LOG_MAX     (1u << 20)
#define IDLE_MS     1000 /* a connection without a request has that long in a draining front */

static void on_sweep(struct kr_timer *timer)
{
    kr_conn_sweep((struct kr_front *)((char *)timer - offsetof(struct kr_front, sweep)));
}

/* Connections are bounded by what the system lets us open. */
static void raise_descriptors(struct kr_front *front)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY &&
        (int64_t)limit.rlim_cur - 256 < front->cfg.max_connections)
        front->cfg.max_connections = limit.rlim_cur > 512 ? (int64_t)limit.rlim_cur - 256 : 256;
}

int kr_front_open(struct kr_front *front, struct kr_err *err)
{
    front->sweep.on_time = on_sweep;
    kr_buf_init(&front->scratch, SCRATCH_MAX);
    kr_buf_init(&front->log_lines, LOG_MAX);
    raise_descriptors(front);
    return kr_loop_init(&front->loop, err);
}

void kr_front_drain(struct kr_front *front)
{
    front->draining = true;
    front->listening = false;
    kr_watch_close(&front->loop, &front->listener);
    for (struct kr_conn *conn = front->conns; conn != NULL; conn = conn->next) {
        if (conn->state == KR_C_HEAD)
            kr_conn_deadline(conn, IDLE_MS);
    }
}

void kr_front_close(struct kr_front *front)
{
    while (front->conns != NULL)
        kr_conn_close(front->conns);
}

void kr_front_finish(struct kr_front *front)
{
    if (front->listener.fd >= 0)
        (void)close(front->listener.fd);
    if (front->loop.epfd > 0)
        kr_loop_finish(&front->loop);
    if (front->log_lines.n > 0)
        kr_access_log_flush(front);
    kr_buf_finish(&front->log_lines);
    kr_buf_finish(&front->scratch);
}

void kr_front_uuid(struct kr_front *front, char text[KR_UUID_SIZE])
{
    if (front->random_at + KR_UUID_BYTES > sizeof(front->random) || front->random_at == 0) {
        kr_random_bytes(front->random, sizeof(front->random));
        front->random_at = 0;
    }
    (void)kr_uuid4_of(front->random + front->random_at, text);
    front->random_at += KR_UUID_BYTES;
}
