/* SPDX-License-Identifier: Apache-2.0 */
/* What the snapshot and its deployment settings say about serving. */
#ifndef KR_SERVE_CONFIG_H
#define KR_SERVE_CONFIG_H

#include "base/buf.h"
#include "base/json.h"
#include "http/cors.h"
#include "serve/options.h"

#include <stdbool.h>
#include <stdint.h>

/* Paths of the server itself, whatever the settings say. */
#define KR_PATH_LIVE  "/livez"
#define KR_PATH_OWN   "/.kourou/"
#define KR_PATH_READY KR_PATH_OWN "health"

enum kr_endpoint_bit {
    KR_EP_DOCS = 1,
    KR_EP_REDOC = 2,
    KR_EP_INVOKE = 4,
    KR_EP_HEALTH = 8,
    KR_EP_INFO = 16,
    KR_EP_METRICS = 32,
    KR_EP_DASHBOARD = 64,
    KR_EP_ALL = 127
};

struct kr_config {
    json_t *snapshot;
    bool native, streams;
    const char *pipeline; /* its name */
    const char *title, *description, *version;
    char *title_own, *description_own;
    unsigned endpoints;
    char *docs_path, *redoc_path, *openapi_path, *invoke_path, *stream_path, *batch_path;
    char *health_path, *info_path, *metrics_path, *runs_path;
    char *api_prefix;  /* root_url_path + api_url_path, "" or "/x" */
    char *root_prefix; /* root_url_path */
    char *dashboard;   /* folder of static files, absolute; NULL: the built-in page */
    struct kr_cors cors;
    char *cors_methods, *cors_headers;
    bool guarded; /* no key, and on this machine only: other web sites are kept out (origin.c) */
    struct kr_buf common; /* header lines sent with every answer */
    int64_t workers, threads, port;
    int64_t processes; /* at most, when each runs one request at a time; else 0 */
    const char *host, *log_level;
    uint64_t max_body;
    uint64_t request_memory; /* that all requests and answers under way may hold */
    uint64_t worker_memory, machine_memory;
    int64_t request_timeout_ms, startup_timeout_ms, stall_timeout_ms;
};

/* Reads the snapshot named by the options, and settles these with it. Everything in *out lives
 * until kr_config_finish(), and as long as the options. */
int kr_config_load(struct kr_options *options, struct kr_config *out,
                   struct kr_err *err) KR_MUST_USE;
void kr_config_finish(struct kr_config *config);

#endif
