/* SPDX-License-Identifier: Apache-2.0 */
/* The quick look at an invocation's body agrees with a full parse. */
#include "fuzz.h"

#include "base/json.h"
#include "serve/scan.h"

static void compare(const json_t *doc, const struct kr_scan *scan)
{
    const json_t *timeout = json_object_get(doc, "timeout");
    const char *name = kr_json_str(doc, "run_name", NULL);

    if (scan->timeout_ms > 0) {
        double ms = json_number_value(timeout) * 1000;

        FUZZ_CHECK(json_is_number(timeout) && ms > 0);
        FUZZ_CHECK(
            ms >= 2592000000.0 ||
            (ms < KR_TIMEOUT_LEAST_MS && scan->timeout_ms == KR_TIMEOUT_LEAST_MS) ||
            (ms - (double)scan->timeout_ms >= -0.001 && ms - (double)scan->timeout_ms < 1.001));
    }
    if (scan->run_name.p != NULL) {
        FUZZ_CHECK(name != NULL);
        if (memchr(scan->run_name.p, '\\', scan->run_name.n) == NULL)
            FUZZ_CHECK(kr_view_eq(scan->run_name, name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_json json_t *doc = NULL;
    kr_auto_free char *body = kr_malloc(size + (size == 0));
    struct kr_scan scan;

    if (size != 0)
        memcpy(body, data, size);
    kr_scan_body((struct kr_view){.p = body, .n = size}, &scan);
    FUZZ_CHECK(scan.timeout_ms >= 0);
    FUZZ_CHECK(scan.run_name.p == NULL ||
               (scan.run_name.p > body && scan.run_name.p + scan.run_name.n < body + size));
    if (kr_json_parse(body, size, "body", &doc, fuzz_err()) == 0 && json_is_object(doc))
        compare(doc, &scan);
    return 0;
}
