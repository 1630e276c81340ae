/* SPDX-License-Identifier: Apache-2.0 */
/* Config and manifest of an image made of a base and layers. No clock: the image is as old as its
 * base. */
#ifndef KR_OCI_ASSEMBLE_H
#define KR_OCI_ASSEMBLE_H

#include "oci/layer.h"
#include "oci/manifest.h"

struct kr_assembly {
    const struct kr_image *base;
    const struct kr_layer *layers;
    const char *const *titles; /* what each layer is, for the history */
    size_t layer_count;
    const json_t *environment; /* {"NAME":"value"}: over the base's */
    const json_t *entrypoint;  /* ["..."] */
    const char *user, *working_dir;
    const json_t *labels; /* {"name":"value"} or NULL */
};

/* Canonical texts; the caller frees them. The manifest is an OCI manifest whatever the base was. */
void kr_assemble(const struct kr_assembly *what, char **config, char **manifest);

#endif
