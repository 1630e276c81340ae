/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/config.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/path.h"
#include "base/serving.h"
#include "base/view.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOT_MAX (64u * 1024 * 1024)
#define BODIES       4 /* of the largest kind have room at once, by default */
#define MEMORY_LEAST (16u << 20)

static const struct {
    const char *name;
    unsigned bits;
} endpoint_names[] = {
    {"none", 0},
    {"docs", KR_EP_DOCS},
    {"redoc", KR_EP_REDOC},
    {"invoke", KR_EP_INVOKE},
    {"stream_invoke", KR_EP_INVOKE},
    {"health", KR_EP_HEALTH},
    {"info", KR_EP_INFO},
    {"metrics", KR_EP_METRICS},
    {"dashboard", KR_EP_DASHBOARD},
    {"doc", KR_EP_DOCS | KR_EP_REDOC},
    {"api", KR_EP_INVOKE | KR_EP_HEALTH | KR_EP_INFO | KR_EP_METRICS},
    {"all", KR_EP_ALL},
};

static unsigned endpoint_bit(struct kr_view name)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(endpoint_names); i++) {
        if (kr_view_eq_nocase(name, endpoint_names[i].name))
            return endpoint_names[i].bits;
    }
    return 0;
}

/* A number of bits, "ALL", "DOCS|HEALTH", or a list of names. */
static unsigned endpoints_of(const json_t *value)
{
    unsigned bits = 0;

    if (json_is_integer(value))
        return (unsigned)json_integer_value(value) & KR_EP_ALL;
    if (json_is_string(value)) {
        struct kr_view rest = kr_view_of(json_string_value(value)), head;
        bool more = true;

        while (more) {
            more = kr_view_cut(&rest, '|', &head);
            bits |= endpoint_bit(kr_view_trim(head));
        }
        return bits;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const char *name = json_string_value(json_array_get(value, i));

            bits |= name != NULL ? endpoint_bit(kr_view_of(name)) : 0;
        }
        return bits;
    }
    return KR_EP_ALL;
}

/* CORS is bit 1, SECURE_HEADERS bit 2 in the integer form. */
static bool middleware_on(const json_t *value, const char *name, unsigned bit)
{
    if (json_is_integer(value))
        return (json_integer_value(value) & (int64_t)bit) != 0;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);

        return strcasecmp(text, "all") == 0 || strcasestr(text, name) != NULL;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            const char *one = json_string_value(json_array_get(value, i));

            if (one != NULL && (strcasecmp(one, name) == 0 || strcasecmp(one, "all") == 0))
                return true;
        }
        return false;
    }
    return true;
}

/* prefix + "/" + path without doubled or trailing slashes; "" stays "". */
static char *url_path(const char *prefix, const char *path)
{
    kr_auto_buf struct kr_buf buf = KR_BUF_INIT(4096);

    kr_buf_adds(&buf, prefix);
    if (path[0] != '\0' && path[0] != '/')
        kr_buf_addc(&buf, '/');
    kr_buf_adds(&buf, path);
    while (buf.n > 0 && buf.p[buf.n - 1] == '/')
        buf.p[--buf.n] = '\0';
    return kr_buf_steal(&buf);
}

/* Where an endpoint is found: the root of the site has a path, too. */
static char *endpoint_path(const char *prefix, const char *path)
{
    char *made = url_path(prefix, path);

    if (made[0] != '\0')
        return made;
    free(made);
    return kr_strdup("/");
}

static void load_paths(struct kr_config *c, const json_t *dep)
{
    kr_auto_free char *invoke = NULL;

    c->root_prefix = url_path("", kr_json_str(dep, "root_url_path", ""));
    c->api_prefix = url_path(c->root_prefix, kr_json_str(dep, "api_url_path", ""));
    invoke = url_path(c->api_prefix, kr_json_str(dep, "invoke_url_path", KR_DFLT_INVOKE_PATH));
    c->docs_path =
        endpoint_path(c->api_prefix, kr_json_str(dep, "docs_url_path", KR_DFLT_DOCS_PATH));
    c->redoc_path =
        endpoint_path(c->api_prefix, kr_json_str(dep, "redoc_url_path", KR_DFLT_REDOC_PATH));
    c->openapi_path = url_path(c->api_prefix, "/openapi.json");
    c->invoke_path = endpoint_path(invoke, "");
    c->stream_path =
        kr_json_str(dep, "stream_invoke_url_path", NULL) != NULL
            ? endpoint_path(c->api_prefix, kr_json_str(dep, "stream_invoke_url_path", ""))
            : url_path(invoke, "/stream");
    c->batch_path = url_path(invoke, "/batch");
    c->health_path =
        endpoint_path(c->api_prefix, kr_json_str(dep, "health_url_path", KR_DFLT_HEALTH_PATH));
    c->info_path =
        endpoint_path(c->api_prefix, kr_json_str(dep, "info_url_path", KR_DFLT_INFO_PATH));
    c->metrics_path =
        endpoint_path(c->api_prefix, kr_json_str(dep, "metrics_url_path", KR_DFLT_METRICS_PATH));
    c->runs_path = url_path(c->api_prefix, "/runs");
}

/* What the server answers itself cannot be moved onto its own paths. */
static int check_paths(const struct kr_config *c, struct kr_err *err)
{
    const struct {
        const char *setting, *path;
    } all[] = {{"docs_url_path", c->docs_path},       {"redoc_url_path", c->redoc_path},
               {"invoke_url_path", c->invoke_path},   {"stream_invoke_url_path", c->stream_path},
               {"health_url_path", c->health_path},   {"info_url_path", c->info_path},
               {"metrics_url_path", c->metrics_path}, {"root_url_path", c->root_prefix},
               {"api_url_path", c->api_prefix}};

    for (size_t i = 0; i < KR_ARRAY_LEN(all); i++) {
        if (strcmp(all[i].path, KR_PATH_LIVE) == 0 || kr_starts_with(all[i].path, KR_PATH_OWN))
            return kr_fail(err, KR_E_INVALID,
                           "setting %s: %s is the server's own, choose another path",
                           all[i].setting, all[i].path);
    }
    return 0;
}

static bool list_has_star(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text != NULL && strcmp(text, "*") == 0)
            return true;
    }
    return false;
}

static bool is_header_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    }
    return true;
}

static char *joined(const json_t *list, const char *dflt)
{
    kr_auto_buf struct kr_buf buf = KR_BUF_INIT(8192);

    if (!json_is_array(list))
        return kr_strdup(dflt);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text == NULL || !is_header_text(text))
            continue;
        kr_buf_addf(&buf, "%s%s", buf.n > 0 ? ", " : "", text);
    }
    return kr_buf_steal(&buf);
}

/* Unset, it lets everybody in where a key or the Hub decides, and nobody on a machine of one's own.
 */
static void load_cors(struct kr_config *c, const json_t *dep, const struct kr_options *o)
{
    const json_t *cors = json_object_get(dep, "cors");
    const json_t *origins = json_object_get(cors, "allow_origins");
    const json_t *headers = json_object_get(cors, "allow_headers");
    const json_t *methods = json_object_get(cors, "allow_methods");

    c->cors.on = middleware_on(json_object_get(dep, "include_default_middleware"), "cors", 1);
    c->guarded =
        o->auth_key == NULL && !o->space && (o->local_only || kr_origin_is_loopback(c->host));
    c->cors.any_origin = json_is_array(origins) ? list_has_star(origins) : !c->guarded;
    c->cors.origins = json_object_get(cors, "allow_origins");
    c->cors.any_header = !json_is_array(headers) || list_has_star(headers);
    c->cors.credentials = kr_json_bool(cors, "allow_credentials", false);
    c->cors.headers = c->cors_headers = joined(headers, "*");
    c->cors.methods = c->cors_methods = list_has_star(methods)
                                            ? kr_strdup("GET, POST, PUT, PATCH, DELETE, OPTIONS")
                                            : joined(methods, "GET, POST, OPTIONS");
}

#define CSP                                                                                        \
    "default-src 'none'; script-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' "   \
    "data:; style-src 'self' 'unsafe-inline'; base-uri 'self'; form-action 'self'; font-src "      \
    "'self'; frame-src 'self'"
#define PERMISSIONS                                                                                \
    "accelerometer=(), autoplay=(), camera=(), encrypted-media=(), geolocation=(), gyroscope=(), " \
    "magnetometer=(), microphone=(), midi=(), payment=(), sync-xhr=(), usb=()"

/* One header: true or absent sends the default, false sends none, text is sent as it is. */
static void secure_header(struct kr_buf *out, const json_t *set, const char *key, const char *name,
                          const char *dflt)
{
    const json_t *value = json_object_get(set, key);
    const char *text = dflt;

    if (json_is_false(value))
        return;
    if (json_is_string(value))
        text = json_string_value(value);
    if (text != NULL && text[0] != '\0' && is_header_text(text))
        kr_buf_addf(out, "%s: %s\r\n", name, text);
}

static void load_secure_headers(struct kr_config *c, const json_t *dep, const struct kr_options *o)
{
    const json_t *set = json_object_get(dep, "secure_headers");
    char csp[1024];

    kr_buf_init(&c->common, 16384);
    if (o->instance != NULL)
        kr_buf_addf(&c->common, "x-kourou-instance: %s\r\n", o->instance);
    if (!middleware_on(json_object_get(dep, "include_default_middleware"), "secure_headers", 2))
        return;
    (void)snprintf(csp, sizeof(csp), "%s%s", CSP,
                   o->space ? "; frame-ancestors 'self' https://huggingface.co https://*.hf.space"
                            : "; frame-ancestors 'self'");
    secure_header(&c->common, set, "server", "server",
                  o->deployment_id != NULL ? o->deployment_id : "kourou");
    secure_header(&c->common, set, "hsts", "strict-transport-security",
                  "max-age=63072000; includeSubdomains");
    /* The old header cannot name another site, so a Space goes without it. */
    secure_header(&c->common, set, "xfo", "x-frame-options", o->space ? "" : "SAMEORIGIN");
    secure_header(&c->common, set, "content", "x-content-type-options", "nosniff");
    secure_header(&c->common, set, "csp", "content-security-policy", csp);
    secure_header(&c->common, set, "referrer", "referrer-policy", "no-referrer-when-downgrade");
    secure_header(&c->common, set, "cache", "cache-control", "no-store, no-cache, must-revalidate");
    secure_header(&c->common, set, "permissions", "permissions-policy", PERMISSIONS);
}

/* Without a setting a worker may use four fifths of what the container or the machine has. */
static uint64_t machine_memory(void)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(64);
    struct kr_err ignored = KR_ERR_INIT;
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), limit;

    if (kr_file_read("/sys/fs/cgroup/memory.max", &text, &ignored) == 0 &&
        kr_view_u64(kr_view_trim(kr_view_of(kr_buf_str(&text))), &limit) && limit < all)
        all = limit;
    return all / 5 * 4;
}

/* More processes than processors are for requests that wait for something. */
static int load_isolation(struct kr_config *c, const struct kr_options *o, struct kr_err *err)
{
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN), most = c->workers * c->threads;
    int64_t enough = cores < 2 ? 4 : 2 * cores;

    if (strcmp(o->isolation, "thread") == 0) {
        if (o->processes > 0)
            kr_log(KR_LOG_WARN, "serve", "processes has no effect: isolation is 'thread'");
        return 0;
    }
    if (strcmp(o->isolation, "process") != 0)
        return kr_fail(err, KR_E_USAGE, "isolation is '%s', expected thread or process",
                       o->isolation);
    if (o->reload)
        return kr_fail(err, KR_E_USAGE,
                       "isolation 'process' cannot go with --reload (auto_reload): new code needs "
                       "a new template; switch one of them off");
    c->processes = o->processes > 0 ? o->processes : most < enough ? most : enough;
    if (c->processes < c->workers)
        c->processes = c->workers;
    return 0;
}

static int load_limits(struct kr_config *c, struct kr_options *o, struct kr_err *err)
{
    if (kr_options_settle(o, json_object_get(c->snapshot, "settings"), err) < 0)
        return -(int)err->code;
    c->workers = o->workers;
    c->threads = o->threads;
    c->port = o->port;
    c->host = o->host;
    c->log_level = o->log_level;
    c->max_body = (uint64_t)o->max_body_size;
    c->request_timeout_ms = o->request_timeout_ms;
    c->startup_timeout_ms = o->startup_timeout_ms;
    c->stall_timeout_ms = o->stall_timeout_ms;
    if (load_isolation(c, o, err) < 0)
        return -(int)err->code;
    c->machine_memory = machine_memory();
    c->worker_memory = o->worker_memory > 0 ? (uint64_t)o->worker_memory : c->machine_memory;
    return 0;
}

/* Half of it may be needed for the connections as such, and an eighth is not for uploads. */
static int load_memory(struct kr_config *c, const struct kr_options *o, struct kr_err *err)
{
    uint64_t wish = (uint64_t)o->max_request_memory;

    c->request_memory = c->max_body < UINT64_MAX / BODIES ? c->max_body * BODIES : UINT64_MAX;
    if (c->request_memory < MEMORY_LEAST)
        c->request_memory = MEMORY_LEAST;
    if (wish == 0)
        return 0;
    c->request_memory = wish;
    if (wish / 3 >= c->max_body && wish >= MEMORY_LEAST / 2)
        return 0;
    return kr_fail(err, KR_E_USAGE,
                   "--max-request-memory=%llu is too little: it must hold the largest body "
                   "(--max-body-size, %llu bytes) three times, and 8 MiB at least",
                   (unsigned long long)wish, (unsigned long long)c->max_body);
}

static int load_dashboard(struct kr_config *c, const json_t *dep, const struct kr_options *o,
                          struct kr_err *err)
{
    const char *path = kr_json_str(dep, "dashboard_files_path", NULL);
    kr_auto_free char *index = NULL;
    struct stat st;

    if (path == NULL || path[0] == '\0')
        return 0;
    if (kr_path_under(o->root, path, &c->dashboard, err) < 0)
        return kr_wrap(err, "setting dashboard_files_path");
    index = kr_path_join(c->dashboard, "index.html");
    if (stat(index, &st) < 0)
        return kr_fail(err, KR_E_INVALID, "setting dashboard_files_path: %s is missing", index);
    if (!S_ISREG(st.st_mode))
        return kr_fail(err, KR_E_INVALID, "setting dashboard_files_path: %s is not a file", index);
    return 0;
}

int kr_config_load(struct kr_options *o, struct kr_config *c, struct kr_err *err)
{
    const json_t *pipeline, *dep;

    memset(c, 0, sizeof(*c));
    if (kr_json_read_file(o->snapshot, SNAPSHOT_MAX, &c->snapshot, err) < 0)
        return kr_wrap(err, "snapshot");
    pipeline = json_object_get(c->snapshot, "pipeline");
    if (kr_json_int(c->snapshot, "format", 0) != 1 || !json_is_object(pipeline))
        return kr_fail(err, KR_E_INVALID, "%s is not a snapshot of format 1", o->snapshot);
    dep = kr_json_at(c->snapshot, "settings", "deployment", NULL);
    c->pipeline = kr_json_str(pipeline, "name", "pipeline");
    c->native = strcmp(kr_json_str(pipeline, "kind", "python"), "native") == 0;
    c->streams = kr_json_bool(c->snapshot, "streams", false);
    c->title_own = kr_asprintf("Kourou deployment %s",
                               o->deployment_name != NULL ? o->deployment_name : c->pipeline);
    c->title = kr_json_str(dep, "app_title", c->title_own);
    c->description_own = kr_strdup(kr_json_str(pipeline, "description", ""));
    c->description = kr_json_str(dep, "app_description", c->description_own);
    c->version = kr_json_str(dep, "app_version", KR_VERSION);
    c->endpoints = endpoints_of(json_object_get(dep, "include_default_endpoints"));
    load_paths(c, dep);
    if (check_paths(c, err) < 0 || load_limits(c, o, err) < 0 || load_memory(c, o, err) < 0)
        return -(int)err->code;
    load_cors(c, dep, o);
    load_secure_headers(c, dep, o);
    return load_dashboard(c, dep, o, err);
}

void kr_config_finish(struct kr_config *c)
{
    char *texts[] = {c->title_own,    c->description_own, c->docs_path,    c->redoc_path,
                     c->openapi_path, c->invoke_path,     c->stream_path,  c->batch_path,
                     c->health_path,  c->info_path,       c->metrics_path, c->runs_path,
                     c->api_prefix,   c->root_prefix,     c->dashboard,    c->cors_methods,
                     c->cors_headers};

    for (size_t i = 0; i < KR_ARRAY_LEN(texts); i++)
        free(texts[i]);
    kr_buf_finish(&c->common);
    json_decref(c->snapshot);
    memset(c, 0, sizeof(*c));
}
