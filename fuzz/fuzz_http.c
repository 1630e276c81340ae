/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as the front reads them: given whole and in pieces they mean the same. The first byte is
 * the length of the pieces. */
#include "fuzz.h"

#include "base/buf.h"
#include "http/request.h"

enum { BODY_MAX = 4096, REQUESTS_MAX = 64 };

static struct kr_buf *seen;

static int on_body(struct kr_request *req, const char *bytes, size_t n)
{
    (void)req;
    kr_buf_add(seen, bytes, n);
    return 0;
}

static void note_head(const struct kr_request *req, const char *base)
{
    kr_buf_addf(seen, "%s|%d%d%d|%u|", kr_request_method(req), req->has_body, req->chunked,
                req->want_continue, req->header_count);
    kr_buf_add(seen, kr_request_view(base, req->path).p, req->path.n);
    kr_buf_addc(seen, '?');
    kr_buf_add(seen, kr_request_view(base, req->query).p, req->query.n);
    for (unsigned i = 0; i < KR_KNOWN_COUNT; i++) {
        struct kr_view value = kr_request_known(req, base, (enum kr_known)i);

        kr_buf_addc(seen, '|');
        kr_buf_add(seen, value.p, value.n);
    }
}

/* Each piece comes in a buffer of its own that ends where the bytes end. Returns bytes used. */
static size_t one_request(const uint8_t *data, size_t size, size_t piece, bool *more)
{
    static struct kr_request req;
    size_t at = 0, n = 0, start = seen->n;
    enum kr_request_event event = KR_REQUEST_MORE;

    kr_request_init(&req, BODY_MAX, on_body);
    while (event == KR_REQUEST_HEAD || (event == KR_REQUEST_MORE && n < size)) {
        kr_auto_free char *base = NULL;

        if (event == KR_REQUEST_MORE)
            n = size - n < piece ? size : n + piece;
        base = kr_malloc(n);
        memcpy(base, data, n);
        event = kr_request_feed(&req, base, &at, n);
        FUZZ_CHECK(at <= n);
        if (event == KR_REQUEST_HEAD)
            note_head(&req, base);
    }
    FUZZ_CHECK(event != KR_REQUEST_BAD || (req.bad_status >= 400 && req.bad_reason != NULL));
    if (event ==
        KR_REQUEST_BAD) /* where exactly it is refused, and how, depends on what had come */
        seen->n = start;
    kr_buf_addf(seen, "\n%d\n", event);
    *more = event == KR_REQUEST_DONE && kr_request_keep_alive(&req);
    return at;
}

static void all_requests(const uint8_t *data, size_t size, size_t piece, struct kr_buf *out)
{
    bool more = size > 0;

    seen = out;
    for (int i = 0; more && size > 0 && i < REQUESTS_MAX; i++) {
        size_t used = one_request(data, size, piece, &more);

        data += used;
        size -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_buf struct kr_buf whole = KR_BUF_INIT(1 << 20), pieces = KR_BUF_INIT(1 << 20);

    if (size < 2 || size > KR_HTTP_HEAD_MAX)
        return 0;
    all_requests(data + 1, size - 1, size, &whole);
    all_requests(data + 1, size - 1, (size_t)(data[0] % 61) + 1, &pieces);
    FUZZ_CHECK(whole.n == pieces.n &&
               memcmp(kr_buf_str(&whole), kr_buf_str(&pieces), whole.n) == 0);
    return 0;
}
