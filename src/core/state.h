/* SPDX-License-Identifier: Apache-2.0 */
/* States of a deployment. */
#ifndef KR_CORE_STATE_H
#define KR_CORE_STATE_H

enum kr_state {
    KR_STATE_UNKNOWN, /* could not be read */
    KR_STATE_PENDING, /* on its way: building, starting, not healthy yet */
    KR_STATE_RUNNING, /* answers */
    KR_STATE_ERROR,   /* broken until somebody acts */
    KR_STATE_ABSENT,  /* not there: never provisioned, deprovisioned, paused, or vanished */
    KR_STATE_COUNT
};

const char *kr_state_name(enum kr_state state); /* "running" */
enum kr_state kr_state_parse(const char *name); /* KR_STATE_UNKNOWN for anything else */
const char *kr_state_emoji(enum kr_state state);

#endif
