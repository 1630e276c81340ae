/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl brings some thirty libraries along; it is loaded when the first request is sent. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stdarg.h>

#include "base/lazy.h"

/* So that the two functions with "..." can be defined. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

static struct kr_lazy lib = {.files = {"libcurl.so.4", "libcurl-gnutls.so.4"}};

/* clang-format off */
KR_LAZY(&lib, CURLcode, curl_global_init, (long flags), (flags))
KR_LAZY(&lib, CURL *, curl_easy_init, (void), ())
KR_LAZY_VOID(&lib, curl_easy_cleanup, (CURL *curl), (curl))
KR_LAZY(&lib, const char *, curl_easy_strerror, (CURLcode code), (code))
KR_LAZY(&lib, struct curl_slist *, curl_slist_append, (struct curl_slist *list, const char *text), (list, text))
KR_LAZY_VOID(&lib, curl_slist_free_all, (struct curl_slist *list), (list))
KR_LAZY(&lib, CURLM *, curl_multi_init, (void), ())
KR_LAZY(&lib, CURLMcode, curl_multi_cleanup, (CURLM *multi), (multi))
KR_LAZY(&lib, CURLMcode, curl_multi_add_handle, (CURLM *multi, CURL *curl), (multi, curl))
KR_LAZY(&lib, CURLMcode, curl_multi_remove_handle, (CURLM *multi, CURL *curl), (multi, curl))
KR_LAZY(&lib, CURLMcode, curl_multi_perform, (CURLM *multi, int *running), (multi, running))
KR_LAZY(&lib, CURLMcode, curl_multi_poll, (CURLM *multi, struct curl_waitfd fds[], unsigned count, int ms, int *ready),
        (multi, fds, count, ms, ready))
KR_LAZY(&lib, CURLMsg *, curl_multi_info_read, (CURLM *multi, int *left), (multi, left))
/* clang-format on */

/* The one further argument is a long, a 64-bit number or a pointer: all are passed alike here. */
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
               "options are passed on as pointers");

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
    va_list args;
    void *value;
    KR_LAZY_REAL(&lib, curl_easy_setopt)

    va_start(args, option);
    value = va_arg(args, void *);
    va_end(args);
    return f(curl, option, value);
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list args;
    void *value;
    KR_LAZY_REAL(&lib, curl_easy_getinfo)

    va_start(args, info);
    value = va_arg(args, void *);
    va_end(args);
    return f(curl, info, value);
}
