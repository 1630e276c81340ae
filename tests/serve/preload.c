/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into programs under test. KOUROU_TEST_PRELOAD names a file of numbers (int64) that the
 * test changes while they run: by how many seconds the wall clock is wrong, how many of the next
 * messages with a descriptor cannot be sent, and how many of the next lose it when they are read,
 * as in a process that has no descriptor left. Waits until a moment of the wall clock are not
 * translated: with a clock that is a day fast they last a day, so nothing may wait so. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The function that this one stands before. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *real_##name;                                                          \
    if (real_##name == NULL) {                                                                     \
        void *found = dlsym(RTLD_NEXT, #name);                                                     \
        memcpy(&real_##name, &found, sizeof(found));                                               \
    }

static struct {
    _Atomic int64_t clock_s, refused, lost;
} * told;

__attribute__((constructor)) static void set_up(void)
{
    const char *path = secure_getenv("KOUROU_TEST_PRELOAD");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *page =
        fd >= 0 ? mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        (void)close(fd);
    if (page != MAP_FAILED)
        told = page;
}

static int64_t shift(void)
{
    return told != NULL ? atomic_load(&told->clock_s) : 0;
}

int clock_gettime(clockid_t which, struct timespec *out)
{
    REAL(clock_gettime)
    int rc = real_clock_gettime(which, out);

    if (rc == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        out->tv_sec += (time_t)shift();
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    REAL(sendmsg)

    if (told != NULL && msg->msg_controllen > 0 && atomic_load(&told->refused) > 0) {
        (void)atomic_fetch_sub(&told->refused, 1);
        errno = ETOOMANYREFS;
        return -1;
    }
    return real_sendmsg(fd, msg, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
    REAL(recvmsg)
    ssize_t n = real_recvmsg(fd, msg, flags);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(msg) : NULL;
    int one;

    if (c == NULL || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(one)) ||
        told == NULL || atomic_load(&told->lost) <= 0)
        return n;
    (void)atomic_fetch_sub(&told->lost, 1);
    memcpy(&one, CMSG_DATA(c), sizeof(one));
    (void)close(one);
    msg->msg_controllen = 0;
    msg->msg_flags |= MSG_CTRUNC;
    return n;
}
