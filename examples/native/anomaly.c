/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the values of a series that do not fit to those before them: rolling mean and deviation,
 * then a score. */
#include <kourou/pipeline.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IN_VALUES, IN_WINDOW, IN_THRESHOLD };
enum { OUT_ANOMALIES, OUT_SCORES, OUT_COUNT, OUT_WORST };

static const struct kr_field inputs[] = {
    {.name = "values",
     .type = KR_TYPE_NUMBERS,
     .description = "The series, oldest value first",
     .least = 1,
     .most = 1000000,
     .minimum = -1e100,
     .maximum = 1e100},
    {.name = "window",
     .type = KR_TYPE_INTEGER,
     .dflt = "20",
     .minimum = 2,
     .maximum = 100000,
     .description = "How many values before it each value is compared with"},
    {.name = "threshold",
     .type = KR_TYPE_NUMBER,
     .dflt = "3.0",
     .minimum = 0.1,
     .maximum = 100,
     .description = "Deviations from the mean at which a value is an anomaly"},
    {.name = NULL},
};

static const struct kr_field outputs[] = {
    {.name = "anomalies", .type = KR_TYPE_JSON, .description = "List of {index, value, score}"},
    {.name = "scores",
     .type = KR_TYPE_NUMBERS,
     .description = "One score per value, in deviations"},
    {.name = "count", .type = KR_TYPE_INTEGER, .description = "Number of anomalies"},
    {.name = "worst", .type = KR_TYPE_INTEGER, .description = "Index of the highest score"},
    {.name = NULL},
};

/* What the steps of one run share. */
struct series {
    struct kr_numbers values;
    double *scores;
};

static int score(struct kr_run *run)
{
    struct series *s = kr_run_alloc(run, sizeof(*s));
    size_t window = (size_t)kr_integer(run, IN_WINDOW);
    double sum = 0, squares = 0;

    s->values = kr_numbers(run, IN_VALUES);
    s->scores = kr_run_alloc(run, s->values.n * sizeof(double));
    for (size_t i = 0; i < s->values.n; i++) {
        size_t n = i < window ? i : window;
        double v = s->values.p[i], mean = n > 0 ? sum / (double)n : v;
        double variance = n > 1 ? (squares - sum * mean) / (double)(n - 1) : 0;
        double deviation = variance > 0 ? sqrt(variance) : 0;

        if (!isfinite(v * v))
            return kr_fail_run(run, "a value is too large");
        s->scores[i] = n < 2               ? 0
                       : deviation > 1e-12 ? fabs(v - mean) / deviation
                       : v != mean         ? 1e6
                                           : 0;
        sum += v;
        squares += v * v;
        if (i >= window) {
            double old = s->values.p[i - window];

            sum -= old;
            squares -= old * old;
        }
    }
    run->data = s;
    return 0;
}

static int report(struct kr_run *run)
{
    const struct series *s = run->data;
    double threshold = kr_number(run, IN_THRESHOLD);
    size_t count = 0, worst = 0, n = 1, room;
    char *json;

    for (size_t i = 0; i < s->values.n; i++) {
        count += s->scores[i] >= threshold;
        worst = s->scores[i] > s->scores[worst] ? i : worst;
    }
    room = count * 96 + 3;
    json = kr_run_alloc(run, room);
    json[0] = '[';
    for (size_t i = 0; i < s->values.n; i++) {
        if (s->scores[i] < threshold)
            continue;
        n +=
            (size_t)snprintf(json + n, room - n, "%s{\"index\":%zu,\"value\":%.10g,\"score\":%.4g}",
                             n > 1 ? "," : "", i, s->values.p[i], s->scores[i]);
    }
    json[n++] = ']';
    kr_put_json(run, OUT_ANOMALIES, json, n);
    kr_put_numbers(run, OUT_SCORES, s->scores, s->values.n);
    kr_put_integer(run, OUT_COUNT, (int64_t)count);
    kr_put_integer(run, OUT_WORST, (int64_t)worst);
    return 0;
}

static const struct kr_step steps[] = {
    {.name = "score", .run = score, .description = "Distance of each value from those before it"},
    {.name = "report", .run = report, .description = "Picks what passes the threshold"},
    {.name = NULL},
};

extern const struct kr_pipeline kourou_pipeline;

const struct kr_pipeline kourou_pipeline = {
    .abi = KR_PIPELINE_ABI,
    .name = "anomaly",
    .description = "Finds the values of a series that do not fit to those before them",
    .inputs = inputs,
    .outputs = outputs,
    .steps = steps,
    .concurrent = true,
};
