/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/absent.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "core/component.h"

#define NO_CONNECTORS                                                                              \
    "there are no service connectors: give credentials as attributes that refer to a secret, "     \
    "--KEY={{SECRET.KEY}} of register or update"
#define NO_SERVER                                                                                  \
    "there is no server to connect to: everything is kept on this machine, see {prog} status"
#define NO_KIND(titles) "there are no " titles " here; see the groups in {prog} --help"

static const struct {
    const char *path, *instead;
} absent[] = {
    {"* connect", NO_CONNECTORS},
    {"* disconnect", NO_CONNECTORS},
    {"* logs", "components write no log; {prog} deployment logs NAME shows that of a deployment"},
    {"* flavor register",
     "flavors are part of the program; {prog} deployer flavor list shows those "
     "of deployers"},
    {"* flavor delete", "flavors are part of the program and cannot be deleted"},
    {"secret backup", "secrets have one store and no second one to copy to; {prog} secret export "
                      "NAME writes one to a file"},
    {"secret restore", "there is no second store of secrets; {prog} secret create NAME "
                       "--values=@FILE reads what secret export wrote"},
    {"stack deploy", "no cloud resources are made here; {prog} stack register combines components"},
    {"stack validate",
     "a stack is checked when it is used; {prog} pipeline deploy SOURCE --dry-run "
     "does that and nothing else"},
    {"stack connect", NO_CONNECTORS},
    {"pipeline register", "{prog} pipeline snapshot create SOURCE --name NAME compiles a pipeline "
                          "and keeps it"},
    {"pipeline build", "{prog} pipeline deploy SOURCE builds what it needs; --dry-run shows what"},
    {"pipeline run",
     "a pipeline runs when its deployment is called: {prog} pipeline deploy SOURCE, "
     "then {prog} deployment invoke NAME; in Python, calling it runs it there"},
    {"pipeline create-run-template", "{prog} pipeline snapshot create SOURCE --name NAME keeps a "
                                     "pipeline for later deployments"},
    {"pipeline schedule", "nothing is scheduled here: let cron or a systemd timer call {prog} "
                          "deployment invoke NAME"},
    {"pipeline runs stop", "a run ends with its request: at its timeout, or when the caller goes "
                           "away"},
    {"pipeline runs delete", "the records of runs are bounded and go with their deployment"},
    {"pipeline runs refresh", "{prog} pipeline runs list reads them anew each time"},
    {"pipeline snapshot run", "{prog} pipeline snapshot deploy NAME serves a snapshot, {prog} "
                              "deployment invoke NAME runs it"},
    {"help", "{prog} --help lists the commands, {prog} COMMAND --help explains one"},
    {"login", NO_SERVER},
    {"logout", NO_SERVER},
    {"connect", NO_SERVER},
    {"disconnect", NO_SERVER},
    {"up", NO_SERVER},
    {"down", NO_SERVER},
    {"server", NO_SERVER},
    {"clean", "{prog} deployment delete --all ends all deployments; the data folder that {prog} "
              "status names can be removed then"},
    {"info", "{prog} status and {prog} doctor tell about this installation"},
    {"analytics", "nothing is ever collected or sent"},
    {"logging", "the deployment setting log_level chooses what a deployment logs"},
    {"service-connector", NO_CONNECTORS},
    {"step-operator", NO_KIND("step operators")},
    {"model-deployer", NO_KIND("model deployers (deployers are: {prog} deployer)")},
    {"model-registry", NO_KIND("model registries")},
    {"alerter", NO_KIND("alerters")},
    {"annotator", NO_KIND("annotators")},
    {"data-validator", NO_KIND("data validators")},
    {"experiment-tracker", NO_KIND("experiment trackers")},
    {"feature-store", NO_KIND("feature stores")},
    {"log-store", NO_KIND("log stores")},
    {"code-repository", "code is read from the source root, see {prog} init"},
    {"project", "there are no projects: KOUROU_HOME chooses another data folder"},
    {"user", "there are no user accounts: each user of the machine has an own data folder"},
    {"model", "no models are recorded here"},
    {"artifact", "no artifacts are recorded here"},
    {"tag", "labels and snapshot tags are given where a thing is made, with --label and --tags"},
};

bool kr_absent_at(size_t i, const char **path, const char **instead)
{
    if (i >= KR_ARRAY_LEN(absent))
        return false;
    *path = absent[i].path;
    *instead = absent[i].instead;
    return true;
}

/* "* connect" for "deployer connect". */
static bool matches(const char *pattern, const char *path)
{
    if (pattern[0] != '*')
        return strcmp(pattern, path) == 0;
    for (size_t i = 0; i < KR_COMPONENT_TYPE_COUNT; i++) {
        size_t n = strlen(kr_component_kinds[i].group);

        if (strncmp(kr_component_kinds[i].group, path, n) == 0 &&
            strcmp(path + n, pattern + 1) == 0)
            return true;
    }
    return false;
}

bool kr_absent(const char *prog, const char *path, struct kr_err *err)
{
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1024);
    const char *at, *mark;

    for (size_t i = 0; i < KR_ARRAY_LEN(absent); i++) {
        if (!matches(absent[i].path, path))
            continue;
        for (at = absent[i].instead; (mark = strstr(at, "{prog}")) != NULL; at = mark + 6) {
            kr_buf_add(&text, at, (size_t)(mark - at));
            kr_buf_adds(&text, prog);
        }
        kr_buf_adds(&text, at);
        (void)kr_fail(err, KR_E_USAGE, "no '%s %s': %s", prog, path, kr_buf_str(&text));
        return true;
    }
    return false;
}
