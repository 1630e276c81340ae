/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of runs (journal.c): what the server's parts note in it and ask of it. */
#ifndef KR_SERVE_RECORD_H
#define KR_SERVE_RECORD_H

#include "base/err.h"
#include "serve/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_conn;
struct kr_server;

struct kr_run_record {
    char id[KR_RUN_ID_LEN + 1];
    char *name; /* the journal frees it */
    int64_t started_ms;
    uint32_t duration_us;
    uint16_t status;
    uint8_t kind;
    bool ok;
};
int kr_journal_open(struct kr_server *srv, struct kr_err *err) KR_MUST_USE;
void kr_journal_close(struct kr_server *srv);
void kr_journal_add(struct kr_server *srv, const struct kr_run_record *record);
bool kr_journal_query(struct kr_conn *conn, int64_t page, int64_t size, const char *status);
void kr_journal_forget(struct kr_conn *conn);
uint64_t kr_journal_dropped(const struct kr_server *srv);

#endif
