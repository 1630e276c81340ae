/* SPDX-License-Identifier: Apache-2.0 */
/* Options and arguments that several commands have: one wording, one short name. Each takes the
 * offset of its field in the command's own struct. */
#ifndef KR_CLI_OPT_ROWS_H
#define KR_CLI_OPT_ROWS_H

#include "cli/out.h"

#define KR_EXAMPLES(...)                                                                           \
    .examples = (const char *const[])                                                              \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

#define KR_ROW_YES(at)                                                                             \
    {                                                                                              \
        .name = "yes", .brief = "y", .type = KR_OPT_FLAG, .help = "Do not ask", .offset = (at)     \
    }

/* --output where -o means something else. */
#define KR_ROW_LONG_OUTPUT(at)                                                                     \
    {                                                                                              \
        .name = "output", .type = KR_OPT_ENUM, .choices = kr_format_names,                         \
        .help = "Format of the output; $KOUROU_DEFAULT_OUTPUT, else table", .offset = (at)         \
    }

#define KR_ROW_TIMEOUT(at, text)                                                                   \
    {                                                                                              \
        .name = "timeout", .brief = "t", .type = KR_OPT_INT, .min = 1, .metavar = "SECONDS",       \
        .help = text "; the deployer's lcm_timeout without it", .offset = (at)                     \
    }

#define KR_ROW_CONFIG(at)                                                                          \
    {                                                                                              \
        .name = "config", .brief = "c", .type = KR_OPT_FILE,                                       \
        .help = "YAML file with parameters and settings", .offset = (at)                           \
    }

#define KR_ROW_STACK(at, text)                                                                     \
    {                                                                                              \
        .name = "stack", .brief = "s", .type = KR_OPT_STR, .metavar = "NAME",                      \
        .complete = KR_COMPLETE_STACK, .help = text "; the active one without it", .offset = (at)  \
    }

#define KR_ROW_PYTHON(at)                                                                          \
    {                                                                                              \
        .name = "python", .type = KR_OPT_STR, .metavar = "PROGRAM", .complete = KR_COMPLETE_FILE,  \
        .help = "Python that has the pipeline's packages, or the folder of its environment; "      \
                "without it the active environment, the project's, python3",                       \
        .offset = (at)                                                                             \
    }

#define KR_ROW_UPDATE(at)                                                                          \
    {                                                                                              \
        .name = "update", .brief = "u", .type = KR_OPT_FLAG,                                       \
        .help = "Update an existing deployment of that name without asking", .offset = (at)        \
    }

#define KR_ROW_OVERTAKE(at, text)                                                                  \
    {                                                                                              \
        .name = "overtake", .brief = "o", .type = KR_OPT_FLAG,                                     \
        .help = text " even if it belongs to another user", .offset = (at)                         \
    }

/* The pipeline that tells snapshots of the same name apart. */
#define KR_ROW_PIPELINE(at)                                                                        \
    {                                                                                              \
        .name = "pipeline", .brief = "p", .type = KR_OPT_STR, .metavar = "NAME",                   \
        .complete = KR_COMPLETE_PIPELINE, .help = "Pipeline that the snapshot is of",              \
        .offset = (at)                                                                             \
    }

/* What every deployment of a component or stack gets. */
#define KR_ROW_LABEL(at)                                                                           \
    {                                                                                              \
        .name = "label", .alias = "labels", .brief = "l", .type = KR_OPT_PAIRS, .help = "A label", \
        .offset = (at)                                                                             \
    }
#define KR_ROW_ENV(at, text)                                                                       \
    {                                                                                              \
        .name = "env", .type = KR_OPT_PAIRS, .help = "An environment variable of what runs" text,  \
        .offset = (at)                                                                             \
    }
#define KR_ROW_SECRET(at)                                                                          \
    {                                                                                              \
        .name = "secret", .type = KR_OPT_LIST, .metavar = "NAME", .complete = KR_COMPLETE_SECRET,  \
        .help = "Secret whose values become environment variables", .offset = (at)                 \
    }
#define KR_ROW_REMOVE_SECRET(at)                                                                   \
    {                                                                                              \
        .name = "remove-secret", .type = KR_OPT_LIST, .metavar = "NAME",                           \
        .complete = KR_COMPLETE_SECRET, .help = "Secret that is no longer exported",               \
        .offset = (at)                                                                             \
    }

/* What is sent although it looks like a credential. */
#define KR_ROW_ALLOW_SECRET(at)                                                                    \
    {                                                                                              \
        .name = "allow-secret", .type = KR_OPT_LIST, .metavar = "FILE",                            \
        .complete = KR_COMPLETE_FILE,                                                              \
        .help = "A file that is sent although something in it looks like a live credential",       \
        .offset = (at)                                                                             \
    }

/* An option of the grammar for something that does not exist here. */
#define KR_ROW_REFUSED(long_name, short_name, what)                                                \
    {                                                                                              \
        .name = long_name, .brief = short_name, .type = KR_OPT_REFUSED, .metavar = "NAME",         \
        .help = "there are no " what " here"                                                       \
    }

/* The argument NAME of a deployment. */
#define KR_ARG_DEPLOYMENT(at, may_be_left_out)                                                     \
    {                                                                                              \
        .name = "NAME", .help = "Name, id or unique prefix of the deployment",                     \
        .optional = may_be_left_out, .complete = KR_COMPLETE_DEPLOYMENT, .offset = (at)            \
    }

#endif
