/* SPDX-License-Identifier: Apache-2.0 */
/* Names, slugs, Space ids, secret references, relative paths and the numbers and times of views. */
#include "fuzz.h"

#include "base/clock.h"
#include "base/path.h"
#include "base/view.h"
#include "core/name.h"
#include "core/secret_ref.h"
#include "hub/hub.h"
#include "base/base64.h"

static void check_slug(const char *text)
{
    kr_auto_free char *slug = kr_name_slug(text), *twice = kr_name_slug(slug);

    FUZZ_CHECK(slug[0] != '\0' && strcmp(slug, twice) == 0);
    FUZZ_CHECK(strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(slug));
}

static void check_reference(const char *text)
{
    kr_auto_free char *name = NULL, *key = NULL;

    if (kr_secret_ref_parse(text, &name, &key))
        FUZZ_CHECK(name[0] != '\0' && key[0] != '\0' && strstr(text, name) != NULL);
    else
        FUZZ_CHECK(name == NULL && key == NULL);
    FUZZ_CHECK(kr_secret_ref_parse(text, NULL, NULL) == (name != NULL));
}

static void check_numbers(const char *text)
{
    int64_t i, ms = kr_iso8601_parse(text);
    uint64_t u;
    double d;
    char iso[KR_ISO_SIZE];

    if (kr_view_u64(kr_view_of(text), &u))
        FUZZ_CHECK(kr_parse_double(text, &d) && d >= 0);
    if (kr_view_i64(kr_view_of(text), &i))
        FUZZ_CHECK(kr_parse_double(text, &d));
    if (ms >= 0)
        FUZZ_CHECK(kr_iso8601_parse(kr_iso8601(ms, iso)) == ms);
}

static void check_base64(const char *text, size_t n)
{
    kr_auto_buf struct kr_buf coded = KR_BUF_INIT(1 << 22), plain = KR_BUF_INIT(1 << 22);

    (void)kr_base64_decode(&plain, text, n);
    kr_buf_reset(&plain);
    kr_base64_add(&coded, text, n);
    FUZZ_CHECK(kr_base64_decode(&plain, kr_buf_str(&coded), coded.n));
    FUZZ_CHECK(plain.n == n && memcmp(kr_buf_str(&plain), text, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const words[] = {"deployment", "deploy", "secret", "stack"};
    struct fuzz_input in = {.p = data, .n = size};
    kr_auto_free char *text = fuzz_rest(&in);

    if (kr_name_check("name", text, fuzz_err()) == 0)
        FUZZ_CHECK(text[0] != '\0' && strlen(text) <= 255 && strpbrk(text, "/\n\x7f") == NULL);
    if (kr_path_check_relative(text, fuzz_err()) == 0)
        FUZZ_CHECK(text[0] != '/' && strncmp(text, "../", 3) != 0 && strstr(text, "/../") == NULL);
    if (kr_identifier_check("key", text, fuzz_err()) == 0)
        FUZZ_CHECK(text[0] != '\0' && strpbrk(text, " =-\"'") == NULL);
    if (kr_space_id_check(text, fuzz_err()) == 0)
        FUZZ_CHECK(strchr(text, '/') != NULL && strstr(text, "..") == NULL);
    (void)kr_name_nearest(text, words, KR_ARRAY_LEN(words));
    check_slug(text);
    check_reference(text);
    check_numbers(text);
    check_base64(text, size);
    return 0;
}
