/* SPDX-License-Identifier: Apache-2.0 */
#include "app/packages.h"

#include "app/python.h"
#include "base/alloc.h"
#include "deployers/deployer.h"
#include "pack/reqfile.h"
#include "pack/requirements.h"

#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX ((size_t)900)

struct check {
    struct kr_app *app;
    const struct kr_made *made;
    const json_t *docker;
    json_t *packages; /* those that no line names */
    json_t *unknown;  /* requirements that nobody here knows the contents of */
};

static void check_finish(struct check *c)
{
    json_decref(c->packages);
    json_decref(c->unknown);
}

/* Leaves those that no line of the requirements names. */
static int find_unnamed(struct check *c, struct kr_requirements *reqs, struct kr_err *err)
{
    struct kr_requirements_in in = {c->made->source_root, c->docker, c->made->document,
                                    c->made->python};
    kr_auto_json json_t *warnings = json_array(); /* said when they are installed */
    const json_t *item;
    size_t i;

    c->packages = json_array();
    if (kr_requirements_collect(&in, reqs, warnings, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(c->made->needs, "packages"), i, item)
    {
        if (!kr_req_text_names(reqs->text, kr_json_str(item, "name", "")))
            (void)json_array_append(c->packages, (json_t *)(uintptr_t)item);
    }
    return 0;
}

static json_t *lines_of(const char *text)
{
    struct kr_view rest = kr_view_of(text), line;
    json_t *lines = json_array();
    bool more = true;

    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        if (line.n > 0)
            (void)json_array_append_new(lines, json_stringn(line.p, line.n));
    }
    return lines;
}

/* Leaves those that nothing that is listed requires either. */
static int find_missing(struct check *c, const char *text, struct kr_err *err)
{
    kr_auto_json json_t *question = json_object(), *answer = NULL, *missing = json_array();
    json_t *wanted = json_array();
    const json_t *item, *name;
    size_t i, k;

    json_array_foreach(c->packages, i, item)(void)
        json_array_append(wanted, json_object_get(item, "name"));
    kr_json_set(question, "wanted", wanted);
    kr_json_set(question, "requirements", lines_of(text));
    if (kr_python_ask(c->app, c->made->python, "provides", question, &answer, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(answer, "missing"), i, name)
    {
        json_array_foreach(c->packages, k, item)
        {
            if (json_equal(json_object_get(item, "name"), name))
                (void)json_array_append(missing, (json_t *)(uintptr_t)item);
        }
    }
    json_decref(c->packages);
    c->packages = kr_steal(&missing);
    c->unknown = json_incref(json_object_get(answer, "unknown"));
    return 0;
}

/* Why nobody can tell what will be there, or NULL. */
static const char *doubt(const struct check *c)
{
    static const char *const settings[] = {"parent_image", "dockerfile",
                                           "local_project_install_command"};

    for (size_t i = 0; i < KR_ARRAY_LEN(settings); i++) {
        if (kr_json_str(c->docker, settings[i], NULL) != NULL)
            return settings[i];
    }
    return json_string_value(json_array_get(c->unknown, 0));
}

static bool may_lack(const json_t *package)
{
    return kr_json_bool(package, "lazy", false) || kr_json_bool(package, "optional", false);
}

static void note(const struct check *c, const json_t *package, const char *why)
{
    kr_note(
        c->app, KR_NOTE_WARN,
        "'%s' is imported (%s)%s, and the requirements do not bring it%s%s; the line to add: %s",
        kr_json_str(package, "name", "?"), kr_json_str(package, "by", "?"),
        kr_json_bool(package, "optional", false) ? " where it can be had"
        : kr_json_bool(package, "lazy", false)   ? " when that function runs"
                                                 : "",
        why != NULL ? ", unless this does: " : "", why != NULL ? why : "",
        kr_json_str(package, "line", "?"));
}

static int refuse(const struct check *c, struct kr_err *err)
{
    kr_auto_buf struct kr_buf names = KR_BUF_INIT(SENTENCE_MAX), lines = KR_BUF_INIT(SENTENCE_MAX);
    kr_auto_free char *list = kr_packages_list(c->made);
    const json_t *item;
    size_t i;
    int n = 0;

    json_array_foreach(c->packages, i, item)
    {
        if (may_lack(item) || n++ >= 6)
            continue;
        kr_buf_addf(&names, "%s'%.80s' is imported (%.80s)", n > 1 ? ", " : "",
                    kr_json_str(item, "name", "?"), kr_json_str(item, "by", "?"));
        kr_buf_addf(&lines, "%s%.200s", n > 1 ? " " : "", kr_json_str(item, "line", "?"));
    }
    if (n == 0)
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "%s%s, and the requirements do not bring %s",
                  kr_buf_str(&names), n > 6 ? " and more" : "", n > 1 ? "them" : "it");
    if (list != NULL)
        return kr_hint(err, "add to %s: %s (--add-missing does it)", list, kr_buf_str(&lines));
    return kr_hint(err, "add to the requirements of the docker settings: %s", kr_buf_str(&lines));
}

static int add_missing(const struct check *c, bool dry_run, struct kr_err *err)
{
    kr_auto_json json_t *lines = json_array();
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(SENTENCE_MAX);
    kr_auto_free char *list = NULL;
    const json_t *item;
    size_t i;

    json_array_foreach(c->packages, i, item)
    {
        if (kr_json_bool(item, "optional", false))
            continue;
        (void)json_array_append(lines, json_object_get(item, "line"));
        kr_buf_addf(&text, " %s", kr_json_str(item, "line", ""));
    }
    if (json_array_size(lines) == 0)
        return 0;
    if (dry_run) {
        list = kr_packages_list(c->made);
        kr_note(c->app, KR_NOTE_INFO, "would be added to %s:%s", list != NULL ? list : "the list",
                kr_buf_str(&text));
        return 0;
    }
    if (kr_packages_add(c->app, c->made, lines, &list, err) < 0)
        return -(int)err->code;
    kr_note(c->app, KR_NOTE_INFO, "added to %s:%s", list, kr_buf_str(&text));
    return 0;
}

static int judge(const struct check *c, struct kr_err *err)
{
    const char *why = doubt(c);
    const json_t *item;
    size_t i;

    json_array_foreach(c->packages, i, item)
    {
        if (why != NULL || may_lack(item))
            note(c, item, why);
    }
    return why != NULL ? 0 : refuse(c, err);
}

int kr_packages_check(struct kr_app *app, const struct kr_deploy_request *request,
                      const struct kr_made *made, const char *flavor, struct kr_err *err)
{
    kr_auto(check_finish) struct check c = {
        .app = app, .made = made, .docker = kr_json_at(made->document, "settings", "docker", NULL)};
    kr_auto_requirements struct kr_requirements reqs = {0};

    if (kr_deployer_traits(flavor)->takes == KR_TAKES_FOLDER || request->build != NULL ||
        made->python == NULL || json_array_size(json_object_get(made->needs, "packages")) == 0 ||
        kr_json_bool(c.docker, "skip_build", false))
        return 0;
    if (find_unnamed(&c, &reqs, err) < 0)
        return -(int)err->code;
    if (json_array_size(c.packages) == 0)
        return 0;
    if (find_missing(&c, reqs.text, err) < 0)
        return -(int)err->code;
    return request->add_missing ? add_missing(&c, request->dry_run, err) : judge(&c, err);
}
