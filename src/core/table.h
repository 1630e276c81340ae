/* SPDX-License-Identifier: Apache-2.0 */
/* Short spellings for the rows of settings tables, and checks that several tables share. */
#ifndef KR_CORE_TABLE_H
#define KR_CORE_TABLE_H

#include "core/deployer_flavors.h"
#include "core/setting.h"

#define KR_ROWS(array) .rows = (array), .count = sizeof(array) / sizeof((array)[0])

/* Rows that every deployer has. */
#define KR_COMMON_DEPLOYER_ROWS                                                                    \
    {.name = "auth_key",                                                                           \
     .reader = "app/make.c",                                                                       \
     .type = KR_SET_STRING,                                                                        \
     .sensitive = true,                                                                            \
     .check = kr_check_not_empty,                                                                  \
     .help = "Key that clients of the deployment must send"},                                      \
        {.name = "generate_auth_key",                                                              \
         .reader = "app/deploy.c",                                                                 \
         .type = KR_SET_BOOL,                                                                      \
         .dflt = "false",                                                                          \
         .help = "Make a random key of 32 letters and digits when no auth_key is given"},          \
    {                                                                                              \
        .name = "lcm_timeout", .reader = "app/rollout.c", .type = KR_SET_INT, .min = 1,            \
        .max = 86400, .dflt = "600",                                                               \
        .help = "Seconds to wait until the deployment answers or is gone"                          \
    }

int kr_check_not_empty(const json_t *value, struct kr_err *err);
int kr_check_url_path(const json_t *value, struct kr_err *err);   /* "" or "/..." */
int kr_check_source(const json_t *value, struct kr_err *err);     /* dotted import path, or null */
int kr_check_port_range(const json_t *value, struct kr_err *err); /* [low, high] */
int kr_check_relative(const json_t *value, struct kr_err *err);   /* path below the source root */
int kr_check_text_or_list(const json_t *value, struct kr_err *err);

/* A map against the table of its keys; the required ones have to be there. where: what stands
 * before the message. */
int kr_check_inner(const struct kr_settings_table *table, const json_t *value, const char *where,
                   struct kr_err *err) KR_MUST_USE;

#define KR_DEPLOYER_TABLE(id, name, integration, about)                                            \
    extern const struct kr_settings_table kr_##id##_deployer_table;
KR_DEPLOYER_FLAVORS(KR_DEPLOYER_TABLE)
#undef KR_DEPLOYER_TABLE

#endif
