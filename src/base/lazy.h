/* SPDX-License-Identifier: Apache-2.0 */
/* Shared libraries that are loaded when they are first used, because loading them at the start
 * would take longer than most commands. A file that includes the library's own header defines each
 * function that the program uses with KR_LAZY; callers notice nothing.
 *
 *     static struct kr_lazy archive = {.files = {"libarchive.so.13"}};
 *     KR_LAZY(&archive, int, archive_read_free, (struct archive *a), (a))
 *
 * Not for programs that are linked statically. */
#ifndef KR_BASE_LAZY_H
#define KR_BASE_LAZY_H

#include "base/attrs.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kr_lazy {
    const char *files[4]; /* the first that is there is taken */
    void *handle;
};

/* What is done when a library is missing or is not the right one: why is what the loader says of
 * it. Must not return. Without a handler the process is aborted. */
void kr_lazy_on_missing(void (*handler)(const char *file, const char *why));
KR_NORETURN void kr_lazy_missing(const char *file, const char *why);

/* A function of the library. Without it nothing can go on, as if it were missing at the start. */
static inline void *kr_lazy_find(struct kr_lazy *library, const char *name)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    void *found = NULL;

    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; library->handle == NULL && i < 4 && library->files[i] != NULL; i++)
        library->handle = dlopen(library->files[i], RTLD_NOW | RTLD_LOCAL);
    if (library->handle != NULL)
        found = dlsym(library->handle, name);
    (void)pthread_mutex_unlock(&lock);
    if (found == NULL) {
        const char *why = dlerror();

        kr_lazy_missing(library->files[0], why != NULL ? why : name);
    }
    return found;
}

/* Declares f, the real function; the type is that of the prototype in the library's header. */
#define KR_LAZY_REAL(library, name)                                                                \
    static __typeof__(name) *known;                                                                \
    __typeof__(name) *f = __atomic_load_n(&known, __ATOMIC_ACQUIRE);                               \
                                                                                                   \
    if (f == NULL) {                                                                               \
        void *found_ = kr_lazy_find(library, #name);                                               \
                                                                                                   \
        memcpy(&f, &found_, sizeof(f));                                                            \
        __atomic_store_n(&known, f, __ATOMIC_RELEASE);                                             \
    }

#define KR_LAZY(library, result, name, parameters, arguments)                                      \
    result name parameters                                                                         \
    {                                                                                              \
        KR_LAZY_REAL(library, name)                                                                \
        return f arguments;                                                                        \
    }

#define KR_LAZY_VOID(library, name, parameters, arguments)                                         \
    void name parameters                                                                           \
    {                                                                                              \
        KR_LAZY_REAL(library, name)                                                                \
        f arguments;                                                                               \
    }

#endif
