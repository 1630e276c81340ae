/* SPDX-License-Identifier: Apache-2.0 */
/* The file of Hub logins: what is read is written so that it is read the same again. */
#include "fuzz.h"

#include "hub/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_free char *again = NULL, *third = NULL;
    kr_auto_json json_t *logins = NULL, *reread = NULL;
    const char *name = NULL;

    if (kr_logins_parse((const char *)data, size, &logins, fuzz_err()) < 0)
        return 0;
    again = kr_logins_text(logins);
    FUZZ_CHECK(kr_logins_parse(again, strlen(again), &reread, fuzz_err()) == 0);
    FUZZ_CHECK(json_equal(logins, reread));
    third = kr_logins_text(reread);
    FUZZ_CHECK(strcmp(again, third) == 0);
    (void)kr_login_expires(kr_logins_find(logins, "hf_token", &name));
    return 0;
}
