/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of secrets and variables, without any call. */
#include "hub/vars.h"

#include "base/alloc.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/redact.h"

#include <string.h>

enum { SALT_LEN = 22 };

void kr_vars_plan_finish(struct kr_vars_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->v[i].value != NULL && plan->v[i].kind == KR_SECRET)
            explicit_bzero(plan->v[i].value, strlen(plan->v[i].value));
        free(plan->v[i].value);
        free(plan->v[i].key);
    }
    free(plan->v);
    json_decref(plan->record);
    *plan = (struct kr_vars_plan){0};
}

static void add_change(struct kr_vars_plan *plan, enum kr_var_kind kind, const char *key,
                       const char *value)
{
    plan->v = kr_reallocarray(plan->v, plan->n + 1, sizeof(*plan->v));
    plan->v[plan->n++] = (struct kr_var_change){
        .kind = kind, .remove = value == NULL, .key = kr_strdup(key), .value = kr_strdup(value)};
}

/* Salted, so that the record does not tell which secrets are equal or easy to guess. */
static void digest_of(const char *salt, const char *key, const char *value, char hex[KR_SHA256_HEX])
{
    struct kr_digest *d = kr_digest_create(KR_SHA256);

    kr_digest_update(d, salt, strlen(salt) + 1);
    kr_digest_update(d, key, strlen(key) + 1);
    kr_digest_update(d, value, strlen(value));
    kr_digest_finish(d, hex);
}

/* One kind seen from both sides. */
struct side {
    enum kr_var_kind kind;
    const json_t *wanted, *remote, *recorded;
    const json_t *other_wanted;
    bool creating; /* the create call carries everything */
};

static bool was_ours(const struct side *s, const char *key)
{
    return json_object_get(s->recorded, key) != NULL;
}

static int check_wanted(const struct side *s, struct kr_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)s->wanted, key, value)
    {
        if (kr_vars_check_key(key, err) < 0)
            return -(int)err->code;
        if (!json_is_string(value))
            return kr_fail(err, KR_E_INVALID, "the value of %s is %s, expected a string", key,
                           kr_json_type_name(value));
        if (json_object_get(s->other_wanted, key) == NULL)
            continue;
        (void)kr_fail(err, KR_E_INVALID, "%s is both a secret and an environment variable", key);
        return kr_hint(err, "keep one of them: a Space with both does not start");
    }
    return 0;
}

/* What stands in the way of the other kind, or is ours and no longer wanted. */
static int plan_removals(const struct side *s, struct kr_vars_plan *plan, struct kr_err *err)
{
    const char *key, *noun = s->kind == KR_SECRET ? "secret" : "variable";
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)s->remote, key, value)
    {
        if (json_object_get(s->wanted, key) != NULL)
            continue;
        if (was_ours(s, key)) {
            add_change(plan, s->kind, key, NULL);
        } else if (json_object_get(s->other_wanted, key) != NULL) {
            (void)kr_fail(err, KR_E_INVALID,
                          "the Space has a %s %s that was not set from here, and %s "
                          "is wanted as a %s",
                          noun, key, key, s->kind == KR_SECRET ? "variable" : "secret");
            return kr_hint(err,
                           "delete the %s %s in the settings of the Space, or use another name: "
                           "a Space with both does not start",
                           noun, key);
        }
    }
    return 0;
}

static bool is_current(const struct side *s, const char *key, const char *value, const char *digest)
{
    const json_t *there = json_object_get(s->remote, key);
    const json_t *known = json_object_get(s->recorded, key);
    const char *then, *now;

    if (s->creating)
        return true;
    if (there == NULL)
        return false;
    if (s->kind == KR_VARIABLE) {
        const char *remote = kr_json_str(there, "value", NULL);

        return remote != NULL && strcmp(remote, value) == 0;
    }
    if (strcmp(kr_json_str(known, "digest", ""), digest) != 0)
        return false;
    then = kr_json_str(known, "updatedAt", NULL);
    now = kr_json_str(there, "updatedAt", NULL);
    return then == NULL || now == NULL || strcmp(then, now) == 0;
}

static json_t *plan_changes(const struct side *s, const char *salt, struct kr_vars_plan *plan)
{
    json_t *record = json_object(), *value, *entry;
    char digest[KR_SHA256_HEX];
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)s->wanted, key, value)
    {
        const char *text = json_string_value(value);
        const char *now = kr_json_str(json_object_get(s->remote, key), "updatedAt", NULL);

        entry = json_object();
        digest_of(salt, key, text, digest);
        if (s->kind == KR_SECRET) {
            if (strcmp(key, KR_SECRET_NAMES) != 0)
                kr_redact_add(text);
            kr_json_set_str(entry, "digest", digest);
        }
        if (!is_current(s, key, text, digest))
            add_change(plan, s->kind, key, text);
        else if (now != NULL && s->kind == KR_SECRET)
            kr_json_set_str(entry, "updatedAt", now);
        kr_json_set(record, key, entry);
    }
    return record;
}

int kr_vars_plan(const json_t *wanted_secrets, const json_t *wanted_variables,
                 const json_t *remote_secrets, const json_t *remote_variables, const json_t *record,
                 struct kr_vars_plan *plan, struct kr_err *err)
{
    bool creating = remote_secrets == NULL && remote_variables == NULL;
    const struct side secrets = {KR_SECRET,        wanted_secrets,
                                 remote_secrets,   json_object_get(record, "secrets"),
                                 wanted_variables, creating};
    const struct side variables = {KR_VARIABLE,      wanted_variables,
                                   remote_variables, json_object_get(record, "variables"),
                                   wanted_secrets,   creating};
    char fresh[SALT_LEN + 1];
    const char *salt = kr_json_str(record, "salt", NULL);
    kr_auto_vars_plan struct kr_vars_plan made = {0};

    if (salt == NULL) {
        kr_random_alnum(fresh, SALT_LEN);
        salt = fresh;
    }
    if (check_wanted(&secrets, err) < 0 || check_wanted(&variables, err) < 0 ||
        plan_removals(&secrets, &made, err) < 0 || plan_removals(&variables, &made, err) < 0)
        return -(int)err->code;
    made.record = json_object();
    kr_json_set_str(made.record, "salt", salt);
    kr_json_set(made.record, "secrets", plan_changes(&secrets, salt, &made));
    kr_json_set(made.record, "variables", plan_changes(&variables, salt, &made));
    *plan = made;
    made = (struct kr_vars_plan){0};
    return 0;
}
