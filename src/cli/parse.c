/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/opt.h"

#include <string.h>

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "cli/value.h"
#include "core/name.h"

struct parser {
    const char *prog;
    const struct kr_cmd *cmd;
    struct kr_opts opts;
    char *args; /* the command's struct */
    char **argv;
    int argc, at;
    size_t words;     /* positional arguments seen */
    bool plain;       /* "--" was seen: no more options */
    uint64_t seen[4]; /* bit per option row, for required ones */
    struct kr_err *err;
};

static const struct {
    const char *name, *brief;
    enum kr_wish wish;
} wishes[] = {{"--help", "-h", KR_WISH_HELP},
              {"--version", NULL, KR_WISH_VERSION},
              {"--quiet", "-q", KR_WISH_QUIET},
              {"--verbose", "-v", KR_WISH_VERBOSE}};

enum kr_wish kr_wish_of(const char *word)
{
    for (size_t i = 0; i < KR_ARRAY_LEN(wishes); i++) {
        if (strcmp(word, wishes[i].name) == 0 ||
            (wishes[i].brief != NULL && strcmp(word, wishes[i].brief) == 0))
            return wishes[i].wish;
    }
    return KR_WISH_RUN;
}

static void *slot(const struct parser *p, size_t offset)
{
    return p->args + offset;
}

static int usage(struct parser *p, const char *text, const char *nearest)
{
    if (nearest != NULL)
        return kr_fail(p->err, KR_E_USAGE, "%s; did you mean '%s'?", text, nearest);
    return kr_fail(p->err, KR_E_USAGE, "%s; '%s %s --help' lists what it takes", text, p->prog,
                   p->cmd->path);
}

static json_t *container(json_t **field, bool list)
{
    if (*field == NULL)
        *field = list ? json_array() : json_object();
    return *field;
}

static int set_filter(struct parser *p, const struct kr_opt *opt, const char *value)
{
    json_t *filters = container(slot(p, opt->offset), false), *text;
    json_t *list = json_object_get(filters, opt->name);

    if (kr_value_string(opt->name, value, &text, p->err) < 0)
        return -(int)p->err->code;
    if (list == NULL) {
        list = json_array();
        kr_json_set(filters, opt->name, list);
    }
    (void)json_array_append_new(list, text);
    return 0;
}

static int set_enum(struct parser *p, const struct kr_opt *opt, const char *shown,
                    const char *value)
{
    kr_auto_free char *choices = NULL;

    for (const char *const *c = opt->choices; *c != NULL; c++) {
        if (strcmp(*c, value) == 0) {
            *(const char **)slot(p, opt->offset) = *c;
            return 0;
        }
    }
    choices = kr_opt_metavar(&(struct kr_opt){.type = KR_OPT_ENUM, .choices = opt->choices});
    return kr_fail(p->err, KR_E_USAGE, "%s is one of %s, not '%s'", shown, choices, value);
}

/* Words end up in JSON, which is UTF-8; names of files may be any bytes. */
static int need_text(struct parser *p, const char *shown, const char *value, int complete)
{
    if (complete == KR_COMPLETE_FILE || complete == KR_COMPLETE_DIR || kr_json_is_text(value))
        return 0;
    return kr_fail(p->err, KR_E_USAGE, "the value of %s is not UTF-8 text", shown);
}

static int set_value(struct parser *p, const struct kr_opt *opt, const char *shown,
                     const char *value)
{
    void *field = slot(p, opt->offset);
    json_t *text;
    int64_t number;
    int truth;

    switch (opt->type) {
    case KR_OPT_FLAG:
        *(bool *)field = true;
        return 0;
    case KR_OPT_STR:
        if (need_text(p, shown, value, opt->complete) < 0)
            return -(int)p->err->code;
        *(const char **)field = value;
        return 0;
    case KR_OPT_INT:
        if (!kr_view_i64(kr_view_of(value), &number) || number < opt->min)
            return kr_fail(p->err, KR_E_USAGE, "%s is a whole number from %lld, not '%s'", shown,
                           (long long)opt->min, value);
        *(int64_t *)field = number;
        return 0;
    case KR_OPT_BOOL:
        truth = kr_value_bool(value);
        if (truth < 0)
            return kr_fail(p->err, KR_E_USAGE, "%s is true or false, not '%s'", shown, value);
        *(int *)field = truth;
        return 0;
    case KR_OPT_ENUM:
        return set_enum(p, opt, shown, value);
    case KR_OPT_FILE:
        if (!kr_path_exists(value) || kr_path_is_dir(value))
            return kr_fail(p->err, KR_E_USAGE, "%s: there is no file '%s'", shown, value);
        *(const char **)field = value;
        return 0;
    case KR_OPT_LIST:
        if (kr_value_string(shown, value, &text, p->err) < 0)
            return -(int)p->err->code;
        (void)json_array_append_new(container(field, true), text);
        return 0;
    case KR_OPT_PAIRS:
        return kr_value_pair(shown, value, container(field, false), p->err);
    case KR_OPT_FILTER:
        return set_filter(p, opt, value);
    case KR_OPT_REFUSED:
        return kr_fail(p->err, KR_E_USAGE, "%s cannot be used: %s", shown, opt->help);
    }
    return 0;
}

/* -o is the output's format for most commands; where the grammar gave it to a flag, a format behind
 * it tells that the output was meant. */
static bool means_output(const struct parser *p, const struct kr_opt *opt, const char *shown)
{
    const char *next = p->at + 1 < p->argc ? p->argv[p->at + 1] : "";
    const struct kr_opt *output = kr_opt_find(&p->opts, "output", strlen("output"));

    if (strcmp(shown, "-o") != 0 || output == NULL || output == opt || output->choices == NULL)
        return false;
    for (const char *const *c = output->choices; *c != NULL; c++) {
        if (strcmp(*c, next) == 0)
            return true;
    }
    return false;
}

/* An option was found; value is what followed '=' or the short letter, or NULL. */
static int option(struct parser *p, const struct kr_opt *opt, const char *shown, const char *value)
{
    size_t row = (size_t)(opt - p->opts.rows);

    if (row < sizeof(p->seen) * 8)
        p->seen[row / 64] |= UINT64_C(1) << (row % 64);
    if (!kr_opt_takes_value(opt)) {
        if (value != NULL)
            return kr_fail(p->err, KR_E_USAGE, "%s takes no value", shown);
        if (means_output(p, opt, shown))
            return kr_fail(p->err, KR_E_USAGE, "%s is --%s here", shown, opt->name),
                   kr_hint(p->err, "for the format of the output: --output %s", p->argv[p->at + 1]);
    } else if (value == NULL) {
        if (p->at + 1 >= p->argc)
            return kr_fail(p->err, KR_E_USAGE, "%s needs a value", shown);
        value = p->argv[++p->at];
    }
    return set_value(p, opt, shown, value);
}

/* --key=value that no option claims: key and value into the free object, value blanked in argv. */
static int free_argument(struct parser *p, char *word, const char *eq)
{
    kr_auto_free char *key = kr_strndup(word + 2, (size_t)(eq - word) - 2);
    kr_auto_free char *what = kr_asprintf("--%s", key);
    json_t *pairs = container(slot(p, p->cmd->free_offset), false), *value;

    for (char *c = key; p->cmd->free_rule == KR_FREE_ATTRIBUTES && *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c;
    if (kr_identifier_check("key", key, p->err) < 0) {
        p->err->code = KR_E_USAGE;
        return -KR_E_USAGE;
    }
    if (kr_value_text(what, eq + 1, &value, p->err) < 0)
        return -(int)p->err->code;
    kr_json_set(pairs, key, value);
    for (char *c = word + (eq - word) + 1; *c != '\0'; c++)
        *c = '*';
    return 0;
}

static int unknown_option(struct parser *p, const char *word, size_t n)
{
    kr_auto_free char *given = kr_strndup(word, n + 2);
    kr_auto_free char *text = NULL, *shown = NULL;
    kr_auto_free const char **names = kr_calloc(2 * p->opts.count + 8, sizeof(*names));
    const char *nearest;
    size_t count = 0;

    for (size_t i = 0; i < p->opts.count; i++) {
        names[count++] = p->opts.rows[i].name;
        if (p->opts.rows[i].alias != NULL)
            names[count++] = p->opts.rows[i].alias;
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(wishes); i++)
        names[count++] = wishes[i].name + 2;
    nearest = kr_name_nearest(given + 2, names, count);
    shown = nearest != NULL ? kr_asprintf("--%s", nearest) : NULL;
    if (nearest == NULL && p->cmd->free_rule != KR_FREE_NONE && word[n + 2] == '\0') {
        return kr_fail(p->err, KR_E_USAGE, "'%s' needs its value behind '=': %s=VALUE", given,
                       given);
    }
    text = kr_asprintf("'%s %s' has no option '%s'", p->prog, p->cmd->path, given);
    return usage(p, text, shown);
}

static int long_option(struct parser *p, char *word, unsigned *wish)
{
    const char *eq = strchr(word, '=');
    size_t n = eq != NULL ? (size_t)(eq - word) - 2 : strlen(word) - 2;
    const struct kr_opt *opt = kr_opt_find(&p->opts, word + 2, n);
    kr_auto_free char *shown = kr_strndup(word, n + 2);

    if (opt != NULL)
        return option(p, opt, shown, eq != NULL ? eq + 1 : NULL);
    if (eq == NULL && kr_wish_of(shown) != KR_WISH_RUN) {
        *wish |= (unsigned)kr_wish_of(shown);
        return 0;
    }
    if (p->cmd->free_rule != KR_FREE_NONE && eq != NULL && n > 0)
        return free_argument(p, word, eq);
    return unknown_option(p, word, n);
}

static const struct kr_opt *find_brief(struct parser *p, const char *word, size_t n)
{
    for (size_t i = 0; i < p->opts.count; i++) {
        const char *brief = p->opts.rows[i].brief;

        if (brief != NULL && strlen(brief) == n && strncmp(brief, word, n) == 0)
            return &p->opts.rows[i];
    }
    return NULL;
}

/* -x, -x VALUE, -xVALUE, -xyz of flags, -xy and -xy=VALUE for short names of several letters. */
static int short_option(struct parser *p, char *word, unsigned *wish)
{
    const char *eq = strchr(word, '=');
    size_t n = eq != NULL ? (size_t)(eq - word) - 1 : strlen(word) - 1;
    const struct kr_opt *opt = find_brief(p, word + 1, n);
    char shown[8];

    if (opt != NULL && (eq == NULL || n > 1)) {
        kr_auto_free char *whole = kr_strndup(word, n + 1);
        return option(p, opt, whole, eq != NULL ? eq + 1 : NULL);
    }
    for (const char *c = word + 1; *c != '\0'; c++) {
        opt = find_brief(p, c, 1);
        (void)snprintf(shown, sizeof(shown), "-%c", *c);
        if (opt == NULL && kr_wish_of(shown) != KR_WISH_RUN) {
            *wish |= (unsigned)kr_wish_of(shown);
            continue;
        }
        if (opt == NULL) {
            kr_auto_free char *text =
                kr_asprintf("'%s %s' has no option '%s'", p->prog, p->cmd->path,
                            c == word + 1 && n == 1 ? shown : word);
            return usage(p, text, NULL);
        }
        if (kr_opt_takes_value(opt))
            return option(p, opt, shown, c[1] != '\0' ? c + 1 : NULL);
        if (option(p, opt, shown, NULL) < 0)
            return -(int)p->err->code;
    }
    return 0;
}

static int positional(struct parser *p, const char *word)
{
    const struct kr_arg *arg = p->cmd->args;
    json_t *text;

    for (size_t i = 0; arg != NULL && arg->name != NULL && !arg->many && i < p->words; i++)
        arg++;
    if (arg == NULL || arg->name == NULL) {
        (void)kr_fail(p->err, KR_E_USAGE, "'%s %s' does not expect the argument '%s'", p->prog,
                      p->cmd->path, word);
        if (p->cmd->free_rule != KR_FREE_NONE && strchr(word, '=') != NULL)
            (void)kr_hint(p->err, "values are written --KEY=VALUE");
        return -KR_E_USAGE;
    }
    p->words++;
    if (!arg->many) {
        if (need_text(p, arg->name, word, arg->complete) < 0)
            return -(int)p->err->code;
        *(const char **)slot(p, arg->offset) = word;
        return 0;
    }
    if (kr_value_string(arg->name, word, &text, p->err) < 0)
        return -(int)p->err->code;
    (void)json_array_append_new(container(slot(p, arg->offset), true), text);
    return 0;
}

static int parse_word(struct parser *p, unsigned *wish)
{
    char *word = p->argv[p->at];
    const char *eq;

    if (p->plain) { /* behind "--" a free argument is one even if an option has its name */
        eq = kr_starts_with(word, "--") ? strchr(word + 2, '=') : NULL;
        if (eq != NULL && eq > word + 2 && p->cmd->free_rule != KR_FREE_NONE)
            return free_argument(p, word, eq);
        return positional(p, word);
    }
    if (strcmp(word, "--") == 0) {
        p->plain = true;
        return 0;
    }
    if (word[0] == '-' && word[1] == '-')
        return long_option(p, word, wish);
    if (word[0] == '-' && word[1] != '\0')
        return short_option(p, word, wish);
    return positional(p, word);
}

/* Values of what was not given, and what must be given. */
static int check_missing(struct parser *p)
{
    size_t i = 0;

    for (const struct kr_arg *arg = p->cmd->args; arg != NULL && arg->name != NULL; arg++, i++) {
        if (!arg->optional && i >= p->words)
            return kr_fail(p->err, KR_E_USAGE, "'%s %s' needs the argument %s", p->prog,
                           p->cmd->path, arg->name);
    }
    for (i = 0; i < p->opts.count; i++) {
        const struct kr_opt *opt = &p->opts.rows[i];

        if (opt->required && (p->seen[i / 64] >> (i % 64) & 1) == 0)
            return kr_fail(p->err, KR_E_USAGE, "'%s %s' needs the option --%s", p->prog,
                           p->cmd->path, opt->name);
    }
    return 0;
}

static int set_defaults(struct parser *p)
{
    for (size_t i = 0; i < p->opts.count; i++) {
        const struct kr_opt *opt = &p->opts.rows[i];

        if (opt->type == KR_OPT_BOOL)
            *(int *)slot(p, opt->offset) = -1;
        if (opt->dflt != NULL && opt->type != KR_OPT_FLAG &&
            set_value(p, opt, opt->name, opt->dflt) < 0)
            return -(int)p->err->code;
    }
    return 0;
}

int kr_args_parse(const char *prog, const struct kr_cmd *cmd, char **argv, int argc, void **args,
                  unsigned *wish, struct kr_err *err)
{
    struct parser p = {.prog = prog, .cmd = cmd, .argv = argv, .argc = argc, .err = err};
    int rc;

    *wish = KR_WISH_RUN;
    *args = NULL;
    kr_opts_of(cmd, &p.opts);
    p.args = kr_calloc(1, cmd->size > 0 ? cmd->size : 1);
    rc = set_defaults(&p);
    for (; rc == 0 && (*wish & KR_WISH_PAGE) == 0 && p.at < argc; p.at++)
        rc = parse_word(&p, wish);
    if (rc == 0 && (*wish & KR_WISH_PAGE) == 0)
        rc = check_missing(&p);
    if (rc == 0 && (*wish & KR_WISH_QUIET) != 0 && (*wish & KR_WISH_VERBOSE) != 0)
        rc = kr_fail(err, KR_E_USAGE, "--quiet and --verbose exclude each other");
    kr_opts_finish(&p.opts);
    if (rc < 0 || (*wish & KR_WISH_PAGE) != 0) {
        kr_args_destroy(cmd, p.args);
        return rc;
    }
    *args = p.args;
    return 0;
}
