/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/layer.h"

#include "base/alloc.h"

#include <stdio.h>

json_t *kr_layer_note(const struct kr_layer *layer)
{
    json_t *note = json_object();

    kr_json_set_str(note, "digest", layer->digest);
    kr_json_set_str(note, "diff_id", layer->diff_id);
    kr_json_set_int(note, "size", (int64_t)layer->size);
    kr_json_set_bool(note, "zstd", layer->zstd);
    return note;
}

bool kr_layer_of_note(struct kr_cache *cache, const json_t *note, struct kr_layer *out)
{
    const char *digest = kr_json_str(note, "digest", ""),
               *diff_id = kr_json_str(note, "diff_id", "");
    int64_t size = kr_json_int(note, "size", -1);

    if (size < 0 || !kr_digest_valid(digest) || !kr_digest_valid(diff_id) ||
        !kr_cache_has(cache, digest, (uint64_t)size))
        return false;
    *out = (struct kr_layer){.size = (uint64_t)size, .zstd = kr_json_bool(note, "zstd", false)};
    (void)snprintf(out->digest, sizeof(out->digest), "%s", digest);
    (void)snprintf(out->diff_id, sizeof(out->diff_id), "%s", diff_id);
    return true;
}

static int sink(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    return kr_packer_write(data, bytes, n, err);
}

int kr_layer_make(struct kr_cache *cache, const struct kr_tar_part *parts, size_t n, bool zstd,
                  struct kr_layer *out, bool *made, struct kr_err *err)
{
    kr_auto_packer struct kr_packer *packer = NULL;
    kr_auto_json json_t *old = NULL, *note = NULL;
    kr_auto_free char *key = NULL;
    char digest[7 + KR_SHA256_HEX];

    kr_tar_key(parts, n, digest);
    key = kr_asprintf("layer 1 %s %s", kr_packer_version(zstd), digest);
    old = kr_cache_note(cache, key);
    *made = !kr_layer_of_note(cache, old, out);
    if (!*made)
        return 0;
    if (kr_packer_open(cache, zstd, &packer, err) < 0 ||
        kr_tar_write(parts, n, sink, packer, err) < 0 ||
        kr_packer_close(kr_steal(&packer), out, err) < 0)
        return -(int)err->code;
    note = kr_layer_note(out);
    kr_cache_set_note(cache, key, note);
    return 0;
}
