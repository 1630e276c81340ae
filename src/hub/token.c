/* SPDX-License-Identifier: Apache-2.0 */
/* Where the token comes from, as the official client looks for it. */
#include "hub/hub.h"
#include "hub/login.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/view.h"

#include <string.h>

enum { TOKEN_MAX = 16 * 1024, STORED_MAX = 1024 * 1024 };

/* CR and LF removed anywhere, white space at the ends; NULL when nothing is left. */
static char *cleaned(const char *text)
{
    kr_auto_free char *copy = kr_strdup(text);
    struct kr_view trimmed;
    size_t n = 0;

    if (copy == NULL)
        return NULL;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '\r' && *p != '\n')
            copy[n++] = *p;
    }
    trimmed = kr_view_trim((struct kr_view){copy, n});
    return trimmed.n != 0 ? kr_view_dup(trimmed) : NULL;
}

static char *home_of_hub(void)
{
    const char *hf = kr_env_get("HF_HOME"), *cache = kr_env_get("XDG_CACHE_HOME");
    kr_auto_free char *base = NULL;

    if (hf != NULL)
        return kr_path_expand_home(hf);
    base = kr_path_expand_home(cache != NULL ? cache : "~/.cache");
    return kr_path_join(base, "huggingface");
}

static char *token_path(void)
{
    const char *given = kr_env_get("HF_TOKEN_PATH");
    kr_auto_free char *home = NULL;

    if (given != NULL)
        return kr_path_expand_home(given);
    home = home_of_hub();
    return kr_path_join(home, "token");
}

/* A login by OAuth that has expired and cannot be refreshed (hub/login.h) is no token. */
static int check_stored(const char *path, const char *token, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(STORED_MAX);
    kr_auto_free char *stored = kr_logins_path(path);
    kr_auto_json json_t *logins = NULL;
    struct kr_err why = KR_ERR_INIT;
    const json_t *login;
    const char *name;

    if (!kr_path_exists(stored) || kr_file_read(stored, &text, &why) < 0 ||
        kr_logins_parse(kr_buf_str(&text), text.n, &logins, &why) < 0)
        return 0;
    login = kr_logins_find(logins, token, &name);
    if (login == NULL || kr_json_str(login, "refresh_token", NULL) != NULL)
        return 0;
    return kr_login_check(login, name, err);
}

static int from_file(char **token, char **source, struct kr_err *err)
{
    kr_auto_free char *path = token_path();
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(TOKEN_MAX);
    kr_auto_free char *found = NULL;

    if (!kr_path_exists(path) || kr_path_is_dir(path))
        return 0;
    if (kr_file_read(path, &text, err) < 0)
        return kr_wrap(err, "Hub token");
    found = cleaned(kr_buf_str(&text));
    if (found == NULL)
        return 0;
    kr_redact_add(found);
    if (check_stored(path, found, err) < 0)
        return -(int)err->code;
    *token = kr_steal(&found);
    *source = kr_steal(&path);
    return 0;
}

static int check_kind(const char *token, const char *source, struct kr_err *err)
{
    for (const unsigned char *p = (const unsigned char *)token; *p != '\0'; p++) {
        if (*p <= 0x20 || *p >= 0x7f)
            return kr_fail(err, KR_E_AUTH, "the Hub token of %s holds characters that no token has",
                           source);
    }
    if (!kr_starts_with(token, "api_org"))
        return 0;
    (void)kr_fail(err, KR_E_AUTH,
                  "the Hub token of %s is an organization API token, which the Hub "
                  "no longer takes",
                  source);
    return kr_hint(err, "make a user access token with the role write");
}

int kr_hub_token_find(char **token, char **source, struct kr_err *err)
{
    const char *name = kr_env_get("HF_TOKEN") != NULL ? "HF_TOKEN" : "HUGGING_FACE_HUB_TOKEN";
    int rc = 0;

    *token = NULL;
    *source = NULL;
    if (kr_env_truthy("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
        return 0;
    if (kr_env_get(name) != NULL)
        *token = cleaned(kr_env_get(name));
    if (*token != NULL) {
        kr_redact_add(*token);
        *source = kr_strdup(name);
    } else {
        rc = from_file(token, source, err);
    }
    if (rc == 0 && *token != NULL)
        rc = check_kind(*token, *source, err);
    if (rc < 0) {
        free(*token);
        free(*source);
        *token = NULL;
        *source = NULL;
    }
    return rc;
}
