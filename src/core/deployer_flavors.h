/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of deployer flavors: what the user calls it, the integration it belongs to (NULL: it
 * is part of the core), what it is. X(id, name, integration, about): kr_<id>_deployer_table has its
 * settings (deployer_settings.c), kr_deployer_<id> its functions (src/deployers). */
#ifndef KR_CORE_DEPLOYER_FLAVORS_H
#define KR_CORE_DEPLOYER_FLAVORS_H

#define KR_DEPLOYER_FLAVORS(X)                                                                     \
    X(local, "local", NULL, "A process of this machine")                                           \
    X(docker, "docker", NULL, "A container of this machine's Docker engine")                       \
    X(huggingface, "huggingface", "huggingface", "A Hugging Face Space")

#endif
