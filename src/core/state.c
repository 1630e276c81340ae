/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    const char *emoji;
} states[] = {
    [KR_STATE_UNKNOWN] = {"unknown", "\xe2\x9d\x93"},     /* question mark */
    [KR_STATE_PENDING] = {"pending", "\xe2\x8f\xb3"},     /* hourglass */
    [KR_STATE_RUNNING] = {"running", "\xf0\x9f\x9f\xa2"}, /* green circle */
    [KR_STATE_ERROR] = {"error", "\xe2\x9d\x8c"},         /* cross */
    [KR_STATE_ABSENT] = {"absent", "\xe2\x9b\x94"},       /* stop sign */
};
_Static_assert(sizeof(states) / sizeof(states[0]) == KR_STATE_COUNT, "every state has its row");

const char *kr_state_name(enum kr_state state)
{
    return states[(unsigned)state < KR_STATE_COUNT ? state : KR_STATE_UNKNOWN].name;
}

enum kr_state kr_state_parse(const char *name)
{
    for (size_t i = 0; name != NULL && i < KR_STATE_COUNT; i++) {
        if (strcmp(states[i].name, name) == 0)
            return (enum kr_state)i;
    }
    return KR_STATE_UNKNOWN;
}

const char *kr_state_emoji(enum kr_state state)
{
    return states[(unsigned)state < KR_STATE_COUNT ? state : KR_STATE_UNKNOWN].emoji;
}
