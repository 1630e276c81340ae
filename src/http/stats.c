/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stats.h"

static const double bounds[KR_LATENCY_SLOTS - 1] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                                    0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                                    1,      2.5,     10,     60};
static const int64_t bounds_us[KR_LATENCY_SLOTS - 1] = {
    100,   250,    500,    1000,   2500,    5000,    10000,    25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 10000000, 60000000};

double kr_latency_bound(int slot)
{
    return bounds[slot];
}

void kr_stats_add(struct kr_route_stats *stats, int status, int64_t us)
{
    int slot = 0;

    while (slot < KR_LATENCY_SLOTS - 1 && us > bounds_us[slot])
        slot++;
    stats->latency[slot]++;
    stats->latency_sum_us += us > 0 ? (uint64_t)us : 0;
    stats->count++;
    for (int i = 0; i < KR_STATUS_SLOTS; i++) {
        if (stats->by_status[i].status == 0)
            stats->by_status[i].status = (uint16_t)status;
        if (stats->by_status[i].status == status) {
            stats->by_status[i].count++;
            return;
        }
    }
}
