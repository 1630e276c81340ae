/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark's two steps in C. */
#include <kourou/pipeline.h>

#include <ctype.h>
#include <stdio.h>

static const struct kr_field inputs[] = {
    {.name = "name", .type = KR_TYPE_STRING, .dflt = "\"you\"", .least = 0, .most = 1000},
    {.name = "age", .type = KR_TYPE_INTEGER, .dflt = "1"},
    {.name = NULL},
};

static const struct kr_field outputs[] = {{.name = "greeting", .type = KR_TYPE_STRING},
                                          {.name = NULL}};

struct cleaned {
    size_t n;
    char text[4001];
};

static int clean(struct kr_run *run)
{
    struct kr_text name = kr_text(run, 0);
    struct cleaned *c = kr_run_alloc(run, sizeof(*c));
    bool begin = true;

    c->n = 0;
    while (name.n > 0 && name.p[0] == ' ') {
        name.p++;
        name.n--;
    }
    for (size_t i = 0; i < name.n && c->n < 4000; i++) {
        unsigned char ch = (unsigned char)name.p[i];

        c->text[c->n++] = (char)(begin ? toupper(ch) : tolower(ch));
        begin = !isalpha(ch);
    }
    run->data = c;
    return 0;
}

static int greet(struct kr_run *run)
{
    const struct cleaned *c = run->data;
    char text[4100];
    int n = snprintf(text, sizeof(text), "Hello %.*s, you are %lld", (int)c->n, c->text,
                     (long long)kr_integer(run, 1));

    kr_put_text(run, 0, text, (size_t)n);
    return 0;
}

static const struct kr_step steps[] = {
    {.name = "clean", .run = clean}, {.name = "greet", .run = greet}, {.name = NULL}};

extern const struct kr_pipeline kourou_pipeline;

const struct kr_pipeline kourou_pipeline = {
    .abi = KR_PIPELINE_ABI,
    .name = "greet",
    .inputs = inputs,
    .outputs = outputs,
    .steps = steps,
    .concurrent = true,
};
