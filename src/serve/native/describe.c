/* SPDX-License-Identifier: Apache-2.0 */
/* kourou-native --describe: the parts of a snapshot that come from the library. */
#include "serve/native/native.h"

#include "serve/value.h"

#include <math.h>
#include <string.h>

static void text(struct kr_buf *out, const char *s)
{
    kr_write_text(out, s, strlen(s));
}

static void bound(struct kr_buf *out, const char *key, double value)
{
    kr_buf_addf(out, ",\"%s\":", key);
    if (value == floor(value) && fabs(value) < 1e15)
        kr_write_integer(out, (int64_t)value);
    else
        kr_write_number(out, value);
}

static void range(const struct kr_field *f, struct kr_buf *out)
{
    if (!(f->minimum < f->maximum))
        return;
    bound(out, "minimum", f->minimum);
    bound(out, "maximum", f->maximum);
}

static void field(const struct kr_field *f, bool input, struct kr_buf *out)
{
    static const char *const types[] = {"string", "integer", "number", "boolean", "array"};

    kr_buf_addc(out, '{');
    if (f->type != KR_TYPE_JSON)
        kr_buf_addf(out, "\"type\":\"%s\",", types[f->type]);
    kr_buf_adds(out, "\"title\":");
    text(out, f->name);
    if (f->description != NULL) {
        kr_buf_adds(out, ",\"description\":");
        text(out, f->description);
    }
    if (f->type == KR_TYPE_INTEGER || f->type == KR_TYPE_NUMBER)
        range(f, out);
    if (f->type == KR_TYPE_STRING && f->most != 0)
        kr_buf_addf(out, ",\"minLength\":%zu,\"maxLength\":%zu", f->least, f->most);
    if (f->type == KR_TYPE_NUMBERS) {
        kr_buf_adds(out, ",\"items\":{\"type\":\"number\"");
        range(f, out);
        kr_buf_addc(out, '}');
        if (f->most != 0)
            kr_buf_addf(out, ",\"minItems\":%zu,\"maxItems\":%zu", f->least, f->most);
    }
    if (input && f->dflt != NULL)
        kr_buf_addf(out, ",\"default\":%s", f->dflt);
    kr_buf_addc(out, '}');
}

void kr_native_schema(const struct kr_field *fields, bool input, struct kr_buf *out)
{
    size_t required = 0;

    kr_buf_adds(out, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; fields[i].name != NULL; i++) {
        if (i > 0)
            kr_buf_addc(out, ',');
        text(out, fields[i].name);
        kr_buf_addc(out, ':');
        field(&fields[i], input, out);
    }
    kr_buf_adds(out, "},\"required\":[");
    for (size_t i = 0; fields[i].name != NULL; i++) {
        if (input && fields[i].dflt != NULL)
            continue;
        if (required++ > 0)
            kr_buf_addc(out, ',');
        text(out, fields[i].name);
    }
    kr_buf_adds(out, "],\"additionalProperties\":false}");
}

static void defaults(const struct kr_field *fields, struct kr_buf *out)
{
    size_t n = 0;

    kr_buf_addc(out, '{');
    for (size_t i = 0; fields[i].name != NULL; i++) {
        if (fields[i].dflt == NULL)
            continue;
        if (n++ > 0)
            kr_buf_addc(out, ',');
        text(out, fields[i].name);
        kr_buf_addf(out, ":%s", fields[i].dflt);
    }
    kr_buf_addc(out, '}');
}

static void steps(const struct kr_native *native, const char *source, struct kr_buf *out)
{
    const struct kr_step *list = native->pipeline->steps;

    kr_buf_adds(out, "\"steps\":[");
    for (size_t i = 0; i < native->steps; i++) {
        kr_buf_addf(out, "%s{\"name\":", i > 0 ? "," : "");
        text(out, list[i].name);
        kr_buf_adds(out, ",\"source\":");
        text(out, source);
        kr_buf_addf(out, ",\"inputs\":{},\"outputs\":[],\"streams\":%s}",
                    native->pipeline->streams ? "true" : "false");
    }
    kr_buf_adds(out, "],\"edges\":[");
    for (size_t i = 1; i < native->steps; i++) {
        kr_buf_adds(out, i > 1 ? ",[" : "[");
        text(out, list[i - 1].name);
        kr_buf_addc(out, ',');
        text(out, list[i].name);
        kr_buf_addc(out, ']');
    }
    kr_buf_addc(out, ']');
}

void kr_native_describe(const struct kr_native *native, const char *source, struct kr_buf *out)
{
    const struct kr_pipeline *pipeline = native->pipeline;

    kr_buf_adds(out, "{\"format\":1,\"pipeline\":{\"kind\":\"native\",\"name\":");
    text(out, pipeline->name);
    kr_buf_adds(out, ",\"source\":");
    text(out, source);
    kr_buf_adds(out, ",\"description\":");
    text(out, pipeline->description != NULL ? pipeline->description : "");
    kr_buf_adds(out, "},\"parameters\":");
    defaults(pipeline->inputs, out);
    kr_buf_addc(out, ',');
    steps(native, source, out);
    kr_buf_adds(out, ",\"input_schema\":");
    kr_native_schema(pipeline->inputs, true, out);
    kr_buf_adds(out, ",\"output_schema\":");
    kr_native_schema(pipeline->outputs, false, out);
    kr_buf_addf(out, ",\"streams\":%s}", pipeline->streams ? "true" : "false");
}
