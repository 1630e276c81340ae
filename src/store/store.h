/* SPDX-License-Identifier: Apache-2.0 */
/* The store: every record Kourou keeps, in one SQLite file (WAL), safe under many processes.
 *
 * A record is a flat JSON object whose fields are those of the entity's table (entity.h): that
 * table is the one truth for columns, filters, sorting and output. Every write runs in a
 * transaction. */
#ifndef KR_STORE_STORE_H
#define KR_STORE_STORE_H

#include "base/json.h"
#include "core/query.h"

enum kr_entity {
    KR_SECRET,     /* id name private keys user created updated (values: kr_store_secret_*) */
    KR_COMPONENT,  /* id name type flavor config labels env secrets user created updated */
    KR_STACK,      /* id name active components{type:{id,name,flavor}} labels ... */
    KR_PIPELINE,   /* id name source user created updated */
    KR_SNAPSHOT,   /* id name pipeline_id pipeline digest document source_root created ... */
    KR_BUILD,      /* id snapshot_id digest image kind created */
    KR_DEPLOYMENT, /* id name pipeline snapshot_id snapshot stack_id stack deployer_id deployer
                      flavor status url page_url auth_key(encrypted) settings metadata error user
                      created updated */
    KR_EVENT,      /* history of a deployment: id deployment_id at what detail */
    KR_RUN, /* runs known to this store: id deployment_id pipeline status started duration error */
    KR_ENTITY_COUNT
};

enum kr_field_kind {
    KR_FIELD_TEXT,
    KR_FIELD_UUID,
    KR_FIELD_INT,
    KR_FIELD_REAL,
    KR_FIELD_BOOL,
    KR_FIELD_TIME,
    KR_FIELD_JSON
};

struct kr_field {
    const char *name;
    enum kr_field_kind kind;
    /* SQL expression when it is not a column of its own (joined names), else NULL */
    const char *expr;
    bool hidden; /* not part of list output */
};

/* Fields of an entity in their order. */
const struct kr_field *kr_entity_fields(enum kr_entity entity, size_t *count);
const char *kr_entity_title(enum kr_entity entity); /* "deployment", for messages */

struct kr_store;

/* Opens (and creates or migrates) the store below data_dir, or the file named by url
 * ("sqlite:///path" or a path; NULL: data_dir/store.db). Folders 0700, files 0600. A newer, foreign
 * or damaged file is KR_E_STATE with the way out. key_dir holds the encryption key file unless
 * KOUROU_ENCRYPTION_KEY is set. */
int kr_store_open(const char *url, const char *data_dir, const char *key_dir, struct kr_store **out,
                  struct kr_err *err) KR_MUST_USE;
void kr_store_close(struct kr_store *store);

/* Reads the whole file and says whether it is in order (KR_E_STATE); where it lies. */
int kr_store_check(struct kr_store *store, struct kr_err *err) KR_MUST_USE;
const char *kr_store_path(const struct kr_store *store);

/* Several calls as one transaction (immediate). Nesting is allowed. */
int kr_store_begin(struct kr_store *store, struct kr_err *err) KR_MUST_USE;
int kr_store_commit(struct kr_store *store, struct kr_err *err) KR_MUST_USE;
void kr_store_rollback(struct kr_store *store);

/* Inserts row (id, created, updated, user are filled in when absent). *out (may be NULL): the new
 * row. A taken name is KR_E_EXISTS. */
int kr_store_insert(struct kr_store *store, enum kr_entity entity, const json_t *row, json_t **out,
                    struct kr_err *err) KR_MUST_USE;

/* Changes the given fields of the row with that id. */
int kr_store_update(struct kr_store *store, enum kr_entity entity, const char *id,
                    const json_t *changes, struct kr_err *err) KR_MUST_USE;
int kr_store_delete(struct kr_store *store, enum kr_entity entity, const char *id,
                    struct kr_err *err) KR_MUST_USE;

/* By exact name, full id, or unique prefix of either; scope (may be NULL) is an object of fields
 * that must match, e.g. {"type":"deployer"}. None: KR_E_NOT_FOUND (with the nearest name as hint);
 * several: KR_E_CONFLICT listing them. */
int kr_store_find(struct kr_store *store, enum kr_entity entity, const char *ref,
                  const json_t *scope, json_t **out, struct kr_err *err) KR_MUST_USE;

/* {"items":[...],"pagination":{"index","max_size","total_pages","total"}} */
int kr_store_list(struct kr_store *store, enum kr_entity entity, const struct kr_query *query,
                  const json_t *scope, json_t **page, struct kr_err *err) KR_MUST_USE;

/* Whether a deployment runs, may go back to, or last ran well with, a snapshot whose code has this
 * digest ("sha256:..."). Looks into indexes alone. */
int kr_store_code_is_used(struct kr_store *store, const char *digest, bool *used,
                          struct kr_err *err) KR_MUST_USE;

/* The ids of all records, as keys of an object; costs much less than a list of them. */
int kr_store_ids(struct kr_store *store, enum kr_entity entity, json_t **ids,
                 struct kr_err *err) KR_MUST_USE;

/* Secret values, encrypted at rest. *values: {"key":"value"}; the caller's. */
int kr_store_secret_values(struct kr_store *store, const char *id, json_t **values,
                           struct kr_err *err) KR_MUST_USE;
int kr_store_secret_set(struct kr_store *store, const char *id, const json_t *values,
                        struct kr_err *err) KR_MUST_USE; /* replaces all */

/* One-row facts: active stack, ... NULL when unset; setting NULL removes. *value is the
 * caller's. */
int kr_store_fact_get(struct kr_store *store, const char *key, char **value,
                      struct kr_err *err) KR_MUST_USE;
int kr_store_fact_set(struct kr_store *store, const char *key, const char *value,
                      struct kr_err *err) KR_MUST_USE;

/* Exclusive work on one named thing across processes ("deploy:<name>"), released by close or by the
 * end of the process. Held by another process: KR_E_CONFLICT naming its pid and since when. */
int kr_store_lock(struct kr_store *store, const char *what, int *lock_fd,
                  struct kr_err *err) KR_MUST_USE;

#endif
