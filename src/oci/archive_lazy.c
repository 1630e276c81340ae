/* SPDX-License-Identifier: Apache-2.0 */
/* libarchive brings a dozen libraries along; it is loaded when the first layer is made or read. */
#include <archive.h>
#include <archive_entry.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/lazy.h"

static struct kr_lazy lib = {.files = {"libarchive.so.13"}};

#define ENTRY   struct archive_entry
#define ARCHIVE struct archive

/* clang-format off */
KR_LAZY(&lib, ENTRY *, archive_entry_clear, (ENTRY *e), (e))
KR_LAZY(&lib, __LA_MODE_T, archive_entry_filetype, (ENTRY *e), (e))
KR_LAZY_VOID(&lib, archive_entry_free, (ENTRY *e), (e))
KR_LAZY(&lib, const char *, archive_entry_hardlink, (ENTRY *e), (e))
KR_LAZY(&lib, ENTRY *, archive_entry_new, (void), ())
KR_LAZY(&lib, const char *, archive_entry_pathname, (ENTRY *e), (e))
KR_LAZY(&lib, const char *, archive_entry_symlink, (ENTRY *e), (e))
KR_LAZY_VOID(&lib, archive_entry_set_filetype, (ENTRY *e, unsigned type), (e, type))
KR_LAZY_VOID(&lib, archive_entry_set_gid, (ENTRY *e, la_int64_t gid), (e, gid))
KR_LAZY_VOID(&lib, archive_entry_set_mtime, (ENTRY *e, time_t at, long ns), (e, at, ns))
KR_LAZY_VOID(&lib, archive_entry_set_pathname, (ENTRY *e, const char *path), (e, path))
KR_LAZY_VOID(&lib, archive_entry_set_perm, (ENTRY *e, __LA_MODE_T mode), (e, mode))
KR_LAZY_VOID(&lib, archive_entry_set_size, (ENTRY *e, la_int64_t size), (e, size))
KR_LAZY_VOID(&lib, archive_entry_set_uid, (ENTRY *e, la_int64_t uid), (e, uid))
KR_LAZY(&lib, const char *, archive_error_string, (ARCHIVE *a), (a))
KR_LAZY(&lib, la_ssize_t, archive_read_data, (ARCHIVE *a, void *p, size_t n), (a, p, n))
KR_LAZY(&lib, int, archive_read_free, (ARCHIVE *a), (a))
KR_LAZY(&lib, ARCHIVE *, archive_read_new, (void), ())
KR_LAZY(&lib, int, archive_read_next_header, (ARCHIVE *a, ENTRY **e), (a, e))
KR_LAZY(&lib, int, archive_read_open_fd, (ARCHIVE *a, int fd, size_t block), (a, fd, block))
KR_LAZY(&lib, int, archive_read_support_filter_gzip, (ARCHIVE *a), (a))
KR_LAZY(&lib, int, archive_read_support_filter_zstd, (ARCHIVE *a), (a))
KR_LAZY(&lib, int, archive_read_support_format_tar, (ARCHIVE *a), (a))
KR_LAZY(&lib, int, archive_write_close, (ARCHIVE *a), (a))
KR_LAZY(&lib, la_ssize_t, archive_write_data, (ARCHIVE *a, const void *p, size_t n), (a, p, n))
KR_LAZY(&lib, int, archive_write_free, (ARCHIVE *a), (a))
KR_LAZY(&lib, int, archive_write_header, (ARCHIVE *a, ENTRY *e), (a, e))
KR_LAZY(&lib, ARCHIVE *, archive_write_new, (void), ())
KR_LAZY(&lib, int, archive_write_open, (ARCHIVE *a, void *data, archive_open_callback *on_open,
        archive_write_callback *on_write, archive_close_callback *on_close), (a, data, on_open, on_write, on_close))
KR_LAZY(&lib, int, archive_write_set_bytes_per_block, (ARCHIVE *a, int n), (a, n))
KR_LAZY(&lib, int, archive_write_set_format_option, (ARCHIVE *a, const char *m, const char *o, const char *v),
        (a, m, o, v))
KR_LAZY(&lib, int, archive_write_set_format_pax_restricted, (ARCHIVE *a), (a))
/* clang-format on */

void archive_set_error(struct archive *a, int number, const char *fmt, ...)
{
    char text[512];
    va_list args;
    KR_LAZY_REAL(&lib, archive_set_error)

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    f(a, number, "%s", text);
}
