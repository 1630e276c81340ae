/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3.1 document, made from the snapshot's schemas and the routes there are. */
#include "serve/handlers.h"

#include "base/alloc.h"
#include "serve/openapi.h"
#include "serve/routes.h"
#include "serve/server.h"

#include <string.h>

#define JSON_TYPE "application/json"

/* -- schemas ----------------------------------------------------------------------------------- */

static json_t *parse(const char *text)
{
    struct kr_err err = KR_ERR_INIT;
    json_t *value = NULL;

    if (kr_json_parse(text, strlen(text), "built-in schema", &value, &err) < 0)
        return json_object();
    return value;
}

static json_t *ref_to(const char *schema)
{
    kr_auto_free char *path = kr_asprintf("#/components/schemas/%s", schema);

    return json_pack("{s:s}", "$ref", path);
}

/* "#/$defs/X" becomes "#/components/schemas/<prefix>X" everywhere below value. */
static void move_refs(json_t *value, const char *prefix)
{
    static const char local[] = "#/$defs/";
    const char *key;
    json_t *child;
    size_t i;

    json_array_foreach(value, i, child) move_refs(child, prefix);
    json_object_foreach(value, key, child)
    {
        const char *text = json_string_value(child);

        if (text != NULL && strcmp(key, "$ref") == 0 && kr_starts_with(text, local)) {
            kr_auto_free char *moved =
                kr_asprintf("#/components/schemas/%s%s", prefix, text + sizeof(local) - 1);

            kr_json_set_str(value, "$ref", moved);
        } else {
            move_refs(child, prefix);
        }
    }
    if (json_is_object(value)) { /* discriminators name their schemas as plain text */
        json_t *mapping = kr_json_at(value, "discriminator", "mapping", NULL);

        json_object_foreach(mapping, key, child)
        {
            const char *text = json_string_value(child);

            if (text != NULL && kr_starts_with(text, local)) {
                kr_auto_free char *moved =
                    kr_asprintf("#/components/schemas/%s%s", prefix, text + sizeof(local) - 1);

                kr_json_set_str(mapping, key, moved);
            }
        }
    }
}

/* Adds a schema of the snapshot and its definitions under names of their own. */
static void add_schema(json_t *schemas, const char *name, const char *prefix, const json_t *schema)
{
    json_t *copy = json_is_object(schema) ? json_deep_copy(schema) : json_object();
    json_t *defs = json_object_get(copy, "$defs"), *def;
    const char *key;

    json_object_foreach(defs, key, def)
    {
        kr_auto_free char *moved = kr_asprintf("%s%s", prefix, key);
        json_t *one = json_deep_copy(def);

        move_refs(one, prefix);
        kr_json_set(schemas, moved, one);
    }
    json_object_del(copy, "$defs");
    json_object_del(copy, "$schema");
    move_refs(copy, prefix);
    kr_json_set(schemas, name, copy);
}

static json_t *all_schemas(const struct kr_server *srv)
{
    json_t *schemas = parse(kr_openapi_schemas);
    const json_t *snapshot = srv->cfg.snapshot;

    add_schema(schemas, "PipelineInput", "Input.", json_object_get(snapshot, "input_schema"));
    add_schema(schemas, "PipelineOutput", "Output.", json_object_get(snapshot, "output_schema"));
    return schemas;
}

/* -- operations -------------------------------------------------------------------------------- */

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

static void add_response(json_t *responses, int status, const char *text, json_t *types)
{
    char code[8];
    json_t *response = json_pack("{s:s}", "description", text);

    (void)snprintf(code, sizeof(code), "%d", status);
    if (types != NULL)
        kr_json_set(response, "content", types);
    kr_json_set(response, "headers",
                json_pack("{s:{s:s,s:{s:s}}}", "x-request-id", "description",
                          "Id of the request; the same as the run's for invocations that gave none",
                          "schema", "type", "string"));
    kr_json_set(responses, code, response);
}

static void add_errors(json_t *responses, const int *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *schema = codes[i] == 502 || codes[i] == 503 || codes[i] == 504 ? "RunFailure"
                             : codes[i] == 422 ? "ValidationFailure"
                                               : "Failure";

        add_response(responses, codes[i], kr_reason_of(codes[i]),
                     content(JSON_TYPE, ref_to(schema)));
    }
}

static json_t *operation(const char *id, const char *summary, const char *tag)
{
    return json_pack("{s:s,s:s,s:[s],s:{}}", "operationId", id, "summary", summary, "tags", tag,
                     "responses");
}

static json_t *security(void)
{
    return parse("[{\"bearer\":[]},{\"apiKey\":[]}]");
}

static void protect(const struct kr_server *srv, json_t *op)
{
    static const int code[] = {401};

    if (srv->opt.auth_key == NULL)
        return;
    kr_json_set(op, "security", security());
    add_errors(json_object_get(op, "responses"), code, 1);
}

static void add_operation(json_t *paths, const char *path, const char *method, json_t *op)
{
    json_t *item = json_object_get(paths, path);

    if (item == NULL) {
        item = json_object();
        kr_json_set(paths, path, item);
    }
    kr_json_set(item, method, op);
}

static void add_invoke(const struct kr_server *srv, json_t *paths)
{
    static const int errors[] = {400, 408, 413, 415, 422, 431, 502, 503, 504};
    json_t *op = operation("invoke", "Run the pipeline once", "invoke"), *responses;

    responses = json_object_get(op, "responses");
    kr_json_set(op, "requestBody",
                json_pack("{s:b,s:o}", "required", 1, "content",
                          content(JSON_TYPE, ref_to("InvokeRequest"))));
    add_response(responses, 200, "The pipeline has run",
                 content(JSON_TYPE, ref_to("InvokeResponse")));
    add_errors(responses, errors, KR_ARRAY_LEN(errors));
    add_response(responses, 500, "The pipeline failed",
                 content(JSON_TYPE, json_pack("{s:[o,o]}", "anyOf", ref_to("InvokeResponse"),
                                              ref_to("Failure"))));
    protect(srv, op);
    add_operation(paths, srv->cfg.invoke_path, "post", op);
}

static void add_batch(const struct kr_server *srv, json_t *paths)
{
    static const int errors[] = {400, 408, 413, 415, 422, 431, 500, 502, 503, 504};
    json_t *op = operation("invoke_batch", "Run the pipeline for each item of a list", "invoke"),
           *responses;

    responses = json_object_get(op, "responses");
    kr_json_set(op, "requestBody",
                json_pack("{s:b,s:o}", "required", 1, "content",
                          content(JSON_TYPE, ref_to("BatchRequest"))));
    add_response(responses, 200, "One result per item, in order, each with its own success",
                 content(JSON_TYPE, ref_to("BatchResponse")));
    add_errors(responses, errors, KR_ARRAY_LEN(errors));
    protect(srv, op);
    add_operation(paths, srv->cfg.batch_path, "post", op);
}

static void add_stream(const struct kr_server *srv, json_t *paths)
{
    static const int errors[] = {400, 408, 413, 415, 422, 431, 500, 502, 503, 504};
    json_t *op =
        operation("invoke_stream", "Run the pipeline and receive events while it runs", "invoke");
    json_t *responses = json_object_get(op, "responses");

    kr_json_set(op, "requestBody",
                json_pack("{s:b,s:o}", "required", 1, "content",
                          content(JSON_TYPE, ref_to("InvokeRequest"))));
    add_response(responses, 200, "Events run_started, user_message and run_finished",
                 content("text/event-stream", json_pack("{s:s}", "type", "string")));
    add_errors(responses, errors, KR_ARRAY_LEN(errors));
    protect(srv, op);
    add_operation(paths, srv->cfg.stream_path, "post", op);
}

static void add_simple(json_t *paths, const char *path, const char *id, const char *summary,
                       const char *type, json_t *schema)
{
    static const int errors[] = {400};
    json_t *op = operation(id, summary, "service"), *responses = json_object_get(op, "responses");

    add_response(responses, 200, "OK", content(type, schema));
    add_errors(responses, errors, 1);
    add_operation(paths, path, "get", op);
}

static void add_health(const struct kr_server *srv, json_t *paths)
{
    add_simple(paths, srv->cfg.health_path, "health", "Whether the pipeline can be invoked",
               JSON_TYPE, ref_to("Health"));
    add_response(kr_json_at(paths, srv->cfg.health_path, "get", "responses", NULL), 503,
                 "No worker is ready", content(JSON_TYPE, ref_to("Health")));
}

static void add_metrics(const struct kr_server *srv, json_t *paths)
{
    json_t *types;

    add_simple(paths, srv->cfg.metrics_path, "metrics", "Counters, Prometheus text by default",
               "text/plain", json_pack("{s:s}", "type", "string"));
    types = kr_json_at(paths, srv->cfg.metrics_path, "get", "responses", "200", "content", NULL);
    kr_json_set(types, JSON_TYPE, json_pack("{s:o}", "schema", ref_to("Metrics")));
}

static void add_runs(const struct kr_server *srv, json_t *paths)
{
    static const int errors[] = {404, 422};
    json_t *op;

    add_simple(paths, srv->cfg.runs_path, "runs", "Past runs, newest first", JSON_TYPE,
               ref_to("RunPage"));
    op = kr_json_at(paths, srv->cfg.runs_path, "get", NULL);
    kr_json_set(op, "parameters", parse(kr_openapi_run_parameters));
    add_errors(json_object_get(op, "responses"), errors, 2);
    protect(srv, op);
}

/* -- custom endpoints -------------------------------------------------------------------------- */

static json_t *path_parameters(const char *path)
{
    json_t *list = json_array();

    for (const char *open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        const char *close = strchr(open, '}'), *colon = strchr(open, ':');
        size_t n = close == NULL
                       ? 0
                       : (size_t)((colon != NULL && colon < close ? colon : close) - open) - 1;

        if (n > 0)
            json_array_append_new(
                list, json_pack("{s:s%,s:s,s:b,s:{s:s}}", "name", open + 1, n, "in", "path",
                                "required", 1, "schema", "type", "string"));
    }
    return list;
}

static void add_custom(const struct kr_server *srv, json_t *paths, const struct kr_route *route)
{
    static const struct {
        unsigned bit;
        const char *name;
    } methods[] = {{KR_M_GET, "get"},
                   {KR_M_POST, "post"},
                   {KR_M_PUT, "put"},
                   {KR_M_PATCH, "patch"},
                   {KR_M_DELETE, "delete"}};
    static const int errors[] = {400, 408, 413, 431, 502, 503, 504};

    for (size_t i = 0; i < KR_ARRAY_LEN(methods); i++) {
        kr_auto_free char *id = kr_asprintf("custom_%s_%s", methods[i].name, route->path);
        json_t *op, *responses, *parameters;

        if ((route->methods & methods[i].bit) == 0)
            continue;
        op = operation(id, "Custom endpoint", "custom");
        responses = json_object_get(op, "responses");
        kr_json_set(responses, "default",
                    json_pack("{s:s}", "description", "Answer of the endpoint"));
        add_errors(responses, errors, KR_ARRAY_LEN(errors));
        parameters = path_parameters(route->path);
        kr_json_set(op, "parameters", parameters);
        if (route->auth)
            protect(srv, op);
        add_operation(paths, route->path, methods[i].name, op);
    }
}

/* -- the document ------------------------------------------------------------------------------ */

static json_t *all_paths(const struct kr_server *srv)
{
    json_t *paths = json_object();

    for (const struct kr_route *r = srv->front.routes; r != NULL; r = r->next) {
        if (r->handler == kr_handle_custom)
            add_custom(srv, paths, r);
        else if (r->methods == 0)
            continue;
        else if (r->handler == kr_handle_invoke && kr_endpoint_of(r)->kind == KR_K_INVOKE)
            add_invoke(srv, paths);
        else if (r->handler == kr_handle_invoke && kr_endpoint_of(r)->kind == KR_K_BATCH)
            add_batch(srv, paths);
        else if (r->handler == kr_handle_invoke)
            add_stream(srv, paths);
        else if (r->handler == kr_handle_health)
            add_health(srv, paths);
        else if (r->handler == kr_handle_info)
            add_simple(paths, r->path, "info", "The deployment and its schemas", JSON_TYPE,
                       ref_to("Info"));
        else if (r->handler == kr_handle_metrics)
            add_metrics(srv, paths);
        else if (r->handler == kr_handle_runs)
            add_runs(srv, paths);
    }
    return paths;
}

static void build(struct kr_server *srv)
{
    kr_auto_json json_t *doc = NULL;
    json_t *components = json_object();

    kr_json_set(components, "schemas", all_schemas(srv));
    if (srv->opt.auth_key != NULL)
        kr_json_set(components, "securitySchemes", parse(kr_openapi_security));
    doc = json_pack("{s:s,s:{s:s,s:s,s:s},s:o,s:o}", "openapi", "3.1.0", "info", "title",
                    srv->cfg.title, "description", srv->cfg.description, "version",
                    srv->cfg.version, "paths", all_paths(srv), "components", components);
    srv->openapi = kr_json_canonical(doc);
    srv->openapi_n = strlen(srv->openapi);
}

/* It takes about a millisecond, which a start does not have to spare. */
void kr_openapi_forget(struct kr_server *srv)
{
    free(srv->openapi);
    srv->openapi = NULL;
}

void kr_handle_openapi(struct kr_conn *conn)
{
    if (kr_server_of(conn)->openapi == NULL)
        build(kr_server_of(conn));
    kr_conn_reply_text(conn, 200, JSON_TYPE, kr_server_of(conn)->openapi,
                       kr_server_of(conn)->openapi_n);
}
