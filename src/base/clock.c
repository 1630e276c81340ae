/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STILL_MS 1000

static int64_t now(clockid_t which)
{
    struct timespec t;

    (void)clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t kr_mono_ms(void)
{
    return now(CLOCK_MONOTONIC);
}

int64_t kr_wall_ms(void)
{
    return now(CLOCK_REALTIME);
}

void kr_sleep_ms(int64_t ms)
{
    struct timespec t;

    if (ms <= 0)
        return;
    t.tv_sec = ms / 1000;
    t.tv_nsec = (long)(ms % 1000) * 1000000L;
    (void)nanosleep(&t, NULL);
}

int64_t kr_stood_still_ms(int64_t since_ms, int64_t most_ms)
{
    int64_t late = kr_mono_ms() - since_ms - most_ms;

    return late > STILL_MS ? late : 0;
}

const char *kr_iso8601(int64_t wall_ms, char text[KR_ISO_SIZE])
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char date[24];

    (void)gmtime_r(&s, &tm);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text, KR_ISO_SIZE, "%s.%03dZ", date, (int)(wall_ms % 1000));
    return text;
}

int64_t kr_iso8601_parse(const char *text)
{
    struct tm tm;
    const char *rest;
    int64_t ms = 0, digits = 0;
    time_t s;

    memset(&tm, 0, sizeof(tm));
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL)
        rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (rest == NULL)
        return -1;
    if (*rest == '.') {
        for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
            if (digits++ < 3)
                ms = ms * 10 + (*rest - '0');
        }
        for (; digits < 3; digits++)
            ms *= 10;
    }
    if (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0 && *rest != '\0')
        return -1;
    s = timegm(&tm);
    return (int64_t)s * 1000 + ms;
}
