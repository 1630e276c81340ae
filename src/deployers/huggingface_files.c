/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a Space, as they pass the gate. */
#include "deployers/huggingface.h"

#include "base/alloc.h"
#include "pack/gate.h"

enum kr_launch_mode kr_hf_mode(const struct kr_deployment *what)
{
    const json_t *docker = kr_json_at(what->snapshot, "settings", "docker", NULL);

    if (kr_json_bool(docker, "skip_build", false))
        return KR_LAUNCH_SKIP_BUILD;
    return what->image != NULL ? KR_LAUNCH_IMAGE : KR_LAUNCH_SOURCE;
}

int kr_hf_files(struct kr_hf *hf, const struct kr_space_want *want, bool open,
                struct kr_files *files, struct kr_err *err)
{
    kr_auto_free char *cache = kr_asprintf("%s/cache", hf->env->data_dir);
    kr_auto_json json_t *warnings = json_array();
    struct kr_launch in = {
        .root = hf->what->source_root,
        .cache_dir = cache,
        .runtime_dir = hf->env->runtime_dir,
        .machine = hf->what->machine,
        .python = hf->what->python,
        .snapshot = hf->what->snapshot,
        .id = hf->what->id,
        .name = hf->what->name,
        .snapshot_id = hf->what->snapshot_id,
        .snapshot_name = hf->what->snapshot_name,
        .mode = kr_hf_mode(hf->what),
        .image = hf->what->image,
        .app_port = want->app_port,
        .space = true,
        .settings = hf->what->settings,
        .variables = want->variables,
    };
    struct kr_gate_policy policy = {
        .root = hf->what->source_root,
        .cache_dir = cache,
        .readers = open ? "the Space is public" : NULL,
        .allow = hf->what->allow_secrets,
    };
    const json_t *text;
    size_t i;

    kr_gate_close(kr_steal(&hf->gate));
    if (kr_gate_open(&policy, &hf->gate, err) < 0)
        return -(int)err->code;
    in.gate = hf->gate;
    if (kr_gate_values(hf->gate, "the variables of the Space", want->variables, err) < 0 ||
        kr_launch_files(&in, files, warnings, err) < 0)
        return -(int)err->code;
    json_array_foreach(warnings, i, text)
    {
        kr_hf_note(hf, true, "%s", json_string_value(text));
    }
    return 0;
}
