/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/libc_version.h"

#include "base/alloc.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

#define ELF_X86_64     62
#define ELF_HEAD       64
#define GLIBC_DEFAULT  28 /* Debian 10 */
#define GLIBC_OLDEST   5  /* manylinux1 */
#define MUSL_DEFAULT   2
#define VERSION_DIGITS 3

static bool is_x86_64(const char *bytes, size_t n)
{
    return n >= ELF_HEAD && memcmp(bytes, "\177ELF\2\1", 6) == 0 && bytes[18] == ELF_X86_64 &&
           bytes[19] == 0;
}

/* The number at p, or -1. */
static int number_at(const char *p, const char *end, const char **behind)
{
    int value = 0, digits = 0;

    while (p < end && isdigit((unsigned char)*p) && digits++ < VERSION_DIGITS)
        value = value * 10 + (*p++ - '0');
    *behind = p;
    return digits > 0 && (p == end || !isdigit((unsigned char)*p)) ? value : -1;
}

/* The greatest number behind a text. */
static int greatest_behind(const char *bytes, size_t n, const char *text)
{
    const char *end = bytes + n, *at = bytes;
    int greatest = -1;

    while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        int value = number_at(at + strlen(text), end, &at);

        if (value > greatest)
            greatest = value;
    }
    return greatest;
}

/* "1.2.5" on its own, between two NULs. */
static int musl_minor(const char *bytes, size_t n)
{
    const char *end = bytes + n, *at = bytes;
    int found = -1;

    while (found < 0 && (at = memmem(at, (size_t)(end - at),
                                     "\0"
                                     "1.",
                                     3)) != NULL) {
        const char *behind;
        int minor = number_at(at + 3, end, &behind);

        at += 3;
        if (minor < 0 || behind >= end || *behind != '.')
            continue;
        if (number_at(behind + 1, end, &behind) >= 0 && behind < end && *behind == '\0')
            found = minor;
    }
    return found;
}

bool kr_libc_version(const char *bytes, size_t n, struct kr_libc *out)
{
    int minor;

    if (!is_x86_64(bytes, n))
        return false;
    out->musl = memmem(bytes, n, "musl", 4) != NULL && memmem(bytes, n, "GLIBC_", 6) == NULL;
    if (out->musl) {
        minor = musl_minor(bytes, n);
    } else {
        minor = greatest_behind(bytes, n, "stable release version 2.");
        if (minor < 0)
            minor = greatest_behind(bytes, n, "GLIBC_2.");
    }
    out->minor = minor;
    return minor > 0;
}

static void add_tag(json_t *tags, char *tag)
{
    (void)json_array_append_new(tags, json_string(tag));
    free(tag);
}

json_t *kr_libc_tags(const struct kr_libc *libc)
{
    static const struct {
        int minor;
        const char *name;
    } older[] = {{17, "manylinux2014"}, {12, "manylinux2010"}, {5, "manylinux1"}};
    json_t *tags = json_array();
    int minor = libc->minor;

    if (libc->musl) {
        for (minor = minor > 0 ? minor : MUSL_DEFAULT; minor >= 0; minor--)
            add_tag(tags, kr_asprintf("musllinux_1_%d_x86_64", minor));
    } else {
        for (minor = minor > 0 ? minor : GLIBC_DEFAULT; minor >= GLIBC_OLDEST; minor--) {
            add_tag(tags, kr_asprintf("manylinux_2_%d_x86_64", minor));
            for (size_t i = 0; i < KR_ARRAY_LEN(older); i++) {
                if (older[i].minor == minor)
                    add_tag(tags, kr_asprintf("%s_x86_64", older[i].name));
            }
        }
    }
    add_tag(tags, kr_strdup("linux_x86_64"));
    return tags;
}

char *kr_libc_uv_platform(const struct kr_libc *libc)
{
    static const int known[] = {40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28};
    int minor = libc->minor > 0 ? libc->minor : GLIBC_DEFAULT;

    if (libc->musl)
        return kr_strdup("x86_64-unknown-linux-musl");
    for (size_t i = 0; i < KR_ARRAY_LEN(known); i++) {
        if (known[i] <= minor)
            return kr_asprintf("x86_64-manylinux_2_%d", known[i]);
    }
    return kr_strdup("x86_64-manylinux2014");
}
