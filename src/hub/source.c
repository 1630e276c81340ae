/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/push.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int kr_source_open(struct kr_source *s, const struct kr_file *file, struct kr_err *err)
{
    struct stat st;

    *s = (struct kr_source){.fd = -1, .bytes = file->bytes, .size = file->size};
    if (file->bytes != NULL)
        return 0;
    s->fd = open(file->disk, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return kr_fail_errno(err, errno, "%s", file->disk);
    if ((uint64_t)st.st_size != file->size) {
        (void)kr_fail(err, KR_E_INVALID, "%s has changed while it was being deployed", file->disk);
        return kr_hint(err, "run the command again");
    }
    return 0;
}

void kr_source_close(struct kr_source *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}

int kr_source_read(const struct kr_source *s, const struct kr_file *file, uint64_t offset, void *to,
                   size_t n, struct kr_err *err)
{
    size_t got = 0;

    if (s->fd < 0) {
        if (n != 0)
            memcpy(to, s->bytes + offset, n);
        return 0;
    }
    while (got < n) {
        ssize_t part = pread(s->fd, (char *)to + got, n - got, (off_t)(offset + got));

        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return kr_fail_errno(err, errno, "%s", file->disk);
        if (part == 0) {
            (void)kr_fail(err, KR_E_INVALID, "%s has changed while it was being deployed",
                          file->disk);
            return kr_hint(err, "run the command again");
        }
        got += (size_t)part;
    }
    return 0;
}

struct kr_http_body kr_source_body(const struct kr_source *s, uint64_t offset, uint64_t size)
{
    if (s->fd < 0)
        return (struct kr_http_body){
            .kind = KR_BODY_BYTES, .bytes = s->bytes + offset, .fd = -1, .size = size};
    return (struct kr_http_body){.kind = KR_BODY_FD, .fd = s->fd, .offset = offset, .size = size};
}
