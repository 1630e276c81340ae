/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of kourou-serve. Every option is also an environment variable
 * KOUROU_SERVE_<NAME>; some are settings of the deployment as well, which the snapshot carries. The
 * operator is nearest: the command line wins, then the environment, the snapshot, the default. */
#ifndef KR_SERVE_OPTIONS_H
#define KR_SERVE_OPTIONS_H

#include "base/err.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum kr_source { KR_FROM_DEFAULT, KR_FROM_SNAPSHOT, KR_FROM_ENVIRONMENT, KR_FROM_OPTION };

struct kr_options {
    char *snapshot, *root, *host, *python, *python_path, *data_dir, *log_file;
    char *deployment_id, *deployment_name, *snapshot_id, *snapshot_name;
    char *control, *takeover, *port_file, *public_url;
    char *hold, *gate, *instance; /* gate.h */
    char *log_level;
    int64_t port; /* 0: any free one */
    int64_t workers, threads;
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    int64_t request_timeout_ms; /* when the request names none */
    int64_t startup_timeout_ms;
    int64_t drain_timeout_ms;
    int64_t stall_timeout_ms;
    char *isolation;   /* thread or process */
    int64_t processes; /* with the latter; 0: computed */
    int64_t queue_size, max_connections;
    int64_t max_body_size;      /* 0: from the snapshot */
    int64_t max_request_memory; /* 0: from max_body_size */
    int64_t worker_memory;      /* bytes of RSS; 0: from the snapshot or the machine */
    int64_t runs_kept;          /* bound of the journal; 0: no journal */
    int64_t log_size, log_files;
    bool space;
    bool local_only;
    bool reload;
    bool allow_privileges;
    bool help, version, settings;
    unsigned char from[64]; /* enum kr_source of each, by its place in the table */
    char *auth_key;         /* from KOUROU_AUTH_KEY or KOUROU_AUTH_KEY_FILE; NULL: open */
};

/* What the command line and the environment say; the rest has its default. */
int kr_options_parse(int argc, char **argv, struct kr_options *out, struct kr_err *err) KR_MUST_USE;
/* Takes from the settings of a snapshot ({"deployment": {}, "resources": {}}, may be NULL) what the
 * operator has not said. */
int kr_options_settle(struct kr_options *options, const json_t *settings,
                      struct kr_err *err) KR_MUST_USE;

/* What is in force, a line for each option that a snapshot may set: name, value, where it is from.
 */
void kr_options_show(const struct kr_options *options, int fd);

void kr_options_finish(struct kr_options *options);
void kr_options_help(int fd);

#endif
