/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry answers when an image is looked at: log-in, index, manifest, config. The first
 * byte chooses the call; the answers follow as fuzz_net.h says. "@1@".."@9@" in an answer stands
 * for the digest of the body of a later answer, so that inputs get past the check of digests. */
#include "fuzz_net.h"

#include "base/digest.h"
#include "base/redact.h"
#include "oci/manifest.h"

enum { ANSWERS_MAX = 10 };

struct answers {
    char *text[ANSWERS_MAX];
    size_t n[ANSWERS_MAX];
    size_t count;
};

static void put_digests(const struct answers *all, size_t i, struct kr_buf *out)
{
    for (size_t at = 0; at < all->n[i]; at++) {
        const char *p = all->text[i] + at;
        size_t other = at + 3 <= all->n[i] && p[0] == '@' && p[2] == '@' ? (size_t)(p[1] - '0') : 0;

        if (other > i && other < all->count) {
            const char *body = memmem(all->text[other], all->n[other], "\n\n", 2);
            size_t skip = body != NULL ? (size_t)(body - all->text[other]) + 2 : all->n[other];
            char hex[KR_SHA256_HEX];

            kr_sha256_hex(all->text[other] + skip, all->n[other] - skip, hex);
            kr_buf_addf(out, "sha256:%s", hex);
            at += 2;
        } else {
            kr_buf_addc(out, *p);
        }
    }
}

/* Later answers first: a digest covers what was put into the other answer already. */
static void join(struct fuzz_input *in, struct kr_buf *out)
{
    struct answers all = {.count = 0};

    while (in->n != 0 && all.count < ANSWERS_MAX) {
        all.text[all.count] = fuzz_part(in, "\n--\n", &all.n[all.count]);
        all.count++;
    }
    for (size_t i = all.count; i-- > 0;) {
        struct kr_buf made = KR_BUF_INIT(1 << 22);

        put_digests(&all, i, &made);
        free(all.text[i]);
        all.n[i] = made.n;
        all.text[i] = kr_buf_steal(&made);
    }
    for (size_t i = 0; i < all.count; i++) {
        kr_buf_adds(out, i > 0 ? "\n--\n" : "");
        kr_buf_add(out, all.text[i], all.n[i]);
        free(all.text[i]);
    }
}

static void call(struct kr_repo *repo, uint8_t which)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_image struct kr_image image = {.manifest = NULL};
    kr_auto_buf struct kr_buf blob = KR_BUF_INIT(KR_CONFIG_MAX);
    char digest[KR_DIGEST_SIZE];

    if (which % 4 == 0 && kr_manifest_head(repo, "latest", digest, &err) == 0)
        FUZZ_CHECK(kr_digest_valid(digest));
    else if (which % 4 == 1)
        fuzz_any(kr_blob_get(
            repo, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &blob,
            &err));
    else if (which % 4 > 1 && kr_image_get(repo, "latest", &image, &err) == 0)
        FUZZ_CHECK(kr_digest_valid(image.digest) && json_is_object(image.manifest));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);
    static const struct kr_repo_auth with_key = {.user = "alice", .password = "secret-of-alice"};
    static const struct kr_repo_auth stranger = {.anonymous = true};
    kr_auto_buf struct kr_buf answers = KR_BUF_INIT(1 << 24);
    kr_auto_ref struct kr_ref ref = KR_REF_INIT;
    kr_auto_repo struct kr_repo *repo = NULL;
    kr_auto_http struct kr_http *http = NULL;
    struct fuzz_net net;

    join(&in, &answers);
    http =
        fuzz_net_open(&net, (struct fuzz_input){(const uint8_t *)kr_buf_str(&answers), answers.n});
    http->policy.attempts = 2;
    FUZZ_CHECK(kr_ref_parse("registry.example/a/b", &ref, fuzz_err()) == 0);
    FUZZ_CHECK(kr_repo_open(http, &ref, which & 4 ? &with_key : &stranger, (which & 8) != 0, NULL,
                            &repo, fuzz_err()) == 0);
    call(repo, which);
    kr_redact_clear();
    return 0;
}
