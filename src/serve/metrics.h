/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of the front: per route and status, latency histogram. */
#ifndef KR_SERVE_METRICS_H
#define KR_SERVE_METRICS_H

#include <stdint.h>

#define KR_STATUS_SLOTS  24
#define KR_LATENCY_SLOTS 17

struct kr_route_stats {
    struct {
        uint16_t status;
        uint64_t count;
    } by_status[KR_STATUS_SLOTS];
    uint64_t latency[KR_LATENCY_SLOTS]; /* not cumulative; the last one is +Inf */
    uint64_t latency_sum_us, count;
};

struct kr_metrics {
    struct kr_route_stats other; /* requests that matched no route */
    uint64_t executions, executions_failed;
    int64_t last_execution_wall_ms;
    uint64_t connections, bad_requests, evicted, no_room;
    uint64_t bytes_in, bytes_out;
};

void kr_stats_add(struct kr_route_stats *stats, int status, int64_t us);
double kr_latency_bound(int slot); /* seconds */

#endif
