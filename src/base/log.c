/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/redact.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
    int fd;
    enum kr_log_level least;
    bool json;
} log_to = {.fd = STDERR_FILENO, .least = KR_LOG_WARN};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void kr_log_setup(int fd, enum kr_log_level least, bool json)
{
    log_to.fd = fd;
    log_to.least = least;
    log_to.json = json;
}

bool kr_log_wanted(enum kr_log_level level)
{
    return level >= log_to.least && level < KR_LOG_OFF;
}

static void add_escaped(struct kr_buf *line, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            kr_buf_addc(line, '\\');
        if ((unsigned char)*p < 0x20)
            kr_buf_addf(line, "\\u%04x", (unsigned)(unsigned char)*p);
        else
            kr_buf_addc(line, *p);
    }
}

/* One line, which may go to a terminal. */
static void blank_controls(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = ' ';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            c[0] = c[1] = ' ';
    }
}

void kr_log(enum kr_log_level level, const char *part, const char *fmt, ...)
{
    kr_auto_buf struct kr_buf line = KR_BUF_INIT(16384);
    char text[4096], stamp[KR_ISO_SIZE];
    va_list args;
    int n;

    if (!kr_log_wanted(level))
        return;
    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text))
        kr_redact_cut(text, strlen(text));
    else
        kr_redact(text, (size_t)n);
    (void)kr_iso8601(kr_wall_ms(), stamp);
    if (log_to.json) {
        kr_buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"part\":\"%s\",\"message\":\"",
                    stamp, level_names[level], part);
        add_escaped(&line, text);
        kr_buf_adds(&line, "\"}\n");
    } else {
        blank_controls(text);
        kr_buf_addf(&line, "%s %-7s %s: %s\n", stamp, level_names[level], part, text);
    }
    if (!line.failed)
        (void)!write(log_to.fd, line.p, line.n);
}
