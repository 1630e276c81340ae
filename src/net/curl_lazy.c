/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded when the first request is sent. It brings some thirty libraries along, and
 * loading them takes longer than all else that a command without network does. The functions that
 * http_curl.c uses are defined here and pass on to the real ones. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* So that the two functions with "..." can be defined. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

static void *library;

static void load(void)
{
    library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
}

/* A function of the library; without it nothing can go on, as if it were missing at the start. */
static void *real(const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    void *found;

    (void)pthread_once(&once, load);
    found = library != NULL ? dlsym(library, name) : NULL;
    if (found == NULL)
        abort();
    return found;
}

/* Looks up once; the type of the pointer is that of the function in curl's own header. */
#define REAL(name)                                                                                 \
    static __typeof__(name) *known;                                                                \
    __typeof__(name) *f = __atomic_load_n(&known, __ATOMIC_ACQUIRE);                               \
                                                                                                   \
    if (f == NULL) {                                                                               \
        void *p = real(#name);                                                                     \
                                                                                                   \
        memcpy(&f, &p, sizeof(f));                                                                 \
        __atomic_store_n(&known, f, __ATOMIC_RELEASE);                                             \
    }

CURLcode curl_global_init(long flags)
{
    REAL(curl_global_init)
    return f(flags);
}

CURL *curl_easy_init(void)
{
    REAL(curl_easy_init)
    return f();
}

void curl_easy_cleanup(CURL *curl)
{
    REAL(curl_easy_cleanup)
    f(curl);
}

const char *curl_easy_strerror(CURLcode code)
{
    REAL(curl_easy_strerror)
    return f(code);
}

/* The one further argument is a long, a 64-bit number or a pointer: all are passed alike here. */
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
               "options are passed on as pointers");

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list args;
    void *value;
    REAL(curl_easy_setopt)

    va_start(args, option);
    value = va_arg(args, void *);
    va_end(args);
    return f(curl, option, value);
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list args;
    void *value;
    REAL(curl_easy_getinfo)

    va_start(args, info);
    value = va_arg(args, void *);
    va_end(args);
    return f(curl, info, value);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
    REAL(curl_slist_append)
    return f(list, text);
}

void curl_slist_free_all(struct curl_slist *list)
{
    REAL(curl_slist_free_all)
    f(list);
}

CURLM *curl_multi_init(void)
{
    REAL(curl_multi_init)
    return f();
}

CURLMcode curl_multi_cleanup(CURLM *multi)
{
    REAL(curl_multi_cleanup)
    return f(multi);
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *curl)
{
    REAL(curl_multi_add_handle)
    return f(multi, curl);
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *curl)
{
    REAL(curl_multi_remove_handle)
    return f(multi, curl);
}

CURLMcode curl_multi_perform(CURLM *multi, int *running)
{
    REAL(curl_multi_perform)
    return f(multi, running);
}

CURLMcode curl_multi_poll(CURLM *multi, struct curl_waitfd fds[], unsigned count, int timeout_ms,
                          int *ready)
{
    REAL(curl_multi_poll)
    return f(multi, fds, count, timeout_ms, ready);
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    REAL(curl_multi_info_read)
    return f(multi, left);
}
