/* SPDX-License-Identifier: Apache-2.0 */
/* The table `deployment`: the HTTP service of a deployed pipeline. */
#include "core/table.h"

#include "base/alloc.h"
#include "base/serving.h"

#include <string.h>
#include <strings.h>

/* The bit of a word is that of its place: so older pipelines write them. */
static const char *const endpoint_words[] = {
    "docs", "redoc", "invoke", "health", "info", "metrics", "dashboard", "stream_invoke", NULL,
};
enum { DOC_BITS = 3, API_BITS = 4 | 8 | 16 | 32 | 128, ALL_ENDPOINTS = 255 };

static const char *const middleware_words[] = {"cors", "secure_headers", NULL};
enum { ALL_MIDDLEWARE = 3 };

/* Bits of one word ("docs", "ALL", "none"), or -1. */
static int bits_of_word(const char *const *words, const char *word, size_t n)
{
    if (n == 3 && strncasecmp(word, "all", n) == 0)
        return words == endpoint_words ? ALL_ENDPOINTS : ALL_MIDDLEWARE;
    if (n == 4 && strncasecmp(word, "none", n) == 0)
        return 0;
    if (words == endpoint_words && n == 3 && strncasecmp(word, "doc", n) == 0)
        return DOC_BITS;
    if (words == endpoint_words && n == 3 && strncasecmp(word, "api", n) == 0)
        return API_BITS;
    for (int i = 0; words[i] != NULL; i++) {
        if (strlen(words[i]) == n && strncasecmp(words[i], word, n) == 0)
            return 1 << i;
    }
    return -1;
}

/* Bits of "docs|invoke", or -1. */
static int bits_of_text(const char *const *words, const char *text)
{
    int all = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, "|, ");
        int more = n > 0 ? bits_of_word(words, text, n) : 0;

        if (more < 0)
            return -1;
        all |= more;
        text += n;
        text += strspn(text, "|, ");
    }
    return all;
}

static int bits_of(const char *const *words, const json_t *value)
{
    int all = 0;
    size_t i;
    const json_t *item;

    if (json_is_integer(value))
        return json_integer_value(value) >= 0 && json_integer_value(value) <= ALL_ENDPOINTS
                   ? (int)json_integer_value(value)
                   : -1;
    if (json_is_string(value))
        return bits_of_text(words, json_string_value(value));
    if (!json_is_array(value))
        return -1;
    json_array_foreach(value, i, item)
    {
        int more = json_is_string(item) ? bits_of_text(words, json_string_value(item)) : -1;

        if (more < 0)
            return -1;
        all |= more;
    }
    return all;
}

static int check_bits(const char *const *words, const json_t *value, struct kr_err *err)
{
    char names[200] = "";
    size_t used = 0;

    if (bits_of(words, value) >= 0)
        return 0;
    for (size_t i = 0; words[i] != NULL; i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, ", %s", words[i]);
    return kr_fail(err, KR_E_INVALID, "expected a list of: all, none%s", names);
}

static json_t *names_of_bits(const char *const *words, const json_t *value)
{
    json_t *list = json_array();
    int all = bits_of(words, value);

    for (size_t i = 0; words[i] != NULL; i++) {
        if (((unsigned)all & 1u << i) != 0)
            (void)json_array_append_new(list, json_string(words[i]));
    }
    return list;
}

static int check_endpoints(const json_t *value, struct kr_err *err)
{
    return check_bits(endpoint_words, value, err);
}

static json_t *normal_endpoints(const json_t *value)
{
    return names_of_bits(endpoint_words, value);
}

static int check_middleware(const json_t *value, struct kr_err *err)
{
    return check_bits(middleware_words, value, err);
}

static json_t *normal_middleware(const json_t *value)
{
    return names_of_bits(middleware_words, value);
}

static int check_headers(const json_t *value, struct kr_err *err);
static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};

#define CORS_LIST(row, value, words)                                                               \
    .name = row, .reader = "serve/config.c", .type = KR_SET_LIST, .dflt = value, .help = words

static const struct kr_setting cors_rows[] = {
    {CORS_LIST("allow_origins", "[\"*\"]", "Sites whose pages may call"), .given_only = true},
    {CORS_LIST("allow_methods", "[\"GET\",\"POST\",\"OPTIONS\"]", "Methods they may use")},
    {CORS_LIST("allow_headers", "[\"*\"]", "Headers they may send")},
    {.name = "allow_credentials",
     .reader = "serve/config.c",
     .type = KR_SET_BOOL,
     .dflt = "false",
     .help = "They may send cookies and logins"},
};
static const struct kr_settings_table cors_table = {
    .key = "cors", .title = "the map", KR_ROWS(cors_rows)};

#define HEADER_ROW(row, words)                                                                     \
    {                                                                                              \
        .name = row, .reader = "serve/config.c", .type = KR_SET_ANY, .forms = "boolean string",    \
        .dflt = "true", .check = check_headers, .help = words                                      \
    }

static const struct kr_setting header_rows[] = {
    HEADER_ROW("server", "server"),
    HEADER_ROW("hsts", "strict-transport-security"),
    HEADER_ROW("xfo", "x-frame-options"),
    HEADER_ROW("content", "x-content-type-options"),
    HEADER_ROW("csp", "content-security-policy"),
    HEADER_ROW("referrer", "referrer-policy"),
    HEADER_ROW("cache", "cache-control"),
    HEADER_ROW("permissions", "permissions-policy"),
};
static const struct kr_settings_table header_table = {
    .key = "secure_headers", .title = "the map", KR_ROWS(header_rows)};

/* Rows of the maps that bring code of one's own into the workers. */
#define OWN_SOURCE(row, words)                                                                     \
    {                                                                                              \
        .name = row, .reader = "kourou/asgi.py", .type = KR_SET_STRING, .forms = "source",         \
        .check = kr_check_source, .required = true, .help = words                                  \
    }
#define OWN_KWARGS(row, words)                                                                     \
    {                                                                                              \
        .name = row, .reader = "kourou/asgi.py", .type = KR_SET_OBJECT, .dflt = "{}",              \
        .help = words                                                                              \
    }
#define OWN_NATIVE                                                                                 \
    {                                                                                              \
        .name = "native", .ignored = "it always runs in the workers", .type = KR_SET_BOOL,         \
        .dflt = "false", .help = "For older pipelines"                                             \
    }

static const struct kr_setting endpoint_rows[] = {
    {.name = "path",
     .reader = "kourou/asgi.py",
     .type = KR_SET_STRING,
     .check = kr_check_url_path,
     .required = true,
     .help = "Path that it answers"},
    {.name = "method",
     .reader = "kourou/asgi.py",
     .type = KR_SET_CHOICE,
     .choices = methods,
     .required = true,
     .help = "Method that it answers"},
    OWN_SOURCE("handler",
               "A function, a class, or the dotted name of one: a plain function with typed "
               "parameters, one that takes a `request`, or an ASGI application, which is mounted "
               "at the path"),
    OWN_NATIVE,
    {.name = "auth_required",
     .reader = "kourou/asgi.py",
     .type = KR_SET_BOOL,
     .dflt = "true",
     .help = "Whether the deployment's key has to be given"},
    OWN_KWARGS("init_kwargs",
               "With these the class is created, or the function that takes `app_runner` called, "
               "to get the handler"),
    OWN_KWARGS("extra_kwargs", "Further arguments for including a router of FastAPI"),
};
static const struct kr_settings_table endpoint_table = {
    .key = "endpoint", .title = "the endpoint", KR_ROWS(endpoint_rows)};

static const struct kr_setting middleware_rows[] = {
    OWN_SOURCE("middleware",
               "An ASGI class (app, **init_kwargs), or a function (app, scope, receive, send)"),
    OWN_NATIVE,
    {.name = "order",
     .reader = "kourou/asgi.py",
     .type = KR_SET_INT,
     .dflt = "0",
     .help = "Those with a lower number are further outside"},
    OWN_KWARGS("init_kwargs", "Arguments of the class"),
    OWN_KWARGS("extra_kwargs", "Further arguments of the class"),
};
static const struct kr_settings_table middleware_table = {
    .key = "middleware", .title = "the middleware", KR_ROWS(middleware_rows)};

static const struct kr_setting extension_rows[] = {
    OWN_SOURCE("extension",
               "A function, or a class with `install`, that is called with `app_runner` when a "
               "worker starts"),
    OWN_KWARGS("extension_kwargs", "Its arguments"),
};
static const struct kr_settings_table extension_table = {
    .key = "extension", .title = "the extension", KR_ROWS(extension_rows)};

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

static int check_cors(const json_t *value, struct kr_err *err)
{
    return kr_check_inner(&cors_table, value, "cors", err);
}

static int check_secure_headers(const json_t *value, struct kr_err *err)
{
    return kr_check_inner(&header_table, value, "secure_headers", err);
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
        if (kr_check_inner(table, item, where, err) < 0)
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
        .name = row, .reader = "kourou/runtime.py", .type = KR_SET_STRING, .forms = "source",      \
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
     .choices = endpoint_words,
     .forms = "words",
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
     .choices = middleware_words,
     .forms = "words",
     .dflt = "[\"cors\",\"secure_headers\"]",
     .help = "Parts that touch every answer: all, none, or a list of cors, secure_headers"},
    PATH_ROW("root_url_path", "", "Path that a proxy in front takes away"),
    PATH_ROW("api_url_path", "", "Path before those of the API"),
    PATH_ROW("docs_url_path", KR_DFLT_DOCS_PATH, "Path of the API description for people"),
    PATH_ROW("redoc_url_path", KR_DFLT_REDOC_PATH, "Path of its other form"),
    PATH_ROW("invoke_url_path", KR_DFLT_INVOKE_PATH, "Path that runs the pipeline"),
    {.name = "stream_invoke_url_path",
     .reader = "serve/config.c",
     .type = KR_SET_STRING,
     .check = kr_check_url_path,
     .help = "Path that runs it and streams events; /stream below invoke_url_path when unset"},
    PATH_ROW("health_url_path", KR_DFLT_HEALTH_PATH, "Path that says whether a worker is ready"),
    PATH_ROW("info_url_path", KR_DFLT_INFO_PATH, "Path that describes the deployment"),
    PATH_ROW("metrics_url_path", KR_DFLT_METRICS_PATH, "Path of the metrics"),
    {.name = "dashboard_files_path",
     .reader = "serve/config.c",
     .type = KR_SET_STRING,
     .check = kr_check_relative,
     .help = "Folder below the source root with your own page (index.html)"},
    {.name = "cors",
     .reader = "serve/config.c",
     .type = KR_SET_OBJECT,
     .check = check_cors,
     .inner = &cors_table,
     .filled = true,
     .help = "Which other sites may call: allow_origins, allow_methods, allow_headers, "
             "allow_credentials. Without allow_origins: all, but on this machine without a key "
             "none"},
    {.name = "secure_headers",
     .reader = "serve/config.c",
     .type = KR_SET_OBJECT,
     .check = check_secure_headers,
     .inner = &header_table,
     .filled = true,
     .help =
         "Security headers: server, hsts, xfo, content, csp, referrer, cache, permissions; each "
         "true for the usual value, false for none, or the value"},
    INT_ROW("thread_pool_size", 1, 1024, KR_DFLT_THREADS,
            "Threads that run steps in each worker process"),
    SOURCE_ROW("startup_hook", "Function called when a worker starts"),
    KWARGS_ROW("startup_hook_kwargs", "Its arguments"),
    SOURCE_ROW("shutdown_hook", "Function called when a worker ends"),
    KWARGS_ROW("shutdown_hook_kwargs", "Its arguments"),
    {.name = "custom_endpoints",
     .reader = "kourou/runtime.py",
     .type = KR_SET_ANY,
     .check = check_custom_endpoints,
     .inner = &endpoint_table,
     .forms = "maps",
     .help = "Your own endpoints: path, method, handler, native, auth_required, init_kwargs, "
             "extra_kwargs"},
    {.name = "custom_middlewares",
     .reader = "kourou/runtime.py",
     .type = KR_SET_ANY,
     .check = check_custom_middlewares,
     .inner = &middleware_table,
     .forms = "maps",
     .help = "Your own middleware: middleware, native, order, init_kwargs, extra_kwargs"},
    {.name = "app_extensions",
     .reader = "kourou/runtime.py",
     .type = KR_SET_ANY,
     .check = check_extensions,
     .inner = &extension_table,
     .forms = "maps",
     .help = "Extensions of the app: extension, extension_kwargs"},
    {.name = "uvicorn_host",
     .reader = "serve/options.c",
     .type = KR_SET_STRING,
     .dflt = "\"0.0.0.0\"",
     .check = kr_check_not_empty,
     .help = "Address to listen on inside a container"},
    INT_ROW("uvicorn_port", 1, 65535, KR_DFLT_PORT, "Port to listen on inside a container"),
    INT_ROW("uvicorn_workers", 1, 256, KR_DFLT_WORKERS, "Worker processes"),
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
    {.name = "deployment_app_runner_flavor",
     .ignored = "the server is Kourou's own",
     .type = KR_SET_ANY,
     .forms = "any",
     .help = "For older pipelines"},
    IGNORED_ROW("deployment_app_runner_kwargs", KR_SET_OBJECT, "{}", "the server is Kourou's own"),
    {.name = "deployment_service_class",
     .ignored = "the server is Kourou's own",
     .type = KR_SET_ANY,
     .forms = "any",
     .help = "For older pipelines"},
    IGNORED_ROW("deployment_service_kwargs", KR_SET_OBJECT, "{}", "the server is Kourou's own"),
    INT_ROW("max_body_size", 1024, INT64_MAX, "268435456", "Bytes of a request body at most"),
    INT_ROW("max_queue", 1, 1000000, KR_DFLT_QUEUE, "Requests that may wait for a worker"),
    INT_ROW("request_timeout", 1, 86400, KR_DFLT_REQUEST_TIMEOUT,
            "Seconds until an invocation is given up, unless the request says less"),
    INT_ROW("startup_timeout", 1, 86400, KR_DFLT_STARTUP_TIMEOUT,
            "Seconds until a worker must be ready"),
    {.name = "isolation",
     .reader = "serve/options.c",
     .type = KR_SET_CHOICE,
     .choices = isolations,
     .dflt = "\"" KR_DFLT_ISOLATION "\"",
     .help =
         "thread: a worker runs many requests at a time; process: each has a process of its own"},
    INT_ROW("processes", 0, 1024, KR_DFLT_PROCESSES,
            "Processes at most with isolation process; 0: within 2 per processor"),
    INT_ROW("stall_timeout", 1, 86400, KR_DFLT_STALL_TIMEOUT,
            "Seconds after which a worker is replaced that begins nothing of what it was sent"),
};

const struct kr_settings_table kr_deployment_settings = {
    .key = "deployment",
    .title = "deployment settings",
    KR_ROWS(rows),
};
