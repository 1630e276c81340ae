/* SPDX-License-Identifier: Apache-2.0 */
/* What the Hub and its store answer while files are brought into a Space: tree, marker, preupload,
 * batch of large files, transfers, commit. The first byte holds the options; the answers follow as
 * fuzz_net.h says. The token goes to the Hub only, and a result names the commit that holds the
 * files. */
#include "fuzz_net.h"

#include "base/redact.h"
#include "hub/push.h"

#include <stdio.h>

#define HUB   "http://127.0.0.1:1"
#define TOKEN "hf_fuzzing_token"
#define HEAD  "1111111111111111111111111111111111111111"

static void look(const struct kr_http_exchange *x, const char *body, size_t n)
{
    FUZZ_CHECK(memmem(body, n, TOKEN, sizeof(TOKEN) - 1) == NULL);
    FUZZ_CHECK(strstr(x->url, TOKEN) == NULL);
    for (const char *const *line = x->req->headers; line != NULL && *line != NULL; line++)
        FUZZ_CHECK(strstr(*line, TOKEN) == NULL && strpbrk(*line, "\r\n") == NULL);
}

static void add(struct kr_files *files, const char *path, const char *text)
{
    FUZZ_CHECK(kr_files_add_bytes(files, path, text, strlen(text), false, fuzz_err()) == 0);
}

static void bring(struct kr_hub *hub, const struct kr_sync_request *request)
{
    kr_auto_sync_plan struct kr_sync_plan plan = {.n = 0};
    struct kr_sync_result result;
    struct kr_err err = KR_ERR_INIT;

    if (kr_sync_plan(hub, request, &plan, &err) < 0) {
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0');
        return;
    }
    for (size_t i = 0; i < plan.n; i++)
        FUZZ_CHECK((plan.v[i].file == NULL) == (plan.v[i].kind == KR_CHANGE_DELETE));
    if (kr_sync_run(hub, request, &plan, &result, &err) < 0)
        FUZZ_CHECK(err.code != KR_OK && err.msg[0] != '\0');
    else
        FUZZ_CHECK(!result.committed || (result.commit[0] != '\0' && result.sent + result.deleted));
    FUZZ_CHECK(result.sent <= request->files->n + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t bits = fuzz_byte(&in);
    struct kr_err err = KR_ERR_INIT;
    kr_auto_files struct kr_files files = {.n = 0};
    kr_auto_hub struct kr_hub *hub = NULL;
    struct fuzz_net net;
    struct kr_hub_options options = {.endpoint = HUB, .token = TOKEN};
    struct kr_sync_request request = {.space = "alice/churn",
                                      .files = &files,
                                      .id = "0190a0b0-0000-7000-8000-000000000001",
                                      .parent = (bits & 1) != 0 ? HEAD : NULL,
                                      .message = "Deploy",
                                      .adopt = (bits & 2) != 0};

    add(&files, "Dockerfile", "FROM scratch\n");
    add(&files, "README.md", "---\nsdk: docker\napp_port: 7860\n---\n");
    add(&files, "model/a.bin", "0123456789abcdefghijkl");
    add(&files, "model/b.bin", "the second one");
    options.http = fuzz_net_open(&net, in);
    options.http->policy.attempts = 2;
    net.home = HUB;
    /* A Hub that says our token to us may see it again. */
    net.look = memmem(in.p, in.n, TOKEN, sizeof(TOKEN) - 1) == NULL ? look : NULL;
    net.calls_max = 4096;
    net.repeats = (bits & 4) != 0;
    FUZZ_CHECK(kr_hub_open(&options, &hub, &err) == 0);
    bring(hub, &request);
    kr_redact_clear();
    return 0;
}
