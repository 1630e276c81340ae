/* SPDX-License-Identifier: Apache-2.0 */
/* The table `deployment`: the HTTP service of a deployed pipeline. */
#include "core/table.h"

#include "base/alloc.h"

#include <string.h>
#include <strings.h>

struct choice_bit {
    const char *name;
    unsigned bit; /* value in the bit set that older pipelines write */
};

static const struct choice_bit endpoint_bits[] = {
    {"docs", 1},  {"redoc", 2},    {"invoke", 4},     {"health", 8},
    {"info", 16}, {"metrics", 32}, {"dashboard", 64}, {"stream_invoke", 128},
};
enum { DOC_BITS = 3, API_BITS = 4 | 8 | 16 | 32 | 128, ALL_ENDPOINTS = 255 };

static const struct choice_bit middleware_bits[] = {{"cors", 1}, {"secure_headers", 2}};
enum { ALL_MIDDLEWARE = 3 };

/* Bits of one word ("docs", "ALL", "none"), or -1. */
static int bits_of_word(const struct choice_bit *bits, size_t count, const char *word, size_t n)
{
    if (n == 3 && strncasecmp(word, "all", n) == 0)
        return count == KR_ARRAY_LEN(endpoint_bits) ? ALL_ENDPOINTS : ALL_MIDDLEWARE;
    if (n == 4 && strncasecmp(word, "none", n) == 0)
        return 0;
    if (count == KR_ARRAY_LEN(endpoint_bits) && n == 3 && strncasecmp(word, "doc", n) == 0)
        return DOC_BITS;
    if (count == KR_ARRAY_LEN(endpoint_bits) && n == 3 && strncasecmp(word, "api", n) == 0)
        return API_BITS;
    for (size_t i = 0; i < count; i++) {
        if (strlen(bits[i].name) == n && strncasecmp(bits[i].name, word, n) == 0)
            return (int)bits[i].bit;
    }
    return -1;
}

/* Bits of "docs|invoke", or -1. */
static int bits_of_text(const struct choice_bit *bits, size_t count, const char *text)
{
    int all = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, "|, ");
        int more = n > 0 ? bits_of_word(bits, count, text, n) : 0;

        if (more < 0)
            return -1;
        all |= more;
        text += n;
        text += strspn(text, "|, ");
    }
    return all;
}

static int bits_of(const struct choice_bit *bits, size_t count, const json_t *value)
{
    int all = 0;
    size_t i;
    const json_t *item;

    if (json_is_integer(value))
        return json_integer_value(value) >= 0 && json_integer_value(value) <= ALL_ENDPOINTS
                   ? (int)json_integer_value(value)
                   : -1;
    if (json_is_string(value))
        return bits_of_text(bits, count, json_string_value(value));
    if (!json_is_array(value))
        return -1;
    json_array_foreach(value, i, item)
    {
        int more = json_is_string(item) ? bits_of_text(bits, count, json_string_value(item)) : -1;

        if (more < 0)
            return -1;
        all |= more;
    }
    return all;
}

static int check_bits(const struct choice_bit *bits, size_t count, const json_t *value,
                      struct kr_err *err)
{
    char names[200] = "";
    size_t used = 0;

    if (bits_of(bits, count, value) >= 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, ", %s", bits[i].name);
    return kr_fail(err, KR_E_INVALID, "expected a list of: all, none%s", names);
}

static json_t *names_of_bits(const struct choice_bit *bits, size_t count, const json_t *value)
{
    json_t *list = json_array();
    int all = bits_of(bits, count, value);

    for (size_t i = 0; i < count; i++) {
        if (((unsigned)all & bits[i].bit) != 0)
            (void)json_array_append_new(list, json_string(bits[i].name));
    }
    return list;
}

static int check_endpoints(const json_t *value, struct kr_err *err)
{
    return check_bits(endpoint_bits, KR_ARRAY_LEN(endpoint_bits), value, err);
}

static json_t *normal_endpoints(const json_t *value)
{
    return names_of_bits(endpoint_bits, KR_ARRAY_LEN(endpoint_bits), value);
}

static int check_middleware(const json_t *value, struct kr_err *err)
{
    return check_bits(middleware_bits, KR_ARRAY_LEN(middleware_bits), value, err);
}

static json_t *normal_middleware(const json_t *value)
{
    return names_of_bits(middleware_bits, KR_ARRAY_LEN(middleware_bits), value);
}

static int check_headers(const json_t *value, struct kr_err *err);
static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

static const struct kr_setting cors_rows[] = {
    {.name = "allow_origins", .type = KR_SET_LIST, .dflt = "[\"*\"]"},
    {.name = "allow_methods", .type = KR_SET_LIST, .dflt = "[\"GET\",\"POST\",\"OPTIONS\"]"},
    {.name = "allow_headers", .type = KR_SET_LIST, .dflt = "[\"*\"]"},
    {.name = "allow_credentials", .type = KR_SET_BOOL, .dflt = "false"},
};
static const struct kr_settings_table cors_table = {.title = "the map", KR_ROWS(cors_rows)};

static const struct kr_setting header_rows[] = {
    {.name = "server", .type = KR_SET_ANY, .check = check_headers},
    {.name = "hsts", .type = KR_SET_ANY, .check = check_headers},
    {.name = "xfo", .type = KR_SET_ANY, .check = check_headers},
    {.name = "content", .type = KR_SET_ANY, .check = check_headers},
    {.name = "csp", .type = KR_SET_ANY, .check = check_headers},
    {.name = "referrer", .type = KR_SET_ANY, .check = check_headers},
    {.name = "cache", .type = KR_SET_ANY, .check = check_headers},
    {.name = "permissions", .type = KR_SET_ANY, .check = check_headers},
};
static const struct kr_settings_table header_table = {.title = "the map", KR_ROWS(header_rows)};

static const struct kr_setting endpoint_rows[] = {
    {.name = "path", .type = KR_SET_STRING, .check = kr_check_url_path, .required = true},
    {.name = "method", .type = KR_SET_CHOICE, .choices = methods, .required = true},
    {.name = "handler", .type = KR_SET_STRING, .check = kr_check_source, .required = true},
    {.name = "native", .type = KR_SET_BOOL},
    {.name = "auth_required", .type = KR_SET_BOOL},
    {.name = "init_kwargs", .type = KR_SET_OBJECT},
    {.name = "extra_kwargs", .type = KR_SET_OBJECT},
};
static const struct kr_settings_table endpoint_table = {.title = "the endpoint",
                                                        KR_ROWS(endpoint_rows)};

static const struct kr_setting middleware_rows[] = {
    {.name = "middleware", .type = KR_SET_STRING, .check = kr_check_source, .required = true},
    {.name = "native", .type = KR_SET_BOOL},
    {.name = "order", .type = KR_SET_INT},
    {.name = "init_kwargs", .type = KR_SET_OBJECT},
    {.name = "extra_kwargs", .type = KR_SET_OBJECT},
};
static const struct kr_settings_table middleware_table = {.title = "the middleware",
                                                          KR_ROWS(middleware_rows)};

static const struct kr_setting extension_rows[] = {
    {.name = "extension", .type = KR_SET_STRING, .check = kr_check_source, .required = true},
    {.name = "extension_kwargs", .type = KR_SET_OBJECT},
};
static const struct kr_settings_table extension_table = {.title = "the extension",
                                                         KR_ROWS(extension_rows)};

/* true: the default header, false or null: none, a string: that value. */
static int check_headers(const json_t *value, struct kr_err *err)
{
    if (json_is_string(value) && strpbrk(json_string_value(value), "\r\n") != NULL)
        return kr_fail(err, KR_E_INVALID, "a header value must be one line");
    if (!json_is_boolean(value) && !json_is_string(value))
        return kr_fail(err, KR_E_INVALID, "%s, expected true, false or the value of the header",
                       kr_json_type_name(value));
    return 0;
}

static int check_inner(const struct kr_settings_table *table, const json_t *value,
                       const char *where, struct kr_err *err)
{
    json_t *checked = NULL;

    if (kr_settings_check(table, value, where, &checked, err) < 0)
        return -(int)err->code;
    json_decref(checked);
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].required && json_object_get(value, table->rows[i].name) == NULL)
            return kr_fail(err, KR_E_INVALID, "%s: '%s' is missing", where, table->rows[i].name);
    }
    return 0;
}

static int check_cors(const json_t *value, struct kr_err *err)
{
    return check_inner(&cors_table, value, "cors", err);
}

static int check_secure_headers(const json_t *value, struct kr_err *err)
{
    return check_inner(&header_table, value, "secure_headers", err);
}

static int check_list_of(const struct kr_settings_table *table, const json_t *value,
                         struct kr_err *err)
{
    const json_t *item;
    char where[32];
    size_t i;

    if (!json_is_array(value))
        return kr_fail(err, KR_E_INVALID, "%s, expected a list", kr_json_type_name(value));
    json_array_foreach(value, i, item)
    {
        (void)snprintf(where, sizeof(where), "item %zu", i + 1);
        if (check_inner(table, item, where, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int check_custom_endpoints(const json_t *value, struct kr_err *err)
{
    return check_list_of(&endpoint_table, value, err);
}

static int check_custom_middlewares(const json_t *value, struct kr_err *err)
{
    return check_list_of(&middleware_table, value, err);
}

static int check_extensions(const json_t *value, struct kr_err *err)
{
    return check_list_of(&extension_table, value, err);
}

static const char *const levels[] = {"DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", NULL};
static const char *const isolations[] = {"thread", "process", NULL};

#define IGNORED_ROW(row, kind, value, why)                                                         \
    {                                                                                              \
        .name = row, .type = kind, .dflt = value, .ignored = why, .help = "For older pipelines"    \
    }
#define TEXT_ROW(row, words)                                                                       \
    {                                                                                              \
        .name = row, .reader = "serve/config.c", .type = KR_SET_STRING, .help = words              \
    }
#define PATH_ROW(row, value, words)                                                                \
    {                                                                                              \
        .name = row, .reader = "serve/config.c", .type = KR_SET_STRING, .dflt = "\"" value "\"",   \
        .check = kr_check_url_path, .help = words                                                  \
    }
#define SOURCE_ROW(row, words)                                                                     \
    {                                                                                              \
        .name = row, .reader = "kourou/runtime.py", .type = KR_SET_STRING,                         \
        .check = kr_check_source, .help = words                                                    \
    }
#define KWARGS_ROW(row, words)                                                                     \
    {                                                                                              \
        .name = row, .reader = "kourou/runtime.py", .type = KR_SET_OBJECT, .dflt = "{}",           \
        .help = words                                                                              \
    }
#define INT_ROW(row, low, high, value, words)                                                      \
    {                                                                                              \
        .name = row, .reader = "serve/options.c", .type = KR_SET_INT, .min = low, .max = high,     \
        .dflt = value, .help = words                                                               \
    }

static const struct kr_setting rows[] = {
    TEXT_ROW("app_title",
             "Title of the API and of its page; made from the deployment's name when unset"),
    TEXT_ROW("app_description", "Description of the API; made from the pipeline when unset"),
    TEXT_ROW("app_version", "Version of the API; Kourou's own when unset"),
    IGNORED_ROW("app_kwargs", KR_SET_OBJECT, "{}",
                "the server is Kourou's own and no application of FastAPI"),
    {.name = "include_default_endpoints",
     .reader = "serve/config.c",
     .type = KR_SET_ANY,
     .check = check_endpoints,
     .normal = normal_endpoints,
     .dflt = "[\"docs\",\"redoc\",\"invoke\",\"health\",\"info\",\"metrics\",\"dashboard\","
             "\"stream_invoke\"]",
     .help =
         "Endpoints that are served: all, none, or a list of docs, redoc, invoke, health, info, "
         "metrics, dashboard, stream_invoke"},
    {.name = "include_default_middleware",
     .reader = "serve/config.c",
     .type = KR_SET_ANY,
     .check = check_middleware,
     .normal = normal_middleware,
     .dflt = "[\"cors\",\"secure_headers\"]",
     .help = "Parts that touch every answer: all, none, or a list of cors, secure_headers"},
    PATH_ROW("root_url_path", "", "Path that a proxy in front takes away"),
    PATH_ROW("api_url_path", "", "Path before those of the API"),
    PATH_ROW("docs_url_path", "/docs", "Path of the API description for people"),
    PATH_ROW("redoc_url_path", "/redoc", "Path of its other form"),
    PATH_ROW("invoke_url_path", "/invoke", "Path that runs the pipeline"),
    {.name = "stream_invoke_url_path",
     .reader = "serve/config.c",
     .type = KR_SET_STRING,
     .check = kr_check_url_path,
     .help = "Path that runs it and streams events; /stream below invoke_url_path when unset"},
    PATH_ROW("health_url_path", "/health", "Path that says whether a worker is ready"),
    PATH_ROW("info_url_path", "/info", "Path that describes the deployment"),
    PATH_ROW("metrics_url_path", "/metrics", "Path of the metrics"),
    {.name = "dashboard_files_path",
     .reader = "serve/config.c",
     .type = KR_SET_STRING,
     .check = kr_check_relative,
     .help = "Folder below the source root with your own page (index.html)"},
    {.name = "cors",
     .reader = "serve/config.c",
     .type = KR_SET_OBJECT,
     .check = check_cors,
     .dflt = "{\"allow_methods\":[\"GET\",\"POST\",\"OPTIONS\"],\"allow_headers\":[\"*\"],"
             "\"allow_credentials\":false}",
     .help = "Which other sites may call: allow_origins, allow_methods, allow_headers, "
             "allow_credentials. Without allow_origins: all, but on this machine without a key "
             "none"},
    {.name = "secure_headers",
     .reader = "serve/config.c",
     .type = KR_SET_OBJECT,
     .check = check_secure_headers,
     .dflt = "{\"server\":true,\"hsts\":true,\"xfo\":true,\"content\":true,\"csp\":true,"
             "\"referrer\":true,\"cache\":true,\"permissions\":true}",
     .help =
         "Security headers: server, hsts, xfo, content, csp, referrer, cache, permissions; each "
         "true for the usual value, false for none, or the value"},
    INT_ROW("thread_pool_size", 1, 1024, "40", "Threads that run steps in each worker process"),
    SOURCE_ROW("startup_hook", "Function called when a worker starts"),
    KWARGS_ROW("startup_hook_kwargs", "Its arguments"),
    SOURCE_ROW("shutdown_hook", "Function called when a worker ends"),
    KWARGS_ROW("shutdown_hook_kwargs", "Its arguments"),
    {.name = "custom_endpoints",
     .reader = "kourou/runtime.py",
     .type = KR_SET_ANY,
     .check = check_custom_endpoints,
     .help = "Your own endpoints: path, method, handler, native, auth_required, init_kwargs, "
             "extra_kwargs"},
    {.name = "custom_middlewares",
     .reader = "kourou/runtime.py",
     .type = KR_SET_ANY,
     .check = check_custom_middlewares,
     .help = "Your own middleware: middleware, native, order, init_kwargs, extra_kwargs"},
    {.name = "app_extensions",
     .reader = "kourou/runtime.py",
     .type = KR_SET_ANY,
     .check = check_extensions,
     .help = "Extensions of the app: extension, extension_kwargs"},
    {.name = "uvicorn_host",
     .reader = "serve/options.c",
     .type = KR_SET_STRING,
     .dflt = "\"0.0.0.0\"",
     .check = kr_check_not_empty,
     .help = "Address to listen on inside a container"},
    INT_ROW("uvicorn_port", 1, 65535, "8000", "Port to listen on inside a container"),
    INT_ROW("uvicorn_workers", 1, 256, "1", "Worker processes"),
    {.name = "uvicorn_reload",
     .ignored = "code is not read again; see auto_reload of the local deployer",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "For older pipelines"},
    {.name = "log_level",
     .reader = "serve/options.c",
     .type = KR_SET_CHOICE,
     .choices = levels,
     .dflt = "\"INFO\"",
     .help = "Least level that is logged"},
    IGNORED_ROW("uvicorn_kwargs", KR_SET_OBJECT, "{}",
                "the server is Kourou's own and not uvicorn"),
    IGNORED_ROW("deployment_app_runner_flavor", KR_SET_STRING, NULL, "the server is Kourou's own"),
    IGNORED_ROW("deployment_app_runner_kwargs", KR_SET_OBJECT, "{}", "the server is Kourou's own"),
    IGNORED_ROW("deployment_service_class", KR_SET_STRING, NULL, "the server is Kourou's own"),
    IGNORED_ROW("deployment_service_kwargs", KR_SET_OBJECT, "{}", "the server is Kourou's own"),
    INT_ROW("max_body_size", 1024, INT64_MAX, "268435456", "Bytes of a request body at most"),
    INT_ROW("max_queue", 1, 1000000, "1024", "Requests that may wait for a worker"),
    INT_ROW("request_timeout", 1, 86400, "300",
            "Seconds until an invocation is given up, unless the request says less"),
    INT_ROW("startup_timeout", 1, 86400, "300", "Seconds until a worker must be ready"),
    {.name = "isolation",
     .reader = "serve/options.c",
     .type = KR_SET_CHOICE,
     .choices = isolations,
     .dflt = "\"thread\"",
     .help =
         "thread: a worker runs many requests at a time; process: each has a process of its own"},
    INT_ROW("processes", 0, 1024, "0",
            "Processes at most with isolation process; 0: within 2 per processor"),
    INT_ROW("stall_timeout", 1, 86400, "10",
            "Seconds after which a worker is replaced that begins nothing of what it was sent"),
};

const struct kr_settings_table kr_deployment_settings = {
    .key = "deployment",
    .title = "deployment settings",
    KR_ROWS(rows),
};
