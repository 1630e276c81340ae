/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as tables: what stands here drives parser, help, completion and man pages.
 *
 * A command is one row (struct kr_cmd) of an array in cmd_<noun>.c; its options and arguments are
 * rows too, whose offset says where in the command's own struct the value goes. There are no
 * statics: the same command can run twice in one process. docs/adding-a-command.md walks through
 * one. */
#ifndef KR_CLI_CMD_H
#define KR_CLI_CMD_H

#include "app/app.h"
#include "cli/term.h"
#include "core/component.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kr_opt_type {               /* field in the command's struct */
                   KR_OPT_FLAG,  /* bool */
                   KR_OPT_STR,   /* const char *, NULL when not given */
                   KR_OPT_INT,   /* int64_t, at least min */
                   KR_OPT_BOOL,  /* int: takes true or false, -1 when not given */
                   KR_OPT_ENUM,  /* const char *, one of choices */
                   KR_OPT_LIST,  /* json_t *: array of strings, may be repeated, NULL when not given
                                  */
                   KR_OPT_PAIRS, /* json_t *: object of strings from K=V, may be repeated */
                   KR_OPT_FILE,  /* const char *: a file that must exist */
                   KR_OPT_FILTER, /* json_t *: {"field": ["value", ...]}, one object for all filters
                                   */
                   KR_OPT_REFUSED, /* nothing: part of the grammar, but there is nothing of that
                                      kind here */
};

/* What the shell may offer for a value. */
enum kr_complete {
    KR_COMPLETE_NONE,
    KR_COMPLETE_FILE,
    KR_COMPLETE_DIR,
    KR_COMPLETE_STACK,
    KR_COMPLETE_COMPONENT, /* of the type in kr_cmd.kind */
    KR_COMPLETE_FLAVOR,    /* of the type in kr_cmd.kind */
    KR_COMPLETE_SECRET,
    KR_COMPLETE_PIPELINE,
    KR_COMPLETE_SNAPSHOT,
    KR_COMPLETE_BUILD,
    KR_COMPLETE_DEPLOYMENT,
    KR_COMPLETE_INTEGRATION,
    KR_COMPLETE_COLUMN,
    KR_COMPLETE_TYPE, /* KR_COMPLETE_TYPE + a component type: components of that type */
};

struct kr_opt {
    const char *name;  /* long name as shown, without "--"; NULL ends a table */
    const char *alias; /* further long name, or NULL */
    const char *brief; /* short name without "-", one letter or several, or NULL */
    enum kr_opt_type type;
    const char *const *choices; /* KR_OPT_ENUM: NULL-terminated */
    const char *dflt;           /* text of the default, or NULL */
    int64_t min;                /* KR_OPT_INT */
    const char *metavar;        /* NULL: from the type */
    const char *help;           /* one sentence without full stop */
    int complete;               /* enum kr_complete, or KR_COMPLETE_TYPE + type */
    bool required;
    size_t offset;
};

struct kr_arg {
    const char *name; /* "NAME"; NULL ends a table */
    const char *help;
    bool optional;
    bool many; /* takes the rest: the field is a json_t * array */
    int complete;
    size_t offset; /* const char *, or json_t * with many */
};

/* How free --key=value arguments are read into a json_t * object of strings. */
enum kr_free {
    KR_FREE_NONE,       /* unknown options are errors */
    KR_FREE_KEYS,       /* keys as written */
    KR_FREE_ATTRIBUTES, /* "-" in a key means "_" */
};

enum {
    KR_NEEDS_STORE = 1,
    KR_LOOKS = 2, /* changes nothing that can be left half-done: Ctrl-C ends it at once */
};

struct kr_listing; /* list commands: listing.h */
struct kr_cli;

struct kr_cmd {
    const char *path;          /* "deployer register" */
    const char *help;          /* one sentence without full stop */
    const char *more;          /* further paragraphs of the help, or NULL */
    const struct kr_opt *opts; /* ended by a row without name; NULL: none */
    const struct kr_arg *args;
    enum kr_free free_rule;
    const char *free_help; /* what the free arguments are */
    size_t free_offset;
    unsigned needs;
    const char *const *examples; /* NULL-terminated, without the program's name; all of them work */
    size_t size;                 /* of the command's struct */
    int (*run)(struct kr_cli *cli, const void *args, struct kr_err *err);
    int kind; /* component type for the component groups */
    const struct kr_listing *list;
    bool hidden; /* neither in help nor in completion */
};

struct kr_group {
    const char *path;    /* "pipeline snapshot" */
    const char *heading; /* of the top-level help; NULL for groups inside groups */
    const char *help;
};

/* One file's commands. */
struct kr_cmds {
    const struct kr_cmd *rows;
    size_t count;
};
#define KR_CMDS(array)                                                                             \
    {                                                                                              \
        .rows = (array), .count = KR_ARRAY_LEN(array)                                              \
    }

/* What a running command has. */
struct kr_cli {
    const char *prog;             /* "kourou" or "zenml" */
    const struct kr_cmd *cmd;     /* NULL: none was named */
    const struct kr_group *group; /* then the innermost that was, or NULL */
    struct kr_app *app;           /* with KR_NEEDS_STORE */
    struct kr_term out, err;      /* stdout, stderr */
    struct kr_view_state *view;   /* live display, view.h */
    bool yes;                     /* --yes was given */
    bool quiet;                   /* --quiet was given */
    bool reveal;                  /* this output was asked to show secrets */
    bool declined;                /* a question was answered with no */
    bool unasked;                 /* a question could not be asked: not a terminal */
};

/* All commands, by number; NULL past the end. */
const struct kr_cmd *kr_cmd_at(size_t i);
const struct kr_group *kr_group_at(size_t i);
const struct kr_cmd *kr_cmd_find(const char *path);
const struct kr_group *kr_group_find(const char *path);

/* Finds the command that argv begins with. *used: words that belong to its path. With no command
 * *cmd is NULL and *group the innermost group reached (NULL: none). A word that is neither is
 * KR_E_USAGE with a suggestion. Words that begin with '-' end the search. */
int kr_cmd_resolve(const char *prog, char *const *argv, int argc, const struct kr_cmd **cmd,
                   const struct kr_group **group, int *used, struct kr_err *err) KR_MUST_USE;

/* Whether `path` lies directly below `group` (NULL: the top); *word is its last word then. */
bool kr_cmd_is_below(const char *path, const char *group, const char **word);

#endif
