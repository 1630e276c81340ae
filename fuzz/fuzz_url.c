/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, redirects and Link headers. Two lines: base, then location or header. */
#include "fuzz.h"

#include "net/url.h"

static void check_resolved(const char *base, const char *location)
{
    kr_auto_free char *made = kr_url_resolve(base, location);
    struct kr_url from, to;

    if (made == NULL)
        return;
    FUZZ_CHECK(kr_url_parse(base, &from) && kr_url_parse(made, &to));
    FUZZ_CHECK(to.https || !from.https);
    FUZZ_CHECK(kr_url_same_origin(made, made));
    if (location[0] == '/' && location[1] != '/')
        FUZZ_CHECK(kr_url_same_origin(base, made));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *base = fuzz_line(&in), *other = fuzz_rest(&in), *plain = NULL, *host = NULL;
    kr_auto_free char *decoded = NULL;
    kr_auto_free char *next = kr_url_next_link(other);
    kr_auto_buf struct kr_buf coded = KR_BUF_INIT(1 << 22);
    struct kr_url url;

    if (kr_url_parse(base, &url))
        FUZZ_CHECK(url.host.n > 0 && url.port > 0 && kr_url_same_origin(base, base));
    host = kr_url_host(base);
    FUZZ_CHECK(strlen(host) > 0);
    FUZZ_CHECK(kr_url_same_origin(base, other) == kr_url_same_origin(other, base));
    (void)kr_url_is_loopback(base);
    check_resolved(base, other);
    if (next != NULL)
        check_resolved(base, next);
    kr_url_encode(&coded, other, "/");
    plain = kr_url_decode((struct kr_view){kr_buf_str(&coded), coded.n});
    FUZZ_CHECK(plain != NULL && strcmp(plain, other) == 0);
    decoded = kr_url_decode(kr_view_of(other));
    FUZZ_CHECK(decoded == NULL || strlen(decoded) <= strlen(other));
    return 0;
}
