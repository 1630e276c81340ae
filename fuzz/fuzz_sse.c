/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events: the same events whole and in pieces. The first byte is the length of the
 * pieces. */
#include "fuzz.h"

#include "net/sse.h"

static int on_event(void *data, const struct kr_sse_event *event, struct kr_err *err)
{
    struct kr_buf *out = data;

    (void)err;
    FUZZ_CHECK(event->data[event->data_len] == '\0');
    kr_buf_addf(out, "%s|%s|%zu|", event->event, event->id, event->data_len);
    kr_buf_add(out, event->data, event->data_len);
    kr_buf_addc(out, '\n');
    return 0;
}

static int read_all(const uint8_t *data, size_t size, size_t piece, struct kr_buf *out)
{
    struct kr_sse sse;
    int rc = 0;

    kr_sse_init(&sse, on_event, out);
    for (size_t at = 0; rc == 0 && at < size; at += piece)
        rc = kr_sse_feed(&sse, data + at, size - at < piece ? size - at : piece, fuzz_err());
    kr_sse_finish(&sse);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_buf struct kr_buf whole = KR_BUF_INIT(1 << 24), pieces = KR_BUF_INIT(1 << 24);
    int rc;

    if (size < 2)
        return 0;
    rc = read_all(data + 1, size - 1, size, &whole);
    FUZZ_CHECK(read_all(data + 1, size - 1, (size_t)(data[0] % 31) + 1, &pieces) == rc);
    FUZZ_CHECK(whole.n == pieces.n &&
               memcmp(kr_buf_str(&whole), kr_buf_str(&pieces), whole.n) == 0);
    return 0;
}
