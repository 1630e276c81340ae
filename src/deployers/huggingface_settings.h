/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a Space that are no files: visibility, hardware, sleep time, volumes, storage, dev
 * mode.
 *
 * What the deployment set is remembered ("applied" of its metadata), so that it can be taken back
 * when the setting goes. A value that somebody changed on the Hub meanwhile is theirs: without a
 * setting it is left alone. The plan is what deploy does and what diff and --dry-run show. */
#ifndef KR_DEPLOYERS_HUGGINGFACE_SETTINGS_H
#define KR_DEPLOYERS_HUGGINGFACE_SETTINGS_H

#include "deployers/huggingface.h"

enum kr_hf_setting {
    KR_HF_VISIBILITY,
    KR_HF_VOLUMES,
    KR_HF_HARDWARE,
    KR_HF_SLEEP,
    KR_HF_DEV_MODE,
    KR_HF_STORAGE,
    KR_HF_SETTING_COUNT
};

struct kr_hf_change {
    enum kr_hf_setting what;
    json_t *from, *to; /* to null: removed */
    bool back;         /* the setting is gone: ours is taken back */
};

struct kr_hf_changes {
    struct kr_hf_change v[KR_HF_SETTING_COUNT];
    size_t n;
    json_t *before, *after; /* what to remember before and behind the changes */
    char *note;             /* about a setting that has no effect, or NULL */
};
void kr_hf_changes_finish(struct kr_hf_changes *c);
#define kr_auto_hf_changes kr_auto(kr_hf_changes_finish)

/* What has to change. Pure. space: as found; applied: what was remembered, or NULL. KR_E_INVALID: a
 * setting that counts only when a Space is made differs from how this one was made. */
int kr_hf_changes_plan(const struct kr_space_want *want, const struct kr_space *space,
                       const json_t *applied, struct kr_hf_changes *out,
                       struct kr_err *err) KR_MUST_USE;

/* What to remember of a Space that is created with all of it. *out is the caller's. */
json_t *kr_hf_changes_created(const struct kr_space_want *want) KR_MUST_USE;

/* What of it does not go into the create call. */
int kr_hf_changes_of_new(struct kr_hf *hf, const struct kr_space_want *want,
                         struct kr_err *err) KR_MUST_USE;
/* Free hardware has its own sleep time. */
bool kr_hf_sleep_counts(const struct kr_space_want *want);

/* May this token do it? KR_E_AUTH before anything is begun: logins of `hf auth login` may not
 * change hardware, sleep time, or start a Space that is paused. */
int kr_hf_changes_allowed(struct kr_hf *hf, const struct kr_hf_changes *c,
                          const struct kr_space *space, struct kr_err *err) KR_MUST_USE;

/* Does it and remembers it. *restarted: something of it restarts the Space. */
int kr_hf_changes_apply(struct kr_hf *hf, const struct kr_space_want *want,
                        const struct kr_hf_changes *c, bool *restarted,
                        struct kr_err *err) KR_MUST_USE;

/* [{"setting","from","to","taken_back"}] */
json_t *kr_hf_changes_json(const struct kr_hf_changes *c) KR_MUST_USE;
/* Adds {"call","body"} of each. */
void kr_hf_changes_calls(const char *id, const struct kr_hf_changes *c, json_t *calls);

#endif
