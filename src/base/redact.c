/* SPDX-License-Identifier: Apache-2.0 */
#include "base/redact.h"

#include "base/alloc.h"
#include "base/plausible.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    char **values;
    size_t count;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

void kr_redact_add(const char *secret)
{
    if (secret == NULL || kr_plausible(secret, strlen(secret)) == KR_PLAUSIBLE_NO)
        return;
    (void)pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++) {
        if (strcmp(known.values[i], secret) == 0) {
            (void)pthread_mutex_unlock(&known.lock);
            return;
        }
    }
    known.values = kr_reallocarray(known.values, known.count + 1, sizeof(char *));
    known.values[known.count++] = kr_strdup(secret);
    (void)pthread_mutex_unlock(&known.lock);
}

void kr_redact(char *text, size_t n)
{
    (void)pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++) {
        size_t len = strlen(known.values[i]);
        char *at = text;

        while ((at = memmem(at, n - (size_t)(at - text), known.values[i], len)) != NULL) {
            memset(at, '*', len);
            at += len;
        }
    }
    (void)pthread_mutex_unlock(&known.lock);
}

void kr_redact_clear(void)
{
    (void)pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count; i++) {
        explicit_bzero(known.values[i], strlen(known.values[i]));
        free(known.values[i]);
    }
    free(known.values);
    known.values = NULL;
    known.count = 0;
    (void)pthread_mutex_unlock(&known.lock);
}
