/* SPDX-License-Identifier: Apache-2.0 */
/* Build and run logs, as whole lines of plain text (colours and control characters removed). */
#ifndef KR_HUB_LOGS_H
#define KR_HUB_LOGS_H

#include "hub/hub.h"

struct kr_log_options {
    const char *space;
    bool build;      /* else the run log */
    bool follow;     /* go on when all has been read; reconnects, showing nothing twice */
    int64_t tail;    /* last lines only; -1: all */
    int64_t idle_ms; /* not following: so much silence is the end; 0: 5 s, 2 s once lines came */
    int reconnects;  /* in a row, after which it fails; 0: 5 */
    /* when: ISO time, or "" */
    void (*line)(void *data, const char *text, const char *when);
    void *data;
};

/* A log that is read bit by bit, beside other calls of the same hub. options are copied, except the
 * texts. */
struct kr_log;
int kr_log_open(struct kr_hub *hub, const struct kr_log_options *options, struct kr_log **out,
                struct kr_err *err) KR_MUST_USE;
/* Reads for at most wait_ms. *done: the log has ended (build over, container gone, or idle): that
 * is not a verdict, ask the runtime. KR_E_NOT_FOUND, KR_E_INVALID...: there is no such log
 * (yet). */
int kr_log_pump(struct kr_log *log, int64_t wait_ms, bool *done, struct kr_err *err) KR_MUST_USE;
void kr_log_close(struct kr_log *log);
KR_DEFINE_AUTO(struct kr_log *, kr_log_close);
#define kr_auto_log kr_auto(kr_log_close_p)

/* All of it until its end, or until ui.cancelled. Not following, the end is also the first line
 * that is newer than the Hub's answer. */
int kr_hub_logs(struct kr_hub *hub, const struct kr_log_options *options,
                struct kr_err *err) KR_MUST_USE;

#endif
