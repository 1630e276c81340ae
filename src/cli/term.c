/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"

#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/env.h"
#include "base/view.h"

/* $KOUROU_CLI_COLUMN_WIDTH, $ZENML_CLI_COLUMN_WIDTH, 0 when neither is a sensible number. */
static int width_from_env(void)
{
    static const char *const names[] = {"KOUROU_CLI_COLUMN_WIDTH", "ZENML_CLI_COLUMN_WIDTH"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *text = kr_env_get(names[i]);
        uint64_t n;

        if (text != NULL && kr_view_u64(kr_view_of(text), &n) && n >= 20 && n <= 10000)
            return (int)n;
    }
    return 0;
}

/* https://no-color.org and https://bixense.com/clicolors: NO_COLOR wins over CLICOLOR_FORCE. */
static bool wants_colour(bool can)
{
    const char *force = kr_env_get("CLICOLOR_FORCE"), *wanted = kr_env_get("CLICOLOR");

    if (kr_env_get("NO_COLOR") != NULL)
        return false;
    if (force != NULL && strcmp(force, "0") != 0)
        return true;
    return can && (wanted == NULL || strcmp(wanted, "0") != 0);
}

struct kr_term kr_term_of(int fd)
{
    struct kr_term term = {.tty = isatty(fd) == 1};
    const char *kind = kr_env_get("TERM");
    struct winsize size;

    term.live = term.tty && (kind == NULL || strcmp(kind, "dumb") != 0);
    term.colour = wants_colour(term.live);
    term.width = width_from_env();
    if (term.width == 0 && term.tty && ioctl(fd, TIOCGWINSZ, &size) == 0)
        term.width = size.ws_col;
    return term;
}

int kr_term_table_width(const struct kr_term *term)
{
    int forced = width_from_env();

    if (forced > 0)
        return forced;
    if (!term->tty)
        return 10000;
    return term->width > 0 ? term->width : 80;
}

int kr_term_columns(const char *text)
{
    mbstate_t state = {0};
    size_t left = strlen(text);
    int columns = 0;

    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        int width;

        if (n == 0 || n == (size_t)-1 || n == (size_t)-2) { /* not text: one column a byte */
            memset(&state, 0, sizeof(state));
            n = 1;
            width = 1;
        } else {
            width = wcwidth(c);
        }
        columns += width > 0 ? width : 0;
        text += n;
        left -= n;
    }
    return columns;
}

const char *kr_style(const struct kr_term *term, enum kr_style style)
{
    static const char *const codes[] = {
        [KR_PLAIN] = "\033[0m", [KR_BOLD] = "\033[1m",   [KR_DIM] = "\033[2m",
        [KR_RED] = "\033[31m",  [KR_GREEN] = "\033[32m", [KR_YELLOW] = "\033[33m",
        [KR_CYAN] = "\033[36m",
    };

    return term->colour ? codes[style] : "";
}
