/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/ref.h"

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_LEN 255
#define TAG_MAX      128

void kr_ref_finish(struct kr_ref *ref)
{
    free(ref->registry);
    free(ref->repository);
    free(ref->tag);
    free(ref->digest);
    *ref = (struct kr_ref)KR_REF_INIT;
}

bool kr_digest_valid(const char *digest)
{
    return kr_starts_with(digest, "sha256:") && strlen(digest) == KR_DIGEST_SIZE - 1 &&
           strspn(digest + 7, "0123456789abcdef") == 64;
}

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Lower-case words joined by one dot, one or two underscores, or any number of dashes. */
static bool component_valid(struct kr_view v)
{
    size_t i = 0;

    if (v.n == 0 || !is_lower_alnum(v.p[0]) || !is_lower_alnum(v.p[v.n - 1]))
        return false;
    while (i < v.n) {
        size_t run = 0;

        if (is_lower_alnum(v.p[i])) {
            i++;
            continue;
        }
        while (i + run < v.n && v.p[i + run] == v.p[i])
            run++;
        if ((v.p[i] == '.' && run > 1) || (v.p[i] == '_' && run > 2) ||
            strchr("._-", v.p[i]) == NULL || !is_lower_alnum(v.p[i + run]))
            return false;
        i += run;
    }
    return true;
}

static bool repository_valid(const char *name)
{
    struct kr_view rest = kr_view_of(name), part;
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '/', &part);
        if (!component_valid(part))
            return false;
    }
    return true;
}

static bool tag_valid(const char *tag)
{
    size_t n = strlen(tag);

    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)tag[i]) && tag[i] != '_' &&
            (i == 0 || strchr(".-", tag[i]) == NULL))
            return false;
    }
    return n > 0 && n <= TAG_MAX;
}

/* host[:port]; host is a name, an IPv4 address or an IPv6 address in brackets. */
static bool registry_valid(const char *name)
{
    const char *p = name;
    size_t digits;

    if (*p == '[') {
        size_t n = strspn(p + 1, "0123456789abcdefABCDEF:.");

        if (n < 2 || p[n + 1] != ']')
            return false;
        p += n + 2;
    } else {
        while (isalnum((unsigned char)*p) || *p == '-' || *p == '.')
            p++;
        if (p == name || name[0] == '-' || name[0] == '.' || p[-1] == '-' || p[-1] == '.' ||
            strstr(name, "..") != NULL)
            return false;
    }
    if (*p == '\0')
        return true;
    digits = strspn(p + (*p == ':'), "0123456789");
    return *p == ':' && digits > 0 && digits <= 5 && p[1 + digits] == '\0';
}

/* Whether what stands before the first slash names a registry. */
static bool is_registry(struct kr_view first)
{
    if (kr_view_eq(first, "localhost"))
        return true;
    for (size_t i = 0; i < first.n; i++) {
        if (first.p[i] == '.' || first.p[i] == ':' || isupper((unsigned char)first.p[i]))
            return true;
    }
    return false;
}

static void split_registry(struct kr_ref *out, const char *text)
{
    struct kr_view rest = kr_view_of(text), first;

    if (kr_view_cut(&rest, '/', &first) && is_registry(first)) {
        out->registry = kr_view_dup(first);
        out->repository = kr_strdup(rest.p);
    } else {
        out->registry = kr_strdup("docker.io");
        out->repository = kr_strdup(text);
    }
    if (strcmp(out->registry, "index.docker.io") == 0) {
        free(out->registry);
        out->registry = kr_strdup("docker.io");
    }
    if (strcmp(out->registry, "docker.io") == 0 && strchr(out->repository, '/') == NULL) {
        char *whole = kr_asprintf("library/%s", out->repository);

        free(out->repository);
        out->repository = whole;
    }
}

static int check(const struct kr_ref *ref, const char *text, struct kr_err *err)
{
    kr_auto_free char *lower = kr_strdup(ref->repository);

    for (char *p = lower; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    if (!registry_valid(ref->registry))
        return kr_fail(err, KR_E_INVALID, "image '%s': '%s' is not a registry host", text,
                       ref->registry);
    if (strcmp(lower, ref->repository) != 0 && repository_valid(lower))
        return kr_fail(err, KR_E_INVALID, "image '%s': the repository has to be lower case", text);
    if (!repository_valid(ref->repository))
        return kr_fail(err, KR_E_INVALID, "image '%s': '%s' is not a repository name", text,
                       ref->repository);
    if (strlen(ref->registry) + 1 + strlen(ref->repository) > NAME_MAX_LEN)
        return kr_fail(err, KR_E_INVALID, "image '%.60s...': the name is longer than %d characters",
                       text, NAME_MAX_LEN);
    if (ref->tag != NULL && !tag_valid(ref->tag))
        return kr_fail(err, KR_E_INVALID, "image '%s': '%s' is not a tag", text, ref->tag);
    if (ref->digest != NULL && !kr_digest_valid(ref->digest))
        return kr_fail(err, KR_E_INVALID, "image '%s': '%s' is not a sha256 digest", text,
                       ref->digest);
    return 0;
}

int kr_ref_parse(const char *text, struct kr_ref *out, struct kr_err *err)
{
    kr_auto_free char *name = kr_strdup(text);
    char *at = strchr(name, '@'), *slash, *colon;
    struct kr_ref made = KR_REF_INIT;

    if (strstr(text, "://") != NULL) {
        (void)kr_fail(err, KR_E_INVALID, "image '%s' has a scheme", text);
        return kr_hint(err, "leave out what stands before and including ://");
    }
    if (at != NULL) {
        *at = '\0';
        made.digest = kr_strdup(at + 1);
    }
    slash = strrchr(name, '/');
    colon = strrchr(slash != NULL ? slash : name, ':');
    if (colon != NULL) {
        *colon = '\0';
        made.tag = kr_strdup(colon + 1);
    }
    split_registry(&made, name);
    if (check(&made, text, err) < 0) {
        kr_ref_finish(&made);
        return -(int)err->code;
    }
    kr_ref_finish(out);
    *out = made;
    return 0;
}

char *kr_ref_text(const struct kr_ref *ref)
{
    return kr_asprintf("%s/%s%s%s%s%s", ref->registry, ref->repository, ref->tag != NULL ? ":" : "",
                       ref->tag != NULL ? ref->tag : "", ref->digest != NULL ? "@" : "",
                       ref->digest != NULL ? ref->digest : "");
}

char *kr_ref_with_digest(const struct kr_ref *ref, const char *digest)
{
    return kr_asprintf("%s/%s@%s", ref->registry, ref->repository, digest);
}

const char *kr_ref_what(const struct kr_ref *ref)
{
    return ref->digest != NULL ? ref->digest : ref->tag != NULL ? ref->tag : "latest";
}

const char *kr_ref_host(const char *registry)
{
    return strcmp(registry, "docker.io") == 0 ? "registry-1.docker.io" : registry;
}

char *kr_ref_tag_of(const char *text)
{
    char *tag = kr_strndup(text, TAG_MAX);

    for (char *p = tag; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_' && (p == tag || strchr(".-", *p) == NULL))
            *p = p == tag ? '_' : '-';
    }
    if (tag[0] == '\0') {
        free(tag);
        tag = kr_strdup("latest");
    }
    return tag;
}
