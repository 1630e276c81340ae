/* SPDX-License-Identifier: Apache-2.0 */
#include "net/retry.h"

#include "base/attrs.h"
#include "base/view.h"

#include <locale.h>
#include <string.h>
#include <time.h>

enum { SLACK_MS = 250, RESET_MARGIN_MS = 1000, FAR_S = 365 * 86400 };

enum kr_repeat kr_repeat_of_method(const char *method)
{
    static const char *const safe[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};

    for (size_t i = 0; i < KR_ARRAY_LEN(safe); i++) {
        if (strcmp(method, safe[i]) == 0)
            return KR_REPEAT_SAFE;
    }
    return KR_REPEAT_UNSENT;
}

static bool is_passing_status(int status)
{
    return status == 408 || status == 500 || status == 502 || status == 503 || status == 504;
}

static bool may_repeat(const struct kr_retry_outcome *o)
{
    if (o->repeat == KR_REPEAT_NEVER)
        return false;
    switch (o->failure) {
    case KR_HTTP_UNSENT:
        return true;
    case KR_HTTP_LOST:
        return o->repeat == KR_REPEAT_SAFE;
    case KR_HTTP_ANSWERED:
        if (o->status ==
            429) /* refused before anything was done; with requests left it is a quota */
            return !o->limit.known || o->limit.remaining == 0 || o->retry_after_ms >= 0;
        return is_passing_status(o->status) && o->repeat == KR_REPEAT_SAFE;
    case KR_HTTP_HOPELESS:
    case KR_HTTP_CANCELLED:
        break;
    }
    return false;
}

/* Doubling from first to most, of which the upper half is left to chance. */
static int64_t backoff(const struct kr_retry_policy *policy, int attempt, unsigned jitter)
{
    int64_t wait = policy->first_ms;

    for (int i = 1; i < attempt && wait < policy->most_ms; i++)
        wait *= 2;
    if (wait > policy->most_ms)
        wait = policy->most_ms;
    return wait - wait / 2 + wait / 2 * (int64_t)(jitter & KR_JITTER_MAX) / KR_JITTER_MAX;
}

int64_t kr_retry_wait(const struct kr_retry_policy *policy, const struct kr_retry_outcome *outcome,
                      int attempt, int64_t spent_ms, unsigned jitter)
{
    int64_t slack = (int64_t)(jitter & KR_JITTER_MAX) * SLACK_MS / KR_JITTER_MAX, wait;

    if (attempt >= policy->attempts || !may_repeat(outcome))
        return -1;
    if (outcome->failure == KR_HTTP_ANSWERED && outcome->limit.known &&
        outcome->limit.remaining == 0 && outcome->status == 429)
        wait = outcome->limit.reset_s * 1000 + RESET_MARGIN_MS + slack;
    else if (outcome->failure == KR_HTTP_ANSWERED && outcome->retry_after_ms >= 0)
        wait = outcome->retry_after_ms + slack;
    else
        wait = backoff(policy, attempt, jitter);
    return wait > policy->budget_ms - spent_ms ? -1 : wait;
}

struct kr_ratelimit kr_ratelimit_parse(const char *value)
{
    struct kr_ratelimit out = {false, 0, 0};
    struct kr_view rest, item, name;
    uint64_t number;
    bool has_r = false;

    if (value == NULL)
        return out;
    rest = kr_view_of(value);
    while (rest.n != 0) {
        (void)kr_view_cut(&rest, ';', &item);
        if (!kr_view_cut(&item, '=', &name))
            continue;
        name = kr_view_trim(name);
        if (!kr_view_u64(kr_view_trim(item), &number) || number > FAR_S)
            continue;
        if (kr_view_eq(name, "r")) {
            out.remaining = (int64_t)number;
            has_r = true;
        } else if (kr_view_eq(name, "t")) {
            out.reset_s = (int64_t)number;
            out.known = true;
        }
    }
    out.known = out.known && has_r;
    return out;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", and the two older forms of RFC 9110. */
bool kr_http_date_parse(const char *text, int64_t *seconds)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    locale_t english = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    bool found = false;

    for (size_t i = 0; text != NULL && i < KR_ARRAY_LEN(forms) && !found && english != (locale_t)0;
         i++) {
        struct tm tm = {0};
        const char *end = strptime_l(text, forms[i], &tm, english);

        found = end != NULL && *end == '\0';
        if (found)
            *seconds = (int64_t)timegm(&tm);
    }
    if (english != (locale_t)0)
        freelocale(english);
    return found;
}

int64_t kr_retry_after_parse(const char *value, int64_t wall_ms)
{
    uint64_t seconds;
    int64_t at;

    if (value == NULL)
        return -1;
    if (kr_view_u64(kr_view_trim(kr_view_of(value)), &seconds))
        return seconds > FAR_S ? (int64_t)FAR_S * 1000 : (int64_t)seconds * 1000;
    if (!kr_http_date_parse(value, &at))
        return -1;
    at = at * 1000 - wall_ms;
    if (at < 0)
        return 0;
    return at > (int64_t)FAR_S * 1000 ? (int64_t)FAR_S * 1000 : at;
}
