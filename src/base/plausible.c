/* SPDX-License-Identifier: Apache-2.0 */
#include "base/plausible.h"

#include "base/attrs.h"
#include "base/common_words.h"
#include "base/view.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum {
    SHORTEST = 6,
    SHORTEST_WORD = 8,    /* of letters of one case */
    STRONG_WORD = 16,     /* letters only, with or without separators */
    STRONG_MIXED = 8,     /* letters with digits or signs */
    WORD_MAX = 24,        /* longer than every common word */
    LONG_NAME = 25,       /* of common words: a sentence rather than a name */
    NUMBER_OF_A_NAME = 4, /* digits: "python3", "t4", "x86" */
    WEAK_DIGITS = 8,      /* a number of that many digits may be a code */
    STRONG_DIGITS = 12,
    FEWEST_CHARACTERS = 3, /* different ones: "xxxxxxxx" and "--------" are none */
};

static bool is_common(struct kr_view word)
{
    char wanted[WORD_MAX + 3];

    if (word.n == 0 || word.n > WORD_MAX)
        return false;
    wanted[0] = wanted[word.n + 1] = ' ';
    for (size_t i = 0; i < word.n; i++)
        wanted[i + 1] = (char)tolower((unsigned char)word.p[i]);
    wanted[word.n + 2] = '\0';
    for (size_t i = 0; i < KR_ARRAY_LEN(kr_common_words); i++) {
        if (strstr(kr_common_words[i], wanted) != NULL)
            return true;
    }
    return false;
}

/* Counts of what a value is made of. */
struct made_of {
    size_t lower, upper, digits, separators, dots, others;
    size_t words, plain_words; /* between separators; of them those that say nothing */
    size_t numbers;            /* of the words */
    size_t different;
};

/* "python", "python3", "11", "amd64": a common word or none, and a few digits. */
static bool is_plain(struct kr_view word)
{
    size_t digits = 0;

    while (word.n > 0 && isdigit((unsigned char)word.p[word.n - 1])) {
        word.n--;
        digits++;
    }
    if (word.n == 0)
        return true; /* a number; how long it may be is judged for the value as a whole */
    return digits <= NUMBER_OF_A_NAME && (word.n == 1 || is_common(word));
}

static void count(const char *value, size_t n, struct made_of *made)
{
    bool seen[256] = {false};
    size_t start = 0;

    for (size_t i = 0; i <= n; i++) {
        unsigned char c = i < n ? (unsigned char)value[i] : '/';
        bool separator = c < 0x80 && strchr("-_./: ,", c) != NULL, hump;

        if (i < n) {
            made->lower += islower(c) != 0;
            made->upper += isupper(c) != 0;
            made->digits += isdigit(c) != 0;
            made->separators += separator;
            made->dots += c == '.';
            made->others += !separator && !isalnum(c);
            made->different += !seen[c];
            seen[c] = true;
        }
        hump = i > start && isupper(c) && islower((unsigned char)value[i - 1]); /* "pageSize" */
        if (!separator && !hump)
            continue;
        if (i > start) {
            made->words++;
            made->plain_words += is_plain((struct kr_view){value + start, i - start});
            made->numbers += strspn(value + start, "0123456789") >= i - start;
        }
        start = i + separator;
    }
}

static enum kr_plausible of_letters(const char *value, size_t n, const struct made_of *made)
{
    bool one_case = made->upper == 0 || made->lower == 0 ||
                    (made->upper == 1 && isupper((unsigned char)value[0]) != 0);

    if (made->separators == 0 && one_case && n < SHORTEST_WORD)
        return KR_PLAUSIBLE_NO;
    return n < STRONG_WORD ? KR_PLAUSIBLE_WEAK : KR_PLAUSIBLE_STRONG;
}

/* "/opt/kourou/bin", "/etc/ssl/cert.pem": lower case and few digits. */
static bool is_path(const char *value, const struct made_of *made)
{
    return value[0] == '/' && made->others == 0 && made->upper == 0 &&
           made->digits <= NUMBER_OF_A_NAME;
}

enum kr_plausible kr_plausible(const char *value, size_t n)
{
    struct made_of made = {0};

    if (n < SHORTEST)
        return KR_PLAUSIBLE_NO;
    count(value, n, &made);
    if (made.different < FEWEST_CHARACTERS || is_path(value, &made))
        return KR_PLAUSIBLE_NO;
    if (made.lower + made.upper + made.others == 0) {
        if (made.digits < WEAK_DIGITS || made.dots > 1 ||
            (made.separators > 0 && made.digits < STRONG_DIGITS))
            return KR_PLAUSIBLE_NO; /* ports, versions, addresses, dates */
        return made.digits < STRONG_DIGITS ? KR_PLAUSIBLE_WEAK : KR_PLAUSIBLE_STRONG;
    }
    if (n < LONG_NAME && made.others == 0 && made.words == made.plain_words &&
        made.words <= 3 + made.numbers && made.digits <= WEAK_DIGITS)
        return KR_PLAUSIBLE_NO; /* "python", "t4-small", "linux/amd64", "http://localhost:8080" */
    if (made.digits == 0 && made.others == 0)
        return of_letters(value, n, &made);
    return n < STRONG_MIXED ? KR_PLAUSIBLE_WEAK : KR_PLAUSIBLE_STRONG;
}
