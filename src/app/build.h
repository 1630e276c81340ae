/* SPDX-License-Identifier: Apache-2.0 */
/* Images of pipelines: whether one is needed, building it with the stack's image builder, using an
 * equal one again. */
#ifndef KR_APP_BUILD_H
#define KR_APP_BUILD_H

#include "app/target.h"
#include "deployers/engine.h"
#include "base/digest.h"
#include "oci/repo.h"
#include "pack/launch.h"

/* An image that is to be made. */
struct kr_build {
    struct kr_app *app;
    struct kr_target *target;
    char *name;              /* "registry/repository:tag"; without a registry "repository:tag" */
    bool push;               /* the stack has a container registry */
    const char *builder;     /* flavor of the image builder: "local", "daemonless" */
    const json_t *config;    /* its attributes, or NULL */
    const json_t *docker;    /* docker settings */
    char *cache;             /* the data folder's cache/ */
    struct kr_launch launch; /* with the gate that all of it passes */
    struct kr_gate *gate;
    json_t *moved; /* ["python:3.11-slim"]: tags that the engine has as they were before */
};
void kr_build_finish(struct kr_build *build);
#define kr_auto_build kr_auto(kr_build_finish)

/* Decides by deployer, stack and settings, and checks what can be checked without work. *needed
 * false: nothing is to be built (also when target->what.image is given already). */
int kr_build_init(struct kr_app *app, struct kr_target *target, struct kr_build *out, bool *needed,
                  struct kr_err *err) KR_MUST_USE;

/* Builds and pushes what the deployment needs, or takes an equal image of before;
 * target->what.image is it afterwards. For a Space the image is then asked for as a stranger
 * would. */
int kr_build_image(struct kr_app *app, struct kr_target *target, struct kr_err *err) KR_MUST_USE;

/* For dry runs: target->what.image is the name that would be built; nothing is built. */
int kr_build_plan(struct kr_app *app, struct kr_target *target, struct kr_err *err) KR_MUST_USE;

/* The context of the user's own Dockerfile (docker setting build_context_root) as it may be sent:
 * with what .dockerignore leaves of it, and without credentials and what belongs to Kourou. */
int kr_build_context(const struct kr_build *build, const char *root, struct kr_files *out,
                     json_t *warnings, struct kr_err *err) KR_MUST_USE;

/* build_key.c: digest of everything that goes in: files, settings, what the tags of base images
 * mean now, wheels and sources of this machine. What cannot be found out about a tag counts as
 * unchanged. */
int kr_build_key(struct kr_build *build, char key[KR_SHA256_HEX], struct kr_err *err) KR_MUST_USE;

/* build_local.c, build_daemonless.c: make the image; *image is the caller's. */
int kr_build_local(const struct kr_build *build, char **image, struct kr_err *err) KR_MUST_USE;
int kr_build_daemonless(const struct kr_build *build, char **image, struct kr_err *err) KR_MUST_USE;

/* registry.c: how the registry of a resolved component with its "login" is spoken to. Borrows from
 * it. */
struct kr_repo_auth kr_registry_auth(const json_t *registry);

/* Fills "login" of the stack's container registry from its authentication_secret. */
int kr_registry_login(struct kr_app *app, json_t *registry, struct kr_err *err) KR_MUST_USE;

/* Asks for the image as a stranger. A private one is an error that says what the registry said; the
 * ways out, as commands for this stack, are notes. */
int kr_registry_check_public(struct kr_app *app, const struct kr_target *target, const char *image,
                             struct kr_err *err) KR_MUST_USE;

/* `container-registry check`: rows {"check","status","detail","hint"}. ref NULL: that of the active
 * stack. */
int kr_registry_checks(struct kr_app *app, const char *ref, const char *image, json_t **rows,
                       struct kr_err *err) KR_MUST_USE;

#endif
