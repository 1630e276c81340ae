/* SPDX-License-Identifier: Apache-2.0 */
/* Requirements of a project that has a pyproject.toml, and of projects whose lists are not read. */
#ifndef KR_PACK_PYPROJECT_H
#define KR_PACK_PYPROJECT_H

#include "pack/reqfile.h"
#include "pack/requirements.h"

/* Adds the dependencies of [project]. Where [tool.uv.sources], an index of its own or uv.lock
 * decides where packages come from, uv says what is to be installed: from the lock, or resolved
 * without writing one. Without uv that is KR_E_INVALID and names what cannot be found elsewhere: a
 * private name is never asked from the public index. Packages of another index than the others get
 * the address of their file. detected: a project that keeps its dependencies elsewhere is no error,
 * *found is false then. warnings: array that gets sentences for the user. */
int kr_pyproject_add(const struct kr_requirements_in *in, struct kr_reqs *reqs, const char *path,
                     bool detected, bool *found, json_t *warnings, struct kr_err *err) KR_MUST_USE;

/* KR_E_INVALID when the root has a list of a kind that is not read (environment.yml, Pipfile,
 * install_requires of setup.py or setup.cfg): names it and the command that makes one that is. */
int kr_project_check_others(const char *root, struct kr_err *err) KR_MUST_USE;

#endif
