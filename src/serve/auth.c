/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a protected deployment: Authorization: Bearer, or X-API-Key where the first header
 * carries something else (the Hub token of a private Space). */
#include "serve/handlers.h"
#include "serve/server.h"

#include <string.h>
#include <strings.h>

/* Time depends on the length given, not on where the first difference is. */
static bool same_key(struct kr_view given, const char *key)
{
    size_t n = strlen(key);
    volatile unsigned char diff = given.n == n ? 0 : 1;

    for (size_t i = 0; i < given.n; i++)
        diff = (unsigned char)(diff | ((unsigned char)given.p[i] ^
                                       (unsigned char)key[n == 0 ? 0 : i % n]));
    return diff == 0;
}

bool kr_auth_check(struct kr_conn *conn)
{
    const char *key = kr_server_of(conn)->opt.auth_key;
    struct kr_view bearer, api_key;

    if (key == NULL)
        return true;
    api_key = kr_request_known(&conn->req, conn->in, KR_H_API_KEY);
    bearer = kr_request_known(&conn->req, conn->in, KR_H_AUTHORIZATION);
    if (api_key.p != NULL && same_key(api_key, key))
        return true;
    if (bearer.p != NULL && bearer.n > 7 && strncasecmp(bearer.p, "Bearer ", 7) == 0) {
        struct kr_view token = kr_view_trim((struct kr_view){.p = bearer.p + 7, .n = bearer.n - 7});

        if (same_key(token, key))
            return true;
    }
    kr_conn_error(conn, 401,
                  bearer.p == NULL && api_key.p == NULL ? "Authorization header required"
                                                        : "Invalid authentication token");
    return false;
}
