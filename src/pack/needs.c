/* SPDX-License-Identifier: Apache-2.0 */
#include "pack/needs.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/view.h"
#include "pack/ignore_find.h"

#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX ((size_t)2000)

/* Why a file is not sent. */
enum cause { SENT, IGNORED, IGNORED_ON_PURPOSE, SECRET, BUILD_RULES, NEVER, NO_NAME };

struct missing {
    enum cause cause;
    char *why;  /* ".gitignore leaves it out of what is sent" */
    char *cure; /* what sends it */
};

static void missing_finish(struct missing *m)
{
    free(m->why);
    free(m->cure);
}

static const char *text_of(const json_t *file, const char *key)
{
    return kr_json_str(file, key, NULL);
}

static bool is_imported(const json_t *file)
{
    return strcmp(kr_json_str(file, "why", ""), "imported") == 0;
}

/* Whether a sentence about secrets that were left out names the path, or a folder above it. */
static bool is_named(const json_t *sentences, const char *path)
{
    kr_auto_free char *part = kr_strdup(path);
    const json_t *item;
    char *slash = part;
    size_t i;

    while (slash != NULL) {
        kr_auto_free char *quoted = kr_asprintf("'%s'", part);

        json_array_foreach(sentences, i, item)
        {
            const char *sentence = json_string_value(item);

            if (strstr(sentence, quoted) != NULL && strstr(sentence, "may hold secrets") != NULL)
                return true;
        }
        slash = strrchr(part, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    return false;
}

static void set(struct missing *m, enum cause cause, char *why, char *cure)
{
    *m = (struct missing){cause, why, cure};
}

/* Ignore files of deeper folders win, so the way in is a line beside the one that names it. */
static char *way_in(const char *name, const char *what)
{
    const char *slash = strrchr(name, '/');
    size_t n = slash != NULL ? (size_t)(slash - name) + 1 : 0;

    if (name[0] != '/' && n > 0 && strncmp(name, what, n) == 0)
        return kr_asprintf("a line '!/%s' in %.*s.kourouignore sends it", what + n, (int)n, name);
    return kr_asprintf("a line '!/%s' in .kourouignore of the source root sends it", what);
}

static int look_up(const struct kr_needs *in, const json_t *file, struct missing *m,
                   struct kr_err *err)
{
    const char *path = text_of(file, "path");
    bool there = kr_files_find(in->sent, path) != NULL;
    kr_auto_free char *name = NULL, *what = NULL;

    *m = (struct missing){.cause = SENT};
    if (kr_json_bool(file, "odd", false)) {
        set(m, NO_NAME, kr_strdup("its name is not UTF-8, so it cannot be sent"),
            kr_strdup("rename it"));
    } else if (there && kr_dockerignore_match(in->rules, path)) {
        set(m, BUILD_RULES, kr_asprintf("%s leaves it out of the build", in->rules_name),
            kr_asprintf("a line '!%s' at the end of %s puts it in", path, in->rules_name));
    } else if (!there) {
        if (kr_ignore_find(in->root, path, &name, &what, err) < 0)
            return -(int)err->code;
        if (what != NULL)
            set(m, kr_ends_with(name, ".kourouignore") ? IGNORED_ON_PURPOSE : IGNORED,
                kr_asprintf("%s leaves it out of what is sent", name), way_in(name, what));
        else if (is_named(in->left_out, path))
            set(m, SECRET, kr_strdup("it may hold secrets and is not sent"),
                kr_strdup("give its values with 'secret create' and the pipeline's secrets; if it "
                          "holds none, a line with ! and its name in .kourouignore sends it"));
        else
            set(m, NEVER, kr_strdup("files of that name or folder are never sent"),
                kr_strdup("move it to a folder of another name"));
    }
    return 0;
}

/* "'data/x.bin', which my_module.py:3 reads," */
static char *subject(const json_t *file)
{
    const char *path = text_of(file, "path"), *module = text_of(file, "module");
    const char *by = text_of(file, "by");

    if (is_imported(file))
        return module != NULL ? kr_asprintf("'%.300s' is imported (%.200s)", path, module)
                              : kr_asprintf("'%.300s' is loaded", path);
    return by != NULL ? kr_asprintf("'%.300s' is read on import (%.200s)", path, by)
                      : kr_asprintf("'%.300s' is read on import", path);
}

/* What a library reads it may do without: caches, settings, .env. */
static bool may_lack(const json_t *file, enum cause cause)
{
    bool library = kr_json_bool(file, "library", false) || text_of(file, "by") == NULL;

    if (is_imported(file))
        return false;
    return cause == NEVER || (library && (cause != IGNORED || text_of(file, "by") == NULL));
}

static void warn(json_t *warnings, char *sentence)
{
    (void)json_array_append_new(warnings, json_string(sentence));
    free(sentence);
}

/* The files after the first that fails, as far as they fit. */
struct others {
    struct kr_buf names;
    int n;
};

static void add_other(struct others *others, const json_t *file)
{
    if (others->n++ < 3)
        kr_buf_addf(&others->names, "%s'%.200s'", others->n > 1 ? ", " : "", text_of(file, "path"));
}

static int finish(struct others *others, struct kr_err *err)
{
    kr_auto_free char *names = kr_buf_steal(&others->names);

    if (err->code == KR_OK)
        return 0;
    if (others->n > 0) {
        size_t used = strlen(err->msg);

        (void)snprintf(err->msg + used, sizeof(err->msg) - used, "; likewise %s%s", names,
                       others->n > 3 ? " and more" : "");
    }
    return -(int)err->code;
}

static int check_inside(const struct kr_needs *in, const json_t *file, json_t *warnings,
                        struct others *others, struct kr_err *err)
{
    kr_auto(missing_finish) struct missing m = {0};
    struct kr_err look = KR_ERR_INIT;
    kr_auto_free char *what = NULL;

    if (text_of(file, "path") == NULL)
        return 0;
    if (look_up(in, file, &m, &look) < 0) {
        *err = look;
        return -(int)err->code;
    }
    if (m.cause == SENT)
        return 0;
    what = subject(file);
    if (in->only_warn || may_lack(file, m.cause)) {
        if (!in->only_warn || !may_lack(file, m.cause))
            warn(warnings, kr_asprintf("%s, but %s; %s", what, m.why, m.cure));
    } else if (err->code == KR_OK) {
        (void)kr_fail(err, KR_E_INVALID, "%s, but %s", what, m.why);
        (void)kr_hint(err, "%s", m.cure);
    } else {
        add_other(others, file);
    }
    return 0;
}

/* The deepest folder that both lie in. */
static char *common_folder(const char *a, const char *b)
{
    size_t i = 0, slash = 0;

    while (a[i] != '\0' && a[i] == b[i]) {
        if (a[i] == '/')
            slash = i;
        i++;
    }
    return kr_strndup(a, slash > 0 ? slash : 1);
}

static void check_outside(const struct kr_needs *in, const json_t *file, json_t *warnings,
                          struct others *others, struct kr_err *err)
{
    const char *path = text_of(file, "path");
    kr_auto_free char *what = NULL, *folder = NULL;

    if (path == NULL)
        return;
    what = subject(file);
    folder = common_folder(path, in->root);
    if (in->only_warn || kr_json_bool(file, "elsewhere", false) || may_lack(file, NEVER)) {
        if (!in->only_warn || is_imported(file))
            warn(warnings,
                 kr_asprintf("%s and lies outside of the source root, so it is not sent", what));
        return;
    }
    if (err->code != KR_OK) {
        add_other(others, file);
        return;
    }
    (void)kr_fail(err, KR_E_INVALID, "%s and lies outside of the source root %s, so it is not sent",
                  what, in->root);
    (void)kr_hint(err,
                  "bring it into the source root, or make %s the root (`%s init` there); what is "
                  "installed in editable form from elsewhere can be built (pip wheel), published "
                  "and named in the requirements",
                  folder, in->prog);
}

int kr_needs_files(const struct kr_needs *in, json_t *warnings, struct kr_err *err)
{
    struct others others = {.names = KR_BUF_INIT(SENTENCE_MAX)};
    const json_t *file;
    size_t i;
    int rc = 0;

    json_array_foreach(json_object_get(in->needs, "files"), i, file)
    {
        if (rc == 0)
            rc = check_inside(in, file, warnings, &others, err);
    }
    json_array_foreach(json_object_get(in->needs, "outside"), i, file)
    {
        if (rc == 0)
            check_outside(in, file, warnings, &others, err);
    }
    if (kr_json_bool(in->needs, "cut", false))
        warn(warnings, kr_strdup("so many files are read on import that not all of them were "
                                 "compared with what is sent"));
    return finish(&others, err);
}
