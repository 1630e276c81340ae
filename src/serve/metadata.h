/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the metadata of answers that is the same for all runs of a deployment. */
#ifndef KR_SERVE_METADATA_H
#define KR_SERVE_METADATA_H

#include "base/buf.h"

/* What may be unknown is NULL. */
struct kr_metadata {
    const char *deployment_id, *deployment_name, *snapshot_id, *snapshot_name, *pipeline_name;
};

/* Appends `,"metadata":{...,"run_id":"`: the run id comes next. */
void kr_metadata_write(const struct kr_metadata *metadata, struct kr_buf *out);

#endif
