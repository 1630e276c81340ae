/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/lookalike.h"

#include "base/attrs.h"
#include "base/plausible.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>

enum set {
    ALNUM = 1, /* A-Z a-z 0-9 */
    URL_SAFE,  /* and - _ */
    BASE64,    /* ALNUM and + / */
    UPPER,     /* A-Z 0-9 */
    HEX,       /* 0-9 a-f */
    DOTTED,    /* URL_SAFE and . */
};

static bool in_set(unsigned set, char c)
{
    unsigned char u = (unsigned char)c;

    switch ((enum set)set) {
    case ALNUM:
        return isalnum(u) != 0;
    case URL_SAFE:
        return isalnum(u) != 0 || c == '-' || c == '_';
    case BASE64:
        return isalnum(u) != 0 || c == '+' || c == '/';
    case UPPER:
        return isupper(u) != 0 || isdigit(u) != 0;
    case HEX:
        return isdigit(u) != 0 || (c >= 'a' && c <= 'f');
    case DOTTED:
        return isalnum(u) != 0 || c == '-' || c == '_' || c == '.';
    }
    return false;
}

static size_t span(unsigned set, const char *p, const char *end)
{
    const char *q = p;

    while (q < end && in_set(set, *q))
        q++;
    return (size_t)(q - p);
}

static bool has_word(const char *p, size_t n, const char *word)
{
    size_t m = strlen(word);

    for (size_t i = 0; i + m <= n; i++) {
        if (kr_view_eq_nocase((struct kr_view){p + i, m}, word))
            return true;
    }
    return false;
}

/* Whether chance made the text. What people type in its place repeats characters, counts up, has
 * words in it, or few different characters. */
static bool is_random(const char *p, size_t n)
{
    static const char *const words[] = {"example", "sample", "dummy",    "placeholder", "change",
                                        "your",    "fake",   "redacted", "xxxx",        "secret",
                                        "token",   "insert", "replace",  "1234567",     "foobar"};
    bool seen[256] = {false};
    size_t different = 0, steps = 0, run = 1, digits = 0, upper = 0, lower = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];

        different += !seen[c];
        seen[c] = true;
        digits += isdigit(c) != 0;
        upper += isupper(c) != 0;
        lower += islower(c) != 0;
        if (i == 0)
            continue;
        steps += tolower(c) == tolower((unsigned char)p[i - 1]) + 1;
        run = p[i] == p[i - 1] ? run + 1 : 1;
        if (run > 4)
            return false;
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(words); i++) {
        if (has_word(p, n, words[i]))
            return false;
    }
    return different >= (n < 24 ? n / 3 : 8) && different >= 5 && steps * 3 < n &&
           (digits > 0) + (upper > 0) + (lower > 0) >= 2;
}

/* Tokens that their owners published on purpose: those of a test instance of the Hub, which stand
 * in the sources of well-known packages. */
static bool is_published(const char *p, size_t n)
{
    static const char *const tokens[] = {"94wBhPGp6KrrTH3KDchhKpRxZwd6dmHWLL"};

    for (size_t i = 0; i < KR_ARRAY_LEN(tokens); i++) {
        if (kr_view_eq((struct kr_view){p, n}, tokens[i]))
            return true;
    }
    return false;
}

static bool stands_alone(struct kr_around a)
{
    return a.at == a.begin || (!isalnum((unsigned char)a.at[-1]) && a.at[-1] != '_');
}

/* -- shapes that a row cannot say -------------------------------------------------------------- */

/* "-----BEGIN [...]PRIVATE KEY-----", and the key itself soon behind it. */
static bool is_private_key(struct kr_around a)
{
    const char *p = a.at + 3, *limit;
    size_t n = (size_t)(a.end - p) < 64 ? (size_t)(a.end - p) : 64;
    const char *head;

    if (a.at - a.begin < 7 || memcmp(a.at - 7, "-----BEGIN ", 10) != 0)
        return false;
    head = memmem(p, n, "PRIVATE KEY", 11);
    if (head == NULL || memchr(p, '\n', (size_t)(head - p)) != NULL)
        return false;
    limit = a.end - head > 400 ? head + 400 : a.end;
    for (p = head + 11; p < limit; p++) {
        size_t m = span(BASE64, p, limit);

        if (m >= 40)
            return is_random(p, m);
        p += m;
    }
    return false;
}

/* aws_secret_access_key = "...": the name and forty characters. */
static bool is_aws_secret(struct kr_around a)
{
    static const char *const names[] = {"secret_access_key", "secretaccesskey"};
    const char *p = a.at, *end = a.end - p > 100 ? p + 100 : a.end;
    size_t n = 0, m;

    for (size_t i = 0; i < KR_ARRAY_LEN(names) && n == 0; i++) {
        m = strlen(names[i]);
        if ((size_t)(end - p) > m && kr_view_eq_nocase((struct kr_view){p, m}, names[i]))
            n = m;
    }
    if (n == 0)
        return false;
    p += n;
    while (p < end && strchr(" \t\"'=:,\\[]>(", *p) != NULL && *p != '\0')
        p++;
    m = span(BASE64, p, end);
    return m == 40 && is_random(p, m);
}

/* scheme://user:password@host, with a password that is none of the usual examples. */
static bool is_url_password(struct kr_around a)
{
    const char *p = a.at + 3, *end = a.end - p > 200 ? p + 200 : a.end, *colon = NULL, *at = NULL;
    size_t n;

    if (a.at == a.begin || !isalpha((unsigned char)a.at[-1]))
        return false;
    for (; p < end && at == NULL; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '@')
            at = p;
        else if (c == ':' && colon == NULL)
            colon = p;
        else if (c <= ' ' || strchr("/\"'<>{}$()[]`\\*", c) != NULL)
            return false;
    }
    if (at == NULL || colon == NULL || at + 1 >= end || !isalnum((unsigned char)at[1]))
        return false;
    n = (size_t)(at - colon - 1);
    return n >= 12 && kr_plausible(colon + 1, n) == KR_PLAUSIBLE_STRONG && is_random(colon + 1, n);
}

/* hooks.slack.com/services/T.../B.../24 characters */
static bool is_slack_hook(struct kr_around a)
{
    static const char name[] = "hooks.slack.com/services/";
    const char *p = a.at, *end = a.end - p > 120 ? p + 120 : a.end;
    size_t n;

    if ((size_t)(end - p) < sizeof(name) || memcmp(p, name, sizeof(name) - 1) != 0)
        return false;
    p += sizeof(name) - 1;
    for (int i = 0; i < 2; i++) {
        n = span(UPPER, p, end);
        if (n < 8 || p + n >= end || p[n] != '/')
            return false;
        p += n + 1;
    }
    n = span(ALNUM, p, end);
    return n == 24 && is_random(p, n);
}

/* xoxb-123-456-abc: parts of digits before what is secret. */
static bool is_slack_token(struct kr_around a)
{
    const char *p = a.at + 3, *dash;
    size_t n;

    if (!stands_alone(a) || a.end - p < 20 || strchr("abeoprsc", *p) == NULL || p[1] != '-')
        return false;
    n = span(URL_SAFE, p + 2, a.end);
    dash = n >= 20 ? memrchr(p + 2, '-', n) : NULL;
    p = dash != NULL ? dash + 1 : p + 2;
    n = span(ALNUM, p, a.end);
    return n >= 16 && is_random(p, n);
}

/* <bot number>:AA<33 characters> */
static bool is_telegram(struct kr_around a)
{
    const char *p = a.at;
    size_t digits = 0;

    while (p - (ptrdiff_t)digits > a.begin && isdigit((unsigned char)p[-1 - (ptrdiff_t)digits]))
        digits++;
    return digits >= 8 && digits <= 10 && span(URL_SAFE, p + 1, a.end) == 35 &&
           is_random(p + 1, 35);
}

/* sk-<48 characters> of one piece: what CSS calls sk-... has dashes. */
static bool is_sk(struct kr_around a)
{
    size_t n = span(ALNUM, a.at + 3, a.end);

    return stands_alone(a) && n >= 32 && n <= 64 && is_random(a.at + 3, n) &&
           (a.at + 3 + n == a.end || (a.at[3 + n] != '-' && a.at[3 + n] != '_'));
}

/* SG.<22>.<43> */
static bool is_sendgrid(struct kr_around a)
{
    const char *p = a.at + 3;
    size_t n = span(URL_SAFE, p, a.end);

    return stands_alone(a) && n == 22 && p + n < a.end && p[n] == '.' &&
           span(URL_SAFE, p + n + 1, a.end) == 43 && is_random(p + n + 1, 43);
}

static const struct kr_lookalike rows[] = {
    {"a Hugging Face token", "hf_", ALNUM, 30, 44, NULL},
    {"a Hugging Face token", "api_org_", ALNUM, 30, 44, NULL},
    {"an AWS access key", "AKIA", UPPER, 16, 16, NULL},
    {"an AWS access key", "ASIA", UPPER, 16, 16, NULL},
    {"an AWS secret key", "secret_access", 0, 0, 0, is_aws_secret},
    {"an AWS secret key", "SECRET_ACCESS", 0, 0, 0, is_aws_secret},
    {"an AWS secret key", "SecretAccess", 0, 0, 0, is_aws_secret},
    {"an AWS secret key", "secretAccess", 0, 0, 0, is_aws_secret},
    {"a GitHub token", "ghp_", ALNUM, 36, 40, NULL},
    {"a GitHub token", "gho_", ALNUM, 36, 40, NULL},
    {"a GitHub token", "ghu_", ALNUM, 36, 40, NULL},
    {"a GitHub token", "ghs_", ALNUM, 36, 40, NULL},
    {"a GitHub token", "ghr_", ALNUM, 36, 80, NULL},
    {"a GitHub token", "github_pat_", URL_SAFE, 60, 100, NULL},
    {"a GitLab token", "glpat-", DOTTED, 20, 64, NULL},
    {"a GitLab token", "gldt-", DOTTED, 20, 64, NULL},
    {"a GitLab token", "glrt-", DOTTED, 20, 64, NULL},
    {"a GitLab token", "glptt-", HEX, 40, 40, NULL},
    {"a Google API key", "AIza", URL_SAFE, 35, 35, NULL},
    {"a Google client secret", "GOCSPX-", URL_SAFE, 28, 28, NULL},
    {"a Google access token", "ya29.", URL_SAFE, 40, 400, NULL},
    {"a Slack token", "xox", 0, 0, 0, is_slack_token},
    {"a Slack token", "xapp-", URL_SAFE, 40, 160, NULL},
    {"a Slack webhook", "hooks.slack", 0, 0, 0, is_slack_hook},
    {"a Stripe key", "sk_live_", ALNUM, 20, 120, NULL},
    {"a Stripe key", "rk_live_", ALNUM, 20, 120, NULL},
    {"a Stripe secret", "whsec_", ALNUM, 24, 64, NULL},
    {"an Anthropic key", "sk-ant-", URL_SAFE, 40, 160, NULL},
    {"an OpenAI key", "sk-proj-", URL_SAFE, 40, 200, NULL},
    {"an OpenAI key", "sk-svcacct-", URL_SAFE, 40, 200, NULL},
    {"an OpenAI key", "sk-admin-", URL_SAFE, 40, 200, NULL},
    {"an OpenRouter key", "sk-or-v1-", HEX, 64, 64, NULL},
    {"an API key", "sk-", 0, 0, 0, is_sk},
    {"an npm token", "npm_", ALNUM, 36, 36, NULL},
    {"a PyPI token", "pypi-", URL_SAFE, 60, 400, NULL},
    {"a private key", "GIN PRIVATE", 0, 0, 0, is_private_key},
    {"an Azure key", "AccountKey=", BASE64, 40, 88, NULL},
    {"an Azure key", "SharedAccessKey=", BASE64, 40, 88, NULL},
    {"a SendGrid key", "SG.", 0, 0, 0, is_sendgrid},
    {"a Telegram token", ":AA", 0, 0, 0, is_telegram},
    {"a Databricks token", "dapi", HEX, 32, 32, NULL},
    {"a DigitalOcean token", "dop_v1_", HEX, 64, 64, NULL},
    {"a Docker token", "dckr_pat_", URL_SAFE, 27, 40, NULL},
    {"a Docker token", "dckr_oat_", URL_SAFE, 27, 40, NULL},
    {"a Shopify token", "shpat_", HEX, 32, 32, NULL},
    {"a Shopify token", "shpss_", HEX, 32, 32, NULL},
    {"a Shopify token", "shpca_", HEX, 32, 32, NULL},
    {"a Square token", "sq0atp-", URL_SAFE, 22, 22, NULL},
    {"a Square token", "sq0csp-", URL_SAFE, 43, 43, NULL},
    {"a Linear key", "lin_api_", ALNUM, 40, 40, NULL},
    {"a Vault token", "hvs.", URL_SAFE, 40, 160, NULL},
    {"a Grafana token", "glsa_", URL_SAFE, 32, 48, NULL},
    {"a Replicate token", "r8_", ALNUM, 37, 40, NULL},
    {"a Groq key", "gsk_", ALNUM, 48, 60, NULL},
    {"a Perplexity key", "pplx-", ALNUM, 40, 60, NULL},
    {"an xAI key", "xai-", ALNUM, 60, 100, NULL},
    {"a Postman key", "PMAK-", URL_SAFE, 50, 70, NULL},
    {"a New Relic key", "NRAK-", UPPER, 27, 27, NULL},
    {"an age key", "AGE-SECRET-KEY-1", UPPER, 50, 64, NULL},
    {"a password in an address", "://", 0, 0, 0, is_url_password},
};

const struct kr_lookalike *kr_lookalikes(size_t *n)
{
    *n = KR_ARRAY_LEN(rows);
    return rows;
}

bool kr_lookalike_is(const struct kr_lookalike *row, struct kr_around a)
{
    size_t prefix = strlen(row->anchor), n;

    if (row->is != NULL)
        return row->is(a);
    if ((size_t)(a.end - a.at) < prefix || memcmp(a.at, row->anchor, prefix) != 0 ||
        !stands_alone(a))
        return false;
    n = span(row->set, a.at + prefix, a.end);
    return n >= row->least && n <= row->most && is_random(a.at + prefix, n) &&
           !is_published(a.at + prefix, n);
}
