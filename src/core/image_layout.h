/* SPDX-License-Identifier: Apache-2.0 */
/* Where things lie in every image Kourou makes, whoever builds it. */
#ifndef KR_CORE_IMAGE_LAYOUT_H
#define KR_CORE_IMAGE_LAYOUT_H

#define KR_IMAGE_RUNTIME  "/opt/kourou" /* bin/, python/, snapshot.json; read-only */
#define KR_IMAGE_SERVE    KR_IMAGE_RUNTIME "/bin/kourou-serve"
#define KR_IMAGE_SNAPSHOT KR_IMAGE_RUNTIME "/snapshot.json"
#define KR_IMAGE_APP      "/app"         /* the source bundle; working folder */
#define KR_IMAGE_HOME     "/home/kourou" /* $HOME; writable */
#define KR_IMAGE_HF_HOME  KR_IMAGE_HOME "/.cache/huggingface"
#define KR_IMAGE_DATA     "/var/lib/kourou" /* data folder of kourou-serve; writable */
#define KR_IMAGE_UID      1000              /* what a Space runs as */

/* The docker setting `user` (NULL: as in a Space) in the one form that all builders and the
 * deployer use: "1000:1000", "1001:1001" for "1001", names as they are. Caller frees. */
char *kr_image_user(const char *setting);

#endif
