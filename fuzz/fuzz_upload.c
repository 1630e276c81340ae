/* SPDX-License-Identifier: Apache-2.0 */
/* What registries answer while blobs and a manifest are sent: HEAD, uploads that are opened,
 * mounted, continued, forgotten and closed, pieces fetched from another registry. The first byte
 * holds the options; the answers follow as fuzz_net.h says. Each piece that is sent is the one that
 * its Content-Range names. */
#include "fuzz_net.h"

#include "base/redact.h"
#include "oci/push.h"

#include <stdio.h>
#include <stdlib.h>

/* Every blob is the beginning of this. */
static const char text[] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH";
static bool copies; /* bytes of the other registry, which may be wrong in the middle */

static void look(const struct kr_http_exchange *x, const char *body, size_t n)
{
    const char *range = NULL;
    unsigned long first = 0, last;
    char *end;

    for (const char *const *line = x->req->headers; line != NULL && *line != NULL; line++)
        range = strncmp(*line, "Content-Range: ", 15) == 0 ? *line + 15 : range;
    if (strcmp(x->req->method, "PATCH") == 0) {
        FUZZ_CHECK(range != NULL);
        first = strtoul(range, &end, 10);
        FUZZ_CHECK(*end == '-');
        last = strtoul(end + 1, &end, 10);
        FUZZ_CHECK(*end == '\0' && first <= last && last < sizeof(text) && n == last - first + 1);
    }
    if (copies)
        return;
    if (strcmp(x->req->method, "PATCH") == 0 ||
        (strcmp(x->req->method, "PUT") == 0 && strstr(x->url, "/manifests/") == NULL))
        FUZZ_CHECK(memcmp(body, text + first, n) == 0);
}

static void set_digest(char digest[KR_DIGEST_SIZE], size_t n)
{
    (void)snprintf(digest, KR_DIGEST_SIZE, "sha256:");
    kr_sha256_hex(text, n, digest + 7);
}

static void push(struct kr_repo *to, struct kr_repo *from, uint8_t bits)
{
    static const size_t sizes[] = {40, 5, 36, 0};
    char digests[KR_ARRAY_LEN(sizes)][KR_DIGEST_SIZE];
    struct kr_blob blobs[KR_ARRAY_LEN(sizes)];
    struct kr_push push = {.to = to,
                           .from = from,
                           .mount_from = (bits & 2) != 0 ? "other/base" : NULL,
                           .parallel = (bits & 4) != 0 ? 1 : 0,
                           .chunk = (bits & 8) != 0 ? 0 : 16};
    size_t n = (bits & 16) != 0 ? 1 : KR_ARRAY_LEN(sizes);
    struct kr_err err = KR_ERR_INIT;

    for (size_t i = 0; i < KR_ARRAY_LEN(sizes); i++) {
        set_digest(digests[i], sizes[i]);
        blobs[i] = (struct kr_blob){.digest = digests[i],
                                    .size = sizes[i],
                                    .source = i == 2 ? KR_BLOB_REPO : KR_BLOB_BYTES,
                                    .bytes = text};
    }
    if (n == 1 && (bits & 32) != 0)
        blobs[0] = blobs[2];
    copies = n > 1 || (bits & 32) != 0;
    if (kr_push_blobs(&push, blobs, n, &err) == 0)
        FUZZ_CHECK(push.there + push.mounted + push.sent == n);
    else
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t bits = fuzz_byte(&in);
    static const struct kr_repo_auth with_key = {.user = "alice", .password = "secret-of-alice"};
    static const struct kr_repo_auth stranger = {.anonymous = true};
    kr_auto_ref struct kr_ref ref = KR_REF_INIT, other = KR_REF_INIT;
    kr_auto_repo struct kr_repo *to = NULL, *from = NULL;
    kr_auto_http struct kr_http *http = NULL;
    struct fuzz_net net;

    http = fuzz_net_open(&net, in);
    http->policy.attempts = 2;
    net.look = look;
    net.calls_max = 4096;
    net.repeats = (bits & 128) != 0;
    FUZZ_CHECK(kr_ref_parse("registry.example/a/b", &ref, fuzz_err()) == 0);
    FUZZ_CHECK(kr_ref_parse("origin.example/c", &other, fuzz_err()) == 0);
    FUZZ_CHECK(kr_repo_open(http, &ref, (bits & 64) != 0 ? &with_key : &stranger, true,
                            "other/base", &to, fuzz_err()) == 0);
    FUZZ_CHECK(kr_repo_open(http, &other, &stranger, false, NULL, &from, fuzz_err()) == 0);
    if ((bits & 1) == 0)
        push(to, from, bits);
    else
        fuzz_any(kr_push_manifest(to, "latest", "application/vnd.oci.image.manifest.v1+json", text,
                                  sizeof(text) - 1, fuzz_err()));
    kr_redact_clear();
    return 0;
}
