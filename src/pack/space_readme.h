/* SPDX-License-Identifier: Apache-2.0 */
/* README.md of a Space: the front matter that configures it, and what a visitor reads. */
#ifndef KR_PACK_SPACE_README_H
#define KR_PACK_SPACE_README_H

#include "base/buf.h"
#include "base/json.h"

#define KR_README_MAX            ((size_t)4 << 20)
#define KR_SHORT_DESCRIPTION_MAX 60 /* characters; the Hub refuses more */

struct kr_space_readme {
    const char *deployment; /* name of the deployment */
    const json_t *snapshot;
    int app_port;
    /* Settings of the deployer: space_title, space_emoji, space_color_from, space_color_to,
     * space_description, space_tags, suggested_hardware, startup_timeout (seconds); absent, null
     * and empty ones leave the user's README or a default. May be NULL. */
    const json_t *settings;
    const char *own; /* README.md of the source root, or NULL */
};

/* Appends README.md. Keys of the user's front matter stay, except those that decide how the Space
 * runs (sdk, app_port and what belongs to other SDKs); its text stays as it is. Wrong values are
 * errors that name the setting, or README.md when they stand there. */
int kr_space_readme(const struct kr_space_readme *in, struct kr_buf *out,
                    struct kr_err *err) KR_MUST_USE;

#endif
