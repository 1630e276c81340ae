/* SPDX-License-Identifier: Apache-2.0 */
/* The database behind the journal of runs. Used by the recorder thread only. The only place that
 * includes SQLite is journal_db.c. */
#ifndef KR_SERVE_JOURNAL_H
#define KR_SERVE_JOURNAL_H

#include "base/err.h"
#include "serve/record.h"

struct kr_journal_db;

/* path NULL: in memory. kept: how many runs are kept. */
int kr_journal_db_open(const char *path, int64_t kept, struct kr_journal_db **out,
                       struct kr_err *err) KR_MUST_USE;
void kr_journal_db_close(struct kr_journal_db *db);
int kr_journal_db_write(struct kr_journal_db *db, const struct kr_run_record *records, size_t n,
                        struct kr_err *err) KR_MUST_USE;
/* Runs ever recorded, and when the last one began (0: none). */
int64_t kr_journal_db_total(struct kr_journal_db *db);

/* One page as JSON, newest first. status NULL: all. Caller frees. */
char *kr_journal_db_page(struct kr_journal_db *db, int64_t page, int64_t size, const char *status);

#endif
