/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of stack components. One table carries every spelling of a kind: the command group, the
 * stack options, the column names. */
#ifndef KR_CORE_COMPONENT_H
#define KR_CORE_COMPONENT_H

#include "base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

enum kr_component_type {
    KR_ORCHESTRATOR,
    KR_ARTIFACT_STORE,
    KR_DEPLOYER,
    KR_CONTAINER_REGISTRY,
    KR_IMAGE_BUILDER,
    KR_COMPONENT_TYPE_COUNT
};

struct kr_component_kind {
    enum kr_component_type type;
    const char *key;    /* "container_registry": stored, in JSON, in YAML, in columns */
    const char *group;  /* "container-registry": command group, long option */
    const char *title;  /* "container registry": in sentences */
    const char *plural; /* "container registries" */
    const char *flag;   /* short option of `stack register`: "c" */
    bool required;      /* a stack cannot be without it */
    const char *about;  /* what `explain` prints */
};

/* KR_COMPONENT_TYPE_COUNT rows, indexed by type. */
extern const struct kr_component_kind kr_component_kinds[];

/* By key or group spelling; NULL when there is no such kind. */
const struct kr_component_kind *kr_component_kind_find(const char *name);

#endif
