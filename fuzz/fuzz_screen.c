/* SPDX-License-Identifier: Apache-2.0 */
/* Text of others on its way to a terminal. */
#include "fuzz.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "cli/screen.h"

/* No control but those allowed, no 8-bit control and no mark of direction. */
static void check(const char *text, size_t n, bool lines)
{
    const unsigned char *p = (const unsigned char *)text;

    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK((p[i] >= 0x20 && p[i] != 0x7f) || (lines && (p[i] == '\n' || p[i] == '\t')));
        FUZZ_CHECK(!(p[i] == 0xc2 && i + 1 < n && p[i + 1] < 0xa0));
        FUZZ_CHECK(!(p[i] == 0xe2 && i + 2 < n && p[i + 1] == 0x80 && p[i + 2] >= 0xa8 &&
                     p[i + 2] <= 0xae));
        FUZZ_CHECK(!(p[i] == 0xe2 && i + 2 < n && p[i + 1] == 0x81 && p[i + 2] >= 0xa6 &&
                     p[i + 2] <= 0xa9));
    }
}

static void check_json(const char *text)
{
    kr_auto_json json_t *value = json_string(text), *back = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 24);
    kr_auto_free char *given = value != NULL ? kr_json_canonical(value) : NULL;
    struct kr_err err = KR_ERR_INIT;

    if (value == NULL)
        return;
    kr_screen_json(given, &out);
    check(kr_buf_str(&out), out.n, true);
    FUZZ_CHECK(kr_json_parse(kr_buf_str(&out), out.n, "it", &back, &err) == 0);
    FUZZ_CHECK(json_equal(value, back));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kr_term term = {.colour = false};
    kr_auto_free char *line = kr_strndup((const char *)data, size);
    kr_auto_free char *lines = kr_strndup((const char *)data, size);
    size_t n = strlen(lines), left;

    check_json(line);
    left = kr_screen(&term, lines, n);
    FUZZ_CHECK(left <= n);
    check(lines, left, true);
    kr_printable(line);
    check(line, strlen(line), false);
    return 0;
}
