/* SPDX-License-Identifier: Apache-2.0 */
/* What has to be installed into the image before the code, from the docker settings. */
#ifndef KR_PACK_REQUIREMENTS_H
#define KR_PACK_REQUIREMENTS_H

#include "base/buf.h"
#include "base/json.h"

struct kr_requirements_in {
    const char *root;       /* source root: files named in settings are below it */
    const json_t *docker;   /* merged docker settings, or NULL */
    const json_t *snapshot; /* "requirements" given in code, "pipeline.kind" */
    const char *python; /* interpreter that reads pyproject.toml and lists its packages, or NULL */
};

struct kr_requirements {
    char *text;        /* requirements.txt; "" when nothing is to be installed */
    char *constraints; /* constraints.txt; "" when there is none */
    json_t *variables; /* ["NAME"] used as ${NAME}: the build needs them (variables or secrets) */
    json_t *tools;     /* ["git"]: programs that the installer calls to fetch requirements */
    json_t *apt;       /* ["libgomp1", "curl=7.88.1-10"]: checked names */
    json_t *installer_args; /* ["--pre", "--index-url=https://..."]: checked, without credentials */
    bool uv;                /* installer */
    char *install_command;  /* local_project_install_command, or NULL */
};

void kr_requirements_finish(struct kr_requirements *reqs);
#define kr_auto_requirements kr_auto(kr_requirements_finish)

/* Requirements come, in this order, from replicate_local_python_environment (list of the local
 * Python's packages, or the output of a command), required_integrations, pyproject_path (its
 * dependencies, or the output of pyproject_export_command), requirements (list or file). When none
 * of these is given and disable_automatic_requirements_detection is not set, requirements.txt of
 * the root is used, else what its pyproject.toml says (pyproject.h); a root that has a list of
 * another kind only is KR_E_INVALID. pydantic is added for the runtime unless
 * install_deployment_requirements is false. A native pipeline has no Python requirements.
 * warnings: array that gets sentences for the user. */
int kr_requirements_collect(const struct kr_requirements_in *in, struct kr_requirements *out,
                            json_t *warnings, struct kr_err *err) KR_MUST_USE;

/* The docker setting python_package_installer_args as words of a command: the caller's, also after
 * an error. */
int kr_requirements_args(const json_t *docker, json_t **args, struct kr_err *err) KR_MUST_USE;

#endif
