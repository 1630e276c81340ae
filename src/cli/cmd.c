/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/view.h"
#include "cli/absent.h"
#include "cli/cmds.h"
#include "core/name.h"

/* Order here is order in help. */
static const struct kr_cmds *const files[] = {
    &kr_cmds_general,         &kr_cmds_integration, &kr_cmds_secret,     &kr_cmds_stack,
    &kr_cmds_stack_io,        &kr_cmds_component,   &kr_cmds_check,      &kr_cmds_flavor,
    &kr_cmds_pipeline,        &kr_cmds_snapshot,    &kr_cmds_deployment, &kr_cmds_deployment_life,
    &kr_cmds_deployment_call, &kr_cmds_doctor,      &kr_cmds_schema,     &kr_cmds_completion,
};

static const struct kr_group groups[] = {
    {"pipeline", "Launch", "Deploy pipelines and look after what was deployed from them"},
    {"pipeline snapshot", NULL, "Compiled pipelines, kept for later deployments"},
    {"pipeline runs", NULL, "Runs that this store knows"},
    {"pipeline builds", NULL, "Images and bundles made for snapshots"},
    {"deployment", "Launch", "Look at, call and manage deployments"},
    {"stack", "Where to", "Combine components into stacks and choose the active one"},
    {"deployer", "Where to", "Deployers bring a pipeline to life: local, Docker, Hugging Face"},
    {"deployer flavor", NULL, "Kinds of deployers and their attributes"},
    {"artifact-store", "Where to", "Artifact stores keep the data of steps"},
    {"artifact-store flavor", NULL, "Kinds of artifact stores and their attributes"},
    {"container-registry", "Where to", "Container registries keep images"},
    {"container-registry flavor", NULL, "Kinds of container registries and their attributes"},
    {"image-builder", "Where to", "Image builders make images"},
    {"image-builder flavor", NULL, "Kinds of image builders and their attributes"},
    {"orchestrator", "Where to", "Orchestrators run the steps of a pipeline"},
    {"orchestrator flavor", NULL, "Kinds of orchestrators and their attributes"},
    {"secret", "Access", "Secrets, encrypted at rest"},
    {"integration", "Access", "What is built in, and what this machine has for it"},
};

const struct kr_cmd *kr_cmd_at(size_t i)
{
    for (size_t f = 0; f < KR_ARRAY_LEN(files); f++) {
        if (i < files[f]->count)
            return &files[f]->rows[i];
        i -= files[f]->count;
    }
    return NULL;
}

const struct kr_group *kr_group_at(size_t i)
{
    return i < KR_ARRAY_LEN(groups) ? &groups[i] : NULL;
}

const struct kr_cmd *kr_cmd_find(const char *path)
{
    const struct kr_cmd *cmd;

    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        if (strcmp(cmd->path, path) == 0)
            return cmd;
    }
    return NULL;
}

const struct kr_group *kr_group_find(const char *path)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(groups); i++) {
        if (strcmp(groups[i].path, path) == 0)
            return &groups[i];
    }
    return NULL;
}

bool kr_cmd_is_below(const char *path, const char *group, const char **word)
{
    size_t n = group != NULL ? strlen(group) : 0;

    if (n > 0 && (strncmp(path, group, n) != 0 || path[n] != ' '))
        return false;
    *word = n > 0 ? path + n + 1 : path;
    return strchr(*word, ' ') == NULL;
}

/* Words that may follow a group, for the suggestion. */
static size_t words_below(const char *group, const char **words, size_t room)
{
    const struct kr_cmd *cmd;
    size_t count = 0;

    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL && count < room; i++) {
        if (!cmd->hidden && kr_cmd_is_below(cmd->path, group, &words[count]))
            count++;
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(groups) && count < room; i++) {
        if (kr_cmd_is_below(groups[i].path, group, &words[count]))
            count++;
    }
    return count;
}

/* `kourou deploy` is meant as `kourou pipeline deploy`: the only command of that name that is not
 * in a group of a group. NULL when none or several are called so. */
static const char *in_a_group(const char *word)
{
    const struct kr_cmd *cmd;
    const char *found = NULL;

    for (size_t i = 0; (cmd = kr_cmd_at(i)) != NULL; i++) {
        const char *space = strchr(cmd->path, ' ');

        if (cmd->hidden || space == NULL || strcmp(space + 1, word) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = cmd->path;
    }
    return found;
}

static int unknown(const char *prog, const char *group, const char *word, struct kr_err *err)
{
    const char *words[64];
    size_t count = words_below(group, words, KR_ARRAY_LEN(words));
    const char *grouped = group == NULL ? in_a_group(word) : NULL;
    const char *nearest = grouped != NULL ? grouped : kr_name_nearest(word, words, count);
    const char *space = group != NULL ? " " : "";

    group = group != NULL ? group : "";
    if (nearest != NULL)
        return kr_fail(err, KR_E_USAGE, "'%s%s%s' has no command '%s'; did you mean '%s'?", prog,
                       space, group, word, nearest);
    return kr_fail(err, KR_E_USAGE, "'%s%s%s' has no command '%s'; '%s%s%s --help' lists them",
                   prog, space, group, word, prog, space, group);
}

int kr_cmd_resolve(const char *prog, char *const *argv, int argc, const struct kr_cmd **cmd,
                   const struct kr_group **group, int *used, struct kr_err *err)
{
    kr_auto_buf struct kr_buf path = KR_BUF_INIT(4096);

    *cmd = NULL;
    *group = NULL;
    for (*used = 0; *used < argc && argv[*used][0] != '-'; (*used)++) {
        const struct kr_group *next;

        kr_buf_addf(&path, "%s%s", *used > 0 ? " " : "", argv[*used]);
        *cmd = kr_cmd_find(kr_buf_str(&path));
        if (*cmd != NULL) {
            (*used)++;
            return 0;
        }
        next = kr_group_find(kr_buf_str(&path));
        if (next == NULL && kr_absent(prog, kr_buf_str(&path), err))
            return -(int)err->code;
        if (next == NULL)
            return unknown(prog, *group != NULL ? (*group)->path : NULL, argv[*used], err);
        *group = next;
    }
    return 0;
}
