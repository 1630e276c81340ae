/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that includes jansson. json_t is used directly everywhere; this header adds what
 * jansson lacks: bounded parsing with our errors, typed getters that name what is wrong, and one
 * canonical way of writing (sorted keys, compact) for digests. */
#ifndef KR_BASE_JSON_H
#define KR_BASE_JSON_H

#include "base/cleanup.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

static inline void kr_cleanup_json(json_t **v)
{
    json_decref(*v);
}

#define kr_auto_json kr_auto(kr_cleanup_json)

/* Parses one document; duplicate keys are refused, depth is bounded by jansson. `what` names the
 * document in the error. *out is the caller's. */
int kr_json_parse(const char *text, size_t n, const char *what, json_t **out,
                  struct kr_err *err) KR_MUST_USE KR_ERR_OPTIONAL;

/* Reads and parses a file of at most max bytes. */
int kr_json_read_file(const char *path, size_t max, json_t **out, struct kr_err *err) KR_MUST_USE;

/* The digits of a whole number beyond 64 bits, which kr_json_parse() keeps as a string that nothing
 * but this knows; NULL for every other value. It is a number again when it is written. */
const char *kr_json_wide(const json_t *value);

/* Compact text with sorted keys: equal values give equal bytes. The keys of "properties" keep their
 * order, since in a JSON schema it is that of the parameters. Numbers have the fewest digits that
 * read back as the same. Caller frees. */
char *kr_json_canonical(const json_t *value) KR_MUST_USE;

/* Two-space indented text with keys in their order; arrays of numbers, true, false and null fill
 * their lines; numbers have the fewest digits that read back as the same. Caller frees. */
char *kr_json_pretty(const json_t *value) KR_MUST_USE;

/* Value of a key as text, or dflt when absent, null or not a string. Lives as long as obj. */
const char *kr_json_str(const json_t *obj, const char *key, const char *dflt);
int64_t kr_json_int(const json_t *obj, const char *key, int64_t dflt);
bool kr_json_bool(const json_t *obj, const char *key, bool dflt);

/* As above but an absent or wrongly typed key is an error that names `what` and the key. */
int kr_json_need_str(const json_t *obj, const char *key, const char *what, const char **out,
                     struct kr_err *err) KR_MUST_USE;

/* Value at a path of keys ("settings", "docker", NULL), or NULL. Borrowed. */
json_t *kr_json_at(const json_t *obj, ...) KR_SENTINEL;

/* Setting a key, which is UTF-8: a word of ours, or a key of another JSON value. A NULL text stores
 * null. Running out of memory aborts, and so does a key that is not UTF-8. */
void kr_json_set_str(json_t *obj, const char *key, const char *text);
void kr_json_set_int(json_t *obj, const char *key, int64_t value);
void kr_json_set_bool(json_t *obj, const char *key, bool value);
void kr_json_set(json_t *obj, const char *key, json_t *value); /* takes the reference */

/* As kr_json_set for a key that comes from outside: one that is not UTF-8 is KR_E_INVALID; `what`
 * names where it stands. */
int kr_json_put(json_t *obj, const char *key, json_t *value, const char *what,
                struct kr_err *err) KR_MUST_USE KR_ERR_OPTIONAL;
bool kr_json_is_text(const char *text); /* whether it is UTF-8 */

/* Objects merge key by key, anything else is replaced by `over`. `base` is changed in place. */
void kr_json_merge(json_t *base, const json_t *over);

/* "a string", "an integer", ... for error messages. */
const char *kr_json_type_name(const json_t *value);

#endif
