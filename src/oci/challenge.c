/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/challenge.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

#define VALUE_MAX 8192

void kr_challenge_finish(struct kr_challenge *c)
{
    free(c->realm);
    free(c->service);
    free(c->scope);
    free(c->error);
    *c = (struct kr_challenge){0};
}

static const char *skip(const char *p)
{
    while (*p == ' ' || *p == '\t' || *p == ',')
        p++;
    return p;
}

static size_t token_length(const char *p)
{
    size_t n = 0;

    while (isalnum((unsigned char)p[n]) ||
           (p[n] != '\0' && strchr("!#$%&'*+-.^_`|~", p[n]) != NULL))
        n++;
    return n;
}

/* A token or quoted string at p; returns what stands behind it, or NULL. */
static const char *take_value(const char *p, char **out)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(VALUE_MAX);

    if (*p != '"') {
        size_t n = 0;

        while (p[n] != '\0' && strchr(" \t,", p[n]) == NULL)
            n++;
        *out = kr_strndup(p, n);
        return p + n;
    }
    for (p++; *p != '"'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        if (*p == '\0')
            return NULL;
        kr_buf_addc(&text, *p);
    }
    if (text.failed)
        return NULL;
    *out = kr_buf_steal(&text);
    return p + 1;
}

static void set(struct kr_challenge *c, struct kr_view name, char *value)
{
    char **to = kr_view_eq_nocase(name, "realm")     ? &c->realm
                : kr_view_eq_nocase(name, "service") ? &c->service
                : kr_view_eq_nocase(name, "scope")   ? &c->scope
                : kr_view_eq_nocase(name, "error")   ? &c->error
                                                     : NULL;

    if (to == NULL || *to != NULL) {
        free(value);
        return;
    }
    *to = value;
}

/* Parameters up to the next scheme, which is a word without an equals sign. NULL: broken. */
static const char *take_parameters(const char *p, struct kr_challenge *c)
{
    for (;;) {
        const char *name = skip(p), *q;
        size_t n = token_length(name);
        char *value = NULL;

        q = name + n;
        while (*q == ' ' || *q == '\t')
            q++;
        if (n == 0 || *q != '=')
            return name;
        q++;
        while (*q == ' ' || *q == '\t')
            q++;
        p = take_value(q, &value);
        if (p == NULL)
            return NULL;
        set(c, (struct kr_view){name, n}, value);
    }
}

static enum kr_challenge_kind kind_of(struct kr_view scheme)
{
    return kr_view_eq_nocase(scheme, "bearer")  ? KR_CHALLENGE_BEARER
           : kr_view_eq_nocase(scheme, "basic") ? KR_CHALLENGE_BASIC
                                                : KR_CHALLENGE_NONE;
}

void kr_challenge_parse(const char *header, struct kr_challenge *out)
{
    const char *p = header;

    kr_challenge_finish(out);
    while (p != NULL && *(p = skip(p)) != '\0') {
        size_t n = token_length(p);
        struct kr_challenge c = {.kind = kind_of((struct kr_view){p, n})};

        if (n == 0)
            return;
        p = take_parameters(p + n, &c);
        if (p != NULL && c.kind > out->kind && (c.kind == KR_CHALLENGE_BASIC || c.realm != NULL)) {
            kr_challenge_finish(out);
            *out = c;
        } else {
            kr_challenge_finish(&c);
        }
    }
}
