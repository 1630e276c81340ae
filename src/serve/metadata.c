/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/metadata.h"

#include "serve/value.h"

#include <string.h>

static void add_text(struct kr_buf *out, const char *key, const char *text)
{
    kr_buf_addf(out, "\"%s\":", key);
    if (text != NULL)
        kr_write_text(out, text, strlen(text));
    else
        kr_buf_adds(out, "null");
    kr_buf_addc(out, ',');
}

void kr_metadata_write(const struct kr_metadata *metadata, struct kr_buf *out)
{
    kr_buf_adds(out, ",\"metadata\":{");
    add_text(out, "deployment_id", metadata->deployment_id);
    add_text(out, "deployment_name", metadata->deployment_name);
    add_text(out, "snapshot_id", metadata->snapshot_id);
    add_text(out, "snapshot_name", metadata->snapshot_name);
    add_text(out, "pipeline_name", metadata->pipeline_name);
    kr_buf_adds(out, "\"run_id\":\"");
}
