/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of files that hold credentials by convention, by their names. Case does not matter.
 * Where the name alone does not decide, the contents do (content.h). */
#ifndef KR_PACK_CREDENTIALS_H
#define KR_PACK_CREDENTIALS_H

#include <stdbool.h>

enum kr_credential {
    KR_CREDENTIAL_NO,
    KR_CREDENTIAL_YES,
    KR_CREDENTIAL_UNLESS_PUBLIC, /* unless nothing but public certificates and keys is in it */
    KR_CREDENTIAL_IF_SAID,       /* if a password, token or key is in it */
};

/* path: of a file, relative to the source folder; the folders it lies in count too. */
enum kr_credential kr_credential_file(const char *path);

/* A folder that holds nothing else: .ssh, .aws, .config/gcloud. */
bool kr_credential_folder(const char *path);

#endif
