/* SPDX-License-Identifier: Apache-2.0 */
/* What the Hub answers, of any shape. The first byte chooses the call; the answers follow as
 * fuzz_net.h says. */
#include "fuzz_net.h"

#include "base/redact.h"
#include "hub/logs.h"
#include "hub/space.h"
#include "hub/vars.h"

static void whoami(struct kr_hub *hub, struct kr_err *err)
{
    const struct kr_account *account;

    if (kr_hub_whoami(hub, &account, err) < 0)
        return;
    FUZZ_CHECK(account->name[0] != '\0');
    fuzz_any(kr_account_check_write(account, "alice/churn", err));
}

static void space(struct kr_hub *hub, struct kr_err *err)
{
    kr_auto(kr_space_finish) struct kr_space space = {.id = NULL};

    if (kr_space_get(hub, "alice/churn", &space, err) == 0)
        FUZZ_CHECK(space.id != NULL && space.runtime.stage_name != NULL);
}

static void runtime(struct kr_hub *hub, struct kr_err *err)
{
    kr_auto_runtime struct kr_runtime rt = {.stage_name = NULL};
    kr_auto_free char *url = NULL;

    if (kr_runtime_get(hub, "alice/churn", &rt, err) < 0)
        return;
    url = kr_runtime_url(hub, &rt);
    FUZZ_CHECK(rt.stage_name != NULL && (url == NULL) == (rt.domain == NULL));
}

static void tree(struct kr_hub *hub, struct kr_err *err)
{
    kr_auto(kr_tree_finish) struct kr_tree tree = {.n = 0};

    if (kr_tree_get(hub, "alice/churn", NULL, &tree, err) < 0)
        return;
    for (size_t i = 1; i < tree.n; i++)
        FUZZ_CHECK(strcmp(tree.v[i - 1].path, tree.v[i].path) <= 0);
}

static void line(void *data, const char *text, const char *when)
{
    (void)data;
    FUZZ_CHECK(when != NULL && strpbrk(text, "\n\x1b\x7f") == NULL);
}

static void logs(struct kr_hub *hub, struct kr_err *err)
{
    struct kr_log_options options = {.space = "alice/churn", .tail = -1, .line = line};

    fuzz_any(kr_hub_logs(hub, &options, err));
}

static void other(struct kr_hub *hub, struct kr_err *err)
{
    struct kr_space_new what = {.id = "alice/churn", .visibility = "private"};
    kr_auto_json json_t *list = NULL;
    bool existed;

    if (kr_hardware_list(hub, &list, err) == 0)
        FUZZ_CHECK(json_is_array(list));
    kr_err_clear(err);
    fuzz_any(kr_space_create(hub, &what, &existed, err));
    kr_err_clear(err);
    fuzz_any(kr_space_validate_readme(hub, "---\n---\n", 8, err));
    kr_err_clear(err);
    fuzz_any(kr_space_check_write(hub, "alice/churn", err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const calls[])(struct kr_hub *, struct kr_err *) = {whoami, space, runtime,
                                                                      tree,   logs,  other};
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);
    struct kr_err err = KR_ERR_INIT;
    kr_auto_hub struct kr_hub *hub = NULL;
    struct fuzz_net net;
    struct kr_hub_options options = {.endpoint = "http://127.0.0.1:1", .token = "hf_fuzzing_token"};

    options.http = fuzz_net_open(&net, in);
    options.http->policy.attempts = 2;
    net.home = options.endpoint;
    net.calls_max = 4096;
    net.repeats = which >= 224;
    FUZZ_CHECK(kr_hub_open(&options, &hub, &err) == 0);
    calls[which % KR_ARRAY_LEN(calls)](hub, &err);
    kr_redact_clear();
    return 0;
}
