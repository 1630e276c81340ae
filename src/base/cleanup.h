/* SPDX-License-Identifier: Apache-2.0 */
/* Variables are declared with their cleaner; handing a value out is spelled kr_steal().
 *
 *     kr_auto_free char *path = kr_path_join(dir, name);
 *     kr_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
 *     ...
 *     *out = kr_steal(&path);
 *
 * Types declare their own kr_auto_x beside their destroy function with KR_DEFINE_AUTO. */
#ifndef KR_BASE_CLEANUP_H
#define KR_BASE_CLEANUP_H

#include "base/attrs.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void kr_cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void kr_cleanup_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void kr_cleanup_file(FILE **f)
{
    if (*f != NULL)
        (void)fclose(*f);
}

static inline void kr_cleanup_dir(DIR **d)
{
    if (*d != NULL)
        (void)closedir(*d);
}

#define kr_auto(fn)  __attribute__((cleanup(fn)))
#define kr_auto_free kr_auto(kr_cleanup_free)
#define kr_auto_fd   kr_auto(kr_cleanup_fd)
#define kr_auto_file kr_auto(kr_cleanup_file)
#define kr_auto_dir  kr_auto(kr_cleanup_dir)

/* KR_DEFINE_AUTO(struct kr_plan *, kr_plan_destroy) makes kr_plan_destroy_p for kr_auto(). */
#define KR_DEFINE_AUTO(type, destroy)                                                              \
    static inline void destroy##_p(type *p)                                                        \
    {                                                                                              \
        destroy(*p);                                                                               \
    }                                                                                              \
    struct kr_swallow_semicolon

/* Takes a pointer out of a variable that has a cleaner. */
#define kr_steal(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) kr_p_ = (p);                                                                 \
        __typeof__(*kr_p_) kr_v_ = *kr_p_;                                                         \
        *kr_p_ = NULL;                                                                             \
        kr_v_;                                                                                     \
    })

static inline int kr_steal_fd(int *fd)
{
    int v = *fd;

    *fd = -1;
    return v;
}

#endif
