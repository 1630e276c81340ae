/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots as kourou-serve reads them. */
#include "fuzz.h"

#include "serve/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kr_auto_fd int fd = fuzz_file(data, size);
    char path[64], *argv[] = {path, path, (char *)(uintptr_t) "--root=/nonexistent", NULL};
    struct kr_options options;
    struct kr_config config = {.snapshot = NULL};
    struct kr_err err = KR_ERR_INIT;

    (void)snprintf(path, sizeof(path), "--snapshot=/proc/self/fd/%d", fd);
    FUZZ_CHECK(kr_options_parse(3, argv, &options, &err) == 0);
    if (kr_config_load(&options, &config, &err) == 0) {
        FUZZ_CHECK(config.workers > 0 && config.workers <= 256 && config.threads > 0 &&
                   config.threads <= 1024 && options.queue_size > 0 && config.worker_memory > 0);
        FUZZ_CHECK(config.max_body > 0 && config.max_body <= INT64_MAX);
        FUZZ_CHECK(config.port >= 0 && config.port <= 65535 && config.request_timeout_ms > 0);
        FUZZ_CHECK(config.invoke_path[0] == '/' && config.health_path[0] == '/');
    } else {
        FUZZ_CHECK(err.msg[0] != '\0');
    }
    kr_config_finish(&config);
    kr_options_finish(&options);
    return 0;
}
