/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that become arguments: a READY frame's document and a body, with a line "--" between them.
 * What was read is right JSON, and tuple and answer say the same as the body. */
#include "fuzz.h"

#include "base/json.h"
#include "serve/arguments.h"

#include <math.h>

#define RUN_ID "0123456789abcdef0123456789abcdef0123"

struct tuple {
    const char *p, *end;
};

static uint32_t take_u32(struct tuple *t)
{
    FUZZ_CHECK(t->end - t->p >= 4);
    t->p += 4;
    return kr_u32_get(t->p - 4);
}

static json_t *take_long(struct tuple *t)
{
    int32_t n = (int32_t)take_u32(t);
    uint64_t value = 0;

    FUZZ_CHECK(n != 0 && n >= -5 && n <= 5);
    for (int i = 0; i < (n < 0 ? -n : n); i++) {
        uint64_t digit = (uint64_t)(unsigned char)t->p[0] | (uint64_t)(unsigned char)t->p[1] << 8;

        FUZZ_CHECK(digit < 1u << 15);
        value |= digit << (15 * i);
        t->p += 2;
    }
    FUZZ_CHECK(t->p <= t->end);
    return json_integer((json_int_t)(n < 0 ? 0 - value : value));
}

/* One value of the tuple as JSON. */
static json_t *take_value(struct tuple *t)
{
    char code = *t->p++;
    double number;
    uint64_t bits;
    uint32_t n;
    json_t *text;

    switch (code) {
    case 'u':
        n = take_u32(t);
        FUZZ_CHECK((size_t)(t->end - t->p) >= n);
        text = json_stringn(t->p, n);
        FUZZ_CHECK(text != NULL);
        t->p += n;
        return text;
    case 'i':
        return json_integer((int32_t)take_u32(t));
    case 'l':
        return take_long(t);
    case 'g':
        FUZZ_CHECK(t->end - t->p >= 8);
        bits = kr_u64_get(t->p);
        memcpy(&number, &bits, sizeof(number));
        FUZZ_CHECK(isfinite(number));
        t->p += 8;
        return json_real(number);
    case 'T':
    case 'F':
        return json_boolean(code == 'T');
    default:
        FUZZ_CHECK(code == 'N');
        return json_null();
    }
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) <= 0;
    return json_equal(a, b);
}

/* Values in the tuple, in what the answer says, and in the body. */
static void compare(const json_t *said, struct tuple t, const json_t *used, const json_t *given)
{
    const json_t *list = json_object_get(said, "parameters"), *one;
    size_t at;

    FUZZ_CHECK(*t.p++ == '(' && take_u32(&t) == json_array_size(list));
    json_array_foreach(list, at, one)
    {
        const char *name = kr_json_str(one, "name", "");
        const json_t *sent = json_object_get(given, name);
        kr_auto_json json_t *value = take_value(&t);

        if (sent == NULL)
            sent = json_object_get(one, "default");
        FUZZ_CHECK(same(value, sent) && same(json_object_get(used, name), sent));
    }
    FUZZ_CHECK(t.p == t.end);
}

static bool twice_named(const json_t *list)
{
    const json_t *a, *b;
    size_t i, j;

    json_array_foreach(list, i, a)
    {
        json_array_foreach(list, j, b)
        {
            if (i != j && json_equal(json_object_get(a, "name"), json_object_get(b, "name")))
                return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    size_t n, tail_at;
    kr_auto_free char *ready_text = fuzz_part(&in, "\n--\n", &n);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_ARGUMENTS_BODY_MAX * 2),
                              tail = KR_BUF_INIT(1 << 20);
    kr_auto_json json_t *ready = NULL, *doc = NULL, *answer = NULL;
    struct kr_view body = {.p = (const char *)in.p, .n = in.n};
    struct kr_arguments arguments = {0};
    struct kr_err err = KR_ERR_INIT;

    if (kr_json_parse(ready_text, n, "READY", &ready, fuzz_err()) < 0)
        return 0;
    kr_arguments_learn(&arguments, ready);
    if (kr_arguments_read(&arguments, body, RUN_ID, &out, &tail_at)) {
        kr_buf_addc(&tail, '{');
        kr_buf_add(&tail, out.p + tail_at, out.n - tail_at);
        kr_buf_addc(&tail, '}');
        if (memmem(body.p, body.n, "\\u0000", 6) == NULL &&
            !twice_named(json_object_get(arguments.said, "parameters"))) {
            FUZZ_CHECK(kr_json_parse(tail.p, tail.n, "answer", &answer, fuzz_err()) == 0);
            if (kr_json_parse(body.p, body.n, "body", &doc, &err) == 0)
                compare(arguments.said, (struct tuple){.p = out.p, .end = out.p + tail_at},
                        json_object_get(answer, "parameters_used"),
                        json_object_get(doc, "parameters"));
            else /* a timeout may be any number of JSON; the library knows smaller ones only */
                FUZZ_CHECK(strstr(err.msg, "too big") != NULL ||
                           strstr(err.msg, "overflow") != NULL);
        }
    }
    kr_arguments_finish(&arguments);
    return 0;
}
