/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the pipeline in its shared library. */
#include "serve/native/native.h"

#include "base/alloc.h"
#include "base/path.h"
#include "serve/value.h"

#include <dlfcn.h>
#include <string.h>

static size_t count_fields(const struct kr_field *fields)
{
    size_t n = 0;

    while (fields[n].name != NULL)
        n++;
    return n;
}

static bool default_is_json(const struct kr_field *field)
{
    struct kr_reader r;
    struct kr_view span;

    if (field->dflt == NULL)
        return true;
    kr_reader_init(&r, kr_view_of(field->dflt));
    return kr_value_take(&r, &span) != KR_V_BAD && kr_at_end(&r);
}

static int check(struct kr_native *native, const char *source, struct kr_err *err)
{
    const struct kr_pipeline *p = native->pipeline;

    if (p->abi != KR_PIPELINE_ABI)
        return kr_fail(err, KR_E_INVALID,
                       "%s was made for version %u of kourou/pipeline.h, this is %d", source,
                       p->abi, KR_PIPELINE_ABI);
    if (p->name == NULL || p->inputs == NULL || p->outputs == NULL || p->steps == NULL ||
        p->steps[0].name == NULL)
        return kr_fail(err, KR_E_INVALID,
                       "%s: name, inputs, outputs and at least one step are needed", source);
    native->inputs = count_fields(p->inputs);
    native->outputs = count_fields(p->outputs);
    while (p->steps[native->steps].name != NULL)
        native->steps++;
    if (native->inputs > KR_NATIVE_FIELDS_MAX || native->outputs > KR_NATIVE_FIELDS_MAX)
        return kr_fail(err, KR_E_LIMIT, "%s: at most %d inputs and outputs", source,
                       KR_NATIVE_FIELDS_MAX);
    for (size_t i = 0; i < native->inputs; i++) {
        if (!default_is_json(&p->inputs[i]))
            return kr_fail(err, KR_E_INVALID, "%s: default of %s is not JSON: %s", source,
                           p->inputs[i].name, p->inputs[i].dflt);
    }
    return 0;
}

int kr_native_load(struct kr_native *native, const char *root, const char *source,
                   struct kr_err *err)
{
    const char *colon = strrchr(source, ':');
    kr_auto_free char *file =
        colon != NULL ? kr_strndup(source, (size_t)(colon - source)) : kr_strdup(source);
    kr_auto_free char *path = kr_path_join(root, file);
    const char *symbol = colon != NULL ? colon + 1 : "kourou_pipeline";

    native->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (native->library == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "%s", dlerror());
    native->pipeline = dlsym(native->library, symbol);
    if (native->pipeline == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "%s exports no pipeline named %s", file, symbol);
    return check(native, source, err);
}

void kr_native_unload(struct kr_native *native)
{
    kr_buf_finish(&native->meta);
    if (native->library != NULL)
        (void)dlclose(native->library);
}
