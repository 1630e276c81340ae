/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for values and look-alikes. First line: a value; second: how long the reads are; the rest
 * is looked through. */
#include "fuzz.h"

#include "pack/content.h"
#include "pack/search.h"

static struct kr_hits look(struct kr_scan *scan, const char *text, size_t n, size_t step)
{
    struct kr_hits hits;

    kr_scan_begin(scan);
    for (size_t at = 0; at < n; at += step)
        kr_scan_feed(scan, text + at, n - at < step ? n - at : step);
    kr_scan_end(scan, &hits);
    return hits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *value = fuzz_line(&in), *step = fuzz_line(&in), *text = NULL;
    size_t n = in.n, length = strlen(step) + 1;
    struct kr_search *search = kr_search_create();
    struct kr_scan *scan;
    struct kr_hits whole, parts;

    kr_search_add(search, value, strlen(value));
    scan = kr_scan_create(search);
    text = fuzz_rest(&in);
    whole = look(scan, text, n, n + 1);
    parts = look(scan, text, n, length);
    FUZZ_CHECK(whole.n == parts.n);
    for (size_t i = 0; i < whole.n; i++) {
        FUZZ_CHECK(whole.v[i].line == parts.v[i].line && whole.v[i].what == parts.v[i].what);
        FUZZ_CHECK(whole.v[i].line >= 1 && whole.v[i].line <= n + 1);
    }
    (void)kr_content_of(text, n, n, true);
    kr_scan_destroy(scan);
    kr_search_destroy(search);
    return 0;
}
