/* SPDX-License-Identifier: Apache-2.0 */
/* Who the token belongs to, and what it may do. */
#include "hub/hub_impl.h"

#include "base/alloc.h"
#include "base/view.h"

#include <string.h>
#include <strings.h>

void kr_account_destroy(struct kr_account *account)
{
    if (account == NULL)
        return;
    for (size_t i = 0; i < account->org_count; i++) {
        free(account->orgs[i].name);
        free(account->orgs[i].role);
        free(account->orgs[i].plan);
        free(account->orgs[i].restrictions);
    }
    free(account->orgs);
    free(account->name);
    free(account->token_name);
    free(account->expires_at);
    json_decref(account->scopes);
    free(account);
}

static void read_orgs(struct kr_account *account, const json_t *orgs)
{
    const json_t *org, *limits, *item;
    size_t i, k;

    account->orgs = kr_calloc(json_array_size(orgs) + 1, sizeof(*account->orgs));
    json_array_foreach(orgs, i, org)
    {
        struct kr_buf text = KR_BUF_INIT(1024);
        struct kr_hub_org *out = &account->orgs[account->org_count];
        const char *name = kr_json_str(org, "name", NULL);

        if (name == NULL)
            continue;
        limits = json_object_get(org, "securityRestrictions");
        json_array_foreach(limits, k, item)
        {
            if (json_is_string(item))
                kr_buf_addf(&text, "%s%s", text.n != 0 ? ", " : "", json_string_value(item));
        }
        *out = (struct kr_hub_org){.name = kr_strdup(name),
                                   .role = kr_strdup(kr_json_str(org, "roleInOrg", NULL)),
                                   .plan = kr_strdup(kr_json_str(org, "plan", NULL)),
                                   .restrictions = text.n != 0 ? kr_buf_steal(&text) : NULL};
        kr_buf_finish(&text);
        account->org_count++;
    }
}

static enum kr_token_kind kind_of(const json_t *auth)
{
    const char *role = kr_json_str(json_object_get(auth, "accessToken"), "role", "");

    if (strcmp(kr_json_str(auth, "type", ""), "oauth") == 0)
        return KR_TOKEN_OAUTH;
    if (strcmp(role, "read") == 0)
        return KR_TOKEN_READ;
    if (strcmp(role, "write") == 0 || strcmp(role, "god") == 0)
        return KR_TOKEN_WRITE;
    return strcmp(role, "fineGrained") == 0 ? KR_TOKEN_FINE : KR_TOKEN_UNKNOWN;
}

static struct kr_account *read_account(const json_t *body)
{
    struct kr_account *account = kr_calloc(1, sizeof(*account));
    const json_t *auth = json_object_get(body, "auth");
    const json_t *token = json_object_get(auth, "accessToken");

    account->name = kr_strdup(kr_json_str(body, "name", ""));
    account->is_pro = kr_json_bool(body, "isPro", false);
    account->can_pay = kr_json_bool(body, "canPay", false);
    account->kind = kind_of(auth);
    account->token_name = kr_strdup(kr_json_str(token, "displayName", NULL));
    account->expires_at = kr_strdup(kr_json_str(auth, "expiresAt", NULL));
    account->scopes = json_incref(kr_json_at(token, "fineGrained", "scoped", NULL));
    read_orgs(account, json_object_get(body, "orgs"));
    return account;
}

/* A token made for a CI identity belongs to a synthetic user; its repository says what counts. */
static struct kr_account *ci_account(const char *resource)
{
    struct kr_account *account = kr_calloc(1, sizeof(*account));
    const char *owner = strchr(resource, '/') != NULL ? strchr(resource, '/') + 1 : resource;
    struct kr_buf scope = KR_BUF_INIT(512);

    account->kind = KR_TOKEN_CI;
    account->name = kr_strndup(owner, strcspn(owner, "/"));
    kr_buf_adds(&scope, owner);
    account->token_name = kr_buf_steal(&scope);
    account->orgs = kr_calloc(1, sizeof(*account->orgs));
    return account;
}

int kr_hub_whoami(struct kr_hub *hub, const struct kr_account **out, struct kr_err *err)
{
    struct kr_hub_call call = {
        .doing = "ask the Hub whose token this is", .method = "GET", .path = "/api/whoami-v2"};
    kr_auto_json json_t *body = NULL;

    if (hub->account == NULL && hub->ci_repo != NULL)
        hub->account = ci_account(hub->ci_repo);
    if (hub->account == NULL) {
        if (kr_hub_need_token(hub, err) < 0 || kr_hub_json(hub, &call, &body, err) < 0)
            return -(int)err->code;
        hub->account = read_account(body);
        hub->account->token_update = hub->token_update;
        if (hub->account->name[0] == '\0') {
            kr_account_destroy(hub->account);
            hub->account = NULL;
            return kr_fail(err, KR_E_REMOTE, "%s: the answer has no \"name\"", call.doing);
        }
    }
    *out = hub->account;
    return 0;
}

static bool may_write_scope(const json_t *scope, const char *space, struct kr_view owner)
{
    const json_t *entity = json_object_get(scope, "entity"), *item;
    const char *type = kr_json_str(entity, "type", ""), *name = kr_json_str(entity, "name", "");
    bool fits;
    size_t i;

    if (strcmp(type, "user") == 0 || strcmp(type, "org") == 0)
        fits = kr_view_eq_nocase(owner, name);
    else
        fits = strcmp(type, "space") == 0 && strcasecmp(name, space) == 0;
    json_array_foreach(json_object_get(scope, "permissions"), i, item)
    {
        const char *permission = json_string_value(item);

        if (fits && permission != NULL && strcmp(permission, "repo.write") == 0)
            return true;
    }
    return false;
}

static int check_org(const struct kr_account *account, struct kr_view owner, struct kr_err *err)
{
    const struct kr_hub_org *org = NULL;

    for (size_t i = 0; i < account->org_count; i++) {
        if (kr_view_eq_nocase(owner, account->orgs[i].name))
            org = &account->orgs[i];
    }
    if (org == NULL) {
        (void)kr_fail(err, KR_E_AUTH,
                      "'" KR_VIEW_FMT "' is neither the account %s nor one of its "
                      "organizations",
                      KR_VIEW_ARG(owner), account->name);
        return kr_hint(err,
                       "name one of its organizations with the setting organization, leave it out, "
                       "or use a token of the right account");
    }
    if (org->restrictions != NULL) {
        (void)kr_fail(err, KR_E_AUTH, "organization %s does not let this token in: %s", org->name,
                      org->restrictions);
        return kr_hint(err, "sign in there as its policy asks (%s), then make a new token",
                       org->restrictions);
    }
    if (org->role != NULL &&
        (strcmp(org->role, "read") == 0 || strcmp(org->role, "no_access") == 0)) {
        (void)kr_fail(err, KR_E_AUTH, "account %s may only read in organization %s (role %s)",
                      account->name, org->name, org->role);
        return kr_hint(err, "ask an administrator of %s for the role contributor or write",
                       org->name);
    }
    return 0;
}

static int check_scopes(const struct kr_account *account, const char *space, struct kr_view owner,
                        struct kr_err *err)
{
    const json_t *scope;
    size_t i;

    json_array_foreach(account->scopes, i, scope)
    {
        if (may_write_scope(scope, space, owner))
            return 0;
    }
    (void)kr_fail(err, KR_E_AUTH, "the fine-grained token '%s' may not write to %s",
                  account->token_name != NULL ? account->token_name : "?", space);
    return kr_hint(err,
                   "edit the token in the Hub's settings: give it write access to repositories "
                   "of " KR_VIEW_FMT,
                   KR_VIEW_ARG(owner));
}

int kr_account_check_write(const struct kr_account *account, const char *space, struct kr_err *err)
{
    struct kr_view rest = kr_view_of(space), owner;

    (void)kr_view_cut(&rest, '/', &owner);
    if (account->kind == KR_TOKEN_CI) {
        if (strcasecmp(account->token_name, space) == 0)
            return 0;
        (void)kr_fail(err, KR_E_AUTH, "the token of this CI may only write to %s",
                      account->token_name);
        return kr_hint(err, "set HF_OIDC_RESOURCE to spaces/%s, and trust this workflow there",
                       space);
    }
    if (account->kind == KR_TOKEN_READ) {
        (void)kr_fail(err, KR_E_AUTH, "the token '%s' of %s is read-only",
                      account->token_name != NULL ? account->token_name : "?", account->name);
        if (account->token_update != NULL)
            return kr_hint(err, "make a token with the role write in the Hub's settings, then `%s`",
                           account->token_update);
        return kr_hint(err, "make a token with the role write in the Hub's settings");
    }
    if (!kr_view_eq_nocase(owner, account->name) && check_org(account, owner, err) < 0)
        return -(int)err->code;
    return account->kind == KR_TOKEN_FINE ? check_scopes(account, space, owner, err) : 0;
}

static int check_part(struct kr_view part, const char *space, struct kr_err *err)
{
    enum { LONGEST = 96 };
    const char *why = NULL;

    if (part.p == NULL || part.n == 0)
        why = "OWNER and NAME must not be empty";
    else if (part.n > LONGEST)
        why = "each part has at most 96 characters";
    else if (strchr("-.", part.p[0]) != NULL || strchr("-.", part.p[part.n - 1]) != NULL)
        why = "a part must not begin or end with '-' or '.'";
    else if (memmem(part.p, part.n, "--", 2) != NULL || memmem(part.p, part.n, "..", 2) != NULL)
        why = "'--' and '..' are not allowed";
    else if (part.n >= 4 && memcmp(part.p + part.n - 4, ".git", 4) == 0)
        why = "it must not end with .git";
    for (size_t i = 0; i < part.n && why == NULL; i++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.",
                   part.p[i]) == NULL)
            why = "only letters, digits, '-', '_' and '.' are allowed";
    }
    if (why == NULL)
        return 0;
    return kr_fail(err, KR_E_INVALID, "'%.300s' is not a name for a Space: %s", space, why);
}

int kr_space_id_check(const char *space, struct kr_err *err)
{
    struct kr_view rest = kr_view_of(space), owner;

    if (!kr_view_cut(&rest, '/', &owner))
        return kr_fail(err, KR_E_INVALID,
                       "'%.300s' is not a name for a Space: OWNER/NAME is expected", space);
    if (check_part(owner, space, err) < 0 || check_part(rest, space, err) < 0)
        return kr_hint(err, "choose another deployment name or space_prefix");
    return 0;
}
