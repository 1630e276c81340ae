/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/local.h"

#include "base/alloc.h"
#include "deployers/probe.h"

#include <errno.h>
#include <string.h>

struct wish {
    const char *address;
    int port;    /* 0: any */
    bool others; /* another one will do */
    int low, high;
};

static void read_wish(const struct kr_local *local, struct wish *out)
{
    const json_t *settings = local->what->settings;
    const json_t *range = json_object_get(settings, "port_range");

    out->address = kr_json_str(settings, "address", "127.0.0.1");
    out->port = (int)kr_json_int(settings, "port", 0);
    out->others = kr_json_bool(settings, "allocate_port_if_busy", true);
    out->low = (int)json_integer_value(json_array_get(range, 0));
    out->high = (int)json_integer_value(json_array_get(range, 1));
    if (out->low <= 0 || out->high < out->low) {
        out->low = 8000;
        out->high = 65535;
    }
}

static int fail_taken(const struct wish *wish, int problem, struct kr_err *err)
{
    kr_auto_free char *holder = problem == EADDRINUSE ? kr_process_of_port(wish->port) : NULL;

    if (problem != EADDRINUSE)
        return kr_fail_errno(err, problem, "cannot listen on %s port %d", wish->address,
                             wish->port);
    (void)kr_fail(err, KR_E_CONFLICT, "port %d on %s is in use by %s", wish->port, wish->address,
                  holder != NULL ? holder : "another process");
    return kr_hint(err, "choose another `port` for the deployer, leave it out, or set "
                        "allocate_port_if_busy to true");
}

static bool is_ours(const struct kr_local *local, const struct wish *wish, int port)
{
    return local->live.generation != 0 && local->live.port == port &&
           strcmp(local->live.address, wish->address) == 0 && kr_process_alive(local->live.process);
}

int kr_local_check_port(const struct kr_local *local, struct kr_err *err)
{
    struct wish wish;
    int problem;

    read_wish(local, &wish);
    if (wish.port == 0 || wish.others || is_ours(local, &wish, wish.port))
        return 0;
    problem = kr_port_try(wish.address, wish.port);
    return problem == 0 ? 0 : fail_taken(&wish, problem, err);
}

bool kr_local_port_lost(const struct kr_local *local)
{
    struct wish wish;

    read_wish(local, &wish);
    return (wish.port == 0 || wish.others) &&
           kr_port_try(local->next.address, local->next.port) == EADDRINUSE;
}

static int from_range(const struct wish *wish, int *port, struct kr_err *err)
{
    for (int candidate = wish->low; candidate <= wish->high; candidate++) {
        int problem = kr_port_try(wish->address, candidate);

        if (problem == 0) {
            *port = candidate;
            return 0;
        }
        if (problem != EADDRINUSE && problem != EACCES)
            return kr_fail_errno(err, problem, "cannot listen on %s", wish->address);
    }
    (void)kr_fail(err, KR_E_LIMIT, "no free port from %d to %d on %s", wish->low, wish->high,
                  wish->address);
    return kr_hint(err, "widen `port_range` of the deployer");
}

int kr_local_choose_port(const struct kr_local *local, int *port, char **busy_note,
                         struct kr_err *err)
{
    kr_auto_free char *holder = NULL;
    struct wish wish;
    int problem, first;

    *busy_note = NULL;
    read_wish(local, &wish);
    first = wish.port != 0 ? wish.port : local->port;
    if (first != 0 && is_ours(local, &wish, first)) {
        *port = first;
        return 0;
    }
    problem = first != 0 ? kr_port_try(wish.address, first) : EADDRINUSE;
    if (problem == 0) {
        *port = first;
        return 0;
    }
    if (first != 0 && (problem != EADDRINUSE || (wish.port != 0 && !wish.others)))
        return fail_taken(&wish, problem, err);
    if (from_range(&wish, port, err) < 0)
        return -(int)err->code;
    if (first != 0) {
        holder = kr_process_of_port(first);
        *busy_note = kr_asprintf("port %d is in use by %s, port %d is taken instead", first,
                                 holder != NULL ? holder : "another process", *port);
    }
    return 0;
}
