/* SPDX-License-Identifier: Apache-2.0 */
/* kourou-native: `--describe LIB[:SYMBOL]` prints what the library offers; otherwise it is started
 * by kourou-serve with the arguments of docs/worker-protocol.md. */
#include "serve/native/native.h"

#include "base/alloc.h"
#include "base/json.h"
#include "serve/frame.h"
#include "serve/metadata.h"
#include "serve/value.h"

#include <string.h>
#include <unistd.h>

#define SNAPSHOT_MAX (64u * 1024 * 1024)

struct arguments {
    struct kr_native_options opt;
    const char *snapshot, *root, *deployment, *describe;
};

static int number_of(const char *text)
{
    int64_t n;

    return kr_view_i64(kr_view_of(text), &n) && n >= 0 && n < 1000000 ? (int)n : -1;
}

static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    *a = (struct arguments){.opt = {.fd = -1, .wake_r = -1, .wake_w = -1, .mark = -1, .threads = 1},
                            .root = "."};
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        struct {
            const char *name;
            int *number;
            const char **text;
        } names[] = {{"--fd", &a->opt.fd, NULL},           {"--wake-r", &a->opt.wake_r, NULL},
                     {"--wake-w", &a->opt.wake_w, NULL},   {"--mark", &a->opt.mark, NULL},
                     {"--threads", &a->opt.threads, NULL}, {"--snapshot", NULL, &a->snapshot},
                     {"--root", NULL, &a->root},           {"--deployment", NULL, &a->deployment},
                     {"--describe", NULL, &a->describe}};
        bool known = false;

        for (size_t k = 0; k < KR_ARRAY_LEN(names); k++) {
            if (strcmp(argv[i], names[k].name) != 0)
                continue;
            known = true;
            if (names[k].number != NULL)
                *names[k].number = number_of(value);
            else
                *names[k].text = value;
        }
        if (!known)
            return false;
    }
    return argc % 2 == 1 &&
           (a->describe != NULL || (a->opt.fd >= 0 && a->opt.wake_r >= 0 && a->opt.wake_w >= 0 &&
                                    a->opt.mark >= 0 && a->snapshot != NULL));
}

static int describe(const struct arguments *a)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1u << 24);
    struct kr_native native = {.library = NULL};
    struct kr_err err = KR_ERR_INIT;
    int status = 1;

    if (kr_native_load(&native, a->root, a->describe, &err) < 0) {
        (void)dprintf(STDERR_FILENO, "kourou-native: %s\n", err.msg);
    } else {
        kr_native_describe(&native, a->describe, &out);
        kr_buf_addc(&out, '\n');
        status = write(STDOUT_FILENO, out.p, out.n) == (ssize_t)out.n ? 0 : 1;
    }
    kr_native_unload(&native);
    return status;
}

static void make_meta(struct kr_native *native, const json_t *deployment)
{
    const struct kr_metadata metadata = {
        .deployment_id = kr_json_str(deployment, "id", NULL),
        .deployment_name = kr_json_str(deployment, "name", NULL),
        .snapshot_id = kr_json_str(deployment, "snapshot_id", NULL),
        .snapshot_name = kr_json_str(deployment, "snapshot_name", NULL),
        .pipeline_name = native->pipeline->name,
    };

    kr_buf_init(&native->meta, 1u << 16);
    kr_metadata_write(&metadata, &native->meta);
}

static int start(struct kr_native *native, const struct arguments *a, struct kr_err *err)
{
    kr_auto_json json_t *snapshot = NULL, *deployment = NULL;
    const char *given = a->deployment != NULL ? a->deployment : "{}";
    char message[512] = "";
    bool failed;

    if (kr_json_read_file(a->snapshot, SNAPSHOT_MAX, &snapshot, err) < 0 ||
        kr_json_parse(given, strlen(given), "--deployment", &deployment, err) < 0)
        return -(int)err->code;
    if (kr_native_load(native, a->root,
                       kr_json_str(json_object_get(snapshot, "pipeline"), "source", ""), err) < 0)
        return -(int)err->code;
    make_meta(native, deployment);
    failed = native->pipeline->on_init != NULL &&
             native->pipeline->on_init(a->root, &native->state, message, sizeof(message)) != 0;
    kr_native_end_child();
    if (failed)
        return kr_fail(err, KR_E_INVALID, "on_init: %s", message[0] != '\0' ? message : "failed");
    return 0;
}

static void send_fatal(int fd, const struct kr_err *err)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1u << 16);

    kr_buf_adds(&out, "{\"kind\":\"load\",\"traceback\":\"\",\"message\":");
    kr_write_text(&out, err->msg, strlen(err->msg));
    kr_buf_addc(&out, '}');
    kr_native_send(fd, KR_T_FATAL, 0, 0, 0, out.p, out.n);
}

int main(int argc, char **argv)
{
    static const char hello[] = "{\"language\":\"native\"}";
    char ready[80];
    struct kr_native native = {.library = NULL};
    struct kr_err err = KR_ERR_INIT;
    struct arguments a;

    if (!read_arguments(argc, argv, &a)) {
        (void)dprintf(STDERR_FILENO,
                      "usage: kourou-native --describe LIBRARY.so[:SYMBOL] [--root DIR]\n");
        return 2;
    }
    if (a.describe != NULL)
        return describe(&a);
    kr_native_send(a.opt.fd, KR_T_HELLO, 0, KR_FRAME_VERSION, 0, hello, sizeof(hello) - 1);
    kr_native_is_worker(&a.opt);
    if (start(&native, &a, &err) < 0) {
        (void)dprintf(STDERR_FILENO, "%s\n", err.msg);
        send_fatal(a.opt.fd, &err);
        kr_native_unload(&native);
        return 1;
    }
    if (!native.pipeline->concurrent)
        a.opt.threads = 1;
    (void)snprintf(ready, sizeof(ready),
                   "{\"routes\":[],\"middleware\":false,\"pings\":true,\"threads\":%d}",
                   a.opt.threads);
    kr_native_send(a.opt.fd, KR_T_READY, 0, 0, 0, ready, strlen(ready));
    (void)kr_native_loop(&native, &a.opt);
    if (native.pipeline->on_cleanup != NULL)
        native.pipeline->on_cleanup(native.state);
    kr_native_end_child();
    kr_native_unload(&native);
    return 0;
}
