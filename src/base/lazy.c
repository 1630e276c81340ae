/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lazy.h"

static void (*on_missing)(const char *file, const char *why);

void kr_lazy_on_missing(void (*handler)(const char *file, const char *why))
{
    on_missing = handler;
}

void kr_lazy_missing(const char *file, const char *why)
{
    if (on_missing != NULL)
        on_missing(file, why);
    abort();
}
