/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/content.h"

#include "base/attrs.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

#define SQLITE "SQLite format 3"

enum {
    APPLICATION_AT = 68,
    POINTER_MAX = 1024,
    KEY_TEXT_MAX = 80,
    LINE_MAX_BYTES = 400,
    SMALL = 4096
};

static bool begins(struct kr_view v, const char *text)
{
    size_t n = strlen(text);

    return v.n >= n && memcmp(v.p, text, n) == 0;
}

static bool has(struct kr_view v, const char *text)
{
    return memmem(v.p, v.n, text, strlen(text)) != NULL;
}

static bool has_any_case(struct kr_view v, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i + n <= v.n; i++) {
        if (tolower((unsigned char)v.p[i]) == text[0] &&
            kr_view_eq_nocase((struct kr_view){v.p + i, n}, text))
            return true;
    }
    return false;
}

/* -- what Kourou keeps ------------------------------------------------------------------------- */

/* "Kour" in the header of a database; src/store/open.c writes it, and every store had it. */
static bool is_store_page(const char *p, size_t n)
{
    return n >= APPLICATION_AT + 4 && memcmp(p, SQLITE, sizeof(SQLITE)) == 0 &&
           memcmp(p + APPLICATION_AT, "Kour", 4) == 0;
}

/* "2026-08-20T10:00:00.123Z info    front: " */
static bool is_log_line(struct kr_view v)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    static const char *const levels[] = {"debug   ", "info    ", "warning ",
                                         "warn    ", "error   ", "fatal   "};

    if (v.n < sizeof(form) + 16)
        return false;
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd' ? !isdigit((unsigned char)v.p[i]) : v.p[i] != form[i])
            return false;
    }
    v = (struct kr_view){v.p + sizeof(form) - 1, v.n - sizeof(form) + 1};
    for (size_t i = 0; i < KR_ARRAY_LEN(levels); i++) {
        if (begins(v, levels[i]))
            return memchr(v.p, ':', v.n < 40 ? v.n : 40) != NULL;
    }
    return false;
}

static bool is_ours(struct kr_view v)
{
    struct kr_view line = {v.p, v.n < 200 ? v.n : 200};

    if (is_store_page(v.p, v.n) || begins(v, "kourou-digests ") || is_log_line(v))
        return true;
    if (begins(v, SQLITE) && has(v, "CREATE TABLE runs(slot INTEGER PRIMARY KEY, seq INTEGER"))
        return true; /* a journal */
    if (begins(v, "{\"time\":\"") && has(line, "\",\"level\":\"") && has(line, "\",\"part\":\"") &&
        has(line, "\",\"message\":\""))
        return true;
    return begins(v, "PRAGMA foreign_keys=OFF;") && has(v, "CREATE TABLE secret_values");
}

/* A log of writes in which the first page of a store stands. */
static bool holds_store_page(struct kr_view v)
{
    const char *p = v.p, *end = v.p + v.n;

    while ((p = memmem(p, (size_t)(end - p), SQLITE, sizeof(SQLITE))) != NULL) {
        if (is_store_page(p, (size_t)(end - p)))
            return true;
        p++;
    }
    return false;
}

static bool is_companion(struct kr_view v)
{
    static const char *const magic[] = {"\x37\x7f\x06\x82", "\x37\x7f\x06\x83",
                                        "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "\x18\xe2\x2d"};

    for (size_t i = 0; i < KR_ARRAY_LEN(magic); i++) {
        if (begins(v, magic[i]))
            return i < 3 || (v.n >= 8 && memcmp(v.p + 3, "\0\0\0\0\0", 5) == 0);
    }
    return false;
}

static bool is_key(struct kr_view v, uint64_t size)
{
    if (size > KEY_TEXT_MAX)
        return false;
    v = kr_view_trim(v);
    for (size_t i = 0; i < v.n; i++) {
        if (!isxdigit((unsigned char)v.p[i]))
            return false;
    }
    return v.n == 64;
}

/* -- credentials ------------------------------------------------------------------------------- */

static bool is_private_der(struct kr_view v)
{
    const unsigned char *b = (const unsigned char *)v.p;
    size_t at = 2;

    if (v.n < 32 || b[0] != 0x30)
        return false;
    if ((b[1] & 0x80) != 0)
        at += b[1] & 0x7f;
    if (at > 6 || memcmp(b + at, "\x02\x01", 2) != 0)
        return false;
    if (b[at + 2] == 3) /* PKCS #12 */
        return b[at + 3] == 0x30;
    if (b[at + 2] == 0) /* PKCS #8, PKCS #1 */
        return memcmp(b + at + 3, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d", 10) == 0 ||
               memcmp(b + at + 3, "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d", 9) == 0 ||
               memcmp(b + at + 3, "\x02\x82\x01", 3) == 0;
    return b[at + 2] == 1 && b[at + 3] == 4 && b[at + 4] == 0x20; /* SEC 1 */
}

static bool is_keystore(struct kr_view v)
{
    return begins(v, "\xfe\xed\xfe\xed") || begins(v, "\xce\xce\xce\xce") ||
           begins(v, "\x03\xd9\xa2\x9a\x67\xfb\x4b") || begins(v, "\x03\xd9\xa2\x9a\x65\xfb\x4b") ||
           is_private_der(v);
}

static bool is_json_credential(struct kr_view v)
{
    if (v.p[0] != '{')
        return false;
    return (has(v, "\"service_account\"") && has(v, "\"private_key\"")) ||
           (has(v, "\"auths\"") && (has(v, "\"auth\"") || has(v, "\"identitytoken\""))) ||
           (v.n < SMALL && has(v, "\"client_secret\"") &&
            (has(v, "\"installed\"") || has(v, "\"web\"") || has(v, "\"refresh_token\""))) ||
           (has(v, "\"terraform_version\"") && has(v, "\"lineage\"") && has(v, "\"serial\"")) ||
           (v.n < 200 && has(v, "\"username\"") && has(v, "\"key\""));
}

static bool is_kubeconfig(struct kr_view v)
{
    return has(v, "apiVersion:") && has(v, "kind: Config") && has(v, "clusters:") &&
           (has(v, "client-key-data:") || has(v, "token:") || has(v, "password:"));
}

/* The first line that says something. */
static struct kr_view first_line(struct kr_view v)
{
    struct kr_view line;
    bool more = true;

    while (more) {
        more = kr_view_cut(&v, '\n', &line);
        line = kr_view_trim(line);
        if (line.n > 0 && line.p[0] != '#')
            return line;
    }
    return (struct kr_view){"", 0};
}

/* "user:$apr1$..." */
static bool is_password_line(struct kr_view line)
{
    static const char *const hashes[] = {"$apr1$", "$2a$", "$2b$", "$2y$",    "{SHA}",
                                         "$6$",    "$5$",  "$1$",  "$argon2", "$y$"};
    struct kr_view user;

    if (line.n > LINE_MAX_BYTES || !kr_view_cut(&line, ':', &user) || user.n == 0 ||
        memchr(user.p, ' ', user.n) != NULL)
        return false;
    for (size_t i = 0; i < KR_ARRAY_LEN(hashes); i++) {
        if (begins(line, hashes[i]))
            return true;
    }
    return false;
}

/* "https://user:password@host" and nothing else. */
static bool is_login_line(struct kr_view line)
{
    const char *at, *colon;

    if (line.n > LINE_MAX_BYTES || !(begins(line, "https://") || begins(line, "http://")) ||
        memchr(line.p, ' ', line.n) != NULL)
        return false;
    line = (struct kr_view){line.p + 7, line.n - 7};
    while (line.n > 0 && line.p[0] == '/')
        line = (struct kr_view){line.p + 1, line.n - 1};
    at = memchr(line.p, '@', line.n);
    colon = memchr(line.p, ':', line.n);
    return at != NULL && colon != NULL && colon < at &&
           memchr(line.p, '/', (size_t)(at - line.p)) == NULL;
}

static bool is_login_text(struct kr_view v)
{
    struct kr_view line = first_line(v);

    if (begins(line, "machine ") || begins(line, "default login "))
        return has(v, "login") && has(v, "password");
    if (begins(line, "[") && has_any_case(v, "aws_secret_access_key"))
        return true;
    return begins(line, "PuTTY-User-Key-File-") || begins(line, "AGE-SECRET-KEY-1") ||
           is_password_line(line) || is_login_line(line);
}

/* -- public keys ------------------------------------------------------------------------------- */

bool kr_content_has_private_key(const void *bytes, size_t n)
{
    return memmem(bytes, n, "PRIVATE KEY", 11) != NULL;
}

/* A file of PEM blocks, perhaps with text before each. */
static bool is_pem(struct kr_view v)
{
    struct kr_view line = first_line(v);

    return begins(line, "-----BEGIN ") || begins(line, "Bag Attributes") ||
           begins(line, "Certificate:");
}

static bool says_secret(struct kr_view v)
{
    static const char *const words[] = {"password",   "passwd",      "token",  "secret", "_auth",
                                        "privatekey", "private_key", "apikey", "api_key"};

    for (size_t i = 0; i < KR_ARRAY_LEN(words); i++) {
        if (has_any_case(v, words[i]))
            return true;
    }
    for (const char *p = v.p; (p = memmem(p, v.n - (size_t)(p - v.p), "://", 3)) != NULL; p++) {
        size_t left = v.n - (size_t)(p - v.p) - 3;
        const char *at = memchr(p + 3, '@', left < 200 ? left : 200);

        if (at != NULL && memchr(p + 3, ':', (size_t)(at - p - 3)) != NULL &&
            memchr(p + 3, '\n', (size_t)(at - p - 3)) == NULL)
            return true;
    }
    return false;
}

enum kr_content kr_content_of(const void *head, size_t n, uint64_t size, bool says)
{
    struct kr_view v = {head, n};

    if (n == 0)
        return KR_CONTENT_PLAIN;
    if (begins(v, "\xef\xbb\xbf"))
        v = (struct kr_view){v.p + 3, v.n - 3};
    if (is_ours(v))
        return KR_CONTENT_OURS;
    if (is_companion(v))
        return holds_store_page(v) ? KR_CONTENT_OURS : KR_CONTENT_COMPANION;
    if (is_key(v, size))
        return KR_CONTENT_KEY;
    if (size < POINTER_MAX && begins(v, "version https://git-lfs.github.com/spec/v1") &&
        has(v, "\noid sha256:"))
        return KR_CONTENT_POINTER;
    if (is_keystore(v))
        return KR_CONTENT_CREDENTIAL;
    if (memchr(v.p, '\0', v.n) != NULL)
        return KR_CONTENT_PLAIN;
    if (is_pem(v))
        return kr_content_has_private_key(v.p, v.n) ? KR_CONTENT_CREDENTIAL : KR_CONTENT_PUBLIC;
    if (is_json_credential(v) || is_kubeconfig(v) || is_login_text(v))
        return KR_CONTENT_CREDENTIAL;
    return says && says_secret(v) ? KR_CONTENT_SAYS : KR_CONTENT_PLAIN;
}
