/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as typed tables: one row drives validation, `flavor describe`, help and the merge. */
#ifndef KR_CORE_SETTING_H
#define KR_CORE_SETTING_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum kr_setting_type {
    KR_SET_STRING,
    KR_SET_INT,
    KR_SET_NUMBER,
    KR_SET_BOOL,
    KR_SET_CHOICE, /* one of choices; open: other words are allowed with a warning by the user of it
                    */
    KR_SET_LIST,   /* list of strings */
    KR_SET_MAP,    /* string to string */
    KR_SET_OBJECT, /* any JSON object */
    KR_SET_ANY,    /* any JSON value; the check function decides */
};

struct kr_setting {
    const char *name;
    enum kr_setting_type type;
    int64_t min, max;           /* range of KR_SET_INT when max > min */
    bool positive;              /* KR_SET_NUMBER: above 0 */
    const char *const *choices; /* NULL-terminated, for KR_SET_CHOICE */
    const char *dflt;           /* JSON text; NULL: unset (null) */
    bool sensitive;             /* a secret: masked, warned about in clear text */
    bool clear_text;            /* a {{secret.key}} reference makes no sense here */
    bool required;              /* registering a component needs it */
    bool component_only;        /* part of the component's configuration, not of settings in code */
    int (*check)(const json_t *value, struct kr_err *err); /* further check, or NULL */
    const char *reader;  /* file below src or python that gives it its effect, or NULL and: */
    const char *ignored; /* why it has none: who sets it is told so */
    const char *only;    /* deployer flavor that it has an effect with; NULL: with all */
    const char *help;    /* one sentence without a full stop */
    const struct kr_settings_table *inner; /* keys of a KR_SET_OBJECT, or of each map in "maps" */
    bool filled;                           /* the default is the map of the defaults of inner */
    bool given_only;   /* row of a filled map: its default counts in a map that is given, else the
                          reader decides */
    const char *forms; /* what else than its type says a value may be, for those who write them:
                          words of "boolean", "integer", "string", "strings" (a list), "words" (of
                          choices, as list or joined by |), "ports" ([low, high]), "maps" (a list of
                          inner), "source" (function or class: in code itself, else its dotted
                          name), "any"; NULL: the type says it all */
    json_t *(*normal)(const json_t *value); /* gives the one form of a value that may be written in
                                               several ways (new reference), or NULL; after check */
};

struct kr_settings_table {
    const char *key;   /* "docker", "deployment", "resources", "deployer.huggingface", ...; of inner
                          tables their own name: "cors", "endpoint" */
    const char *title; /* for messages: "docker settings" */
    const struct kr_setting *rows;
    size_t count;
    bool ignore_unknown; /* keys without row are kept as they are (none by default) */
};

/* "string", "integer", "number", "boolean", "choice", "list", "map", "object", "any". */
const char *kr_setting_type_name(enum kr_setting_type type);

/* The default of a row (new reference), null when it is unset. */
json_t *kr_setting_default(const struct kr_setting *row) KR_MUST_USE;

const struct kr_setting *kr_setting_find(const struct kr_settings_table *table, const char *name);

/* Checks every key of values (an object) against the table and converts command line strings
 * ("7860", "true", JSON text) to the row's type. `where` says where the values came from
 * ("@pipeline of my_module.py", "config.yaml", "deployer 'd'"). Secret references pass unresolved
 * unless the row is clear_text. An unknown key or wrong value is an error that names key, value,
 * what is allowed and the nearest known key. *out is a new object with the converted values. */
int kr_settings_check(const struct kr_settings_table *table, const json_t *values,
                      const char *where, json_t **out, struct kr_err *err) KR_MUST_USE;

/* New object with every row's default. */
json_t *kr_settings_defaults(const struct kr_settings_table *table) KR_MUST_USE;

/* Copy of values without the sensitive rows: what may stand in a snapshot or a log. */
json_t *kr_settings_public(const struct kr_settings_table *table, const json_t *values) KR_MUST_USE;

/* Copy of value with every ${NAME} in its strings replaced by the environment variable of that name
 * ("$${" stays "${"). In objects a value that is nothing but an unset ${NAME} is left out when the
 * key stands in an environment-like map; anywhere else an unset variable is an error that names
 * it. */
int kr_settings_expand_env(const json_t *value, const char *where, json_t **out,
                           struct kr_err *err) KR_MUST_USE;

/* The general tables. Those of flavors hang at kr_flavor_find(type, name)->table. */
extern const struct kr_settings_table kr_docker_settings;
extern const struct kr_settings_table kr_deployment_settings;
extern const struct kr_settings_table kr_resource_settings;

/* Adds a line to notes (an array of strings, may be NULL) for each value, other than its default,
 * of a row that has no effect (with this deployer flavor; NULL: whatever it is). */
void kr_settings_ignored(const struct kr_settings_table *table, const json_t *values,
                         const char *where, const char *deployer_flavor, json_t *notes);

/* One layer of the merge: an object with the keys docker, deployment, resources, deployer,
 * deployer.<flavor> (as written by users). */
struct kr_settings_layer {
    const json_t *settings;
    const char *where;
    json_t *tells; /* array that gets a line when this layer gives other values than an earlier one,
                      with their keys; NULL: nobody asks */
};

/* Merges layers (earlier first, later wins; `deployer` before `deployer.<flavor>` inside a layer)
 * over the defaults and the component's configuration into
 * {"docker":{},"deployment":{},"resources":{},"deployer":{}}, every key typed and checked.
 * `deployer` keys that the flavor does not know but another deployer flavor does are dropped; keys
 * for a flavor that is not used are ignored. What was set and has no effect is named in notes
 * (kr_settings_ignored). *out is the caller's. */
int kr_settings_merge(const char *deployer_flavor, const json_t *component_config,
                      const struct kr_settings_layer *layers, size_t count, json_t *notes,
                      json_t **out, struct kr_err *err) KR_MUST_USE;

/* Whoever may say a setting of a deployment. What is not there is NULL. */
struct kr_settings_sources {
    const char *deployer_flavor;
    const json_t *component;               /* configuration of the registered deployer */
    struct kr_settings_layer code;         /* decorator, configure() */
    struct kr_settings_layer file;         /* --config */
    struct kr_settings_layer command_line; /* options of the command */
};

/* kr_settings_merge in the one order that counts, later wins: defaults, component, code, file,
 * command line. (What a running server is told beats all of them: serve/options.h.) */
int kr_settings_decide(const struct kr_settings_sources *sources, json_t *notes, json_t **out,
                       struct kr_err *err) KR_MUST_USE;

#endif
