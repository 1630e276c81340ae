/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of store and app share: a scratch folder and short spellings. */
#ifndef KR_TESTS_STORE_HELP_H
#define KR_TESTS_STORE_HELP_H

#include "base/alloc.h"
#include "base/json.h"
#include "base/path.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct scratch {
    char dir[40];
    struct kr_store *store;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct kr_err *e_ = &err;                                                                  \
        if ((call) != 0)                                                                           \
            fail_msg("%s: %s (%s)", #call, e_->msg, e_->hint);                                     \
    } while (0)

/* The call fails with that code and message; the error is clear afterwards. */
#define FAILS(call, expected, text)                                                                \
    do {                                                                                           \
        assert_int_equal((call), -(int)(expected));                                                \
        if (strcmp(err.msg, text) != 0)                                                            \
            fail_msg("said '%s'\nwanted '%s'", err.msg, text);                                     \
        kr_err_clear(&err);                                                                        \
    } while (0)

static inline struct kr_store *open_store(const char *dir)
{
    struct kr_err err = KR_ERR_INIT;
    struct kr_store *store = NULL;

    OK(kr_store_open(NULL, dir, dir, &store, &err));
    return store;
}

static inline int scratch_up(void **state)
{
    struct scratch *s = kr_calloc(1, sizeof(*s));

    (void)unsetenv("KOUROU_ENCRYPTION_KEY");
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/kr-store-XXXXXX");
    if (mkdtemp(s->dir) == NULL)
        return -1;
    s->store = open_store(s->dir);
    *state = s;
    return 0;
}

static inline int scratch_down(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;

    kr_store_close(s->store);
    if (kr_remove_tree(s->dir, &err) < 0)
        return -1;
    free(s);
    return 0;
}

#define SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_up, scratch_down)

static inline json_t *parse_text(const char *text)
{
    struct kr_err err = KR_ERR_INIT;
    json_t *value = NULL;

    OK(kr_json_parse(text, strlen(text), "test", &value, &err));
    return value;
}

static inline json_t *insert_text(struct kr_store *store, enum kr_entity entity, const char *text)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *row = parse_text(text);
    json_t *out = NULL;

    OK(kr_store_insert(store, entity, row, &out, &err));
    return out;
}

#endif
