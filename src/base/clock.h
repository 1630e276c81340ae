/* SPDX-License-Identifier: Apache-2.0 */
/* Time. Milliseconds everywhere; wall time is Unix time. */
#ifndef KR_BASE_CLOCK_H
#define KR_BASE_CLOCK_H

#include <stdint.h>

#define KR_ISO_SIZE 32

int64_t kr_mono_ms(void);
int64_t kr_wall_ms(void);
void kr_sleep_ms(int64_t ms); /* returns early when a signal arrives */

/* How long this process did not run at all (it was stopped, its container frozen), when a wait that
 * began at since_ms of kr_mono_ms() was to last most_ms and is over now. Whoever waits for another
 * gives it that time: it may not have run either. */
int64_t kr_stood_still_ms(int64_t since_ms, int64_t most_ms);

/* "2026-08-20T10:00:00.123Z" into text; returns text. */
const char *kr_iso8601(int64_t wall_ms, char text[KR_ISO_SIZE]);

/* Reads what kr_iso8601 writes, and the same without fraction or with +00:00. -1 when it is not a
 * time. */
int64_t kr_iso8601_parse(const char *text);

#endif
