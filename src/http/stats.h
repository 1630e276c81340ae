/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a route: answers by status, histogram of their latency. */
#ifndef KR_HTTP_STATS_H
#define KR_HTTP_STATS_H

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

void kr_stats_add(struct kr_route_stats *stats, int status, int64_t us);
double kr_latency_bound(int slot); /* seconds */

#endif
