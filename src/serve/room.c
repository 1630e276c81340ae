/* SPDX-License-Identifier: Apache-2.0 */
/* Room for new connections when there are as many as may be: those that wait for a request, or for
 * the rest of one's head, are closed, longest first. A thousand slow clients keep nobody out. */
#include "serve/serve.h"

#define AT_ONCE    32   /* so that the list is not walked for each */
#define SETTLED_MS 1000 /* a client that has just come may send its request first */

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

bool kr_conn_make_room(struct kr_server *srv)
{
    struct kr_conn *oldest[AT_ONCE];
    int64_t before = srv->loop.now_ms - SETTLED_MS;
    size_t n = 0;

    for (struct kr_conn *conn = srv->conns; conn != NULL; conn = conn->next) {
        if (conn->state == KR_C_HEAD && conn->since_ms <= before)
            n = insert(oldest, n, conn);
    }
    for (size_t i = 0; i < n; i++)
        kr_conn_close(oldest[i]);
    srv->metrics.evicted += n;
    return n > 0;
}
