/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KR_APP_COMPONENT_H
#define KR_APP_COMPONENT_H

#include "app/app.h"
#include "core/component.h"

struct kr_component_change {
    /* {"key":"text"}: attributes of the flavor, converted by its table */
    const json_t *attributes;
    const json_t *labels;         /* {"k":"v"} */
    const json_t *env;            /* {"K":"v"}; "" removes */
    const json_t *secrets;        /* ["name"] exported as environment variables */
    const json_t *remove_secrets; /* ["name"] */
};

int kr_component_register(struct kr_app *app, enum kr_component_type type, const char *name,
                          const char *flavor, const struct kr_component_change *what, json_t **row,
                          struct kr_err *err) KR_MUST_USE;
/* ref NULL: the active stack's component of that type (all calls below). */
int kr_component_get(struct kr_app *app, enum kr_component_type type, const char *ref, json_t **row,
                     struct kr_err *err) KR_MUST_USE;
int kr_component_update(struct kr_app *app, enum kr_component_type type, const char *ref,
                        const struct kr_component_change *what, json_t **row,
                        struct kr_err *err) KR_MUST_USE;
/* names: list of attributes; labels: list of label names. */
int kr_component_remove_attributes(struct kr_app *app, enum kr_component_type type, const char *ref,
                                   const json_t *names, const json_t *labels, json_t **row,
                                   struct kr_err *err) KR_MUST_USE;
int kr_component_rename(struct kr_app *app, enum kr_component_type type, const char *ref,
                        const char *name, struct kr_err *err) KR_MUST_USE;
int kr_component_copy(struct kr_app *app, enum kr_component_type type, const char *ref,
                      const char *name, json_t **row, struct kr_err *err) KR_MUST_USE;
/* Refused (KR_E_CONFLICT) while a stack holds it or a deployment that is not absent needs it. */
int kr_component_delete(struct kr_app *app, enum kr_component_type type, const char *ref,
                        struct kr_err *err) KR_MUST_USE;
/* Row for display: sensitive attributes masked. In place. */
void kr_component_mask(json_t *row);

#endif
