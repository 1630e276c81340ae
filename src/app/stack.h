/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KR_APP_STACK_H
#define KR_APP_STACK_H

#include "app/app.h"
#include "core/component.h"

/* components: {"deployer":"name-or-id", ...} by component key. env, secrets as for components. */
struct kr_stack_change {
    const json_t *components;
    const json_t *remove; /* ["container_registry", ...] */
    const json_t *labels, *env, *secrets, *remove_secrets;
};

int kr_stack_register(struct kr_app *app, const char *name, const struct kr_stack_change *what,
                      bool set_active, json_t **row, struct kr_err *err) KR_MUST_USE;
int kr_stack_get(struct kr_app *app, const char *ref, json_t **row,
                 struct kr_err *err) KR_MUST_USE; /* NULL: active */
int kr_stack_update(struct kr_app *app, const char *ref, const struct kr_stack_change *what,
                    json_t **row, struct kr_err *err) KR_MUST_USE;
int kr_stack_rename(struct kr_app *app, const char *ref, const char *name,
                    struct kr_err *err) KR_MUST_USE;
int kr_stack_copy(struct kr_app *app, const char *ref, const char *name, json_t **row,
                  struct kr_err *err) KR_MUST_USE;
int kr_stack_delete(struct kr_app *app, const char *ref, bool recursive,
                    struct kr_err *err) KR_MUST_USE;
int kr_stack_set_active(struct kr_app *app, const char *ref, json_t **row,
                        struct kr_err *err) KR_MUST_USE;
/* {"stack_name","components":{type:{name,flavor,configuration}},"kourou_version"}; sensitive values
 * masked out as references only. */
int kr_stack_export(struct kr_app *app, const char *ref, json_t **doc,
                    struct kr_err *err) KR_MUST_USE;
int kr_stack_import(struct kr_app *app, const json_t *doc, const char *name, bool ignore_version,
                    json_t **row, struct kr_err *err) KR_MUST_USE;
/* Full row of one component of a stack row, secret references resolved in "config". KR_E_NOT_FOUND
 * when the stack has none of that type. */
int kr_stack_component(struct kr_app *app, const json_t *stack, enum kr_component_type type,
                       json_t **row, struct kr_err *err) KR_MUST_USE;

#endif
