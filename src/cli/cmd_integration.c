/* SPDX-License-Identifier: Apache-2.0 */
/* The integration group: what is built in, and Python packages for the rest. */
#include "app/integration.h"

#include <string.h>

#include "app/doctor.h"
#include "base/alloc.h"
#include "base/path.h"
#include "cli/checks.h"
#include "cli/cmds.h"
#include "cli/opt_rows.h"
#include "cli/out.h"
#include "cli/table.h"
#include "cli/view.h"

struct integration_args {
    const char *output, *file, *python;
    json_t *names, *ignored;
    bool yes, uv, overwrite, installed_only, break_system;
};

#define AT(field) offsetof(struct integration_args, field)

/* Rows of the named integrations, or of all without the ignored ones. */
static int choose(const struct integration_args *args, json_t **rows, struct kr_err *err)
{
    kr_auto_json json_t *chosen = json_array(), *all = kr_integrations_all();
    const json_t *name;
    json_t *row;
    size_t i;

    json_array_foreach(args->ignored, i, name)
    {
        kr_auto_json json_t *known = NULL;

        if (kr_integration_row(json_string_value(name), &known, err) < 0)
            return -(int)err->code;
    }
    json_array_foreach(args->names, i, name)
    {
        if (kr_integration_row(json_string_value(name), &row, err) < 0)
            return -(int)err->code;
        (void)json_array_append_new(chosen, row);
    }
    if (json_array_size(args->names) == 0) {
        json_array_foreach(all, i, row)(void) json_array_append(chosen, row);
    }
    for (i = json_array_size(chosen); i-- > 0;) {
        const char *own = kr_json_str(json_array_get(chosen, i), "integration", "");
        size_t j;

        json_array_foreach(args->ignored, j, name)
        {
            if (strcmp(own, json_string_value(name)) == 0) {
                (void)json_array_remove(chosen, i);
                break;
            }
        }
    }
    *rows = kr_steal(&chosen);
    return 0;
}

/* All package names of the rows that pass, each once. */
static json_t *packages_of(const json_t *rows, bool built_in_too, int installed)
{
    kr_auto_json json_t *seen = json_object();
    json_t *packages = json_array();
    const json_t *row, *package;
    size_t i, j;

    json_array_foreach(rows, i, row)
    {
        if ((kr_json_bool(row, "built_in", false) && !built_in_too) ||
            (installed >= 0 && kr_json_bool(row, "installed", false) != (installed > 0)))
            continue;
        json_array_foreach(json_object_get(row, "required_packages"), j, package)
        {
            if (json_object_get(seen, json_string_value(package)) != NULL)
                continue;
            kr_json_set_bool(seen, json_string_value(package), true);
            (void)json_array_append(packages, (json_t *)(uintptr_t)package);
        }
    }
    return packages;
}

/* Without a Python only what is built in is there. */
static void look(struct kr_cli *cli, struct kr_pip_target *target, json_t *rows)
{
    struct kr_err err = KR_ERR_INIT;
    bool known = kr_pip_target(cli->app, NULL, target, &err) == 0;

    kr_integrations_look(known ? target : NULL, rows);
    if (known)
        kr_say(cli, KR_NOTE_INFO, "Installed means: in %s (%s)", target->python.path,
               target->python.why);
    else
        kr_say(cli, KR_NOTE_WARN, "only what is built in is known: %s", err.msg);
}

static int run_list(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    static const char *const columns[] = {"installed", "integration", "required_packages"};
    const struct integration_args *args = data;
    kr_auto_json json_t *rows = kr_integrations_all(), *names = json_array();
    kr_auto_pip_target struct kr_pip_target target = {0};
    kr_auto_table struct kr_table *table = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    enum kr_format format;
    const json_t *row;
    size_t i;

    if (kr_format_of(args->output, &format, err) < 0)
        return -(int)err->code;
    look(cli, &target, rows);
    for (i = 0; i < KR_ARRAY_LEN(columns); i++)
        (void)json_array_append_new(names, json_string(columns[i]));
    if (format == KR_JSON || format == KR_YAML) {
        int n = (int)json_array_size(rows);
        kr_auto_json json_t *doc =
            json_pack("{s:O, s:{s:i, s:i, s:i, s:i}}", "items", rows, "pagination", "index", 1,
                      "max_size", n, "total_pages", 1, "total", n);
        kr_out_value(cli, format, doc);
        return 0;
    }
    if (format != KR_TABLE) {
        kr_out_rows(cli, format, names, rows);
        return 0;
    }
    table = kr_table_create(&cli->out);
    for (i = 0; i < KR_ARRAY_LEN(columns); i++)
        kr_table_column(table, columns[i], i == 2 ? KR_CUT : KR_KEEP);
    json_array_foreach(rows, i, row)
    {
        bool built_in = kr_json_bool(row, "built_in", false);
        bool installed = kr_json_bool(row, "installed", false);
        kr_auto_free char *packages = kr_cell(json_object_get(row, "required_packages"));

        kr_table_row(table);
        kr_table_cell(table, 0, installed ? "yes" : "no", installed ? KR_GREEN : KR_DIM);
        kr_table_cell(table, 1, kr_json_str(row, "integration", ""), KR_PLAIN);
        kr_table_cell(table, 2, built_in ? "built in" : packages, KR_PLAIN);
    }
    (void)kr_table_draw(table, &out);
    if (kr_buf_check(&out, err) < 0)
        return -(int)err->code;
    kr_out(cli, &out);
    kr_say(cli, KR_NOTE_INFO, "'%s integration install NAME' installs the packages of one",
           cli->prog);
    return 0;
}

static int run_requirements(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct integration_args *args = data;
    kr_auto_json json_t *rows = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    const json_t *row;
    size_t i;

    if (choose(args, &rows, err) < 0)
        return -(int)err->code;
    json_array_foreach(rows, i, row)
    {
        kr_auto_free char *packages = kr_cell(json_object_get(row, "required_packages"));

        kr_buf_addf(&out, "%s: %s\n", kr_json_str(row, "integration", ""),
                    packages[0] != '\0' ? packages : "nothing");
    }
    kr_out(cli, &out);
    kr_say(cli, KR_NOTE_INFO, "'%s integration export-requirements' writes them as pip reads them",
           cli->prog);
    return 0;
}

static int run_export(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    const struct integration_args *args = data;
    kr_auto_json json_t *rows = NULL, *packages = NULL;
    kr_auto_pip_target struct kr_pip_target target = {0};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    const json_t *package;
    size_t i;

    if (args->names != NULL && args->installed_only)
        return kr_fail(err, KR_E_USAGE, "give either names or --installed-only");
    if (choose(args, &rows, err) < 0)
        return -(int)err->code;
    if (args->installed_only)
        look(cli, &target, rows);
    packages = packages_of(rows, true, args->installed_only ? 1 : -1);
    json_array_foreach(packages, i, package) kr_buf_addf(&out, "%s%s",
                                                         i == 0               ? ""
                                                         : args->file != NULL ? "\n"
                                                                              : " ",
                                                         json_string_value(package));
    if (args->file == NULL) {
        kr_out(cli, &out);
        return 0;
    }
    kr_buf_addc(&out, '\n');
    if (kr_path_exists(args->file) && !args->overwrite) {
        cli->yes = false;
        if (kr_ask(cli, err, "Replace the file '%s'?", args->file) < 0) {
            (void)kr_hint(err, "pass --overwrite");
            return -(int)err->code;
        }
    }
    if (kr_file_write_atomic(args->file, out.p, out.n, 0644, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "Wrote %zu requirements to '%s'", json_array_size(packages),
           args->file);
    return 0;
}

static void say_built_in(struct kr_cli *cli, const json_t *rows)
{
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        const char *name = kr_json_str(row, "integration", "");
        kr_auto_json json_t *findings = NULL;

        if (!kr_json_bool(row, "built_in", false))
            continue;
        kr_say(cli, KR_NOTE_SUCCESS,
               "The integration '%s' is built in: nothing needs to be installed", name);
        findings = kr_doctor_deployer(cli->app, name);
        kr_say(cli, KR_NOTE_INFO, "What this machine has for it:");
        kr_checks_show(cli, findings);
    }
}

struct change {
    enum kr_pip what;
    const char *verb, *doing, *did;
    int installed; /* only packages of integrations that are (1) or are not (0) installed */
};

/* The question names the Python; one that is no environment of a project is called so. */
static int ask_for(struct kr_cli *cli, const struct change *change,
                   const struct kr_pip_target *target, const char *names, struct kr_err *err)
{
    return kr_ask(cli, err, "%s these packages %s %s%s (%s): %s?", change->verb,
                  change->what == KR_PIP_INSTALL ? "into" : "in", target->python.path,
                  target->environment ? "" : ", which is not an environment of its own",
                  target->python.why, names);
}

static int change_packages(struct kr_cli *cli, const struct integration_args *args,
                           const struct change *change, json_t *rows, struct kr_err *err)
{
    struct kr_pip_how how = {
        .what = change->what, .uv = args->uv, .break_system = args->break_system};
    kr_auto_pip_target struct kr_pip_target target = {0};
    kr_auto_json json_t *packages = NULL;
    kr_auto_free char *names = NULL;

    if (kr_pip_target(cli->app, args->python, &target, err) < 0)
        return -(int)err->code;
    kr_integrations_look(&target, rows);
    packages = packages_of(rows, false, change->installed);
    if (json_array_size(packages) == 0) {
        kr_say(cli, KR_NOTE_INFO,
               change->installed > 0 ? "Nothing of this is installed in %s (%s)"
                                     : "All of this is installed in %s (%s) already",
               target.python.path, target.python.why);
        return 0;
    }
    names = kr_cell(packages);
    if (kr_pip_check(cli->app, &target, &how, err) < 0 ||
        ask_for(cli, change, &target, names, err) < 0)
        return -(int)err->code;
    if (cli->yes)
        kr_say(cli, KR_NOTE_INFO, "%s %s (%s)", change->doing, target.python.path,
               target.python.why);
    if (kr_pip_run(cli->app, &target, &how, packages, err) < 0)
        return -(int)err->code;
    kr_say(cli, KR_NOTE_SUCCESS, "%s: %s", change->did, names);
    return 0;
}

static int run_change(struct kr_cli *cli, const struct integration_args *args,
                      const struct change *change, struct kr_err *err)
{
    kr_auto_json json_t *rows = NULL, *packages = NULL;

    cli->yes = args->yes;
    if (choose(args, &rows, err) < 0)
        return -(int)err->code;
    say_built_in(cli, rows);
    packages = packages_of(rows, false, -1);
    return json_array_size(packages) > 0 ? change_packages(cli, args, change, rows, err) : 0;
}

static int run_install(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    static const struct change change = {KR_PIP_INSTALL, "Install", "Installing into", "Installed",
                                         0};

    return run_change(cli, data, &change, err);
}

static int run_uninstall(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    static const struct change change = {KR_PIP_UNINSTALL, "Uninstall", "Uninstalling from",
                                         "Uninstalled", 1};

    return run_change(cli, data, &change, err);
}

static int run_upgrade(struct kr_cli *cli, const void *data, struct kr_err *err)
{
    static const struct change change = {KR_PIP_UPGRADE, "Upgrade", "Upgrading in", "Upgraded", 1};

    return run_change(cli, data, &change, err);
}

#define IGNORE_OPT                                                                                 \
    {                                                                                              \
        .name = "ignore-integration", .brief = "i", .type = KR_OPT_LIST, .metavar = "NAME",        \
        .complete = KR_COMPLETE_INTEGRATION, .help = "One to leave out", .offset = AT(ignored)     \
    }
#define UV_OPT                                                                                     \
    {                                                                                              \
        .name = "uv", .type = KR_OPT_FLAG, .help = "Use uv instead of pip", .offset = AT(uv)       \
    }

static const struct kr_opt list_opts[] = {
    KR_OPT_OUTPUT_ROW(struct integration_args, output),
    {0},
};
static const struct kr_opt export_opts[] = {
    IGNORE_OPT,
    {.name = "output-file",
     .brief = "o",
     .type = KR_OPT_STR,
     .metavar = "FILE",
     .complete = KR_COMPLETE_FILE,
     .help = "File to write, one a line",
     .offset = AT(file)},
    {.name = "overwrite",
     .brief = "ov",
     .type = KR_OPT_FLAG,
     .help = "Replace an existing file",
     .offset = AT(overwrite)},
    {.name = "installed-only",
     .type = KR_OPT_FLAG,
     .help = "Only what is installed",
     .offset = AT(installed_only)},
    {0},
};
#define SYSTEM_OPT                                                                                 \
    {                                                                                              \
        .name = "break-system-packages", .type = KR_OPT_FLAG,                                      \
        .help = "Also in a Python that belongs to the operating system (PEP 668)",                 \
        .offset = AT(break_system)                                                                 \
    }
static const struct kr_opt install_opts[] = {
    IGNORE_OPT, KR_ROW_PYTHON(AT(python)), KR_ROW_YES(AT(yes)), UV_OPT, SYSTEM_OPT, {0}};
static const struct kr_opt change_opts[] = {
    KR_ROW_PYTHON(AT(python)), KR_ROW_YES(AT(yes)), UV_OPT, SYSTEM_OPT, {0}};

#define NAMES                                                                                      \
    {                                                                                              \
        .name = "NAME", .help = "Integrations; all of them without one", .optional = true,         \
        .many = true, .complete = KR_COMPLETE_INTEGRATION, .offset = AT(names)                     \
    }
static const struct kr_arg names_args[] = {NAMES, {0}};

#define INTEGRATION(verb, sentence)                                                                \
    .path = "integration " verb, .help = sentence, .needs = KR_NEEDS_STORE,                        \
    .size = sizeof(struct integration_args)

static const struct kr_cmd rows[] = {
    {INTEGRATION("list", "List integrations and whether they are there"), .opts = list_opts,
     KR_EXAMPLES("integration list"), .run = run_list},
    {INTEGRATION("requirements", "Show the Python packages of integrations"), .args = names_args,
     KR_EXAMPLES("integration requirements sklearn"), .run = run_requirements},
    {INTEGRATION("export-requirements", "Print the Python packages of integrations, or write them "
                                        "to a file"),
     .opts = export_opts, .args = names_args,
     KR_EXAMPLES("integration export-requirements sklearn --output-file requirements.txt"),
     .run = run_export},
    {INTEGRATION("install", "Install the Python packages of integrations"), .opts = install_opts,
     .args = names_args,
     .more = "What is built in needs nothing: then it is shown what this machine has for it.",
     KR_EXAMPLES("integration install huggingface"), .run = run_install},
    {INTEGRATION("uninstall", "Uninstall the Python packages of integrations"), .opts = change_opts,
     .args = names_args, KR_EXAMPLES("integration uninstall huggingface --yes"),
     .run = run_uninstall},
    {INTEGRATION("upgrade", "Upgrade the Python packages of integrations that are installed"),
     .opts = change_opts, .args = names_args, KR_EXAMPLES("integration upgrade huggingface"),
     .run = run_upgrade},
};

const struct kr_cmds kr_cmds_integration = KR_CMDS(rows);
