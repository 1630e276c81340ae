/* SPDX-License-Identifier: Apache-2.0 */
/* Layers made here. */
#ifndef KR_OCI_LAYER_H
#define KR_OCI_LAYER_H

#include "oci/compress.h"
#include "oci/tar.h"

/* Packs the parts into a layer in the cache, or finds the one that was made of the same parts
 * before. *made: it was packed now. */
int kr_layer_make(struct kr_cache *cache, const struct kr_tar_part *parts, size_t n, bool zstd,
                  struct kr_layer *out, bool *made, struct kr_err *err) KR_MUST_USE;

/* A layer as a note of the cache, and back (false: not one, or its blob is gone). */
json_t *kr_layer_note(const struct kr_layer *layer) KR_MUST_USE;
bool kr_layer_of_note(struct kr_cache *cache, const json_t *note, struct kr_layer *out);

#endif
