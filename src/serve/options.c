/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/options.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/json.h"
#include "base/path.h"
#include "base/redact.h"
#include "base/serving.h"
#include "base/view.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum kind { TEXT, NUMBER, SECONDS, BYTES, FLAG, LEVEL };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    int64_t least, most;
    const char *dflt; /* NULL: absent, or what the zeroed struct says */
    const char *help;
    const char *setting; /* of the deployment (or "memory" of its resources) that says the same */
};

#define AT(field) offsetof(struct kr_options, field)
#define DAY       86400
#define INSTANCE  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

enum { ENV_FILE_MAX = 16 << 20 };

static const struct row rows[] = {
    {"snapshot", TEXT, AT(snapshot), 0, 0, NULL, "snapshot file to serve (required)"},
    {"root", TEXT, AT(root), 0, 0, ".", "folder of the pipeline's code"},
    {"host", TEXT, AT(host), 0, 0, "127.0.0.1", "address to listen on", "uvicorn_host"},
    {"port", NUMBER, AT(port), 0, 65535, KR_DFLT_PORT, "port; 0 takes a free one", "uvicorn_port"},
    {"port-file", TEXT, AT(port_file), 0, 0, NULL,
     "file that gets the port when the server listens"},
    {"python", TEXT, AT(python), 0, 0, "python3", "Python that runs the workers"},
    {"python-path", TEXT, AT(python_path), 0, 0, NULL, "folder of the kourou Python package"},
    {"data-dir", TEXT, AT(data_dir), 0, 0, NULL,
     "folder for the journal of runs; without it there is no journal"},
    {"log-file", TEXT, AT(log_file), 0, 0, NULL, "file for the log, rotated (default: stderr)"},
    {"log-level", LEVEL, AT(log_level), 0, 0, "info", "debug, info, warning or error", "log_level"},
    {"log-size", BYTES, AT(log_size), 4096, 1LL << 40, "10MiB",
     "size at which the log file is rotated"},
    {"log-files", NUMBER, AT(log_files), 1, 100, "5", "old log files that are kept"},
    {"deployment-id", TEXT, AT(deployment_id), 0, 0, NULL, "shown in answers and /info"},
    {"deployment-name", TEXT, AT(deployment_name), 0, 0, NULL, "shown in answers and /info"},
    {"snapshot-id", TEXT, AT(snapshot_id), 0, 0, NULL, "shown in answers and /info"},
    {"snapshot-name", TEXT, AT(snapshot_name), 0, 0, NULL, "shown in answers and /info"},
    {"control", TEXT, AT(control), 0, 0, NULL, "unix socket for status, drain and hand-over"},
    {"takeover", TEXT, AT(takeover), 0, 0, NULL, "control socket of the server to take over from"},
    {"instance", TEXT, AT(instance), 0, 0, NULL,
     "name of this start, in the header x-kourou-instance of answers"},
    {"hold", TEXT, AT(hold), 0, 0, NULL,
     "be a gate: hold the port for servers that ask for it at this unix socket"},
    {"gate", TEXT, AT(gate), 0, 0, NULL, "socket of the gate to take the port from"},
    {"public-url", TEXT, AT(public_url), 0, 0, NULL, "URL under which clients reach the server"},
    {"space", FLAG, AT(space), 0, 0, NULL,
     "runs as a Hugging Face Space: its page may frame this server"},
    {"local-only", FLAG, AT(local_only), 0, 0, NULL,
     "only this machine reaches the server, whatever it listens on: without a key, other web sites "
     "are kept out, as on a loopback address"},
    {"reload", FLAG, AT(reload), 0, 0, NULL,
     "start the workers again when a .py file below the root changes"},
    {"allow-privileges", FLAG, AT(allow_privileges), 0, 0, NULL,
     "steps may use setuid programs, mounts and namespaces: nothing is confined"},
    {"workers", NUMBER, AT(workers), 1, 256, KR_DFLT_WORKERS, "worker processes",
     "uvicorn_workers"},
    {"threads", NUMBER, AT(threads), 1, 1024, KR_DFLT_THREADS,
     "requests that each worker runs at a time", "thread_pool_size"},
    {"isolation", TEXT, AT(isolation), 0, 0, KR_DFLT_ISOLATION,
     "thread: a worker runs many requests; process: each has a process of its own", "isolation"},
    {"processes", NUMBER, AT(processes), 0, 1024, KR_DFLT_PROCESSES,
     "with --isolation=process, processes at most; 0: as many as requests may run, within 2 per "
     "processor",
     "processes"},
    {"worker-memory", BYTES, AT(worker_memory), 0, 1LL << 60, "0",
     "resident size at which a worker is killed; 0: four fifths of what there is", "memory"},
    {"request-timeout", SECONDS, AT(request_timeout_ms), 1, 30 * DAY * 1000LL,
     KR_DFLT_REQUEST_TIMEOUT, "deadline of requests that name none", "request_timeout"},
    {"startup-timeout", SECONDS, AT(startup_timeout_ms), 1, DAY * 1000LL, KR_DFLT_STARTUP_TIMEOUT,
     "a worker must be ready within", "startup_timeout"},
    {"stall-timeout", SECONDS, AT(stall_timeout_ms), 100, DAY * 1000LL, KR_DFLT_STALL_TIMEOUT,
     "a worker is replaced that begins nothing of what it was sent for so long", "stall_timeout"},
    {"header-timeout", SECONDS, AT(header_timeout_ms), 1, DAY * 1000LL, "15",
     "a request's head must arrive within"},
    {"body-timeout", SECONDS, AT(body_timeout_ms), 1, DAY * 1000LL, "30",
     "16 KiB more of a body, or its end, must come within; the whole within that plus 1 s per 64 "
     "KiB"},
    {"idle-timeout", SECONDS, AT(idle_timeout_ms), 1, DAY * 1000LL, "75",
     "kept connections are closed after"},
    {"write-timeout", SECONDS, AT(write_timeout_ms), 1, DAY * 1000LL, "30",
     "a client must take some bytes of an answer within"},
    {"drain-timeout", SECONDS, AT(drain_timeout_ms), 0, 30 * DAY * 1000LL, "0",
     "running requests have this long after SIGTERM (default: until their own deadlines; 25 in a "
     "Space)"},
    {"queue-size", NUMBER, AT(queue_size), 1, 1000000, KR_DFLT_QUEUE,
     "requests that may wait for a worker", "max_queue"},
    {"max-connections", NUMBER, AT(max_connections), 1, 1000000, "10000", "open connections"},
    {"max-body-size", BYTES, AT(max_body_size), 1, INT64_MAX, "256MiB", "largest request body",
     "max_body_size"},
    {"max-request-memory", BYTES, AT(max_request_memory), 0, 1LL << 44, "0",
     "memory that requests and answers under way may hold together (default: 4 times the largest "
     "body, at least 16MiB)"},
    {"runs-kept", NUMBER, AT(runs_kept), 0, 10000000, "10000",
     "runs kept in the journal; 0 keeps none"},
    {"settings", FLAG, AT(settings), 0, 0, NULL,
     "print what is in force of that which the snapshot may say, and who said it"},
    {"help", FLAG, AT(help), 0, 0, NULL, "this text"},
    {"version", FLAG, AT(version), 0, 0, NULL, "print the version"},
};
_Static_assert(KR_ARRAY_LEN(rows) <= sizeof(((struct kr_options *)NULL)->from), "all have a place");

static bool parse_scaled(const char *text, enum kind kind, int64_t *out)
{
    static const struct {
        const char *suffix;
        double factor;
    } units[] = {{"KiB", 1024},
                 {"MiB", 1048576},
                 {"GiB", 1073741824},
                 {"TiB", 1099511627776},
                 {"PiB", 1125899906842624},
                 {"KB", 1e3},
                 {"MB", 1e6},
                 {"GB", 1e9},
                 {"TB", 1e12},
                 {"PB", 1e15},
                 {"B", 1},
                 {"", 1}};
    double value, factor = 1000;
    char number[32];
    size_t n = strlen(text);

    if (kind == BYTES && kr_view_i64(kr_view_of(text), out))
        return true;
    if (kind == BYTES) {
        for (size_t i = 0; i < KR_ARRAY_LEN(units); i++) {
            if (!kr_ends_with(text, units[i].suffix))
                continue;
            factor = units[i].factor;
            n -= strlen(units[i].suffix);
            break;
        }
    }
    if (n == 0 || n >= sizeof(number))
        return false;
    memcpy(number, text, n);
    number[n] = '\0';
    if (!kr_parse_double(number, &value) || value < 0 || value * factor > 9e18)
        return false;
    *out = (int64_t)(value * factor);
    return true;
}

/* The log has no level above errors. */
static const char *level_of(const char *text)
{
    static const char *const levels[][2] = {{"debug", "debug"},     {"info", "info"},
                                            {"warning", "warning"}, {"warn", "warning"},
                                            {"error", "error"},     {"critical", "error"}};

    for (size_t i = 0; i < KR_ARRAY_LEN(levels); i++) {
        if (strcasecmp(text, levels[i][0]) == 0)
            return levels[i][1];
    }
    return NULL;
}

static int set_value(const struct row *row, const char *text, struct kr_options *out,
                     struct kr_err *err)
{
    char *at = (char *)out + row->offset;
    int64_t number = 0;
    bool fine;

    if (row->kind == FLAG) {
        bool on = strcmp(text, "0") != 0 && strcmp(text, "false") != 0;

        memcpy(at, &on, sizeof(on));
        return 0;
    }
    if (row->kind == LEVEL && level_of(text) == NULL)
        return kr_fail(err, KR_E_USAGE, "--%s=%s: not one of debug, info, warning, error",
                       row->name, text);
    if (row->kind == TEXT || row->kind == LEVEL) {
        char *old, *copy = kr_strdup(row->kind == LEVEL ? level_of(text) : text);

        memcpy(&old, at, sizeof(old));
        free(old);
        memcpy(at, &copy, sizeof(copy));
        return 0;
    }
    if (row->kind == NUMBER)
        fine = kr_view_i64(kr_view_of(text), &number);
    else
        fine = parse_scaled(text, row->kind, &number);
    if (!fine || number < row->least || number > row->most)
        return kr_fail(err, KR_E_USAGE, "--%s=%s: not a number in range", row->name, text);
    memcpy(at, &number, sizeof(number));
    return 0;
}

static int apply_environment(struct kr_options *out, struct kr_err *err)
{
    char name[64] = "KOUROU_SERVE_";

    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        size_t at = sizeof("KOUROU_SERVE_") - 1;
        const char *value;

        for (const char *p = rows[i].name; *p != '\0'; p++)
            name[at++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        name[at] = '\0';
        value = kr_env_get(name);
        if (value == NULL)
            continue;
        if (set_value(&rows[i], value, out, err) < 0)
            return kr_wrap(err, "environment %s", name);
        out->from[i] = KR_FROM_ENVIRONMENT;
    }
    if (out->python_path == NULL && kr_env_get("KOUROU_PYTHON_PATH") != NULL)
        out->python_path = kr_strdup(kr_env_get("KOUROU_PYTHON_PATH"));
    return 0;
}

static const struct row *find_row(const char *name, size_t n)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        if (strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0)
            return &rows[i];
    }
    return NULL;
}

static int apply_arguments(int argc, char **argv, struct kr_options *out, struct kr_err *err)
{
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i], *value;
        const struct row *row;
        size_t n;

        if (strcmp(arg, "-h") == 0)
            arg = "--help";
        if (!kr_starts_with(arg, "--"))
            return kr_fail(err, KR_E_USAGE, "unexpected argument %s", arg);
        value = strchr(arg, '=');
        n = value != NULL ? (size_t)(value - arg) - 2 : strlen(arg) - 2;
        row = find_row(arg + 2, n);
        if (row == NULL)
            return kr_fail(err, KR_E_USAGE, "unknown option %s", arg);
        if (value != NULL)
            value++;
        else if (row->kind == FLAG)
            value = "1";
        else if (i + 1 < argc)
            value = argv[++i];
        else
            return kr_fail(err, KR_E_USAGE, "option %s needs a value", arg);
        if (set_value(row, value, out, err) < 0)
            return -(int)err->code;
        out->from[row - rows] = KR_FROM_OPTION;
    }
    return 0;
}

/* What the snapshot says to a row; NULL: nothing. */
static const json_t *setting_of(const struct row *row, const json_t *settings)
{
    const char *part = strcmp(row->setting, "memory") == 0 ? "resources" : "deployment";
    const json_t *value = json_object_get(json_object_get(settings, part), row->setting);

    return json_is_null(value) ? NULL : value;
}

int kr_options_settle(struct kr_options *options, const json_t *settings, struct kr_err *err)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        const json_t *value = row->setting != NULL ? setting_of(row, settings) : NULL;
        kr_auto_free char *text = NULL;

        if (value == NULL || options->from[i] >= KR_FROM_ENVIRONMENT)
            continue;
        text =
            json_is_string(value) ? kr_strdup(json_string_value(value)) : kr_json_canonical(value);
        if (set_value(row, text, options, err) < 0)
            return kr_wrap(err, "setting %s of the snapshot", row->setting);
        options->from[i] = KR_FROM_SNAPSHOT;
    }
    return 0;
}

void kr_options_show(const struct kr_options *options, int fd)
{
    static const char *const sources[] = {"default", "snapshot", "environment", "option"};

    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        const char *at = (const char *)options + rows[i].offset, *text;
        int64_t number;

        if (rows[i].setting == NULL)
            continue;
        if (rows[i].kind == TEXT || rows[i].kind == LEVEL) {
            memcpy(&text, at, sizeof(text));
            (void)dprintf(fd, "%s\t%s", rows[i].name, text);
        } else {
            memcpy(&number, at, sizeof(number));
            (void)dprintf(fd, rows[i].kind == SECONDS ? "%s\t%g" : "%s\t%.0f", rows[i].name,
                          (double)number / (rows[i].kind == SECONDS ? 1000.0 : 1.0));
        }
        (void)dprintf(fd, "\t%s\n", sources[options->from[i]]);
    }
}

/* KOUROU_ENV_FILE: a JSON object of further variables, for places whose environment is no place for
 * secrets. */
static int take_env_file(struct kr_err *err)
{
    const char *file = kr_env_get("KOUROU_ENV_FILE"), *name;
    kr_auto_json json_t *all = NULL;
    json_t *value;

    if (file == NULL)
        return 0;
    if (kr_json_read_file(file, ENV_FILE_MAX, &all, err) < 0)
        return kr_wrap(err, "KOUROU_ENV_FILE");
    json_object_foreach(all, name, value)
    {
        if (!json_is_string(value) || setenv(name, json_string_value(value), 1) < 0)
            return kr_fail(err, KR_E_INVALID, "KOUROU_ENV_FILE: %s: '%s' is not a variable", file,
                           name);
        if (strcmp(name, KR_SECRET_NAMES) != 0)
            kr_redact_add(json_string_value(value));
    }
    (void)unsetenv("KOUROU_ENV_FILE");
    return 0;
}

/* KR_SECRET_NAMES: which variables, separated by commas, hold secrets. What steps print of them
 * does not get into the log. */
static void take_secret_names(void)
{
    const char *names = kr_env_get(KR_SECRET_NAMES);
    struct kr_view left = kr_view_of(names != NULL ? names : "");

    while (left.n > 0) {
        size_t n = 0;
        kr_auto_free char *name = NULL;

        while (n < left.n && left.p[n] != ',')
            n++;
        name = kr_strndup(left.p, n);
        kr_redact_add(kr_env_get(name));
        n += n < left.n;
        left = (struct kr_view){.p = left.p + n, .n = left.n - n};
    }
    (void)unsetenv(KR_SECRET_NAMES);
}

/* The key is taken out of the environment so that workers and their children do not inherit it. */
static int take_auth_key(struct kr_options *out, struct kr_err *err)
{
    const char *file = kr_env_get("KOUROU_AUTH_KEY_FILE"), *key = kr_env_get("KOUROU_AUTH_KEY");
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(4096);

    if (key == NULL && file != NULL) {
        struct kr_view v;

        if (kr_file_read(file, &text, err) < 0)
            return kr_wrap(err, "KOUROU_AUTH_KEY_FILE");
        v = kr_view_trim(kr_view_of(kr_buf_str(&text)));
        if (v.n == 0)
            return kr_fail(err, KR_E_INVALID, "KOUROU_AUTH_KEY_FILE: %s is empty", file);
        out->auth_key = kr_view_dup(v);
    } else if (key != NULL) {
        out->auth_key = kr_strdup(key);
    }
    kr_redact_add(out->auth_key);
    (void)unsetenv("KOUROU_AUTH_KEY");
    (void)unsetenv("KOUROU_AUTH_KEY_FILE");
    return 0;
}

int kr_options_parse(int argc, char **argv, struct kr_options *out, struct kr_err *err)
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        if (rows[i].dflt != NULL && set_value(&rows[i], rows[i].dflt, out, err) < 0)
            return -(int)err->code;
    }
    if (take_env_file(err) < 0)
        return -(int)err->code;
    take_secret_names();
    if (apply_environment(out, err) < 0 || apply_arguments(argc, argv, out, err) < 0)
        return -(int)err->code;
    if (out->help || out->version || out->hold != NULL)
        return 0;
    if (out->instance != NULL &&
        (strlen(out->instance) > 64 || out->instance[strspn(out->instance, INSTANCE)] != '\0'))
        return kr_fail(err, KR_E_USAGE, "--instance=%s: up to 64 letters, digits and '-'",
                       out->instance);
    if (out->gate != NULL && out->takeover != NULL)
        return kr_fail(err, KR_E_USAGE, "--gate and --takeover exclude each other");
    if (out->snapshot == NULL)
        return kr_fail(err, KR_E_USAGE, "--snapshot FILE is missing");
    return take_auth_key(out, err);
}

void kr_options_finish(struct kr_options *options)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        char *text;

        if (rows[i].kind != TEXT && rows[i].kind != LEVEL)
            continue;
        memcpy(&text, (char *)options + rows[i].offset, sizeof(text));
        free(text);
    }
    if (options->auth_key != NULL)
        explicit_bzero(options->auth_key, strlen(options->auth_key));
    free(options->auth_key);
    memset(options, 0, sizeof(*options));
}

void kr_options_help(int fd)
{
    static const char *const hints[] = {"VALUE", "N", "SECONDS", "SIZE", "", "LEVEL"};

    (void)dprintf(fd, "usage: kourou-serve --snapshot FILE [options]\n\n"
                      "Serves a pipeline snapshot over HTTP. Each option can also be given as the "
                      "environment variable\nKOUROU_SERVE_<NAME>; the key that protects the server "
                      "only as KOUROU_AUTH_KEY or KOUROU_AUTH_KEY_FILE. KOUROU_ENV_FILE names a "
                      "JSON object of further\n"
                      "environment variables, which are secrets; KOUROU_SECRET_NAMES names others "
                      "that are, separated\nby commas. No value of them gets into the log. Where a "
                      "setting of the deployment says the same, the\ncommand line wins, then the "
                      "environment, the snapshot, the default.\n\n");
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        char left[64];

        (void)snprintf(left, sizeof(left), "--%s %s", rows[i].name, hints[rows[i].kind]);
        (void)dprintf(fd, "  %-26s %s", left, rows[i].help);
        if (rows[i].setting != NULL)
            (void)dprintf(fd, " (setting %s)", rows[i].setting);
        if (rows[i].dflt != NULL && strcmp(rows[i].dflt, "0") != 0)
            (void)dprintf(fd, " (default %s)", rows[i].dflt);
        (void)dprintf(fd, "\n");
    }
}
