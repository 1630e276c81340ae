/* SPDX-License-Identifier: Apache-2.0 */
/* Room for connections and for what they bring. When there are as many connections as may be, those
 * that wait for a request, for the rest of one, or for a reader, are closed, longest first: a
 * thousand slow clients keep nobody out. What requests and answers hold in memory has one sum; when
 * it is full, whoever does not go on gives back what it holds, and after that the newest byte is
 * refused. */
#include "http/conn.h"

#include <malloc.h>

#define AT_ONCE    32   /* so that the list is not walked for each */
#define SETTLED_MS 1000 /* a client that has just come may send its request first */
#define READER_MS  5000 /* one that takes an answer has that long to go on */
#define SEARCH_MS  100  /* a search that found nothing is not repeated at once */
#define SMALL      65536
#define OWN        (4u << 20) /* of the server without any connection */
#define TRIM_ABOVE (8u << 20)
#define TRIM_MS    1000

/* -- who gives way ----------------------------------------------------------------------------- */

/* Since when, at the latest, a connection in this state must have stood still. */
static int64_t stands_since(const struct kr_conn *conn)
{
    int64_t now = conn->front->loop.now_ms;

    switch (conn->state) {
    case KR_C_HEAD:
    case KR_C_BODY:
    case KR_C_LINGER:
        return now - SETTLED_MS;
    case KR_C_SEND:
        return now - READER_MS;
    case KR_C_WAIT:
        return conn->upload && !kr_upload_waits(conn) ? now - SETTLED_MS : INT64_MIN;
    case KR_C_STREAM:
    case KR_C_CLOSED:
        break;
    }
    return INT64_MIN;
}

/* Keeps the AT_ONCE connections that have waited longest, in order. */
static size_t insert(struct kr_conn **oldest, size_t n, struct kr_conn *conn)
{
    size_t at;

    if (n == AT_ONCE && oldest[n - 1]->since_ms <= conn->since_ms)
        return n;
    at = n < AT_ONCE ? n : n - 1;
    while (at > 0 && oldest[at - 1]->since_ms > conn->since_ms) {
        oldest[at] = oldest[at - 1];
        at--;
    }
    oldest[at] = conn;
    return n < AT_ONCE ? n + 1 : n;
}

/* Half a request is answered before its connection ends, if that can be done at once. */
static void send_away(struct kr_conn *conn)
{
    if (conn->state == KR_C_BODY) {
        conn->eof = true; /* nothing more is read from it */
        conn->front->count.bad_requests++;
        kr_conn_refuse(conn, 408, "The request body stopped and others needed the room");
    } else if (conn->state == KR_C_WAIT && conn->upload) {
        conn->eof = true;
        conn->front->count.bad_requests++;
        kr_upload_fail(conn, 408, "The request body stopped and others needed the room");
    }
    if (conn->state == KR_C_SEND)
        kr_conn_cut(conn);
    else
        kr_conn_close(conn);
}

/* Ends up to AT_ONCE connections that stand still; only such as hold memory beside their first
 * buffer, if that is what is needed, and never `but`. */
static size_t evict(struct kr_front *front, bool for_memory, const struct kr_conn *but)
{
    struct kr_conn *oldest[AT_ONCE];
    size_t n = 0;

    for (struct kr_conn *conn = front->conns; conn != NULL; conn = conn->next) {
        if (conn != but && conn->since_ms <= stands_since(conn) && (!for_memory || conn->held > 0))
            n = insert(oldest, n, conn);
    }
    for (size_t i = 0; i < n; i++)
        send_away(oldest[i]);
    front->count.evicted += n;
    return n;
}

bool kr_room_for_connection(struct kr_front *front)
{
    return evict(front, false, NULL) > 0;
}

/* -- memory ------------------------------------------------------------------------------------ */

uint64_t kr_room_limit(const struct kr_front *front)
{
    uint64_t sum = front->cfg.memory;
    uint64_t bare = OWN + front->conn_count * (sizeof(struct kr_conn) + KR_CONN_FIRST);

    return sum - (bare < sum / 2 ? bare : sum / 2);
}

bool kr_room_is_short(const struct kr_front *front)
{
    return front->room.held > kr_room_limit(front) / 2;
}

static void count(struct kr_conn *conn)
{
    uint64_t now =
        conn->front->ops->held(conn) + conn->out.cap + conn->file_held + kr_body_held(conn);

    now += conn->in_cap > KR_CONN_FIRST ? conn->in_cap - KR_CONN_FIRST : 0;
    conn->front->room.held += now - conn->held;
    conn->held = now;
    if (conn->front->room.held > conn->front->room.most)
        conn->front->room.most = conn->front->room.held;
}

/* The last part is kept for small requests and for answers, so that uploads do not shut them
 * out. */
static bool fits(const struct kr_conn *conn)
{
    uint64_t limit = kr_room_limit(conn->front);
    bool upload = (conn->state == KR_C_BODY || conn->upload) && conn->held > SMALL;

    return conn->front->room.held <= (upload ? limit - limit / 8 : limit);
}

bool kr_room_take(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;

    count(conn);
    while (!fits(conn)) {
        if (front->loop.now_ms - front->room.searched_ms >= SEARCH_MS &&
            evict(front, true, conn) > 0)
            continue;
        if (front->loop.now_ms - front->room.searched_ms >= SEARCH_MS)
            front->room.searched_ms = front->loop.now_ms;
        return false;
    }
    return true;
}

/* One answer that is larger than all may be has its way while not much else is held. */
bool kr_room_for_answer(struct kr_conn *conn)
{
    const struct kr_front *front = conn->front;

    return kr_room_take(conn) || front->room.held - conn->held <= kr_room_limit(front) / 2;
}

void kr_room_forget(struct kr_conn *conn)
{
    struct kr_front *front = conn->front;

    front->room.held -= conn->held;
    conn->held = 0;
    if (front->room.most > TRIM_ABOVE && front->room.held < front->room.most / 8)
        kr_timer_at(&front->loop, &front->sweep, front->loop.now_ms + TRIM_MS);
}

/* What a crowd left behind in the C library's hands goes back to the system. */
void kr_room_tidy(struct kr_front *front)
{
    if (front->room.most <= TRIM_ABOVE || front->room.held >= front->room.most / 8)
        return;
    front->room.most = front->room.held;
    (void)malloc_trim(0);
}
