/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate headers of registries. */
#include "fuzz.h"

#include "oci/challenge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *text = fuzz_rest(&in);
    kr_auto_challenge struct kr_challenge c = {.kind = KR_CHALLENGE_NONE};

    kr_challenge_parse(text, &c);
    FUZZ_CHECK(c.kind != KR_CHALLENGE_BEARER || c.realm != NULL);
    FUZZ_CHECK(c.kind != KR_CHALLENGE_NONE || (c.realm == NULL && c.service == NULL));
    return 0;
}
