/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of every kind of record: the one truth for columns, filters, sorting and output. */
#include "store/sql.h"

#include "core/component.h"

#include <string.h>

#define NAME_OF(table, id) "(SELECT name FROM " table " WHERE id = t." id ")"
#define IN_STACK(type)                                                                             \
    "(SELECT c.name FROM stack_components s JOIN components c ON c.id = s.component_id "           \
    "WHERE s.stack_id = t.id AND s.type = '" type "')"
#define USER_AND_TIMES                                                                             \
    {.name = "user", .kind = KR_FIELD_TEXT}, {.name = "created", .kind = KR_FIELD_TIME},           \
    {                                                                                              \
        .name = "updated", .kind = KR_FIELD_TIME                                                   \
    }
#define RUNTIME                                                                                    \
    {.name = "labels", .kind = KR_FIELD_JSON}, {.name = "env", .kind = KR_FIELD_JSON},             \
    {                                                                                              \
        .name = "secrets", .kind = KR_FIELD_JSON                                                   \
    }

static const struct kr_field secret_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"scope", KR_FIELD_TEXT, "(CASE WHEN t.private THEN 'private' ELSE 'public' END)", false},
    {"private", KR_FIELD_BOOL, NULL, false},
    {"keys", KR_FIELD_JSON,
     "(SELECT json_group_array(key) FROM secret_values WHERE secret_id = t.id)", false},
    USER_AND_TIMES,
};

static const struct kr_field component_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"type", KR_FIELD_TEXT, NULL, false},
    {"flavor", KR_FIELD_TEXT, NULL, false},
    {"config", KR_FIELD_JSON, NULL, false},
    RUNTIME,
    USER_AND_TIMES,
};

static const struct kr_field stack_fields[] = {
    {"active", KR_FIELD_BOOL, "(t.id IS (SELECT value FROM facts WHERE key = 'active_stack'))",
     false},
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"components", KR_FIELD_JSON,
     "(SELECT json_group_object(s.type, json_object('id', c.id, 'name', c.name, 'flavor', "
     "c.flavor)) "
     "FROM stack_components s JOIN components c ON c.id = s.component_id WHERE s.stack_id = t.id)",
     false},
    {"orchestrator", KR_FIELD_TEXT, IN_STACK("orchestrator"), false},
    {"artifact_store", KR_FIELD_TEXT, IN_STACK("artifact_store"), false},
    {"deployer", KR_FIELD_TEXT, IN_STACK("deployer"), false},
    {"container_registry", KR_FIELD_TEXT, IN_STACK("container_registry"), false},
    {"image_builder", KR_FIELD_TEXT, IN_STACK("image_builder"), false},
    RUNTIME,
    USER_AND_TIMES,
};

static const struct kr_field pipeline_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"source", KR_FIELD_TEXT, NULL, false},
    USER_AND_TIMES,
};

static const struct kr_field snapshot_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"description", KR_FIELD_TEXT, NULL, false},
    {"tags", KR_FIELD_JSON, NULL, false},
    {"pipeline_id", KR_FIELD_UUID, NULL, false},
    {"pipeline", KR_FIELD_TEXT, NAME_OF("pipelines", "pipeline_id"), false},
    {"stack_id", KR_FIELD_UUID, NULL, false},
    {"stack", KR_FIELD_TEXT, NAME_OF("stacks", "stack_id"), false},
    {"digest", KR_FIELD_TEXT, NULL, false},
    {"code_digest", KR_FIELD_TEXT, NULL, true},
    {"document", KR_FIELD_JSON, NULL, true},
    {"source_root", KR_FIELD_TEXT, NULL, false},
    {"python", KR_FIELD_TEXT, NULL, false},
    USER_AND_TIMES,
};

static const struct kr_field build_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"snapshot_id", KR_FIELD_UUID, NULL, false},
    {"snapshot", KR_FIELD_TEXT, NAME_OF("snapshots", "snapshot_id"), false},
    {"pipeline", KR_FIELD_TEXT,
     "(SELECT p.name FROM snapshots s JOIN pipelines p ON p.id = s.pipeline_id "
     "WHERE s.id = t.snapshot_id)",
     false},
    {"digest", KR_FIELD_TEXT, NULL, false},
    {"image", KR_FIELD_TEXT, NULL, false},
    {"kind", KR_FIELD_TEXT, NULL, false},
    {"metadata", KR_FIELD_JSON, NULL, true},
    {"user", KR_FIELD_TEXT, NULL, false},
    {"created", KR_FIELD_TIME, NULL, false},
};

static const struct kr_field deployment_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"pipeline", KR_FIELD_TEXT, NULL, false},
    {"snapshot_id", KR_FIELD_UUID, NULL, false},
    {"snapshot", KR_FIELD_TEXT, NAME_OF("snapshots", "snapshot_id"), false},
    {"previous_snapshot_id", KR_FIELD_UUID, NULL, true},
    {"status", KR_FIELD_TEXT, NULL, false},
    {"stack_id", KR_FIELD_UUID, NULL, false},
    {"stack", KR_FIELD_TEXT, NAME_OF("stacks", "stack_id"), false},
    {"deployer_id", KR_FIELD_UUID, NULL, false},
    {"deployer", KR_FIELD_TEXT, NAME_OF("components", "deployer_id"), false},
    {"flavor", KR_FIELD_TEXT, NULL, false},
    {"url", KR_FIELD_TEXT, NULL, false},
    {"page_url", KR_FIELD_TEXT, NULL, false},
    {"auth_key", KR_FIELD_TEXT, NULL, true},
    {"settings", KR_FIELD_JSON, NULL, true},
    {"metadata", KR_FIELD_JSON, NULL, true},
    {"error", KR_FIELD_TEXT, NULL, false},
    USER_AND_TIMES,
};

static const struct kr_field event_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},     {"deployment_id", KR_FIELD_UUID, NULL, false},
    {"at", KR_FIELD_TIME, NULL, false},     {"what", KR_FIELD_TEXT, NULL, false},
    {"detail", KR_FIELD_TEXT, NULL, false},
};

static const struct kr_field run_fields[] = {
    {"id", KR_FIELD_UUID, NULL, false},
    {"name", KR_FIELD_TEXT, NULL, false},
    {"deployment_id", KR_FIELD_UUID, NULL, false},
    {"deployment", KR_FIELD_TEXT, NAME_OF("deployments", "deployment_id"), false},
    {"pipeline", KR_FIELD_TEXT, NULL, false},
    {"status", KR_FIELD_TEXT, NULL, false},
    {"started", KR_FIELD_TIME, NULL, false},
    {"duration", KR_FIELD_REAL, NULL, false},
    {"error", KR_FIELD_TEXT, NULL, false},
};

#define FIELDS(f) f, sizeof(f) / sizeof((f)[0])

static const struct kr_entity_info infos[] = {
    [KR_SECRET] = {"secret", "secrets", "created", FIELDS(secret_fields)},
    [KR_COMPONENT] = {"component", "components", "created", FIELDS(component_fields)},
    [KR_STACK] = {"stack", "stacks", "created", FIELDS(stack_fields)},
    [KR_PIPELINE] = {"pipeline", "pipelines", "created", FIELDS(pipeline_fields)},
    [KR_SNAPSHOT] = {"snapshot", "snapshots", "created", FIELDS(snapshot_fields)},
    [KR_BUILD] = {"build", "builds", "created", FIELDS(build_fields)},
    [KR_DEPLOYMENT] = {"deployment", "deployments", "created", FIELDS(deployment_fields)},
    [KR_EVENT] = {"event", "events", "at", FIELDS(event_fields)},
    [KR_RUN] = {"run", "runs", "started", FIELDS(run_fields)},
};
_Static_assert(sizeof(infos) / sizeof(infos[0]) == KR_ENTITY_COUNT, "every entity has its row");

const struct kr_entity_info *kr_entity_info(enum kr_entity entity)
{
    return &infos[entity];
}

const struct kr_field *kr_entity_fields(enum kr_entity entity, size_t *count)
{
    *count = infos[entity].count;
    return infos[entity].fields;
}

const char *kr_entity_title(enum kr_entity entity)
{
    return infos[entity].title;
}

const char *kr_entity_title_in(enum kr_entity entity, const json_t *scope)
{
    const char *type = entity == KR_COMPONENT ? kr_json_str(scope, "type", NULL) : NULL;
    const struct kr_component_kind *kind = type != NULL ? kr_component_kind_find(type) : NULL;

    return kind != NULL ? kind->title : infos[entity].title;
}

const struct kr_field *kr_entity_field(const struct kr_entity_info *info, const char *name)
{
    for (size_t i = 0; i < info->count; i++) {
        if (strcmp(info->fields[i].name, name) == 0)
            return &info->fields[i];
    }
    return NULL;
}

void kr_field_sql(const struct kr_field *field, struct kr_buf *sql)
{
    if (field->expr != NULL)
        kr_buf_adds(sql, field->expr);
    else
        kr_buf_addf(sql, "t.%s", field->name);
}
