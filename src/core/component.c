/* SPDX-License-Identifier: Apache-2.0 */
#include "core/component.h"

#include <string.h>

const struct kr_component_kind kr_component_kinds[] = {
    [KR_ORCHESTRATOR] =
        {KR_ORCHESTRATOR, "orchestrator", "orchestrator", "orchestrator", "orchestrators", "o",
         true,
         "An orchestrator runs the steps of a pipeline in their order. The `local` orchestrator "
         "runs them one after the other on this machine; every stack needs one."},
    [KR_ARTIFACT_STORE] =
        {KR_ARTIFACT_STORE, "artifact_store", "artifact-store", "artifact store", "artifact stores",
         "a", true,
         "An artifact store keeps the data that steps produce: models, tables, reports. The "
         "`local` "
         "store is a folder; `s3`, `gcs` and `azure` are buckets. Every stack needs one."},
    [KR_DEPLOYER] =
        {KR_DEPLOYER, "deployer", "deployer", "deployer", "deployers", "D", false,
         "A deployer brings a pipeline to life as an HTTP service: `local` as a process on this "
         "machine, `docker` as a container, `huggingface` as a Space. A stack needs one to "
         "deploy."},
    [KR_CONTAINER_REGISTRY] =
        {KR_CONTAINER_REGISTRY, "container_registry", "container-registry", "container registry",
         "container registries", "c", false,
         "A container registry holds images. With one in the stack, the image of a pipeline is "
         "built and pushed there; a Space can only use an image that anybody may pull."},
    [KR_IMAGE_BUILDER] =
        {KR_IMAGE_BUILDER, "image_builder", "image-builder", "image builder", "image builders", "i",
         false,
         "An image builder makes container images: `local` with the Docker engine of this machine, "
         "`daemonless` without any engine, layer by layer."},
};
_Static_assert(sizeof(kr_component_kinds) / sizeof(kr_component_kinds[0]) ==
                   KR_COMPONENT_TYPE_COUNT,
               "every type has its row");

const struct kr_component_kind *kr_component_kind_find(const char *name)
{
    for (size_t i = 0; i < KR_COMPONENT_TYPE_COUNT; i++) {
        const struct kr_component_kind *kind = &kr_component_kinds[i];

        if (strcmp(kind->key, name) == 0 || strcmp(kind->group, name) == 0)
            return kind;
    }
    return NULL;
}
