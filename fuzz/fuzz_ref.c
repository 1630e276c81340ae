/* SPDX-License-Identifier: Apache-2.0 */
/* Image references: the normal form reads back as the same image; any text gives a tag that is
 * one. */
#include "fuzz.h"

#include "oci/ref.h"

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *text = fuzz_rest(&in), *tag = kr_ref_tag_of(text);
    kr_auto_free char *tagged = kr_asprintf("example.org/a:%s", tag);
    kr_auto_ref struct kr_ref ref = KR_REF_INIT, again = KR_REF_INIT;

    FUZZ_CHECK(kr_ref_parse(tagged, &again, fuzz_err()) == 0 && same(again.tag, tag));
    if (kr_ref_parse(text, &ref, fuzz_err()) == 0) {
        kr_auto_free char *normal = kr_ref_text(&ref);

        FUZZ_CHECK(kr_ref_parse(normal, &again, fuzz_err()) == 0);
        FUZZ_CHECK(same(ref.registry, again.registry) && same(ref.repository, again.repository));
        FUZZ_CHECK(same(ref.tag, again.tag) && same(ref.digest, again.digest));
        FUZZ_CHECK(strstr(ref.repository, "..") == NULL && kr_ref_what(&ref)[0] != '\0');
    }
    return 0;
}
